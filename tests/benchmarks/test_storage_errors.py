"""A short version of the campaign of failing calls; `python -m benchmarks.faults --parts="injected errors"` runs it."""

import random
import subprocess
import sys

import pytest

from benchmarks import records, storage_errors
from benchmarks.failing_storage import ERRORS, Fault
from benchmarks.storage_errors import Answer, draw_fault

PROGRAM = """
import os, shutil, sys
from pathlib import Path
from benchmarks.failing_storage import FailingStorage, Fault

storage, folder = FailingStorage(), Path(sys.argv[1])
storage.install()
import numpy as np

storage.watch(folder / "in", Fault(int(sys.argv[2]), sys.argv[3], sys.argv[4] == "forever"))
for step in [
    lambda: (folder / "in").mkdir(),
    lambda: (folder / "out").mkdir(),
    lambda: (folder / "in" / "a").write_text("text"),
    lambda: np.save(folder / "in" / "b.npy", np.arange(3)),
    lambda: os.replace(folder / "in" / "a", folder / "in" / "c"),
    lambda: print((folder / "in" / "c").read_text(), np.load(folder / "in" / "b.npy")),
    lambda: shutil.rmtree(folder / "in"),
]:
    try:
        step()
    except OSError as error:
        print(error)
print(*(f"{kind}: {os.path.relpath(path, folder)}" for kind, path in storage.calls), sep="\\n")
"""


def run(tmp_path, first, error="EIO", how="once"):
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), str(first), error, how]
    return subprocess.run(command, cwd=records.ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


def test_the_calls_in_the_folder_are_counted_and_pass(tmp_path):
    answered, *calls = run(tmp_path, 0)
    assert answered == "text [0 1 2]"
    assert calls[:4] == ["make folder: in", "open to write: in/a", "write: in/a", "open to write: in/b.npy"]
    assert {call.split(":")[0] for call in calls} == ERRORS.keys() - {"sync"}
    assert not (tmp_path / "in").exists()


def test_one_call_fails_once(tmp_path):
    failed, answered, *_ = run(tmp_path, 3, "ENOSPC")
    assert failed == "[Errno 28] No space left on device"
    assert answered == "text [0 1 2]"  # Python writes what is buffered again when it closes the file


def test_all_calls_that_can_meet_the_error_fail_from_then_on(tmp_path):
    lines = run(tmp_path, 4, "ENOSPC", "forever")
    assert [line for line in lines if "Errno" in line] == [
        f"[Errno 28] No space left on device: '{tmp_path}/in/b.npy'",
        f"[Errno 28] No space left on device: '{tmp_path}/in/a'",
        f"[Errno 2] No such file or directory: '{tmp_path}/in/c'",
    ]


def test_faults_are_drawn_for_every_kind_of_call_and_file():
    calls = [("read", "run/large")] * 1000 + [("sync", "run/.vade-12.partial"), ("sync", "run/.vade-345.partial")]
    drawn = [draw_fault(calls, random.Random(seed)) for seed in range(100)]
    kinds = [calls[fault.first - 1][0] for fault, _ in drawn]
    assert 30 < kinds.count("sync") < 70
    assert all(fault.error in ERRORS[kind] for (fault, _), kind in zip(drawn, kinds, strict=True))
    assert {fault.forever for fault, _ in drawn} == {False, True}


@pytest.mark.parametrize(
    ("status", "stderr", "expected"),
    [
        (4, "pretrain:  50%|##  | 1/2\rerror: /w/run/a cannot be written. Make space.\n", "said"),
        (2, "error: workdir: got /w/run, expected another\n", "said"),
        (1, "error: /w/run/a\n", "status 1: error: /w/run/a"),
        (4, "error: a\n", "status 4: error: a"),
        (4, "Traceback\nerror: /w/run/a\n", "status 4: Traceback / error: /w/run/a"),
        (None, "", "hung: "),
    ],
)
def test_a_run_must_end_by_one_line_that_names_the_file(tmp_path, status, stderr, expected):
    assert Answer(status, stderr, []).said("/w/run") == expected


@pytest.mark.slow
def test_runs_with_failing_calls_end_like_the_undisturbed_run(tmp_path):
    outcomes = storage_errors.inject_errors(tmp_path / "errors", 8, random.Random(0))
    assert outcomes.keys() == {"same", "said", "harmed"}
    assert outcomes["harmed"] == 0


@pytest.mark.slow
def test_a_full_disk_is_said(tmp_path):
    with storage_errors.Server(tmp_path / "compiled", 300) as server:
        answer = server.ask(tmp_path / "run", storage_errors.FLAGS, Fault(1, "ENOSPC", True))
        assert answer.said(tmp_path / "run") == "said"
