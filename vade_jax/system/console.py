"""Printed lines and progress bars, and a way to turn them off."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tqdm import tqdm

_silent: ContextVar[bool] = ContextVar("silent", default=False)
_by_lines: ContextVar[bool] = ContextVar("by_lines", default=False)


def print_line(line: str) -> None:
    """Prints a line, above any progress bar."""
    if not _silent.get():
        tqdm.write(printable(line))


def printable(text: str) -> str:
    r"""Text that every screen and file can show: the bytes of a file name that are no UTF-8 become escapes.

    Example:
      >>> printable("caf\udce9.png")  # as Python reads the file name b"caf\xe9.png"
      'caf\\xe9.png'
    """
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def progress_bar(iterable: Iterable[Any] | None = None, disable: bool = False, **options: Any) -> tqdm:
    """tqdm's progress bar, as wide as the screen; `options` are passed on to tqdm."""
    return tqdm(iterable, disable=disable or _silent.get() or _by_lines.get(), dynamic_ncols=True, **options)


@contextmanager
def silence() -> Iterator[None]:
    """A context in which nothing is printed."""
    with _set(_silent):
        yield


@contextmanager
def lines_without_bars() -> Iterator[None]:
    """A context in which progress is shown by lines: a log file has no use for bars."""
    with _set(_by_lines):
        yield


def shows_lines() -> bool:
    """Returns whether progress is shown by lines instead of bars."""
    return _by_lines.get()


@contextmanager
def _set(variable: ContextVar[bool]) -> Iterator[None]:
    token = variable.set(True)
    try:
        yield
    finally:
        variable.reset(token)
