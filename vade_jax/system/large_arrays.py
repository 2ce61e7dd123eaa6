"""Arrays of any size: large ones are kept in files and processed in slices."""

import errno
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vade_jax.system.atomic_files import reserve_disk_space

_BYTES_IN_MEMORY = 2**24  # low, since several arrays are kept at once
_VALUES_PER_SLICE = 2**25


def empty_array(shape: tuple[int, ...], dtype: Any, folder: Path | None = None) -> np.ndarray:
    """An uninitialized array, in memory, or in a temporary file if it is large.

    Args:
      shape: its shape.
      dtype: its dtype.
      folder: the folder of the file; None for the system's folder of temporary files.

    Returns:
      The array. Its file is deleted together with it.

    Raises:
      OSError: the disk has no space for the file.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size <= _BYTES_IN_MEMORY:
        return np.empty(shape, dtype)
    try:
        if size > free_disk_space(folder):  # reserving it would fill the disk first
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with tempfile.TemporaryFile(dir=folder) as file:
            array = np.memmap(file, dtype, "w+", shape=shape)
            reserve_disk_space(file)
            return array
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder or tempfile.gettempdir())) from error


def free_disk_space(folder: Path | None = None) -> int:
    """The free bytes for files in a folder; None for the system's folder of temporary files."""
    return shutil.disk_usage(folder or tempfile.gettempdir()).free


def memory_size() -> int:
    """The bytes of memory that this machine has."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def row_slices(x: Any) -> Iterator[slice]:
    """Slices that cover the rows of x [N, ...] in order, each at most 256 MiB in float64; x can be of any library."""
    size = max(1, _VALUES_PER_SLICE // max(1, math.prod(x.shape[1:])))
    return (slice(start, start + size) for start in range(0, x.shape[0], size))
