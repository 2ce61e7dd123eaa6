"""Covariates that are given to the estimator beside rows X: as values, or as names of columns of X."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from vade_jax.data.annotated_cells import is_cells
from vade_jax.data.column_checks import is_frame
from vade_jax.data.column_names import abbreviate, check_names
from vade_jax.data.covariates import KnownCovariates, asked_kinds, match_covariates, read_covariates
from vade_jax.data.dataset import Dataset
from vade_jax.system.errors import InputError
from vade_jax.system.optional_imports import import_extra

_WHERE = "covariates"


def table_of(X: Any) -> Any:
    """Returns the frame that names of covariates are columns of: X, or the obs of an AnnData; None for arrays."""
    if is_cells(X):
        return X.obs
    return X if is_frame(X) else None


def names_in(covariates: Any) -> tuple[str, ...]:
    """Returns the names of columns that covariates are given by; () if they are given as values, or not at all."""
    if isinstance(covariates, str):
        return (covariates,)
    is_names = isinstance(covariates, list | tuple) and all(isinstance(name, str) for name in covariates)
    return tuple(covariates) if is_names else ()


def without_columns(X: Any, covariates: Any, weights: str) -> Any:
    """Returns a frame X without the columns that covariates and weights are read from; other rows as they are."""
    if not is_frame(X):
        return X
    beside = {*asked_kinds(names_in(covariates), X, "X"), *([weights] if weights else [])}
    return X[[name for name in X.columns if name not in beside]] if beside & {*X.columns} else X


def covariates_to_train_on(covariates: Any, X: Any, num_rows: int) -> Dataset | None:
    """Returns the covariates of rows X [N, D] to train on, as a data set of their own, [N, S]; None for none.

    Args:
      covariates: names of columns of X; or a pandas frame, or [N, S] or [N] as an array; None for none.
      X: an array, a frame or an AnnData.
      num_rows: N.

    Raises:
      InputError: a column is missing, or the values cannot be used.
    """
    if covariates is None:
        return None
    frame = _as_frame(covariates, X, num_rows)
    return read_covariates(frame, names_in(covariates) or tuple(frame.columns), _WHERE)


def covariates_of_new_rows(covariates: Any, X: Any, num_rows: int, known: KnownCovariates) -> Dataset | None:
    """Returns the covariates of new rows X [M, D] of a model, [M, S]; None if the model has none.

    Args:
      covariates: as for `covariates_to_train_on`. An array has them in the order of the fit. None for the columns of X
        that are called like them.
      X: an array, a frame or an AnnData; None if there are no rows.
      num_rows: M.
      known: of the training rows.

    Raises:
      InputError: covariates are missing, or are given to a model without covariates.
    """
    table = table_of(X)
    if not known.names:
        if covariates is not None:
            expected = "None, since the model was fitted without covariates"
            raise InputError(_WHERE, type(covariates).__name__, expected, "Leave them out.")
        return None
    if covariates is None:
        if table is None or any(name not in table for name in known.names):
            expected = f"the covariates of the training rows, {abbreviate(known.names)}"
            raise InputError(_WHERE, "None", expected, "Give their values, or columns of X with these names.")
        covariates = list(known.names)
    return read_covariates(_as_frame(covariates, X, num_rows, known.names), known.entries, _WHERE)


def stored_covariates(covariates: Any, num_rows: int, known: KnownCovariates) -> np.ndarray:
    """Returns values of covariates for rows that a model draws, as it stores them, [M, S], float32.

    Args:
      covariates: a frame or an array of M rows, as for `covariates_of_new_rows`.
      num_rows: M.
      known: of the training rows.

    Raises:
      InputError: they are not those of the model.
    """
    given = covariates_of_new_rows(covariates, None, num_rows, known)
    no_features = Dataset(np.zeros((num_rows, 0), np.float32), None, None, covariates=given)
    return match_covariates(no_features, known, _WHERE, _WHERE).inputs


def _as_frame(covariates: Any, X: Any, num_rows: int, names: Sequence[str] = ()) -> Any:
    """Covariates of N rows as a pandas frame, with these names if they have none."""
    if asked := names_in(covariates):
        table = table_of(X)
        if table is None:
            expected = "values for each row, since X has no named columns"
            raise InputError(_WHERE, repr(covariates), expected, "Give an array or a frame.")
        check_names([name for name in table.columns if name in asked], "X")
        return table[[*asked_kinds(asked, table, "obs" if is_cells(X) else "X")]]
    pandas = import_extra("pandas", _WHERE, _WHERE)
    named = is_frame(covariates) or getattr(covariates, "name", None) is not None
    frame = pandas.DataFrame(covariates if named else _columns(covariates)).reset_index(drop=True)
    count = frame.shape[1]
    if len(frame) != num_rows or not count or (names and not named and count != len(names)):
        rows = f"{num_rows:,} rows of {abbreviate(names)}" if names else f"{num_rows:,} rows, and one column or more"
        raise InputError(_WHERE, f"shape {frame.shape}", rows, "Give a value of each covariate for each row.")
    frame.columns = [*map(str, frame.columns)] if named else [*names] or [f"covariate_{j}" for j in range(count)]
    check_names(frame.columns, _WHERE)
    return frame


def _columns(values: Any) -> np.ndarray:
    """Values [N, S] or [N] as an array [N, S]."""
    array = np.asarray(values)
    if array.ndim not in (1, 2):
        expected = "an array [N, S] or [N], a frame, or names of columns of X"
        raise InputError(_WHERE, f"{type(values).__name__} of shape {array.shape}", expected, "Reshape them.")
    return array.reshape(len(array), -1)
