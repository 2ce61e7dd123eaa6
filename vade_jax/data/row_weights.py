"""Weights of rows: how much each of them counts in training."""

from typing import Any

import numpy as np

from vade_jax.system.errors import InputError, first_line


def read_weights(frame: Any, name: str, where: str) -> np.ndarray | None:
    """Returns the weights [N] in a column of a pandas frame; None if no column is named.

    Args:
      frame: of N rows.
      name: of the column; '' for none.
      where: the file or name of the rows.

    Raises:
      InputError: there is no such column, or its values are no weights.
    """
    if not name:
        return None
    if name not in frame:
        raise InputError("config.data.weights", repr(name), f"a column of {where}", "Name one, or leave it empty.")
    try:
        values = frame[name].to_numpy(np.float64, na_value=np.nan)
    except (TypeError, ValueError):  # text
        values = np.full(len(frame), np.nan)
    return checked_weights(values, len(frame), "config.data.weights")


def checked_weights(weights: Any, num_rows: int, field: str) -> np.ndarray:
    """Returns weights as float32, [N].

    Args:
      weights: what NumPy makes an array of N numbers of.
      num_rows: N.
      field: of the error.

    Raises:
      InputError: they are not N finite numbers >= 0, some of them > 0.
    """
    expected = "a finite number >= 0 for each row, and one > 0"
    try:
        array = np.asarray(weights, np.float64)
    except (TypeError, ValueError) as error:  # text
        raise InputError(
            field, f"values that are no numbers ({first_line(error)})", expected, "Correct them."
        ) from error
    if array.shape != (num_rows,):
        raise InputError(field, f"weights of shape {array.shape} for {num_rows} rows", expected, "Correct them.")
    wrong = np.flatnonzero(~(np.isfinite(array) & (array >= 0)))
    if len(wrong):
        raise InputError(field, f"{array[wrong[0]]} in row {wrong[0]}", expected, "Correct it, or set it to 0.")
    if not array.any():
        raise InputError(field, "only zeros", expected, "Leave out the weights.")
    return array.astype(np.float32)
