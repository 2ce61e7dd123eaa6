"""Reads files and folders of rows, with one reader for each file ending."""

import math
import os
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.lib.npyio import NpzFile

from vade_jax.data import image_folder, single_cells, sparse_matrices, tables
from vade_jax.data.annotated_cells import CELLS
from vade_jax.data.dataset import DEFAULT_READ_OPTIONS, Dataset, ReadOptions, make_dataset
from vade_jax.data.mapped_files import map_file
from vade_jax.data.offsets import choose_offset
from vade_jax.system.errors import InputError, unreadable_file_errors
from vade_jax.system.large_arrays import memory_size


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
    suffix = ending(path)
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
    if options.normalize != "auto" and suffix != CELLS:
        raise InputError(
            "config.data.normalize",
            repr(options.normalize),
            f"'auto' for {path}, which is not an {CELLS} of cells",
            "Set --config.data.normalize=auto.",
        )
    for field in ("layer", "obsm", "raw"):
        if getattr(options, field) and suffix != CELLS and options.expected is None:
            raise InputError(
                f"config.data.{field}",
                repr(getattr(options, field)),
                f"no value for {path}, which is not an {CELLS} of cells",
                "Leave it out.",
            )
    return READERS[suffix](Path(path), options)


def ending(path: str) -> str:
    """The ending of a file's name in lower case, with that before it if both are a key of READERS: '.csv.gz'."""
    both = "".join(Path(path).suffixes[-2:]).lower()
    return both if both in READERS else Path(path).suffix.lower()


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
    return {"train": make_dataset(load_arrays(path), None, str(path), offset=options.offset)}


def _read_npz(path: Path, options: ReadOptions) -> dict[str, Dataset]:
    """Reads x and y, or x_SPLIT and y_SPLIT of each split, or the parts of a sparse matrix and y; y is optional.

    Other arrays are not read.
    """
    _check_no_columns(path, options)
    arrays, others = _load_npz(path)
    rows: dict[str, Any] = {name: array for name, array in arrays.items() if _is_part(name, "x")}
    train: list[str] = [name for name in ("x", "x_train") if name in rows]
    if parts := sparse_matrices.part_names(arrays):
        rows["x"] = sparse_matrices.read({name: arrays[name] for name in parts}, path)
        train.append("data (of a sparse matrix)")
    if not rows:
        raise InputError(
            "config.data.path",
            f"{path}, which holds {', '.join([*arrays, *others]) or 'nothing'}",
            "an array x, or x_train and x_test (with optional labels y, or y_train and y_test), or a sparse matrix",
            "Save it with numpy.savez(FILE, x=...), or scipy.sparse.save_npz(FILE, matrix).",
        )
    if len(train) > 1:
        raise InputError(
            "config.data.path",
            f"{path} with the arrays {' and '.join(train)}",
            "one array for the split train",
            "Rename or remove the others.",
        )
    offset = _offset_of_splits(rows, options)
    labels = {} if options.expected else _labels_of_splits(arrays, list(rows), path)
    return {
        name[2:] or "train": make_dataset(
            x,
            labels.get(name),
            f"{path}, array {name}",
            offset=offset,
        )
        for name, x in rows.items()
    }


def _labels_of_splits(arrays: Mapping[str, np.ndarray], rows: list[str], path: Path) -> dict[str, np.ndarray]:
    """The labels of each array of rows, by its name: y belongs to x, and to another array if that is the only one."""
    names = {f"y{name[1:]}": name for name in rows}
    if len(rows) == 1 and names.keys().isdisjoint(arrays):
        names["y"] = rows[0]
    labels = [name for name in arrays if _is_part(name, "y")]
    if lonely := [name for name in labels if name not in names]:
        raise InputError(
            "config.data.path",
            f"{path} with labels {lonely[0]} beside the rows {', '.join(rows)}",
            f"the labels {', '.join(f'y{name[1:]}' for name in rows)}, or none",
            "Rename or remove them.",
        )
    return {names[name]: arrays[name] for name in labels}


def _is_part(name: str, letter: str) -> bool:
    """Whether an array's name is the letter, or the letter and the name of a split."""
    return name == letter or (name.startswith(f"{letter}_") and len(name) > 2)


def _offset_of_splits(rows: Mapping[str, Any], options: ReadOptions) -> np.ndarray | None:
    """The offset [D] of all splits together, so that none of them loses precision; None if they differ in shape."""
    if options.offset is not None:
        return options.offset
    shapes = {x.shape[1:] for x in rows.values()}
    suits = len(shapes) == 1 and all(x.ndim == 2 and 0 not in x.shape and x.dtype.kind in "buif" for x in rows.values())
    return choose_offset(list(rows.values())) if suits else None


def load_arrays(path: Path) -> np.ndarray:
    """The array of an .npy, mapped to memory; see `map_file`. Pickles are not loaded.

    Raises:
      InputError: the file is missing or cannot be read.
    """
    with _unreadable_array_errors(path):
        return map_file(path)


def _load_npz(path: Path) -> tuple[dict[str, np.ndarray], list[str]]:
    """The arrays of an .npz whose names a reader knows, and the names of the others, which are not read."""
    with _unreadable_array_errors(path), path.open("rb") as file:
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):  # an .npy with another ending
            return {"x": loaded}, []
        sparse = sparse_matrices.part_names(loaded.files)
        known = [name for name in loaded.files if _is_part(name, "x") or _is_part(name, "y") or name in sparse]
        for name in known:
            _check_fits_in_memory(loaded, name)
        return {name: loaded[name] for name in known}, [name for name in loaded.files if name not in known]


def _check_fits_in_memory(loaded: NpzFile, name: str) -> None:
    """Raises a ValueError if the array of this name is larger than the memory, by its header."""
    assert loaded.zip is not None  # it is open
    with loaded.zip.open(f"{name}.npy") as file:
        read_header = _HEADERS.get(np.lib.format.read_magic(file))
        shape, _, dtype = read_header(file) if read_header else ((), False, np.dtype(np.uint8))
    if math.prod(shape) * dtype.itemsize > memory_size():
        raise ValueError(f"the array {name} of shape {shape} is larger than the memory: save it as an .npy")


_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def _unreadable_array_errors(path: Path) -> AbstractContextManager[None]:
    return unreadable_file_errors(
        path,
        "a file written by numpy.save or numpy.savez, without Python objects",
        "Check the path, or save the array again.",
    )


class Reader(Protocol):
    """Reads the files of one ending."""

    def __call__(self, path: Path, options: ReadOptions) -> dict[str, Dataset]:
        """The splits of the file, by name, each checked by `make_dataset`."""


# The reader of each file ending.
READERS: dict[str, Reader] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    CELLS: single_cells.read,
    **dict.fromkeys(tables.ENDINGS, tables.read),
}
