"""Locked dependencies, and no unpickling or evaluation of data."""

import ast
import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parent.parent
SOURCES = sorted([ROOT / "main.py", *(ROOT / "vade_jax").rglob("*.py"), *(ROOT / "configs").glob("*.py")])


def requirements(text):
    lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in text.replace("\\\n", " ").splitlines())
    return [Requirement(re.sub(r"--hash=\S+", "", line).strip()) for line in lines if line]


def test_lock_satisfies_the_requirements():
    locked = {}
    for requirement in requirements((ROOT / "requirements.lock").read_text()):
        (pin,) = requirement.specifier
        assert pin.operator == "=="
        if requirement.marker is None or requirement.marker.evaluate():
            locked[requirement.name] = Version(pin.version)
    for requirement in requirements((ROOT / "requirements.txt").read_text()):
        assert locked[requirement.name.lower()] in requirement.specifier, requirement


def test_every_entry_of_the_lock_has_a_hash():
    for entry in (ROOT / "requirements.lock").read_text().replace("\\\n", " ").splitlines():
        assert entry.startswith("#") or "--hash=sha256:" in entry, entry


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_code_unpickles_or_evaluates(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name for alias in node.names} | {getattr(node, "module", "")}
            assert not names & {"pickle", "dill", "cloudpickle", "shelve", "marshal"}
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            assert name not in ("eval", "exec", "read_pickle")
            assert not (name == "load" and getattr(node.func, "value", None) is None)
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert isinstance(node.value, ast.Constant)
            assert node.value.value is False
