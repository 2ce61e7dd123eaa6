"""Orbax's log lines, and what Python says about its reads and writes that failed: the user need not see them."""

import inspect
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from vade_jax.system.process_wide import PROCESS_WIDE, SharedContext, filtered_warnings

_no_late_answers = SharedContext()
_no_log_lines = SharedContext()


@contextmanager
def silent_coroutines() -> Iterator[None]:
    """Hides what Python says about coroutines that Orbax never awaits, or never ends, when a read fails."""
    thread = threading.get_ident()

    def is_hidden(unraisable: Any) -> bool:
        return threading.get_ident() == thread or inspect.iscoroutine(unraisable.object)

    with PROCESS_WIDE, filtered_warnings("ignore", RuntimeWarning, "coroutine"), _hidden(is_hidden):
        yield


def no_late_answers() -> AbstractContextManager[None]:
    """A context that hides what Orbax and TensorStore leave of reads and writes that failed in another part."""
    return _no_late_answers.entered(lambda: _hidden(_is_late))


def no_log_lines() -> AbstractContextManager[None]:
    """A context without Orbax's log lines, which it writes as absl's.

    If the logger 'absl' has a level of its own, somebody asks for them, and they are shown.
    """
    return _no_log_lines.entered(_without_log_lines)


@contextmanager
def _without_log_lines() -> Iterator[None]:
    logger = logging.getLogger("absl")
    logger.addFilter(_is_shown)
    try:
        yield
    finally:
        logger.removeFilter(_is_shown)


def _is_shown(record: logging.LogRecord) -> bool:
    """Returns whether a line of the logger 'absl' is shown: Orbax's only if the logger has a level."""
    return logging.getLogger("absl").level != logging.NOTSET or "orbax" not in Path(record.pathname).parts


def _is_late(unraisable: Any) -> bool:
    """Returns whether an error is TensorStore's answer after Orbax gave up, or a coroutine that Orbax did not end."""
    coroutine = unraisable.object
    return str(unraisable.exc_value) == "Event loop is closed" or (
        inspect.iscoroutine(coroutine) and "orbax" in Path(coroutine.cr_code.co_filename).parts
    )


@contextmanager
def _hidden(is_hidden: Callable[[Any], bool]) -> Iterator[None]:
    """A context in which Python does not show some of the errors that it cannot raise."""

    def show_others(unraisable: Any) -> None:
        if not is_hidden(unraisable):
            hook(unraisable)

    with PROCESS_WIDE:
        hook, sys.unraisablehook = sys.unraisablehook, show_others
    try:
        yield
    finally:
        with PROCESS_WIDE:
            sys.unraisablehook = hook
