"""Arrays that lie in files of their own: written completely or not at all, and checked by a digest when they are read.

The digest of all values follows the array in its .npy, where NumPy does not read it.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap

from vade_jax.system.atomic_files import atomic_write, reserve_disk_space
from vade_jax.system.large_arrays import row_slices


@contextmanager
def written_array(path: Path, shape: tuple[int, ...], dtype: Any) -> Iterator[np.memmap]:
    """Yields an array that is mapped to memory; it becomes the file `path`, an .npy, when the block ends.

    Args:
      path: the file, in an existing folder.
      shape: of the array.
      dtype: of the array.

    Raises:
      OSError: the disk is full.
    """
    with atomic_write(path) as partial:
        array = open_memmap(partial, "w+", dtype, shape)
        with partial.open("rb+") as file:
            reserve_disk_space(file)
        yield array
        array.flush()
        with partial.open("ab") as file:
            file.write(_digest(array))


def read_array(path: Path) -> np.memmap:
    """Returns the array of a file of `written_array`, mapped to memory.

    Raises:
      ValueError: it is not what was written. The files of older versions have no digest, and are not compared.
    """
    array = np.load(path, mmap_mode="r")
    with path.open("rb") as file:
        file.seek(array.offset + array.nbytes)
        digest = file.read()
    if digest and digest != _digest(array):
        raise ValueError("what was read is not what was written")
    return array


def _digest(array: np.ndarray) -> bytes:
    """The SHA-256 of all values."""
    digest = hashlib.sha256()
    for rows in row_slices(array):
        digest.update(np.ascontiguousarray(array[rows]).data)
    return digest.digest()
