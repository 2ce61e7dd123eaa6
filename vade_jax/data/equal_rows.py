"""Finds equal rows."""

import hashlib
from collections.abc import Iterator

import numpy as np

from vade_jax.system.large_arrays import row_slices

_DIGEST_BYTES = 16  # two different rows of a billion have the same digest with a probability of 1e-21


def first_equal_rows(x: np.ndarray) -> np.ndarray:
    """Returns the index of the first row that equals each row.

    Rows are compared by a cryptographic digest, so they are read only once and in order. Beside a slice of the rows,
    this needs about 50 bytes of memory for each row.

    Args:
      x: [N, D], finite or NaN in gaps, in memory or in a memory-mapped file.

    Returns:
      [N]. A row that equals no earlier one has its own index.
    """
    digests = np.fromiter(_digests(x), f"V{_DIGEST_BYTES}", len(x))
    _, firsts, groups = np.unique(digests, return_index=True, return_inverse=True)
    return firsts[groups]


def is_first(firsts: np.ndarray) -> np.ndarray:
    """Returns whether each row equals no earlier one, [N], from the result of `first_equal_rows`."""
    return firsts == np.arange(len(firsts))


def _digests(x: np.ndarray) -> Iterator[bytes]:
    for rows in row_slices(x):
        part = np.add(x[rows], x.dtype.type(0), order="C")  # turns -0.0 into 0.0, which it equals
        if x.dtype.kind == "f":
            part[np.isnan(part)] = np.nan  # gaps are equal, whatever their bits
        for row in part:
            yield hashlib.blake2b(row, digest_size=_DIGEST_BYTES).digest()
