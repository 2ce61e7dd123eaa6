"""Settings that every test runs under: two host devices, no silent promotion, repeatable properties."""

import gc
import os
import tempfile
from pathlib import Path

from helpers.devices import DEVICES_FLAG

if DEVICES_FLAG not in os.environ.get("XLA_FLAGS", ""):
    # XLA reads the variable once, so that it has to be there before any import of jax.
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {DEVICES_FLAG}=2".strip()

import hypothesis
import jax
import pytest

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# Tests that train the same small model compile it once.
_COMPILED = tempfile.TemporaryDirectory(prefix="vade-jax-tests-")
jax.config.update("jax_compilation_cache_dir", _COMPILED.name)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)

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
