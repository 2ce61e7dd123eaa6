"""What pip installs: the dependencies, the files of the wheel, and a bare environment in which the package works."""

import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import vade_jax
from vade_jax.system import optional_imports

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
NO_NETWORK = ("Failed to establish a new connection", "Temporary failure in name resolution", "timed out")


def test_requirements_are_the_dependencies_with_two_extras():
    lines = [line.partition("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    listed = {str(Requirement(line)) for line in lines if line}
    declared = PROJECT["dependencies"] + EXTRAS["tfds"] + EXTRAS["tensorboard"]
    assert listed == {str(Requirement(line)) for line in declared}


def test_every_library_that_errors_name_is_in_its_extra():
    for library, extra in optional_imports.EXTRAS.items():
        names = {Requirement(line).name.replace("-", "_") for line in EXTRAS[extra]}
        assert library in names


def test_the_version_has_its_section_in_the_changelog():
    assert re.findall(r"^## \[(\d.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0] == vade_jax.__version__


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with the wheel and the sdist of this package."""
    if Version(metadata.version("setuptools")) < Version("77"):
        pytest.skip("building needs setuptools 77 or newer, which the extra dev installs")
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "vade_jax", source / "vade_jax", ignore=shutil.ignore_patterns("__pycache__"))
    code = "from setuptools import build_meta; build_meta.build_wheel('dist'); build_meta.build_sdist('dist')"
    run(sys.executable, "-c", code, folder=source)
    return source / "dist"


def run(*command, folder):
    answer = subprocess.run([*map(str, command)], cwd=folder, capture_output=True, text=True)
    if answer.returncode and any(words in answer.stderr for words in NO_NETWORK):
        pytest.skip(f"no network for: {' '.join(map(str, command))}")
    assert answer.returncode == 0, answer.stderr[-3000:]
    return answer.stdout


def test_the_wheel_has_every_file_of_the_package_and_the_command(built):
    (path,) = built.glob("*.whl")
    package = [path for path in (ROOT / "vade_jax").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    with zipfile.ZipFile(path) as wheel:
        about = f"vade_jax-{vade_jax.__version__}.dist-info"
        files = {name for name in wheel.namelist() if not name.startswith(about)}
        entry_points = wheel.read(f"{about}/entry_points.txt").decode()
        described = wheel.read(f"{about}/METADATA").decode()
    assert files == {path.relative_to(ROOT).as_posix() for path in package}
    assert files >= {"vade_jax/py.typed", "vade_jax/configs/mnist.py", "vade_jax/reports/templates/report.html"}
    assert entry_points.split() == ["[console_scripts]", "vade-jax", "=", "vade_jax.command_line.program:run"]
    assert f"\nVersion: {vade_jax.__version__}\n" in described
    assert {f"Provides-Extra: {extra}" for extra in EXTRAS} <= {*described.splitlines()}


ESTIMATOR = """
import numpy as np
from vade_jax import VaDE
x = np.random.default_rng(0).normal(size=(60, 3))
settings = {"pretrain.num_epochs": 1, "train.num_epochs": 1, "init.method": "gmm", "guide.num_rounds": 0,
            "align.num_epochs": 0, "optimizer.min_steps": 0, "evaluate.bound_samples": 2}
print(VaDE(2, hidden=(4,), settings=settings).fit_predict(x).shape)
"""
TINY = [
    "--config=digits",
    "--config.model.hidden=8,",
    "--config.pretrain.num_epochs=1",
    "--config.train.num_epochs=1",
    "--config.init.method=gmm",
    "--config.guide.num_rounds=0",
    "--config.align.num_epochs=0",
    "--config.optimizer.min_steps=0",
    "--config.evaluate.bound_rows=10",
]


@pytest.mark.slow
def test_the_wheel_and_the_sdist_work_in_a_bare_environment(built, tmp_path):
    """Without any extra: pip takes what it needs from its cache or the network."""
    venv.create(tmp_path / "bare", with_pip=True)
    programs = tmp_path / "bare" / "bin"
    (wheel,), (sdist,) = built.glob("*.whl"), built.glob("*.tar.gz")
    run(programs / "python", "-m", "pip", "install", "-q", wheel, folder=tmp_path)
    packages = run(programs / "python", "-m", "pip", "list", "--format=freeze", folder=tmp_path).lower()
    for name in ("tensorflow", "pandas", "anndata", "tensorboardx", "pytest"):
        assert name not in packages
    printed = run(programs / "vade-jax", *TINY, "--workdir=run", folder=tmp_path)
    assert "accuracy" in printed
    assert (tmp_path / "run" / "report" / "index.html").exists()
    assert not (tmp_path / "run" / "tensorboard").exists()
    assert run(programs / "python", "-c", ESTIMATOR, folder=tmp_path) == "(60,)\n"
    run(programs / "python", "-m", "pip", "install", "-q", "--no-deps", "--force-reinstall", sdist, folder=tmp_path)
    assert "wrote run/predictions.npz" in run(
        *(programs / "python", "-m", "vade_jax", "--mode=predict", "--workdir=run"), folder=tmp_path
    )
