"""Printed lines and progress bars, and a way to turn them off."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tqdm import tqdm

_silent: ContextVar[bool] = ContextVar("silent", default=False)


def print_line(line: str) -> None:
    """Prints a line, above any progress bar."""
    if not _silent.get():
        tqdm.write(line)


def progress_bar(iterable: Iterable[Any] | None = None, disable: bool = False, **options: Any) -> tqdm:
    """tqdm's progress bar, as wide as the screen; `options` are passed on to tqdm."""
    return tqdm(iterable, disable=disable or _silent.get(), dynamic_ncols=True, **options)


@contextmanager
def silence() -> Iterator[None]:
    """A context in which nothing is printed."""
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)
