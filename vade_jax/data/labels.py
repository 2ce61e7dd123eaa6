"""Labels and categories as numbers and names. Any value is a label, but an empty one: that row is unlabelled."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

UNLABELLED = -1


class Labels(NamedTuple):
    """The labels of N rows.

    Attributes:
      numbers: [N], int64: the index of each row's label among the names; -1 for an unlabelled row.
      names: of the L labels: in numerical order if each of them is a number, else in alphabetical order.
    """

    numbers: np.ndarray
    names: tuple[str, ...]


def encode_labels(values: np.ndarray) -> Labels:
    """Numbers the labels [N]: numbers, text or objects. NaN, None and blank text mean that a row is unlabelled."""
    return _encode([_name(value) for value in values.tolist()])


def join_labels(parts: Sequence[Labels]) -> Labels:
    """The labels of several data sets as those of one."""
    return _encode([(*part.names, "")[number] for part in parts for number in part.numbers.tolist()])


def _name(value: Any) -> str:
    """The text of a label; '' if it is empty."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # integers are floats where others are missing
    text = value.decode(errors="replace") if isinstance(value, bytes) else str(value)
    return text if text.strip() else ""


def _encode(names: list[str]) -> Labels:
    """The labels of N rows with these names; '' for an unlabelled row."""
    unique = sorted(set(names) - {""})
    values = [_number(name) for name in unique]
    if None not in values:
        unique = [name for _, name in sorted(zip(values, unique, strict=True))]
    numbers = {name: number for number, name in enumerate(unique)} | {"": UNLABELLED}
    return Labels(np.array([numbers[name] for name in names], np.int64), tuple(unique))


def _number(name: str) -> float | None:
    """The number that a name says; None if it says none."""
    try:
        value = float(name)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
