"""Settings that every test runs under: two host devices, no silent promotion, repeatable properties."""

import gc
import os
import sys
import tempfile
from pathlib import Path

from helpers.devices import xla_flags

# XLA reads its flags once, so they must be set before jax is imported. The processes that tests start inherit them.
os.environ["XLA_FLAGS"] = xla_flags(2, os.environ.get("XLA_FLAGS", ""))
# Programs are compiled with few optimizations, which take longer than what they save in most tests.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

# Two workers share the cores. A library that starts a thread for each core would slow down both.
for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

# The workers and the processes that tests start inherit these variables, so each program is compiled once in a session.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    _COMPILED = tempfile.TemporaryDirectory(prefix="vade-jax-tests-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _COMPILED.name
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"

import hypothesis
import jax
import pytest

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# The first example of a property compiles, which no deadline foresees; random examples would make a red run a matter
# of luck.
hypothesis.settings.register_profile("repeatable", deadline=None, derandomize=True, max_examples=25, database=None)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture(scope="module", autouse=True)
def _few_executables():
    """What a module compiled goes with it: each executable holds memory maps, of which a process may have 65,530."""
    yield
    jax.clear_caches()
    gc.collect()
    gc.freeze()  # what is left are imported modules, which each later collection would go through


@pytest.fixture
def optimized():
    """Compiles with all optimizations, for programs that run for seconds."""
    before = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory):
    """The folder and the results of a finished run of `tiny()`. A test that changes the folder copies it first."""
    from helpers.runs import tiny

    from vade_jax.commands.train import train

    folder = tmp_path_factory.mktemp("digits_run") / "run"
    return folder, train(tiny(), folder)


@pytest.fixture(scope="session")
def fitted():
    """A fitted estimator, `helpers.estimators.fast()`. A test that changes it copies it first."""
    from helpers.estimators import X, fast

    return fast().fit(X)


@pytest.fixture(scope="session")
def command_line():
    """Does what `python main.py` does in another process, and imports the libraries only once."""
    from helpers.command_line import CommandLine

    command_line = CommandLine()
    yield command_line
    command_line.close()


@pytest.fixture
def own_registries(monkeypatch):
    """The names that a test registers are gone after it."""
    from vade_jax.data.scaling import SCALINGS
    from vade_jax.data.sources import SOURCES
    from vade_jax.networks.encoders_decoders import NETWORKS
    from vade_jax.networks.likelihoods import LIKELIHOODS
    from vade_jax.networks.model import make_model

    for registry in (LIKELIHOODS, NETWORKS, SCALINGS, SOURCES):
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    yield
    make_model.cache_clear()  # a name may have another factory in the next test


@pytest.fixture(scope="session")
def own_parts_folder(tmp_path_factory):
    """A folder with the files of `helpers.own_parts`."""
    from helpers.own_parts import FILES

    folder = tmp_path_factory.mktemp("parts")
    for name, text in FILES.items():
        (folder / f"{name}.py").write_text(text)
    return folder


@pytest.fixture
def as_in_a_program():
    """Allows promotion, as in the user's program, in every thread: the context managers of jax hold for one thread."""
    strict = jax.config.jax_numpy_rank_promotion, jax.config.jax_numpy_dtype_promotion
    jax.config.update("jax_numpy_rank_promotion", "allow")
    jax.config.update("jax_numpy_dtype_promotion", "standard")
    yield
    jax.config.update("jax_numpy_rank_promotion", strict[0])
    jax.config.update("jax_numpy_dtype_promotion", strict[1])


@pytest.fixture
def own_parts(monkeypatch, own_parts_folder, own_registries, as_in_a_program):
    """The files of `own_parts_folder` can be imported, but are not yet, as in a new process."""
    from helpers.own_parts import FILES

    monkeypatch.syspath_prepend(own_parts_folder)
    for name in FILES:
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.fixture
def tfds_dir():
    """The folder where MNIST lies prepared for TFDS; a clone alone does not have it."""
    folder = Path(__file__).parent.parent.parent / "shared" / "tfds"
    if not (folder / "mnist").is_dir():
        pytest.skip(f"no prepared MNIST in {folder}")
    return str(folder)


@pytest.fixture
def compilations():
    """What XLA has compiled since the list was last cleared, as `tracking` counts it."""
    from vade_jax.system import compile_time

    compile_time.start_counting()
    compile_time._compilations.clear()
    return compile_time._compilations
