"""Covariates of rows, such as the batch of a cell: read from columns, and matched with those of a trained model."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from vade_jax.data.column_names import abbreviate, match_columns
from vade_jax.data.dataset import Dataset, make_dataset
from vade_jax.data.levels import MAX_LEVELS, levels_of, match_levels
from vade_jax.data.table_columns import encode_levels, text_of, without_gaps
from vade_jax.system.errors import InputError, show_name

CATEGORY, NUMBER = KINDS = ("category", "number")
_FEW = 20  # different whole numbers, at most, name levels, such as those of batches
_MIX_ROWS = 1000
_FIELD = "config.data.covariates"


class KnownCovariates(NamedTuple):
    """The covariates of the rows that a model was trained on.

    Attributes:
      names: of the S covariates; () for none.
      levels: of each covariate, sorted, () for a number.
      mix: the covariates of at most 1,000 random training rows, as stored; NaN where they are not known.
    """

    names: tuple[str, ...] = ()
    levels: tuple[tuple[str, ...], ...] = ()
    mix: tuple[tuple[float, ...], ...] = ()

    @property
    def entries(self) -> tuple[str, ...]:
        """The names with their kinds, as the setting `data.covariates` takes them."""
        kinds = (CATEGORY if levels else NUMBER for levels in self.levels)
        return tuple(f"{name}={kind}" for name, kind in zip(self.names, kinds, strict=True))

    @classmethod
    def of_rows(cls, rows: Dataset) -> "KnownCovariates":
        """Those of rows to train on."""
        given = rows.covariates
        if given is None:
            return cls()
        count = len(given.x)
        drawn = np.random.default_rng(2).choice(count, min(count, _MIX_ROWS), replace=False)
        return cls(given.names, levels_of(given), tuple(map(tuple, given.x[np.sort(drawn)].tolist())))

    @classmethod
    def of_description(cls, description: Mapping[str, Any]) -> "KnownCovariates":
        """Those of the rows with this description."""
        known = description.get("covariates")
        if not known:
            return cls()
        mix = tuple(tuple(np.nan if value is None else value for value in row) for row in known["mix"])
        return cls(tuple(known["names"]), tuple(map(tuple, known["levels"])), mix)

    def describe(self) -> dict[str, Any]:
        """What `of_description` reads, for a JSON file; {} without covariates."""
        if not self.names:
            return {}
        mix = [[None if np.isnan(value) else value for value in row] for row in self.mix]
        return {"covariates": {"names": [*self.names], "levels": [*map(list, self.levels)], "mix": mix}}

    def in_words(self) -> str:
        """The names with their numbers of levels."""
        kinds = (f"{len(levels)} levels" if levels else NUMBER for levels in self.levels)
        return ", ".join(f"{show_name(name)} ({kind})" for name, kind in zip(self.names, kinds, strict=True))


NO_COVARIATES = KnownCovariates()


def read_covariates(frame: Any, entries: Sequence[str], where: str) -> Dataset | None:
    """Returns the covariates of rows as a data set of their own, x [N, S]; None if none are asked for.

    Text, truth values, and whole numbers of at most 20 different values have levels; other columns are numbers.

    Args:
      frame: a pandas frame of N rows.
      entries: columns, or COLUMN=KIND with one of KINDS.
      where: the file or name of the rows.

    Raises:
      InputError: a column is missing, has more than 1,000 levels, or has no numbers though it is to have them.
    """
    if not entries:
        return None
    kinds = asked_kinds(entries, frame, where)
    columns = [_read_column(name, frame[name], kind, where) for name, kind in kinds.items()]
    values, levels = zip(*columns, strict=True)
    names = tuple(map(str, kinds))
    return make_dataset(
        np.stack(values, axis=1), None, where, names, offset=np.zeros(1), levels=levels if any(levels) else ()
    )


def asked_kinds(entries: Sequence[str], frame: Any, where: str) -> dict[str, str]:
    """Returns the kind of each covariate by its name; '' for what it looks like.

    Raises:
      InputError: the frame has no such column.
    """
    kinds = {}
    for entry in entries:
        name, _, kind = entry.rpartition("=")
        name, kind = (name, kind) if kind in KINDS and entry not in frame else (entry, "")
        if name not in frame:
            expected = f"a column of {where}, which has {abbreviate(list(map(str, frame.columns)))}"
            raise InputError(_FIELD, repr(name), expected, "Name one of its columns, or add it.")
        kinds[name] = kind
    return kinds


def _read_column(name: str, column: Any, kind: str, where: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """A covariate [N], NaN where it is not known, and its levels, () for a number."""
    column, observed = without_gaps(column)
    is_text = bool(observed.map(lambda value: isinstance(value, str | bool)).any()) or observed.dtype.kind == "b"
    if kind == NUMBER or not (kind or is_text):
        numbers = _numbers(name, observed, where).reindex(column.index).to_numpy(np.float64)
        if kind or not _names_levels(numbers):
            return numbers, ()
    levels = tuple(sorted({text_of(value) for value in observed}))
    if len(levels) > MAX_LEVELS:
        raise InputError(
            _FIELD,
            f"{name}, a column of {where} with {len(levels):,} different values",
            f"at most {MAX_LEVELS:,} levels, or numbers",
            f"Join levels, leave it out, or set {name}={NUMBER} if it holds numbers.",
        )
    return encode_levels(observed, column.index, levels).values.to_numpy(np.float64), levels


def _numbers(name: str, observed: Any, where: str) -> Any:
    """The values of a pandas column as float64."""
    try:
        return observed.astype(np.float64)
    except (TypeError, ValueError) as error:
        got = f"{name}, a column of {where} with values such as {str(observed.iloc[0])[:40]!r}"
        raise InputError(_FIELD, got, "numbers", f"Set {name}={CATEGORY}, or leave it out.") from error


def _names_levels(numbers: np.ndarray) -> bool:
    """Whether numbers [N] are few different whole numbers; NaN is left out."""
    different = np.unique(numbers[~np.isnan(numbers)])
    return len(different) <= _FEW and bool((different == np.floor(different)).all())


def match_covariates(rows: Dataset, known: KnownCovariates, where: str, field: str = "config.data.path") -> Dataset:
    """Returns rows with the covariates of a model, in its order. Warns of levels that it does not know.

    Args:
      rows: new rows of the model.
      known: the covariates of its training rows.
      where: the file or name of the rows.
      field: of the error.

    Raises:
      InputError: covariates are missing, or have text where the model has numbers.
    """
    if not known.names:
        return rows
    if rows.covariates is None:
        expected = f"the covariates of the training rows, {abbreviate(known.names)}"
        raise InputError(field, f"{where} without covariates", expected, "Add them.")
    given = match_columns(rows.covariates, known.names, len(known.names), where, field)
    given = match_levels(given, known.levels, where, field=field, become="the model sees the mean of its levels")
    return rows._replace(covariates=given)
