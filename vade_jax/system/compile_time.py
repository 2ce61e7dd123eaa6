"""The seconds that XLA takes to compile in this process, and a folder that keeps what it compiled."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
from jax.experimental.compilation_cache import compilation_cache

_MIN_SECONDS = 0.1  # a program that compiles faster is not kept
_compilations: list[float] = []
_lock = threading.Lock()
_counting = False
_num_users = 0  # threads that use the folder of compiled programs
_settings_before: dict[str, Any] = {}


def start_counting() -> None:
    """Starts to count compilations; further calls do nothing."""
    global _counting
    with _lock:
        if not _counting:
            jax.monitoring.register_event_duration_secs_listener(_note_compilation)
        _counting = True


def _note_compilation(event: str, duration_secs: float, **_: str | int) -> None:
    if event == "/jax/core/compile/backend_compile_duration":
        _compilations.append(duration_secs)


def compile_seconds() -> float:
    """The seconds that XLA has taken to compile in this process since `start_counting` was called."""
    return sum(_compilations)


@contextmanager
def kept_programs(folder: str) -> Iterator[None]:
    """A context in which XLA reads compiled programs from a folder and keeps others there; '' for no folder.

    JAX has one such folder for the process: of several threads the first one's is used. JAX's own settings are as
    before when the last thread leaves.
    """
    global _num_users
    if not folder:
        yield
        return
    with _lock:
        if not _num_users:
            _settings_before.update(
                _set({"jax_compilation_cache_dir": folder, "jax_persistent_cache_min_compile_time_secs": _MIN_SECONDS})
            )
        _num_users += 1
    try:
        yield
    finally:
        with _lock:
            _num_users -= 1
            if not _num_users:
                _set(_settings_before)


def _set(settings: dict[str, Any]) -> dict[str, Any]:
    """Sets settings of JAX, and returns their values before."""
    before = {name: getattr(jax.config, name) for name in settings}
    for name, value in settings.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()  # JAX would go on with the folder that it has opened
    return before
