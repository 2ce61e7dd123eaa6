"""Reads sparse matrices of any format, as scipy.sparse.save_npz writes them."""

import math
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
from scipy.sparse import bsr_matrix, coo_matrix, csc_matrix, csr_matrix, dia_matrix

from vade_jax.data.dataset import check_numeric
from vade_jax.system.errors import InputError
from vade_jax.system.large_arrays import free_disk_space

# save_npz's names: those that every format has, and sets of the others.
_COMMON = {"data", "shape"}
_OTHERS = ({"indices", "indptr"}, {"row", "col"}, {"offsets"})
_COMPRESSED = {"csr": csr_matrix, "csc": csc_matrix, "bsr": bsr_matrix}


def part_names(names: Collection[str]) -> set[str]:
    """Returns which of the names of an .npz's arrays are those of a sparse matrix; none if it has none."""
    found = next((others for others in _OTHERS if {*names} >= _COMMON | others), None)
    return set() if found is None else (_COMMON | found | {"format"}) & {*names}


def read(parts: Mapping[str, np.ndarray], path: Path) -> csr_matrix:
    """Returns the matrix [N, D] of these arrays, of a dtype that holds its values and is not an integer of 8 bits.

    Args:
      parts: the arrays of `part_names`; without a format those of CSR.
      path: the file, for the error.

    Raises:
      InputError: they are no sparse matrix of numbers, or there is no space for it with its zeros.
    """
    check_numeric(parts["data"].dtype, f"{path}, array data,")
    if parts["shape"].dtype.kind in "iu":
        _check_fits_on_disk(parts, path)
    try:
        return _read(parts)
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            "config.data.path",
            f"{path} with a sparse matrix that cannot be read ({error})",
            "a matrix as scipy.sparse.save_npz writes it",
            "Save it with scipy.sparse.save_npz(FILE, matrix).",
        ) from error


def _read(parts: Mapping[str, np.ndarray]) -> csr_matrix:
    matrix_format = parts.get("format", np.array("csr")).astype(str).item()
    rows, columns = (int(size) for size in parts["shape"])
    values = parts["data"]
    if np.can_cast(values.dtype, np.float32):
        values = values.astype(np.float32)
    indices = {name: parts[name].astype(np.int64) for name in parts.keys() - {"data", "shape", "format"}}
    if matrix_format in _COMPRESSED:
        make = _COMPRESSED[matrix_format]
        matrix = make((values, indices["indices"], indices["indptr"]), shape=(rows, columns))
        matrix.check_format(full_check=True)
    elif matrix_format == "coo":
        matrix = coo_matrix((values, (indices["row"], indices["col"])), shape=(rows, columns))
    elif matrix_format == "dia":
        matrix = dia_matrix((values, indices["offsets"]), shape=(rows, columns))
    else:
        raise ValueError(f"its format is {matrix_format!r}")
    return matrix.tocsr()


def _check_fits_on_disk(parts: Mapping[str, np.ndarray], path: Path) -> None:
    """Raises an InputError if a sparse matrix with its zeros is larger than the free space for temporary files."""
    shape, free = tuple(map(int, np.ravel(parts["shape"]))), free_disk_space()
    size = np.dtype(np.float32).itemsize * math.prod(shape)
    if size > free:
        raise InputError(
            "config.data.path",
            f"{path} with a sparse matrix of shape {shape}, which takes {size / 2**30:,.0f} GiB with its zeros",
            f"at most {free / 2**30:,.0f} GiB, the free space for temporary files",
            "Leave out columns or rows, or set TMPDIR to a folder with more space.",
        )
