"""Splits of a data set, chosen by name and joined."""

import re

import numpy as np

from vade_jax.data.dataset import Dataset, Source
from vade_jax.system.errors import InputError
from vade_jax.system.large_arrays import empty_array


def select_split(source: Source, split: str, field: str) -> Dataset:
    """The rows of a split: its name, several joined by '+', or 'all'; '[:n]' after a name takes its first n rows.

    Args:
      source: what `load` returned.
      split: for example 'train', 'train+test', 'train[:10000]' or 'all'.
      field: the config field it came from, for the error.

    Returns:
      The rows in the order of the names.

    Raises:
      InputError: a split that the source does not have.
    """
    names = list(source.splits) if split == "all" else split.split("+")
    parsed = [_SPLIT.fullmatch(name) for name in names]
    parts = [_first(source.splits[match[1]], match[2]) for match in parsed if match and match[1] in source.splits]
    if len(parts) < len(names):
        raise InputError(
            field,
            f"{split!r} came",
            f"the data set has {', '.join(source.splits)}",
            "Name one of them, several joined by '+', or 'all'; '[:n]' after a name takes its first n rows.",
        )
    return parts[0]._replace(
        x=_joined([part.x for part in parts]),
        labels=_all_or_none([part.labels for part in parts]),
        ids=_all_or_none([part.ids for part in parts]),
    )


def _all_or_none(columns):
    """Columns [N_i] as one; None where a part has none."""
    present = [column for column in columns if column is not None]
    return np.concatenate(present) if len(present) == len(columns) else None


def _joined(rows):
    """Arrays [N_i, D] as one; a single one as it is."""
    if len(rows) == 1:
        return rows[0]
    joined = empty_array((sum(map(len, rows)), rows[0].shape[1]), np.result_type(*rows))
    return np.concatenate(rows, out=joined)


_SPLIT = re.compile(r"(\w+)(?:\[:([1-9]\d*)\])?")


def _first(dataset, count):
    """The first rows of a data set, count of them as text; all for None."""
    if count is None:
        return dataset
    first = {name: getattr(dataset, name) for name in ("x", "labels", "ids")}
    return dataset._replace(**{name: array[: int(count)] for name, array in first.items() if array is not None})
