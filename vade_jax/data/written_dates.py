"""Dates as they are written in tables, and as numbers."""

import datetime
import re
from typing import Any

import numpy as np

from vade_jax.data.problems import Problem
from vade_jax.system.errors import show_name
from vade_jax.system.process_wide import filtered_warnings

_TIME = r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?( ?[AaPp]\.?[Mm]\.?)?(Z| ?[+-]\d{2}:?\d{2})?"
_YEAR_FIRST = re.compile(rf"\d{{4}}([-/.])\d{{1,2}}\1\d{{1,2}}([T ]+{_TIME})?")
_YEAR_LAST = re.compile(rf"(\d{{1,2}})([-/.])(\d{{1,2}})\2(\d{{4}}|\d{{2}})([T ,]+{_TIME})?")
_NAMED = re.compile(
    r"(\d{1,2}[- ])?(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?[- ](\d{1,2},? )?\d{4}", re.IGNORECASE
)
_ONLY_TIME = re.compile(_TIME)
_NUM_MONTHS = 12


def is_date(value: Any) -> bool:
    """Whether a value is a date or a time, or text that says one."""
    if isinstance(value, str):
        return any(pattern.fullmatch(value) for pattern in (_YEAR_FIRST, _YEAR_LAST, _NAMED, _ONLY_TIME))
    return isinstance(value, datetime.date | datetime.time | datetime.timedelta | np.datetime64 | np.timedelta64)


def date_problem(name: Any, observed: Any) -> Problem | None:
    """What is wrong with a column of dates that are to become numbers; None if nothing is.

    Args:
      name: of the column.
      observed: a pandas column of its values without gaps.
    """
    if observed.dtype.kind in "mM":
        return None
    wrong = observed[~observed.map(is_date).astype(bool)]
    if len(wrong):
        got = f"a column {show_name(name)} of dates that holds {str(wrong.iloc[0])[:40]!r}"
        return Problem(got, "dates in each of its rows", "Correct this value, or set --config.data.dates=drop.")
    if _day_first(observed) is None:
        got = f"dates whose day and month cannot be told apart in the column {show_name(name)} ({observed.iloc[0]!r})"
        remedy = "Write them as 2021-12-31, or set --config.data.dates=drop."
        return Problem(got, "dates that can be read in one way", remedy)
    if to_days(observed).isna().any():
        got = f"a column {show_name(name)} of dates that cannot be read ({str(observed.iloc[0])[:40]!r})"
        return Problem(got, "dates", "Write them as 2021-12-31, or set --config.data.dates=drop.")
    return None


def to_days(observed: Any) -> Any:
    """Dates as days since 1970-01-01, and times and durations as days; a pandas column, float64.

    Args:
      observed: a pandas column of dates without gaps; NaN for what cannot be read.
    """
    import pandas

    if observed.dtype.kind == "m" or observed.map(lambda value: isinstance(value, datetime.timedelta)).all():
        return pandas.to_timedelta(observed) / pandas.Timedelta(days=1)
    texts = observed if observed.dtype.kind == "M" else observed.map(str)
    if observed.dtype.kind != "M" and texts.map(lambda text: _ONLY_TIME.fullmatch(text) is not None).all():
        texts = "1970-01-01 " + texts
    with filtered_warnings("ignore"):  # about the order of day and month, which is known here
        dates = pandas.to_datetime(
            texts, errors="coerce", format="mixed", dayfirst=bool(_day_first(observed)), utc=True
        )
    return (dates - pandas.Timestamp(0, tz="UTC")) / pandas.Timedelta(days=1)


def _day_first(observed: Any) -> bool | None:
    """Whether the day comes before the month; None if it can be either."""
    found = [_YEAR_LAST.fullmatch(value) for value in observed if isinstance(value, str)]
    matches = [match for match in found if match]
    first, second = ([int(match[group]) for match in matches] for group in (1, 3))
    if not matches or max(second) > _NUM_MONTHS:
        return False
    if max(first) > _NUM_MONTHS or all(match[2] == "." for match in matches):
        return True
    return True if first == second else None
