"""Arrays of any size: large ones lie in files, and are gone through in parts."""

import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vade_jax.system.atomic_files import reserve_disk_space

_LARGE = 2**24  # bytes: several arrays of a value a row are kept at once
_PART = 2**25  # values


def empty_array(shape: tuple[int, ...], dtype: Any, folder: Path | None = None) -> np.ndarray:
    """An array to be filled, in memory, or a large one in a file that goes when the array does.

    Args:
      shape: its shape.
      dtype: its dtype.
      folder: where the file would lie; None for the system's folder of temporary files.

    Returns:
      The array, of any content.

    Raises:
      OSError: there is no room for the file.
    """
    if math.prod(shape) * np.dtype(dtype).itemsize <= _LARGE:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile(dir=folder) as file:
        array = np.memmap(file, dtype, "w+", shape=shape)
        reserve_disk_space(file)
        return array


def row_slices(x: Any) -> Iterator[slice]:
    """The rows of x [N, ...], an array of any library, in order, as slices of a quarter of a gibibyte in float64."""
    size = max(1, _PART // max(1, math.prod(x.shape[1:])))
    return (slice(start, start + size) for start in range(0, x.shape[0], size))
