"""Errors that the person at the keyboard can mend."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class InputError(ValueError):
    """A setting, a flag or a file that cannot be used. One line says what was got, what is expected, and the remedy.

    Attributes:
      field: the config field or flag, as the user writes it without the dashes: 'config.data.path'.
      status: that the program ends with.
    """

    status = 2

    def __init__(self, field: str, got: object, expected: str, remedy: str):
        self.field = field
        super().__init__(" ".join(f"{field}: got {got}, expected {expected}. {remedy}".split()))


class DivergedError(RuntimeError):
    """Training that collapsed, or whose loss ran away, beyond what its cures could mend.

    Attributes:
      status: that the program ends with.
      treatments: what was diagnosed and tried, as it is written to results.json.
    """

    status = 3

    def __init__(self, message: str, treatments: list[dict[str, Any]]):
        """Keeps the treatments."""
        self.treatments = treatments
        super().__init__(message)


class StorageError(RuntimeError):
    """What a run keeps in its folder cannot be read any more, or cannot be written.

    Attributes:
      status: that the program ends with.
    """

    status = 4


@contextmanager
def damaged_file_errors(path: Path) -> Iterator[None]:
    """Whatever a library raises at a file of a run that is damaged or gone, as a StorageError."""
    try:
        yield
    except Exception as error:  # zipfile, zlib, NumPy and json raise errors of many kinds
        raise StorageError(
            f"{path} is damaged or gone: {first_line(error)}. Copy it back from where you keep the run, or begin anew "
            "in another workdir."
        ) from error


_FULL_OR_LOCKED = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO)


@contextmanager
def full_disk_errors(folder: Path) -> Iterator[None]:
    """Whatever a library raises where the folder is full or cannot be written, as a StorageError."""
    try:
        yield
    except Exception as error:  # TensorStore raises a ValueError with the system's words in it
        reason = next((os.strerror(code) for code in _FULL_OR_LOCKED if os.strerror(code) in str(error)), None)
        if reason is None or isinstance(error, StorageError):
            raise
        raise StorageError(
            f"{folder} cannot be written: {reason}. Mend that, and give the same command again: it goes on from the "
            "last checkpoint."
        ) from error


@contextmanager
def unreadable_file_errors(path: Path, expected: str, remedy: str) -> Iterator[None]:
    """Whatever a library raises at a file or folder that it cannot read, as an InputError at config.data.path."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # libraries raise errors of many kinds at a file that is none of theirs
        raise InputError("config.data.path", f"{path} cannot be read: {first_line(error)}", expected, remedy) from error


def first_line(error: Exception) -> str:
    """Of what an error says, not too much; its kind where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
