"""Files of rows -> data sets, one reader for each ending."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from scipy.sparse import csr_matrix

from vade_jax.errors import InputError
from vade_jax.rows import Dataset, checked


def read(path: str) -> dict[str, Dataset]:
    """The splits of a file.

    Args:
      path: its ending is a key of READERS.

    Returns:
      name -> rows; 'train' where the file names no splits.

    Raises:
      InputError: a file that is missing or cannot be used.
    """
    if not path:
        raise InputError(
            "config.data.path", "it is empty", f"it must name a file of {_ENDINGS}", "Set --config.data.path=FILE."
        )
    suffix = Path(path).suffix.lower()
    if suffix not in READERS:
        raise InputError(
            "config.data.path",
            f"{path} ends in {suffix or 'nothing'}",
            f"it must end in {_ENDINGS}",
            "Save the rows as an array with numpy.save.",
        )
    return READERS[suffix](Path(path))


def _read_npy(path):
    return {"train": checked(load_arrays(path), None, str(path))}


def _read_npz(path):
    """Arrays x and y, or x_SPLIT and y_SPLIT for each split; y is optional. Or a matrix's CSR parts, and y."""
    arrays = load_arrays(path)
    if arrays.keys() >= _CSR_PARTS:
        arrays |= {"x": _dense(arrays, path)}
    splits = {
        name[2:] or "train": checked(arrays[name], arrays.get(f"y{name[1:]}"), f"{path}, array {name}")
        for name in arrays
        if name == "x" or name.startswith("x_")
    }
    if not splits:
        raise InputError(
            "config.data.path",
            f"{path} holds {', '.join(arrays) or 'nothing'}",
            "it must hold an array x, or x_train and x_test (and labels y, or y_train and y_test, if there are any), "
            "or a sparse matrix",
            "Save it with numpy.savez(FILE, x=...), or scipy.sparse.save_npz(FILE, matrix.tocsr()).",
        )
    return splits


_CSR_PARTS = {"data", "indices", "indptr", "shape"}  # as scipy.sparse.save_npz names them


def _dense(parts, path):
    """The rows of a matrix that is kept by its CSR parts, float32."""
    matrix_format = parts.get("format", np.array("csr")).astype(str).item()
    try:
        if matrix_format != "csr":
            raise ValueError(f"its format is {matrix_format!r}")
        rows, columns = (int(size) for size in parts["shape"])
        indices, indptr = parts["indices"].astype(np.int64), parts["indptr"].astype(np.int64)
        matrix = csr_matrix((parts["data"].astype(np.float32), indices, indptr), shape=(rows, columns))
        matrix.check_format(full_check=True)
    except (ValueError, TypeError) as error:
        raise InputError(
            "config.data.path",
            f"{path} holds a sparse matrix that cannot be read: {error}",
            "it must be in CSR format",
            "Save it with scipy.sparse.save_npz(FILE, matrix.tocsr()).",
        ) from error
    return matrix.toarray()


def load_arrays(path: Path) -> Any:
    """The array of a .npy, which stays in its file, or a dict of an .npz's arrays; without pickles.

    Raises:
      InputError: a file that is missing or cannot be read.
    """
    try:
        if path.suffix.lower() == ".npy":
            return open_memmap(path, mode="r")
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            return {"x": loaded} if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(
            "config.data.path",
            f"{path} cannot be read: {error}",
            "it must be a file that numpy.save or numpy.savez wrote, without Python objects",
            "Check the path, or save the array again.",
        ) from error


# ending -> function of the path that returns name -> rows.
READERS: dict[str, Callable[[Path], dict[str, Dataset]]] = {".npy": _read_npy, ".npz": _read_npz}
_ENDINGS = " or ".join(READERS)
