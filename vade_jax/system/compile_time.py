"""The seconds that XLA takes to compile in this process, and a folder that keeps what it compiled."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
from jax.experimental.compilation_cache import compilation_cache

from vade_jax.system.process_wide import SharedContext

AUTO_FOLDER = "auto"
_MIN_SECONDS = 0.1  # a program that compiles faster is not kept
_MAX_BYTES = 2**30  # of the kept programs of AUTO_FOLDER; the ones that were used longest ago are deleted
_compilations: list[float] = []
_lock = threading.Lock()
_counting = False
_folder = SharedContext()


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
    """A context in which XLA reads compiled programs from a folder and keeps others there.

    JAX has one such folder for the process: of several threads the first one's is used. JAX's own settings are as
    before when the last thread leaves.

    Args:
      folder: '' for no folder; 'auto' for `user_folder`, unless JAX already has one.
    """
    if not folder:
        yield
        return
    with _folder.entered(lambda: _changed_settings(_settings_for(folder))):
        yield


@contextmanager
def _changed_settings(settings: dict[str, Any]) -> Iterator[None]:
    """A context with other settings of JAX, which are as before after it; {} changes nothing."""
    before = _set(settings) if settings else {}
    try:
        yield
    finally:
        if before:
            _set(before)


def user_folder() -> Path:
    """The user's folder of compiled programs: $XDG_CACHE_HOME/vade_jax or ~/.cache/vade_jax."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vade_jax"


def _settings_for(folder: str) -> dict[str, Any]:
    """The settings of JAX for a folder; {} to leave them as they are."""
    settings = {"jax_compilation_cache_dir": folder, "jax_persistent_cache_min_compile_time_secs": _MIN_SECONDS}
    if folder != AUTO_FOLDER:
        return settings
    if getattr(jax.config, "jax_compilation_cache_dir", None) or not _can_write(user_folder()):
        return {}
    return settings | {"jax_compilation_cache_dir": str(user_folder()), "jax_compilation_cache_max_size": _MAX_BYTES}


def _can_write(folder: Path) -> bool:
    """Whether there is the folder, or it can be made, and files can be written there."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def _set(settings: dict[str, Any]) -> dict[str, Any]:
    """Sets settings of JAX, and returns their values before."""
    before = {name: getattr(jax.config, name) for name in settings}
    for name, value in settings.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()  # JAX would go on with the folder that it has opened
    return before
