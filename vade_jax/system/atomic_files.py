"""Files that are written completely or not at all: a killed process leaves the old file or the new one."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

_PARTIAL = ".partial"


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yields a temporary path; the file written there replaces `path` in one step when the block ends.

    If the block raises an error, the temporary file is deleted and `path` is unchanged.

    Args:
      path: the file, in an existing folder.

    Yields:
      A hidden path in the same folder, with the same ending.
    """
    partial = path.with_name(f".{path.stem}.{os.getpid()}{_PARTIAL}{path.suffix}")
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def remove_partial(folder: Path) -> None:
    """Deletes temporary files that killed processes left in a folder. No process may be writing there."""
    for path in folder.rglob(f".*{_PARTIAL}.*"):
        path.unlink()


def write_json(path: Path, content: Any) -> None:
    """Writes content as indented JSON."""
    with atomic_write(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n")


def reserve_disk_space(file: IO[bytes]) -> None:
    """Allocates the disk space of a memory-mapped file. Without space, a write to a page would kill the process.

    Raises:
      OSError: the disk is full.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
