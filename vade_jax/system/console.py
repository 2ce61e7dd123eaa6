"""What a person at the screen is shown while they wait: lines and progress bars, and how to do without."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tqdm import tqdm

_silent: ContextVar[bool] = ContextVar("silent", default=False)


def print_line(line: str) -> None:
    """Prints a line, above a bar that is there."""
    if not _silent.get():
        tqdm.write(line)


def progress_bar(iterable: Iterable[Any] | None = None, disable: bool = False, **shown: Any) -> tqdm:
    """tqdm's progress bar, as wide as the screen; `shown` is what tqdm takes."""
    return tqdm(iterable, disable=disable or _silent.get(), dynamic_ncols=True, **shown)


@contextmanager
def silence() -> Iterator[None]:
    """A context in which nothing is shown."""
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)
