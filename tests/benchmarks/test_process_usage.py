"""The time and memory of a separate process."""

import sys

import numpy as np

from benchmarks import process_usage


def run(code, tmp_path, limit_s=60):
    return process_usage.run([sys.executable, "-c", code], tmp_path, limit_s)


def test_output_seconds_and_memory_are_those_of_the_process(tmp_path):
    usage, output = run("import time; x = bytearray(200 * 2**20); time.sleep(0.5); print('a'); print('b')", tmp_path)
    assert output.splitlines()[:2] == ["a", "b"]
    assert 0.5 <= usage["wall_s"] < 30
    assert 0 < usage["cpu_s"] < 30
    assert 200 < usage["peak_mib"] < 300
    assert "failure" not in usage


def test_memory_of_the_process_that_measures_does_not_count(tmp_path):
    mine = np.ones(300 * 2**20, np.uint8)
    usage, _ = run("print(1)", tmp_path)
    assert usage["peak_mib"] < 100
    assert mine.all()


def test_cpu_seconds_of_children_count(tmp_path):
    busy = "import time; [None for _ in iter(lambda: time.process_time() < 0.5, False)]"
    usage, _ = run(f"import subprocess, sys; subprocess.run([sys.executable, '-c', {busy!r}])", tmp_path)
    assert usage["cpu_s"] >= 0.5


def test_failure_is_the_last_line_of_its_errors(tmp_path):
    assert run("raise ValueError('no rows')", tmp_path)[0]["failure"] == "ValueError: no rows"
    bar = "import sys; sys.stderr.write('ValueError: no rows\\n\\r 50% of it\\r 60% of it\\n'); sys.exit(1)"
    assert run(bar, tmp_path)[0]["failure"] == "ValueError: no rows"
    assert run("raise SystemExit(3)", tmp_path)[0]["failure"] == "exit status 3"
    assert run("import os; os.kill(os.getpid(), 9)", tmp_path)[0]["failure"] == "ended by SIGKILL"


def test_a_process_over_the_limit_is_killed(tmp_path):
    usage, _ = run("import time; time.sleep(60)", tmp_path, limit_s=0.5)
    assert usage["failure"] == "killed after 0.5 s"
    assert usage["wall_s"] < 30
