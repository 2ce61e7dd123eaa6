"""The seconds that XLA takes to compile in this process."""

import functools

import jax

_compilations: list[float] = []


@functools.cache
def start_counting() -> None:
    """Starts to count compilations; further calls do nothing."""
    jax.monitoring.register_event_duration_secs_listener(_note_compilation)


def _note_compilation(event: str, duration_secs: float, **_: str | int) -> None:
    if event == "/jax/core/compile/backend_compile_duration":
        _compilations.append(duration_secs)


def compile_seconds() -> float:
    """The seconds that XLA has taken to compile in this process since `start_counting` was called."""
    return sum(_compilations)
