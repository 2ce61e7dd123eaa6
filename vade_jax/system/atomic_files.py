"""Files that are written completely or not at all: a killed process leaves the old file or the new one."""

import contextlib
import json
import os
import re
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from vade_jax.system.errors import unreadable_error

_PARTIAL = re.compile(r"\.vade-\d+-[0-9a-f]{32}\.partial(\..*)?")  # no name that a user chooses
_BYTES_AT_A_TIME = 2**20


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yields a temporary path; the file written there replaces `path` in one step when the block ends.

    If the block raises an error, the temporary file is deleted and `path` is unchanged. Several threads and processes
    can write the same path: the last one's file stays.

    Args:
      path: the file, in an existing folder.

    Yields:
      A hidden path in the same folder, with the same ending and a name that is used once.
    """
    partial = path.with_name(f".vade-{os.getpid()}-{uuid.uuid4().hex}.partial{path.suffix}")
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        if error.filename not in (None, str(partial)):
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        with contextlib.suppress(OSError):  # the disk may be gone
            partial.unlink()


def check_can_write(path: Path) -> None:
    """Raises an OSError now if a file could not be written later; leaves nothing.

    Args:
      path: the file, in a folder that exists or will be created.
    """
    with contextlib.suppress(FileNotFoundError):
        os.lstat(path)  # raises for a name that is too long
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from error


def remove_partial(folder: Path) -> None:
    """Deletes temporary files that killed processes left in a folder. No process may be writing there."""
    for path in folder.rglob(".vade-*"):
        if _PARTIAL.fullmatch(path.name):
            path.unlink()


def write_json(path: Path, content: Any) -> None:
    """Writes content as indented JSON."""
    with atomic_write(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n")


def write_array(path: Path, array: np.ndarray) -> None:
    """Writes an array as an .npy."""
    with atomic_write(path) as partial:
        np.save(partial, array)


def read_files(folder: Path) -> None:
    """Reads every file under a folder to its end.

    Raises:
      OSError: one cannot be read, or the folder cannot be listed.
    """

    def fail(error: OSError) -> None:
        raise error

    for parent, _, names in os.walk(folder, onerror=fail):
        for name in names:
            with open(Path(parent, name), "rb") as file:
                while file.read(_BYTES_AT_A_TIME):
                    pass


def exists(path: Path) -> bool:
    """Returns whether a file is there.

    `Path.exists` is also False for some files that are there and cannot be read, and which ones depends on the version
    of Python.

    Raises:
      StorageError: it cannot be found out, for example without permission.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise unreadable_error(path, error) from error
    return True


def reserve_disk_space(file: IO[bytes]) -> None:
    """Allocates the disk space of a memory-mapped file. Without space, a write to a page would kill the process.

    Raises:
      OSError: the disk is full.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
