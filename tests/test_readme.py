"""The README is correct: its examples run, the files it names exist, and its tables match the records."""

import re
from pathlib import Path

import pytest

from benchmarks import readme

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.slow
@pytest.mark.usefixtures("optimized")
def test_estimator_example_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(EXAMPLES[0], names)
    assert names["clusters"].shape == (178,)
    assert names["probabilities"].shape == (178, 3)
    assert (tmp_path / "wines" / "config.json").exists()


def test_functions_example_runs():
    _, example = EXAMPLES
    names = {}
    exec(example, names)
    assert float(names["value"]) > 0
    assert names["clusters"].shape == (5,)
    assert names["prior_grads"].means.shape == (3, 2)


@pytest.mark.parametrize("page", readme.PAGES, ids=lambda page: page.name)
def test_tables_match_the_records(page):
    text = page.read_text()
    assert readme.with_tables(text) == text


@pytest.mark.parametrize("path", sorted(set(re.findall(r"(?:configs|benchmarks|examples|vade_jax)/\w+\.py", TEXT))))
def test_named_files_exist(path):
    assert (ROOT / path).is_file()


def test_every_folder_is_listed():
    for path in (ROOT / "vade_jax").glob("*/__init__.py"):
        assert f"\n  {path.parent.name}/ " in TEXT, path.parent.name


def test_every_requirement_is_explained():
    requirements = re.findall(r"^([a-zA-Z][\w-]*)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    reasons = TEXT.partition("## What each dependency is for")[2]
    assert [name for name in requirements if name not in reasons] == []
