"""Rows of every kind, for `benchmarks.wrong_rows`: functions that make them from rows [N, D] of a model's training."""

import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.datasets import load_wine

_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_DTYPES = (*_INTEGERS, "float16", "float32", "longdouble", "bool", "complex64")
_TOO_LARGE = -(10**400)  # for float64
_NO_NUMBERS: tuple[Any, ...] = (None, "a", "nan", [1.0], {}, 1j, _TOO_LARGE, np.nan, np.datetime64("NaT", "ns"), pd.NA)

Rows = Callable[[np.ndarray], Any]  # rows of the training data, [N, D], float64 -> rows to ask


def _changed(value: Any, dtype: Any = np.float64) -> Rows:
    """The rows with another value in one place."""

    def change(x: np.ndarray) -> np.ndarray:
        changed = x.astype(dtype)
        with np.errstate(over="ignore"):
            changed[1, 2] = value
        return changed

    return change


def _filled(value: Any) -> Rows:
    return lambda x: np.full(x.shape, value)


def _cast(dtype: Any) -> Rows:
    def cast(x: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return x.astype(dtype)

    return cast


def _list_with(value: object) -> Rows:
    def change(x: np.ndarray) -> list[list[Any]]:
        rows = x.tolist()
        rows[1][2] = value
        return rows

    return change


def _ragged(x: np.ndarray) -> list[list[float]]:
    return [row[: len(row) - number % 2] for number, row in enumerate(x.tolist())]


def _read_only(x: np.ndarray) -> np.ndarray:
    copied = x.copy()
    copied.flags.writeable = False
    return copied


def _not_contiguous(x: np.ndarray) -> np.ndarray:
    return np.repeat(np.repeat(x, 2, axis=0), 3, axis=1)[::2, ::3]


def _memory_mapped(x: np.ndarray) -> np.memmap:
    with tempfile.TemporaryFile() as file:
        mapped = np.memmap(file, x.dtype, "w+", shape=x.shape)
    mapped[:] = x
    return mapped


def _masked(x: np.ndarray) -> np.ma.MaskedArray:
    masked = np.ma.masked_array(x, np.zeros(x.shape, bool))
    masked[1, 2] = np.ma.masked
    return masked


def frame(x: np.ndarray) -> pd.DataFrame:
    """The rows as a frame with the names of the wine's columns."""
    return pd.DataFrame(x, columns=load_wine().feature_names)


def _frame_with(column: Any) -> Rows:
    """A frame with another first column."""
    return lambda x: frame(x).assign(**{load_wine().feature_names[0]: column})


# name -> function that makes rows which are the same as those of the training data: the answers must be, too.
EQUAL: dict[str, Rows] = {
    "float64": lambda x: x,
    "read-only": _read_only,
    "not contiguous": _not_contiguous,
    "Fortran order": np.asfortranarray,
    "big-endian": lambda x: x.astype(">f8"),
    "little-endian": lambda x: x.astype("<f8"),
    "negative strides": lambda x: x[::-1].copy()[::-1],
    "subclass": lambda x: x.view(type("Subclass", (np.ndarray,), {})),
    "memory-mapped": _memory_mapped,
    "list": lambda x: x.tolist(),
    "tuple": lambda x: tuple(map(tuple, x.tolist())),
    "list of arrays": list,
    "objects": lambda x: x.astype(object),
    "masked without a mask": np.ma.masked_array,
    "frame": frame,
    "frame of objects": lambda x: frame(x).astype(object),
    "frame of nullable columns": lambda x: frame(x).astype("Float64"),
    "frame with an index": lambda x: frame(x).set_index(pd.Index(list("zyxwvu")[: len(x)])),
    "one column of categories": lambda x: _frame_with(pd.Categorical(x[:, 0]))(x),
}
# name -> function that makes rows that are not finite numbers in the model's columns: Python must refuse them.
UNUSABLE: dict[str, Rows] = {
    **{f"{value} in one place": _changed(value) for value in (np.nan, np.inf, -np.inf, 1e39, -1.7e308)},
    **{f"{value} everywhere": _filled(value) for value in (np.nan, np.inf, 3e38, 1e300)},
    "float16 infinity": _changed(1e6, np.float16),
    "the largest longdouble": _filled(np.finfo(np.longdouble).max),
    "complex": lambda x: x + 1j,
    "text": lambda x: np.full(x.shape, "a"),
    "dates": _cast("datetime64[s]"),
    "durations": _cast("timedelta64[s]"),
    "raw bytes": lambda x: np.zeros(x.shape, "V4"),
    "structured": lambda x: np.rec.fromarrays(x.T),
    "structured in two dimensions": lambda x: np.zeros(x.shape, [("a", float)]),
    **{f"{repr(value)[:9]} in a list": _list_with(value) for value in _NO_NUMBERS},
    "ragged lists": _ragged,
    "masked": _masked,
    "masked everywhere": lambda x: np.ma.masked_all(x.shape),
    "one column less": lambda x: x[:, 1:],
    "one column more": lambda x: np.hstack([x, x[:, :1]]),
    "transposed": lambda x: x.T,
    "no rows": lambda x: x[:0],
    "no columns": lambda x: x[:, :0],
    "one dimension": lambda x: x[0],
    "three dimensions": lambda x: x[:, :, None],
    "a number": lambda x: 1.5,
    "nothing": lambda x: None,
    "a text": lambda x: "x.csv",
    "an empty list": lambda x: [],
    "lists without values": lambda x: [[]],
    "a dict": lambda x: {"a": [1.0]},
    "a set": lambda x: {1.0, 2.0},
    "a generator": lambda x: (row for row in x),
    "an object": lambda x: object(),
    "a series": lambda x: pd.Series(x[0]),
    "frame without a column": lambda x: frame(x).iloc[:, 1:],
    "frame with another column": lambda x: frame(x).assign(other=1.0),
    "frame without rows": lambda x: frame(x)[:0],
    "frame without columns": lambda x: frame(x).iloc[:, :0],
    "frame with text": _frame_with("a"),
    "frame with dates": _frame_with(pd.Timestamp("2020-01-01")),
    "frame with durations": _frame_with(pd.Timedelta("1s")),
    "frame with periods": lambda x: _frame_with(pd.period_range("2020", periods=len(x), freq="D"))(x),
    "frame with categories of text": lambda x: _frame_with(pd.Categorical(["a"] * len(x)))(x),
    "frame with a missing category": lambda x: _frame_with(pd.Categorical([None] * len(x), [1.0]))(x),
    "frame with missing values": lambda x: _frame_with(pd.array([None] * len(x), "Float64"))(x),
    "frame with complex numbers": _frame_with(1j),
}
# name -> function that makes other rows, which may be answered or refused.
OTHER: dict[str, Rows] = {
    **{f"{value} in one place": _changed(value) for value in (1e30, -1e30, 1e37, 5e-324, -0.0, 1e-40, 2.0**53 + 1)},
    **{f"{value} everywhere": _filled(value) for value in (1e30, -1e30, 1e-40, 0.0)},
    **{f"dtype {dtype}": _cast(dtype) for dtype in _DTYPES},
    **{f"the smallest {dtype}": _filled(np.array(np.iinfo(dtype).min, dtype)) for dtype in _INTEGERS},
    **{f"the largest {dtype}": _filled(np.array(np.iinfo(dtype).max, dtype)) for dtype in _INTEGERS},
    "complex without an imaginary part": lambda x: x + 0j,
    "text of numbers": lambda x: x.astype(str),
    "bytes": lambda x: x.astype("S"),
    "text objects": lambda x: x.astype(str).astype(object),
    **{f"{value!r} in a list": _list_with(value) for value in ("1.5", True, b"1", 10**30)},
    "a matrix": np.asmatrix,
    "sparse, CSR": sparse.csr_matrix,
    "sparse, CSC": sparse.csc_matrix,
    "sparse, COO": sparse.coo_matrix,
    "sparse, DOK": sparse.dok_matrix,
    "sparse, LIL": sparse.lil_matrix,
    "a sparse array": sparse.csr_array,
    "frame in another order": lambda x: frame(x).iloc[:, ::-1],
    "frame with a renamed column": lambda x: frame(x).rename(columns={"alcohol": "other"}),
    "frame without names": lambda x: pd.DataFrame(x),
    "frame of equal names": lambda x: pd.DataFrame(x, columns=["a"] * x.shape[1]),
    "frame of two levels of names": lambda x: frame(x).set_axis(
        pd.MultiIndex.from_tuples([("a", number) for number in range(x.shape[1])]), axis=1
    ),
    "frame of sparse columns": lambda x: frame(x).astype(pd.SparseDtype(float)),
    "frame with booleans": _frame_with(True),
}
