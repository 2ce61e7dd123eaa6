"""Files of rows -> data sets, one reader for each ending."""

import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.format import open_memmap
from scipy.sparse import csr_matrix

from vade_jax.errors import InputError
from vade_jax.rows import Dataset, checked


class Columns(NamedTuple):
    """The columns of a table that are no features, by name; '' for none.

    Attributes:
      label: is scored, and never trained on.
      id: is kept beside the answers.
      required: whether a table without them is refused.
    """

    label: str = ""
    id: str = ""
    required: bool = True


NO_COLUMNS = Columns()


def read(path: str, columns: Columns = NO_COLUMNS) -> dict[str, Dataset]:
    """The splits of a file.

    Args:
      path: its ending is a key of READERS.
      columns: of a table.

    Returns:
      name -> rows; 'train' where the file names no splits.

    Raises:
      InputError: a file that is missing or cannot be used.
    """
    if not path:
        raise InputError(
            "config.data.path",
            "it is empty",
            f"it must name a file that ends in one of {_ENDINGS}",
            "Set --config.data.path=FILE.",
        )
    suffix = Path(path).suffix.lower()
    if suffix not in READERS:
        raise InputError(
            "config.data.path",
            f"{path} ends in {suffix or 'nothing'}",
            f"it must end in one of {_ENDINGS}",
            "Save the rows as an array with numpy.save.",
        )
    if suffix not in _TABLES and columns.required and (columns.label or columns.id):
        field = "label_column" if columns.label else "id_column"
        raise InputError(
            f"config.data.{field}",
            f"{columns.label or columns.id!r} came",
            f"only the columns of {' or '.join(_TABLES)} have names",
            "Leave it empty; an .npz may hold labels y.",
        )
    return READERS[suffix](Path(path), columns)


def _read_table(path, columns):
    """A file of named columns: numbers, and perhaps a label and an id."""
    frame = _frame(path)
    named = {field: name for field, name in (("label_column", columns.label), ("id_column", columns.id)) if name}
    for field, name in named.items():
        if name not in frame and columns.required:
            raise InputError(
                f"config.data.{field}",
                f"{name!r} came",
                f"{path} has the columns {_in_short(frame.columns)}",
                "Name one of them, or leave it empty.",
            )
    features = frame.drop(columns=[name for name in named.values() if name in frame])
    for name, column in features.items():
        if column.dtype.kind not in "buif":
            example = next((value for value in column if isinstance(value, str)), column.iloc[0])
            raise InputError(
                "config.data.path",
                f"{path}, column {name!r} is not numeric, it holds {str(example)[:40]!r}",
                "every column but the label and the id must be numbers",
                "Encode it as numbers, drop it, or name it as --config.data.label_column or --config.data.id_column.",
            )
    labels = _labels(frame[columns.label], path) if columns.label in frame else None
    ids = frame[columns.id].to_numpy() if columns.id in frame else None
    with np.errstate(over="ignore"):  # what becomes infinite is refused
        x = features.to_numpy(np.float32, na_value=np.nan)
    return {"train": checked(x, labels, str(path), tuple(map(str, features.columns)), ids)}


def import_pandas(path: Path, field: str) -> Any:
    """pandas, which reads and writes tables, or an InputError at the path's field that tells what to install."""
    try:
        import pandas
    except ImportError as error:
        raise InputError(field, f"{path} came", "tables need pandas", "Run: pip install 'vade-jax[tables]'.") from error
    return pandas


def _frame(path):
    """The table in a file, by pandas."""
    pandas = import_pandas(path, "config.data.path")
    try:
        frame = _TABLES[path.suffix.lower()](pandas, path)
    except Exception as error:  # pandas and pyarrow raise errors of many kinds at a file that is none of theirs
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            "config.data.path",
            f"{path} cannot be read: {reason[:200]}",
            "it must be a table, whose first line holds the columns' names",
            "Check the path, or save the table again.",
        ) from error
    if not len(frame):
        raise InputError(
            "config.data.path",
            f"{path} holds no rows",
            "there must be a line for each",
            "Check what it was saved from.",
        )
    if any(_is_number(name) for name in frame.columns):
        raise InputError(
            "config.data.path",
            f"{path} has the columns {_in_short(frame.columns)}",
            "its first line must hold the columns' names, and no numbers",
            "Write a line of names above it.",
        )
    return frame


# ending -> function of pandas and the path that returns a frame.
_TABLES: dict[str, Callable[[Any, Path], Any]] = {
    ".csv": lambda pandas, path: pandas.read_csv(path, low_memory=False),
    ".tsv": lambda pandas, path: pandas.read_csv(path, sep="\t", low_memory=False),
    ".parquet": lambda pandas, path: pandas.read_parquet(path),
}


def _is_number(name):
    try:
        return math.isfinite(float(name))
    except (TypeError, ValueError):
        return False


def _in_short(names):
    shown = ", ".join(map(str, names[:20]))
    return shown if len(names) <= 20 else f"{shown} and {len(names) - 20} more"


def _labels(column, path):
    """A column of labels as numbers, in the order of its values."""
    missing = np.flatnonzero(column.isna())
    if len(missing):
        raise InputError(
            "config.data.label_column",
            f"{path}, column {column.name!r}, lacks {len(missing)} labels, the first in row {missing[0]}",
            "every row must have one",
            "Fill them, drop those rows, or set --config.data.label_column=.",
        )
    return np.unique(column.to_numpy(), return_inverse=True)[1]


def _read_npy(path, columns):
    return {"train": checked(load_arrays(path), None, str(path))}


def _read_npz(path, columns):
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


# ending -> function of the path and the columns that returns name -> rows.
READERS: dict[str, Callable[[Path, Columns], dict[str, Dataset]]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    **dict.fromkeys(_TABLES, _read_table),
}
_ENDINGS = ", ".join(READERS)
