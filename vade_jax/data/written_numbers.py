"""How numbers and gaps are written in tables: words for gaps, decimal commas, separators of thousands, units."""

import math
import re
from collections.abc import Iterable
from typing import Any, SupportsFloat

import numpy as np

from vade_jax.data.problems import Problem
from vade_jax.system.errors import show_name

# The words for a gap besides those that pandas knows, such as 'NA', 'nan', 'null' and the empty text.
GAPS = (
    *("?", "-", "--", "---", ".", "..", "*"),
    *("na", "Na", "NAN", "none", "NONE", "Null", "N.A.", "n.a.", "(null)", "missing", "Missing", "MISSING"),
    *("#DIV/0!", "#VALUE!", "#REF!", "#NUM!", "#NAME?", "#NULL!"),
)
# All of them, of which a column of text that pandas did not read from a text file may still hold some.
ALL_GAPS = frozenset(
    {*GAPS, "", "NA", "N/A", "n/a", "NaN", "nan", "-NaN", "-nan", "null", "NULL", "None", "<NA>", "#N/A", "#NA"}
    | {"#N/A N/A", "1.#IND", "1.#QNAN", "-1.#IND", "-1.#QNAN"}
)

POINT, COMMA = ".", ","
_BLANKS = " '\u2019\u00a0\u202f"  # between thousands, with either decimal mark
_CURRENCIES = "$\u20ac\u00a3\u00a5"  # dollar, euro, pound, yen


def _pattern(mark: str, thousands: str) -> str:
    """A regular expression of the numbers with this decimal mark; thousands are whole groups of three digits."""
    whole = rf"(?:[0-9]+|[1-9][0-9]{{0,2}}(?P<group>[{thousands}{_BLANKS}])[0-9]{{3}}(?:(?P=group)[0-9]{{3}})*)"
    number = rf"(?:{whole}(?:{re.escape(mark)}[0-9]*)?|{re.escape(mark)}[0-9]+)(?:[eE][+-]?[0-9]+)?"
    return rf"(?P<sign>[+-]?)(?P<before>[{_CURRENCIES}]? ?)(?P<number>{number})(?P<after> ?[%{_CURRENCIES}]?)"


_PATTERNS = {POINT: re.compile(_pattern(POINT, COMMA)), COMMA: re.compile(_pattern(COMMA, POINT))}


def is_number(value: Any) -> bool:
    """Whether a value is a finite number, or text that says one."""
    try:
        return (
            isinstance(value, str | SupportsFloat) and not isinstance(value, np.ndarray) and math.isfinite(float(value))
        )
    except (ValueError, TypeError, OverflowError):
        return False


def is_written_number(value: Any) -> bool:
    """Whether a value is a number, or text that says one with either decimal mark, of money or in percent too."""
    if isinstance(value, str) and any(pattern.fullmatch(value) for pattern in _PATTERNS.values()):
        return True
    return is_number(value)


def read_number(value: Any, mark: str) -> Any:
    """The number in text with this decimal mark, without its unit, as text with a decimal point; others as they are."""
    match = _PATTERNS[mark].fullmatch(value) if isinstance(value, str) else None
    if not match:
        return value
    kept = re.sub(rf"[{COMMA if mark == POINT else POINT}{_BLANKS}]", "", match["number"])
    return match["sign"] + kept.replace(mark, POINT)


class Marks:
    """What the numbers of a file say about its decimal mark.

    '1,5' has a decimal comma; '1,234' can be a thousand or not, which other values of the file decide.
    """

    def __init__(self) -> None:
        """Starts without numbers."""
        self._certain: dict[str, str] = {}  # decimal mark -> where it is
        self._uncertain: list[str] = []
        self._thousands: set[str] = set()  # the decimal marks by which some number has separators of thousands
        self._units: dict[str, dict[str, str]] = {}  # column -> unit -> where it is

    def add(self, name: object, values: Iterable[Any]) -> None:
        """Adds the numbers of a column, as they are written, without blanks around them. Other values say nothing."""
        is_uncertain = False
        for row, value in enumerate(values):
            if not isinstance(value, str) or value.isdecimal():
                continue
            matches = {mark: match for mark, pattern in _PATTERNS.items() if (match := pattern.fullmatch(value))}
            self._thousands |= {mark for mark, match in matches.items() if match["group"]}
            where = f"{value!r} in the column {show_name(name)}, row {row}"
            units = {unit for match in matches.values() for unit in (match["before"].strip(), match["after"].strip())}
            for unit in units - {""}:
                self._units.setdefault(str(name), {}).setdefault(unit, where)
            if len(matches) == 1:
                self._certain.setdefault(next(iter(matches)), where)
            elif len({read_number(value, mark) for mark in matches}) > 1 and not is_uncertain:
                is_uncertain = True
                self._uncertain.append(where)

    def describe(self, mark: str) -> list[str]:
        """What is unusual in numbers of this decimal mark, in words."""
        words = {"decimal commas": mark == COMMA, "separators of thousands": mark in self._thousands}
        units = sorted({unit for of_column in self._units.values() for unit in of_column})
        return [*(name for name, holds in words.items() if holds), *(f"the unit {unit} left out" for unit in units)]

    def decide(self) -> tuple[str, list[Problem]]:
        """The decimal mark, and the problems if there are two, it is not clear, or a column has two units."""
        of_units = [
            Problem(
                f"two units in a column ({' and '.join(list(where.values())[:2])})", "one unit", "Convert them to one."
            )
            for where in self._units.values()
            if len(where) > 1
        ]
        mark, problems = self._decide_mark()
        return mark, problems + of_units

    def _decide_mark(self) -> tuple[str, list[Problem]]:
        """The decimal mark, and the problems if there are two or it is not clear."""
        remedy = "Save the table with decimal points and without separators of thousands."
        if len(self._certain) > 1:
            got = f"decimal points ({self._certain[POINT]}) and decimal commas ({self._certain[COMMA]})"
            return POINT, [Problem(got, "one decimal mark", remedy)]
        if self._certain:
            return next(iter(self._certain)), []
        problems = [
            Problem(
                f"numbers that can be thousands or not ({where})",
                "numbers whose decimal mark is clear",
                remedy,
            )
            for where in self._uncertain
        ]
        return POINT, problems
