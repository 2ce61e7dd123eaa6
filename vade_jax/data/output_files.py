"""Arrays with a line for each row, written to a file of the kind that its name ends in."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vade_jax.system.errors import InputError
from vade_jax.system.large_arrays import row_slices
from vade_jax.system.optional_imports import import_extra

Columns = Mapping[str, np.ndarray]  # name -> [N] or [N, M]


def check(path: Path, field: str, further: tuple[str, ...] = ()) -> None:
    """Raises an InputError where the path cannot be written; writes nothing.

    Args:
      path: to write to.
      field: the config field it came from.
      further: endings that may come besides those of WRITERS.
    """
    endings = (*WRITERS, *further)
    if path.suffix not in endings or not path.parent.is_dir() or path.is_dir():
        raise InputError(
            field,
            f"{str(path)!r} came",
            f"it must be a file that ends in one of {', '.join(endings)} and lies in an existing folder",
            f"Set --{field}=FILE{endings[0]}.",
        )
    if path.suffix in _TABLES:
        import_extra("pandas", path, field)  # missed now, not after the work


def write(path: Path, columns: Columns, names: Mapping[str, list[str]]) -> None:
    """Writes arrays that have N rows each; the file is there whole or not at all.

    Args:
      path: one that `check` let pass.
      columns: name -> [N], or [N, M]. An .npz holds them as they are; in a table each column has a name.
      names: of the M columns of each [N, M].
    """
    partial = path.with_name(f"{path.stem}.partial{path.suffix}")
    try:
        WRITERS[path.suffix](partial, columns, names)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _write_npz(path, columns, names):
    # Objects would be pickles.
    np.savez(path, **{name: array.astype(str) if array.dtype.kind == "O" else array for name, array in columns.items()})


def _write_csv(path, columns, names):
    for number, frame in enumerate(_frames(columns, names)):
        frame.to_csv(path, index=False, mode="a" if number else "w", header=not number)


def _write_parquet(path, columns, names):
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    writer = None
    for frame in _frames(columns, names):
        table = pyarrow.Table.from_pandas(frame, preserve_index=False)
        writer = writer or ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer:
        writer.close()


def _frames(columns: Columns, names: Mapping[str, list[str]]) -> Iterator[Any]:
    """The table in parts, so that memory does not grow with N."""
    import pandas

    widest = max(columns.values(), key=lambda array: array.ndim)
    for rows in row_slices(widest):
        flat: dict[str, np.ndarray] = {}
        for name, array in columns.items():
            flat |= {name: array[rows]} if array.ndim == 1 else dict(zip(names[name], array[rows].T, strict=True))
        yield pandas.DataFrame(flat)


_TABLES: dict[str, Callable[[Path, Columns, Mapping[str, list[str]]], None]] = {
    ".csv": _write_csv,
    ".parquet": _write_parquet,
}
# ending -> function of the path and what `write` takes.
WRITERS = {**_TABLES, ".npz": _write_npz}
