"""What the README says holds: its example runs, its commands exist, its tables are the measured ones."""

import re
from pathlib import Path

import pytest

from benchmarks import readme

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()


def test_the_example_runs():
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names = {}
    exec(example, names)
    assert float(names["value"]) > 0
    assert names["clusters"].shape == (5,)
    assert names["prior_grads"].means.shape == (3, 2)


def test_the_tables_are_written_from_the_records():
    assert readme.with_tables(TEXT) == TEXT


@pytest.mark.parametrize("path", sorted(set(re.findall(r"(?:configs|benchmarks)/\w+\.py", TEXT))))
def test_files_that_are_named_exist(path):
    assert (ROOT / path).is_file()


def test_every_module_is_listed():
    for path in (ROOT / "vade_jax").glob("[a-z]*.py"):
        assert path.name in TEXT, path.name


def test_every_requirement_has_its_reason():
    requirements = re.findall(r"^([a-zA-Z][\w-]*)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    reasons = TEXT.partition("## What each dependency is for")[2]
    assert [name for name in requirements if name not in reasons] == []
