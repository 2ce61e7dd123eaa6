"""Errors that the user can fix, and the exit statuses of the program."""

import errno
import functools
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar


class InputError(ValueError):
    """A setting, a flag or a file that cannot be used. The message is one line.

    Attributes:
      field: the config field or flag, as the user writes it without the dashes: 'config.data.path'.
      got: what was wrong, as a noun phrase.
      expected: a noun phrase.
      remedy: a sentence that says what to do.
      status: the exit status of the program.
    """

    status = 2

    def __init__(self, field: str, got: object, expected: str, remedy: str):
        """Makes the message.

        Args:
          field: the config field or flag.
          got: a noun phrase, such as "0" or "x.csv with 12 columns".
          expected: a noun phrase, such as "an integer >= 1".
          remedy: a sentence that says what to do.
        """
        self.field, self.got, self.expected, self.remedy = field, str(got), expected, remedy
        super().__init__(" ".join(f"{field}: got {got}, expected {expected}. {remedy}".split()))


class DivergedError(RuntimeError):
    """Training collapsed or its loss diverged, and no cure helped.

    Attributes:
      status: the exit status of the program.
      treatments: each diagnosis and its cure, as written to results.json.
    """

    status = 3

    def __init__(self, message: str, treatments: list[dict[str, Any]]):
        """Keeps the treatments."""
        self.treatments = treatments
        super().__init__(message)


class StorageError(RuntimeError):
    """A file of a run's folder cannot be read or written.

    Attributes:
      status: the exit status of the program.
    """

    status = 4


class DamagedError(StorageError):
    """A file of a run's folder is missing, or can be read and does not hold what was written."""


# Errors of the system that a missing file or damaged contents cause. Any other one says nothing about the contents.
_OF_CONTENTS = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EINVAL, errno.EOVERFLOW, errno.ENAMETOOLONG)
_PASSING = (
    *(errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN),
    *(errno.EBUSY, errno.EINTR, errno.ETIMEDOUT, errno.ENOLCK, errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.ENOTCONN),
)
# What the message of such an error contains: the system's words, or a status of TensorStore or XLA.
_PASSING_WORDS = (
    *(os.strerror(code) for code in _PASSING),
    *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "UNAVAILABLE", "DEADLINE_EXCEEDED"),
)


def is_passing(error: BaseException) -> bool:
    """Returns whether an error may go away without any change of the file that was read.

    Such errors are missing permissions, a failing disk or network, too many open files, and too little memory.
    Libraries wrap them, or raise another type that contains the system's message.
    """
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno not in _OF_CONTENTS
    causes = [*getattr(error, "exceptions", ()), error.__cause__ or error.__context__]
    return any(words in str(error) for words in _PASSING_WORDS) or any(is_passing(cause) for cause in causes if cause)


def check_readable(path: Path, error: BaseException) -> None:
    """Raises a StorageError about a file if an error of reading it is passing; see `is_passing`."""
    if is_passing(error):
        raise unreadable_error(path, error) from error


def unreadable_error(path: Path, error: BaseException) -> StorageError:
    """Returns the error about a file that cannot be read now and may be sound."""
    return StorageError(
        f"{path} cannot be read now: {first_line(error)}. It may be sound, so nothing was deleted. Fix this, then run "
        "the same command again."
    )


@contextmanager
def damaged_file_errors(path: Path) -> Iterator[None]:
    """Turns any error about a file of a run into a StorageError: a DamagedError unless it may be sound."""
    try:
        yield
    except Exception as error:  # zipfile, zlib, NumPy and json raise errors of many kinds
        if isinstance(error, StorageError):
            raise
        check_readable(path, error)
        raise DamagedError(
            f"{path} is damaged or missing: {first_line(error)}. Restore it from a backup, or start again in another "
            "workdir."
        ) from error


_REMEDIES = {
    errno.ENOSPC: "Make space there (for temporary files, TMPDIR can name another folder)",
    errno.EDQUOT: "Make space there (for temporary files, TMPDIR can name another folder)",
    errno.EROFS: "Name a folder that can be written",
    errno.EACCES: "Change its permissions, or name another place",
    errno.EPERM: "Change its permissions, or name another place",
    errno.ENAMETOOLONG: "Use a shorter name",
    errno.EIO: "Check the disk",
}
_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")  # NumPy's words for a full disk, without the system's


@contextmanager
def storage_errors(place: Path) -> Iterator[None]:
    """Turns an error of the file system into a StorageError of one line; other errors pass.

    Args:
      place: what could not be read or written, if the error does not say it.
    """
    try:
        yield
    except (InputError, DivergedError, StorageError):
        raise
    except OSError as error:
        number = errno.ENOSPC if _SHORT_WRITE.search(str(error)) else error.errno or 0
        raise _storage_error(error, number, error.filename or place) from error
    except Exception as error:  # TensorStore raises a ValueError that contains the system's message
        number = next((number for number in _REMEDIES if os.strerror(number) in str(error)), 0)
        if not number:
            raise
        raise _storage_error(error, number, place) from error


def _storage_error(error: Exception, number: int, place: object) -> StorageError:
    reason = os.strerror(number) if number else getattr(error, "strerror", None) or first_line(error)
    remedy = _REMEDIES.get(number, "Check this place")
    return StorageError(
        f"{show_name(place)} cannot be read or written: {reason}. {remedy}, then run the same command again; training "
        "resumes from its last checkpoint."
    )


P = ParamSpec("P")
T = TypeVar("T")


def with_storage_errors(function: Callable[P, T]) -> Callable[P, T]:
    """Decorates a function with `storage_errors`; the place is the first path among its arguments."""

    @functools.wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
        paths = (value for value in (*args, *kwargs.values()) if isinstance(value, Path))
        with storage_errors(next(paths, Path(tempfile.gettempdir()))):
            return function(*args, **kwargs)

    return guarded


@contextmanager
def unreadable_file_errors(path: Path, expected: str, remedy: str) -> Iterator[None]:
    """Turns any error into an InputError for config.data.path about an unreadable file or folder.

    Args:
      path: the file or folder.
      expected: a noun phrase, as in `InputError`.
      remedy: a sentence that says what to do.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # libraries raise errors of many kinds at a file of another format
        got = f"{path}, which cannot be read ({first_line(error)})"
        raise InputError("config.data.path", got, expected, remedy) from error


def show_name(name: object) -> str:
    """A name as it is shown in a message: quoted if it is empty or has blanks that would not be seen."""
    text = str(name)
    return text if text == " ".join(text.split()) and text else repr(text)


def first_line(error: BaseException) -> str:
    """First line of the message, at most 200 characters; the class name if it is empty."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
