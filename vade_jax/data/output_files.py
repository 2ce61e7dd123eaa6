"""Writes arrays of N rows to a table or an .npz; the file's ending names the format."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vade_jax.system.atomic_files import atomic_write, check_can_write
from vade_jax.system.console import printable
from vade_jax.system.errors import InputError
from vade_jax.system.large_arrays import row_slices
from vade_jax.system.optional_imports import import_pandas

Columns = Mapping[str, np.ndarray]  # name -> [N] or [N, M]
ColumnNames = Mapping[str, list[str]]  # name of an array [N, M] -> names of its M columns

_SUFFIX = "_vade"  # of a column whose name a later one has


def ending(path: Path) -> str:
    """The file's ending in lower case: 'a.CSV' is a .csv."""
    return path.suffix.lower()


def check(path: Path, field: str, more_endings: tuple[str, ...] = ()) -> None:
    """Checks that a file can be written. Writes nothing.

    Args:
      path: the file. Upper and lower case of its ending are the same.
      field: its config field.
      more_endings: allowed endings besides those of WRITERS.

    Raises:
      InputError: the ending has no writer, or the folder is missing.
      OSError: the folder cannot be written, or the name is too long.
    """
    endings = (*WRITERS, *more_endings)
    if ending(path) not in endings or not path.parent.is_dir() or path.is_dir():
        raise InputError(
            field,
            repr(str(path)),
            f"a file that ends in one of {', '.join(endings)}, in an existing folder",
            f"Set --{field}=FILE{endings[0]}.",
        )
    if ending(path) in _TABLES:
        import_pandas(path, field)  # fails now and not after the computation
    check_can_write(path)


def write(path: Path, columns: Columns, names: ColumnNames) -> None:
    """Writes arrays of N rows each to a file, completely or not at all.

    If two columns of a table have the same name, the later one keeps it, and `_vade` is added to the earlier one's.
    So arrays of the user's own columns come last.

    Args:
      path: a path that `check` accepts.
      columns: name -> [N] or [N, M]. An .npz keeps the arrays; a table has M columns for [N, M].
      names: the names of the M columns of each [N, M].
    """
    with atomic_write(path) as partial:
        WRITERS[ending(path)](partial, columns, names)


def _write_npz(path: Path, columns: Columns, names: ColumnNames) -> None:
    arrays: dict[str, Any] = dict(columns)
    for name, array in columns.items():
        if array.dtype.kind == "O":  # NumPy would pickle objects
            arrays[name] = array.astype(str)
    with path.open("wb") as file:  # np.savez would add .npz to a path that ends in .NPZ
        np.savez(file, **arrays)


def _write_csv(path: Path, columns: Columns, names: ColumnNames) -> None:
    for number, frame in enumerate(_iterate_frames(columns, names)):
        frame.to_csv(path, index=False, mode="a" if number else "w", header=not number, errors="surrogateescape")


def _write_parquet(path: Path, columns: Columns, names: ColumnNames) -> None:
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    writer = None
    with path.open("wb") as file:  # pyarrow cannot open a name that is no UTF-8
        for frame in _iterate_frames(columns, names):
            for name in frame.columns[[dtype.kind == "O" for dtype in frame.dtypes]]:  # nor write such text
                frame[name] = [printable(value) if isinstance(value, str) else value for value in frame[name]]
            table = pyarrow.Table.from_pandas(frame, preserve_index=False)
            writer = writer or ParquetWriter(file, table.schema)
            writer.write_table(table)
        if writer:
            writer.close()


def _iterate_frames(columns: Columns, names: ColumnNames) -> Iterator[Any]:
    """Yields the table as pandas frames of some rows each, so that memory does not grow with N."""
    import pandas

    widest = max(columns.values(), key=lambda array: array.ndim)
    headings = _different_names([name for key in columns for name in names.get(key, [key])])
    for rows in row_slices(widest):
        values = [column for array in columns.values() for column in np.atleast_2d(array[rows].T)]
        # The text of pandas 3 cannot hold names of files that are no UTF-8; objects can.
        frame = pandas.DataFrame(
            {number: pandas.Series(column, dtype=_objects_for_text(column)) for number, column in enumerate(values)}
        )
        frame.columns = pandas.Index(headings, dtype=object)
        yield frame


def _objects_for_text(column: np.ndarray) -> type | None:
    return object if column.dtype.kind in "OU" else None


def _different_names(names: list[str]) -> list[str]:
    """The names with `_vade` added to each one that a later column has, once or more."""
    taken: set[str] = set()
    different = []
    for name in reversed(names):
        while name in taken:
            name += _SUFFIX
        taken.add(name)
        different.append(name)
    return different[::-1]


class Writer(Protocol):
    """Writes files of one ending."""

    def __call__(self, path: Path, columns: Columns, names: ColumnNames) -> None:
        """Writes the file; the arguments are those of `write`."""


_TABLES: dict[str, Writer] = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
}
# The writer of each file ending.
WRITERS: dict[str, Writer] = {**_TABLES, ".npz": _write_npz}
