"""Reads tables in text files of any usual separator, encoding, compression and decimal mark."""

import csv
import io
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from vade_jax.data.column_names import abbreviate, repeated_names
from vade_jax.data.problems import Problem
from vade_jax.data.text_layouts import SEPARATORS, Layout, find_layout, opened, text_ending
from vade_jax.data.written_numbers import ALL_GAPS, GAPS, is_number
from vade_jax.system.console import print_line
from vade_jax.system.errors import InputError

_NAMES = {"\t": "a tab", " ": "blanks"}  # of separators that would not be seen


class TextTable:
    """A table in a text file.

    Attributes:
      problems: of its lines and names.
    """

    def __init__(self, pandas: Any, path: Path, text_columns: AbstractSet[str]):
        """Finds how the file is written; see `find_layout`.

        Args:
          pandas: the module.
          path: the file.
          text_columns: the columns whose values are read to the letter.

        Raises:
          InputError: the first line does not name the columns.
          Exception: the file cannot be read.
        """
        ending = text_ending(path)
        if not ending:
            raise ValueError(f"it holds no {', '.join(SEPARATORS)}")
        self.problems: list[Problem] = []
        self._pandas, self._path, self._text_columns = pandas, path, text_columns
        self._layout = find_layout(path, ending)
        self._usual = Layout("utf-8", SEPARATORS[ending][0], False, 0)
        # pandas renames columns that share a name, so the names are first read as values.
        first = self._read(header=None, nrows=1, dtype=str, keep_default_na=False, na_values=None).iloc[0]
        self._names = list(first)
        self._check_names()

    def _read(self, **options: Any) -> Any:
        layout = self._layout
        with opened(self._path) as file:
            return self._pandas.read_csv(
                file,
                **{
                    "sep": r"\s+" if layout.separator == " " else layout.separator,
                    "encoding": layout.encoding,
                    "skipinitialspace": layout.blanks,
                    "skiprows": layout.first,
                    "low_memory": False,
                    "na_values": GAPS,
                    **options,
                },
            )

    def _check_names(self) -> None:
        names = self._names
        if repeated := repeated_names([name for name in names if name]):
            self.problems.append(
                Problem(
                    f"several columns called {abbreviate(repeated)}", "a different name for each column", "Rename them."
                )
            )
        if any(map(is_number, names)):
            raise InputError(
                "config.data.path",
                f"{self._path} with the columns {abbreviate(names)}",
                "a first line of names, which are not numbers",
                "Add a line with the columns' names.",
            )

    def frame(self) -> Any:
        """The table as a pandas frame."""
        self._check_first_line()
        gaps = {name or f"Unnamed: {number}": sorted(ALL_GAPS) for number, name in enumerate(self._names)}
        options: dict[str, Any] = {
            "dtype": dict.fromkeys(self._text_columns, object),
            "keep_default_na": False,
            "na_values": gaps | dict.fromkeys(self._text_columns, ()),
        }
        try:
            return self._read(**options)
        except self._pandas.errors.ParserError:
            if not self._find_long_lines():
                raise
            return self._read(**options, on_bad_lines="skip")

    def _check_first_line(self) -> None:
        """Raises an InputError if the first line of values has more than there are names.

        Pandas would take the first ones as the rows' names.
        """
        try:
            first = self._read(header=None, nrows=1, skiprows=self._layout.first + 1)
        except self._pandas.errors.EmptyDataError:
            return
        if first.shape[1] > len(self._names):
            raise InputError(
                "config.data.path",
                f"{self._path} with {len(self._names)} names and lines of more values",
                "a name for each column",
                "Add the missing names to its first line.",
            )

    def written(self, columns: list[int]) -> Any:
        """The columns of these ascending numbers as they are written, a pandas frame of text; gaps are missing."""
        return self._read(dtype=str, usecols=columns, on_bad_lines="skip")

    def print_layout(self, about_numbers: list[str]) -> None:
        """Prints how the file is written, unless it is written as usual.

        Args:
          about_numbers: what is unusual in its numbers, in words.
        """
        layout, usual = self._layout, self._usual
        parts = {
            f"the separator {_NAMES.get(layout.separator, repr(layout.separator))}": layout.separator
            != usual.separator,
            "blanks after separators": layout.blanks and layout.separator != " ",
            f"the encoding {layout.encoding}": layout.encoding not in ("utf-8", "utf-8-sig"),
        }
        found = [words for words, holds in parts.items() if holds] + about_numbers
        if found:
            print_line(f"{self._path}: read with {', '.join(found)}")

    def _find_long_lines(self) -> bool:
        """Notes the lines that have more values than there are names. Returns whether there are some."""
        width = len(self._names)
        with opened(self._path) as file, io.TextIOWrapper(file, self._layout.encoding, newline="") as text:
            separator, blanks = self._layout.separator, self._layout.blanks
            reader = csv.reader(text, delimiter=separator, skipinitialspace=blanks)
            long = [(reader.line_num, len(row)) for row in reader if len(row) > width]
        if long:
            number, count = long[0]
            self.problems.append(
                Problem(
                    f"{len(long):,} lines of more values than the {width} names (line {number} has {count})",
                    "as many values as names",
                    "Correct these lines, or quote the values that contain the separator.",
                )
            )
        return bool(long)
