"""What pip installs: the dependencies, the files of the wheel, and a bare environment in which the package works."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from vade_jax.system import optional_imports

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def test_requirements_are_the_dependencies_with_two_extras():
    lines = [line.partition("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    listed = {str(Requirement(line)) for line in lines if line}
    assert listed == {*map(as_written, PROJECT["dependencies"] + EXTRAS["tfds"] + EXTRAS["tensorboard"])}


def as_written(requirement):
    return str(Requirement(requirement))


def test_every_library_that_errors_name_is_in_its_extra():
    for library, extra in optional_imports.EXTRAS.items():
        names = {Requirement(line).name.replace("-", "_") for line in EXTRAS[extra]}
        assert library in names
