"""Reads files and folders of rows, with one reader for each file ending."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.lib.format import open_memmap
from scipy.sparse import csr_matrix

from vade_jax.data import image_folder, single_cells, tables
from vade_jax.data.dataset import DEFAULT_READ_OPTIONS, Dataset, ReadOptions, check_numeric, make_dataset
from vade_jax.system.errors import InputError, unreadable_file_errors


def read(path: str, options: ReadOptions = DEFAULT_READ_OPTIONS) -> dict[str, Dataset]:
    """Reads the splits of a file, or of a folder of images.

    Args:
      path: a folder, or a file whose ending is a key of READERS.
      options: how to read it.

    Returns:
      name -> Dataset; the name is 'train' if the file has no named splits.

    Raises:
      InputError: the file is missing or cannot be used.
    """
    if os.path.isdir(path):  # pathlib would raise an error for a folder without permissions
        return image_folder.read(Path(path), options)
    suffix = Path(path).suffix.lower()
    if suffix not in READERS:
        raise InputError(
            "config.data.path",
            f"{path}, which ends in {suffix or 'nothing'}" if path else "an empty path",
            f"a folder of images, or a file that ends in one of {', '.join(READERS)}",
            "Set --config.data.path=FILE; numpy.save saves an array as .npy.",
        )
    if options.image_size and options.expected is None:
        raise InputError(
            "config.data.image_size",
            options.image_size,
            f"0 for {path}, which is not a folder of images",
            "Set --config.data.image_size=0.",
        )
    return READERS[suffix](Path(path), options)


def _check_no_columns(path: Path, options: ReadOptions) -> None:
    for field in ("label_column", "id_column"):
        name = getattr(options, field)
        if name and options.expected is None:
            raise InputError(
                f"config.data.{field}",
                repr(name),
                f"no name, since the columns of {path} have none",
                "Leave it empty. For labels, use an .npz with an array y.",
            )


def _read_npy(path: Path, options: ReadOptions) -> dict[str, Dataset]:
    _check_no_columns(path, options)
    return {"train": make_dataset(load_arrays(path), None, str(path))}


def _read_npz(path: Path, options: ReadOptions) -> dict[str, Dataset]:
    """Reads x and y, or x_SPLIT and y_SPLIT of each split, or the CSR parts of a sparse matrix and y; y is optional."""
    _check_no_columns(path, options)
    arrays = load_arrays(path)
    if arrays.keys() >= _CSR_PARTS:
        arrays |= {"x": _dense(arrays, path)}
    splits = {
        name[2:] or "train": make_dataset(
            arrays[name], None if options.expected else arrays.get(f"y{name[1:]}"), f"{path}, array {name}"
        )
        for name in arrays
        if name == "x" or name.startswith("x_")
    }
    if not splits:
        raise InputError(
            "config.data.path",
            f"{path}, which holds {', '.join(arrays) or 'nothing'}",
            "an array x, or x_train and x_test (with optional labels y, or y_train and y_test), or a sparse matrix",
            "Save it with numpy.savez(FILE, x=...), or scipy.sparse.save_npz(FILE, matrix.tocsr()).",
        )
    return splits


_CSR_PARTS = {"data", "indices", "indptr", "shape"}  # scipy.sparse.save_npz's names


def _dense(parts: Mapping[str, np.ndarray], path: Path) -> np.ndarray:
    """The matrix [N, D] of these CSR parts, dense, float32."""
    check_numeric(parts["data"].dtype, f"{path}, array data,")
    try:
        matrix_format = parts.get("format", np.array("csr")).astype(str).item()
        if matrix_format != "csr":
            raise ValueError(f"its format is {matrix_format!r}")
        rows, columns = (int(size) for size in parts["shape"])
        indices, indptr = parts["indices"].astype(np.int64), parts["indptr"].astype(np.int64)
        with np.errstate(over="ignore"):  # infinite values raise an InputError later
            values = parts["data"].astype(np.float32)
        matrix = csr_matrix((values, indices, indptr), shape=(rows, columns))
        matrix.check_format(full_check=True)
    except (ValueError, TypeError) as error:
        raise InputError(
            "config.data.path",
            f"{path} with a sparse matrix that cannot be read ({error})",
            "a matrix in CSR format",
            "Save it with scipy.sparse.save_npz(FILE, matrix.tocsr()).",
        ) from error
    return matrix.toarray()


def load_arrays(path: Path) -> Any:
    """The array of an .npy, memory-mapped, or a dict of an .npz's arrays. Pickles are not loaded.

    Raises:
      InputError: the file is missing or cannot be read.
    """
    with unreadable_file_errors(
        path,
        "a file written by numpy.save or numpy.savez, without Python objects",
        "Check the path, or save the array again.",
    ):
        if path.suffix.lower() == ".npy":
            return open_memmap(path, mode="r")
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            return {"x": loaded} if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}


class Reader(Protocol):
    """Reads the files of one ending."""

    def __call__(self, path: Path, options: ReadOptions) -> dict[str, Dataset]:
        """The splits of the file, by name, each checked by `make_dataset`."""


# The reader of each file ending.
READERS: dict[str, Reader] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    **dict.fromkeys(tables.TABLES, tables.read),
    ".h5ad": single_cells.read,
}
