"""The folder of compiled programs."""

import jax
import jax.numpy as jnp
import pytest

from vade_jax.system import compile_time
from vade_jax.system.compile_time import kept_programs, user_folder

NAMES = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs", "jax_compilation_cache_max_size")


def settings_of_jax():
    return {name: getattr(jax.config, name) for name in NAMES}


@pytest.fixture
def no_folder(monkeypatch, tmp_path):
    """JAX has no folder of its own, and the user's folder for caches is tmp_path."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    before = compile_time._set({"jax_compilation_cache_dir": None})
    yield
    compile_time._set(before)


def test_auto_is_the_users_folder_for_as_long_as_it_is_used(no_folder, tmp_path):
    before = settings_of_jax()
    with kept_programs("auto"):
        assert settings_of_jax() == dict(zip(NAMES, (str(tmp_path / "vade_jax"), 0.1, 2**30), strict=True))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.jit(lambda x: jnp.tanh(x) * 17)(jnp.ones(3))
    assert settings_of_jax() == before
    assert [path.name for path in tmp_path.glob("vade_jax/jit__lambda*-cache")]


def test_auto_stays_until_the_last_of_several_users_leaves(no_folder, tmp_path):
    first, second = kept_programs("auto"), kept_programs("auto")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "vade_jax")
    second.__exit__(None, None, None)
    assert jax.config.jax_compilation_cache_dir is None


def test_auto_leaves_a_folder_that_jax_has(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    before = compile_time._set({"jax_compilation_cache_dir": str(tmp_path)})
    with kept_programs("auto"):
        assert jax.config.jax_compilation_cache_dir == str(tmp_path)
    assert not user_folder().exists()
    compile_time._set(before)


def test_without_a_usable_folder_no_programs_are_kept(no_folder, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    for folder in ("auto", ""):
        with kept_programs(folder):
            assert jax.config.jax_compilation_cache_dir is None
