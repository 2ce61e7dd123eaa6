"""Files that are there whole or not at all: a process that is killed leaves the old one or the new one."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

_PARTIAL = ".partial"


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """A path to write in its stead; what was written becomes `path` at the end, in one step.

    Args:
      path: of the file, in a folder that is there.

    Yields:
      A path of the same ending beside it.
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
    """Deletes what processes that were killed left unfinished in a folder; none may be writing there."""
    for path in folder.rglob(f".*{_PARTIAL}.*"):
        path.unlink()


def write_json(path: Path, content: Any) -> None:
    """Writes content as JSON to read."""
    with atomic_write(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n")


def reserve_disk_space(file: IO[bytes]) -> None:
    """Takes the room of a file that is mapped to memory: writing to a page for which there is none ends the process.

    Raises:
      OSError: there is no room.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
