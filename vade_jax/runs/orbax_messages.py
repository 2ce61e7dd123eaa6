"""What Python says about Orbax's reads and writes that failed, and that the user need not see."""

import inspect
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from vade_jax.system.process_wide import PROCESS_WIDE, SharedContext, filtered_warnings

_no_late_answers = SharedContext()


@contextmanager
def silent_coroutines() -> Iterator[None]:
    """Hides what Python says about coroutines that Orbax never awaits, or never ends, when a read fails."""
    with PROCESS_WIDE, filtered_warnings("ignore", RuntimeWarning, "coroutine"):
        hook, thread = sys.unraisablehook, threading.get_ident()

        def show_others(unraisable: Any) -> None:
            if threading.get_ident() != thread and not inspect.iscoroutine(unraisable.object):
                hook(unraisable)

        sys.unraisablehook = show_others
        try:
            yield
        finally:
            sys.unraisablehook = hook


def no_late_answers() -> AbstractContextManager[None]:
    """A context that hides what TensorStore answers to reads and writes of a checkpoint that failed in another part."""
    return _no_late_answers.entered(_silent_late_answers)


@contextmanager
def _silent_late_answers() -> Iterator[None]:
    def show_others(unraisable: Any) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":
            hook(unraisable)

    with PROCESS_WIDE:
        hook, sys.unraisablehook = sys.unraisablehook, show_others
    try:
        yield
    finally:
        with PROCESS_WIDE:
            sys.unraisablehook = hook
