"""CI fails if the README has no test command, and if its command runs no test."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / ".ci" / "readme_tests"
README = "<!-- test command -->\n```bash\npip install x\n{}\n```\n"


@pytest.fixture
def run(tmp_path):
    """Runs the script with a README of this command, and a python that prints this and exits with this status."""

    def run_script(command, output, status=0, readme=README):
        (tmp_path / ".ci").mkdir()
        shutil.copy(SCRIPT, tmp_path / ".ci")
        (tmp_path / "README.md").write_text(readme.format(command))
        (tmp_path / "python").write_text(f"#!/bin/sh\necho '{output}'\nexit {status}\n")
        (tmp_path / "python").chmod(0o755)
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
        return subprocess.run([tmp_path / ".ci" / "readme_tests"], env=environment, capture_output=True, text=True)

    return run_script


def test_tests_that_pass_pass(run):
    answer = run("python -m pytest", "==== 812 passed, 3 skipped in 9s ====")
    assert answer.returncode == 0, answer.stderr
    assert "812 passed" in answer.stdout


@pytest.mark.parametrize(
    ("output", "status"),
    [
        ("1 failed, 5 passed", 1),
        ("no tests ran", 5),
        ("5 deselected", 5),
        ("no tests ran", 0),
        ("3 skipped", 0),
        ("0 passed", 0),
        ("12/34 tests collected", 0),
    ],
)
def test_failures_and_no_tests_fail(run, output, status):
    answer = run("python -m pytest", output, status)
    assert answer.returncode != 0
    assert status or "which ran no test" in answer.stderr


@pytest.mark.parametrize(
    ("command", "readme"), [("pytest -q", README), ("python -m pytest", README.replace("test command", "tests"))]
)
def test_a_command_that_is_not_found_fails(run, command, readme):
    answer = run(command, "812 passed", readme=readme)
    assert answer.returncode == 1
    assert answer.stderr.startswith("error: README.md: got no line that starts with 'python -m pytest'")
