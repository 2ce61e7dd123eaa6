"""Files and folders of rows -> data sets, one reader for each ending."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.format import open_memmap
from scipy.sparse import csr_matrix

from vade_jax.data import image_folder, single_cells, tables
from vade_jax.data.dataset import DEFAULT_READ_OPTIONS, Dataset, ReadOptions, check_numeric, make_dataset
from vade_jax.system.errors import InputError, unreadable_file_errors


def read(path: str, options: ReadOptions = DEFAULT_READ_OPTIONS) -> dict[str, Dataset]:
    """The splits of a file, or of a folder of images.

    Args:
      path: a folder, or a file whose ending is a key of READERS.
      options: what the reader is told about it.

    Returns:
      name -> rows; 'train' where the file names no splits.

    Raises:
      InputError: a file that is missing or cannot be used.
    """
    if os.path.isdir(path):  # False where it cannot be asked; pathlib raises there
        return image_folder.read(Path(path), options)
    suffix = Path(path).suffix.lower()
    if suffix not in READERS:
        raise InputError(
            "config.data.path",
            f"{path} ends in {suffix or 'nothing'}" if path else "it is empty",
            f"it must name a folder of images, or a file that ends in one of {', '.join(READERS)}",
            "Set --config.data.path=FILE; numpy.save saves an array as .npy.",
        )
    if options.image_size and options.form is None:
        raise InputError(
            "config.data.image_size",
            f"{options.image_size} came",
            f"only a folder's images are resized, and {path} is none",
            "Set --config.data.image_size=0.",
        )
    return READERS[suffix](Path(path), options)


def _check_no_columns(path, options):
    for field in ("label_column", "id_column"):
        name = getattr(options, field)
        if name and options.form is None:
            raise InputError(
                f"config.data.{field}",
                f"{name!r} came",
                f"the columns of {path} have no names; those of a table have",
                "Leave it empty; an .npz may hold labels y.",
            )


def _read_npy(path, options):
    _check_no_columns(path, options)
    return {"train": make_dataset(load_arrays(path), None, str(path))}


def _read_npz(path, options):
    """Arrays x and y, or x_SPLIT and y_SPLIT for each split; y is optional. Or a matrix's CSR parts, and y."""
    _check_no_columns(path, options)
    arrays = load_arrays(path)
    if arrays.keys() >= _CSR_PARTS:
        arrays |= {"x": _dense(arrays, path)}
    splits = {
        name[2:] or "train": make_dataset(
            arrays[name], None if options.form else arrays.get(f"y{name[1:]}"), f"{path}, array {name}"
        )
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
    check_numeric(parts["data"].dtype, f"{path}, array data,")
    try:
        matrix_format = parts.get("format", np.array("csr")).astype(str).item()
        if matrix_format != "csr":
            raise ValueError(f"its format is {matrix_format!r}")
        rows, columns = (int(size) for size in parts["shape"])
        indices, indptr = parts["indices"].astype(np.int64), parts["indptr"].astype(np.int64)
        with np.errstate(over="ignore"):  # what becomes infinite is refused
            values = parts["data"].astype(np.float32)
        matrix = csr_matrix((values, indices, indptr), shape=(rows, columns))
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
    with unreadable_file_errors(
        path,
        "it must be a file that numpy.save or numpy.savez wrote, without Python objects",
        "Check the path, or save the array again.",
    ):
        if path.suffix.lower() == ".npy":
            return open_memmap(path, mode="r")
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            return {"x": loaded} if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}


# ending -> function of the path and the options that returns name -> rows.
READERS: dict[str, Callable[[Path, ReadOptions], dict[str, Dataset]]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    **dict.fromkeys(tables.TABLES, tables.read),
    ".h5ad": single_cells.read,
}
