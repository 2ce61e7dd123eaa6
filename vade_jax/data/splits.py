"""Selects splits of a data set by name and joins them."""

import re

import numpy as np

from vade_jax.data.dataset import Dataset, Source
from vade_jax.system.errors import InputError
from vade_jax.system.large_arrays import empty_array


def select_split(source: Source, split: str, field: str) -> Dataset:
    """The rows of one or more splits.

    Args:
      source: the splits.
      split: one name, several joined by '+', or 'all'; '[:n]' after a name takes its first n rows. For example
        'train', 'train+test' or 'train[:10000]'.
      field: the config field of the split, for the error.

    Returns:
      The rows, in the order of the names.

    Raises:
      InputError: the source has no such split.
    """
    names = list(source.splits) if split == "all" else split.split("+")
    parsed = [_SPLIT.fullmatch(name) for name in names]
    parts = [_first_rows(source.splits[match[1]], match[2]) for match in parsed if match and match[1] in source.splits]
    if len(parts) < len(names):
        raise InputError(
            field,
            repr(split),
            f"a split of the data set, which has {', '.join(source.splits)}",
            "Name one of them, several joined by '+', or 'all'; '[:n]' after a name takes its first n rows.",
        )
    return parts[0]._replace(
        x=_join([part.x for part in parts]),
        labels=_all_or_none([part.labels for part in parts]),
        ids=_all_or_none([part.ids for part in parts]),
    )


def _all_or_none(columns: list[np.ndarray | None]) -> np.ndarray | None:
    """Columns [N_i] joined; None if one is missing."""
    present = [column for column in columns if column is not None]
    return np.concatenate(present) if len(present) == len(columns) else None


def _join(parts: list[np.ndarray]) -> np.ndarray:
    """Arrays [N_i, D] joined; a single array is returned without a copy."""
    if len(parts) == 1:
        return parts[0]
    joined = empty_array((sum(map(len, parts)), parts[0].shape[1]), np.result_type(*parts))
    return np.concatenate(parts, out=joined)


_SPLIT = re.compile(r"(\w+)(?:\[:([1-9]\d*)\])?")


def _first_rows(dataset: Dataset, count: str | None) -> Dataset:
    """The first int(count) rows of a data set; all for None."""
    if count is None:
        return dataset
    first = {name: getattr(dataset, name) for name in ("x", "labels", "ids")}
    return dataset._replace(**{name: array[: int(count)] for name, array in first.items() if array is not None})
