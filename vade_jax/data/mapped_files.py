"""Arrays that stay in files of the user: they are mapped to memory, and checked each time that rows are taken."""

import mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap

from vade_jax.system.errors import InputError


def map_file(path: Path) -> np.ndarray:
    """The array of an .npy, mapped to memory. Pickles are not loaded.

    Taking rows of it raises an InputError if the file has become shorter.

    Raises:
      OSError: the file is missing or cannot be read.
      ValueError: it is no .npy.
    """
    return open_memmap(path, mode="r").view(_MappedFile)


class _MappedFile(np.memmap):
    """An array in a file that others may change.

    Reading a page that the file no longer has would kill the process. So the size of the file is compared whenever rows
    are taken. Only a file that is cut off in the moment between that and the reading still kills the process.
    """

    _mmap: mmap.mmap | None  # None for a copy

    def __getitem__(self, index: Any) -> Any:
        """The values at an index, checked. A view stays in the file; a copy is an ordinary array."""
        if self._mmap is not None and self._mmap.size() < self._mapped_size():
            raise InputError(
                "config.data.path",
                f"{self.filename}, which has become shorter since it was opened",
                "a file that does not change while a program reads it",
                "Restore it, then run the same command again.",
            )
        found = super().__getitem__(index)
        return found.view(np.ndarray) if isinstance(found, _MappedFile) and found._mmap is None else found

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        """The result of a NumPy function: an ordinary array or number."""
        return array[()] if return_scalar else array

    def _mapped_size(self) -> int:
        """The bytes of the file up to the end of the array."""
        assert self._mmap is not None
        return self.offset - self.offset % mmap.ALLOCATIONGRANULARITY + len(self._mmap)
