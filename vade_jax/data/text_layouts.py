"""Finds how a text file of a table is written: compression, encoding, separator and blanks after it."""

import bz2
import codecs
import csv
import gzip
import io
import itertools
import lzma
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

# The separators of each ending, the usual one first. Values in columns of a .txt can also be aligned by blanks.
SEPARATORS: dict[str, tuple[str, ...]] = {
    ".csv": (",", ";", "\t", "|"),
    ".tsv": ("\t", ",", ";", "|"),
    ".txt": ("\t", ",", ";", "|", " "),
}
_OPENERS: dict[str, Callable[[Path], Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
COMPRESSIONS = (*_OPENERS, ".zip")  # .csv.gz is a compressed .csv
_ARCHIVE = ".zip"  # also without another ending: that of the file in it counts

_BLOCK = 2**20  # bytes
_SAMPLE = 2**16  # characters
_NUM_ROWS = 200  # of the sample that the separator is found by
_LEAST_FITTING = 0.9  # of the rows
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Of tables that are no UTF-8; the first one if nothing tells them apart.
_LATIN = ("cp1252", "cp1250", "cp1254", "cp1257")
_ENCODINGS = (*_LATIN, "cp932", "gb18030", "big5", "cp949", "cp1251", "cp1253", "cp1255", "cp1256")
_BETWEEN_WORDS = re.compile(rb"[\s,;\"0-9.]+")
_NUMBER = re.compile(r"\s*[+-]?[0-9.,]*[0-9][0-9.,]*([eE][+-]?[0-9]+)?\s*")


class Layout(NamedTuple):
    """How a text file is written.

    Attributes:
      encoding: Python's name of it.
      separator: one character.
      blanks: whether blanks follow every separator.
      first: the number of lines before the names.
    """

    encoding: str
    separator: str
    blanks: bool
    first: int


def text_ending(path: Path) -> str:
    """The ending of the text in a file, a key of SEPARATORS, such as '.csv' for x.csv.gz; '' if it is another file.

    Raises:
      Exception: an archive that cannot be read.
    """
    name = path
    if path.suffix.lower() == _ARCHIVE and path.with_suffix("").suffix.lower() not in SEPARATORS:
        with zipfile.ZipFile(path) as archive:
            name = Path(_member(archive))
    elif path.suffix.lower() in COMPRESSIONS:
        name = path.with_suffix("")
    ending = name.suffix.lower()
    return ending if ending in SEPARATORS else ""


def _member(archive: zipfile.ZipFile) -> str:
    """The name of the file in an archive, apart from what macOS adds."""
    names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
    if len(names) != 1:
        raise ValueError(f"it holds {len(names)} files, and one is expected: {', '.join(names[:3])}")
    return names[0]


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Opens a text file, which may be compressed, to read its bytes."""
    if path.suffix.lower() == _ARCHIVE:
        with zipfile.ZipFile(path) as archive, archive.open(_member(archive)) as file:
            yield file
    else:
        with _OPENERS.get(path.suffix.lower(), lambda path: path.open("rb"))(path) as file:
            yield file


def find_layout(path: Path, ending: str) -> Layout:
    """Finds how a text file of this ending is written.

    Raises:
      Exception: the file cannot be read, or is no text.
    """
    with opened(path) as file:
        encoding = _find_encoding(file)
    with opened(path) as file, io.TextIOWrapper(file, encoding, newline="") as text:
        sample = text.read(_SAMPLE)
    line, _, rest = sample.partition("\n")
    if named := re.fullmatch(r"sep=(.)\s*", line):  # as Excel reads it
        return Layout(encoding, named[1], _has_blanks(_rows(rest, named[1])), 1)
    separator = _find_separator(sample, SEPARATORS[ending])
    return Layout(encoding, separator, separator == " " or _has_blanks(_rows(sample, separator)), 0)


def _find_encoding(file: IO[bytes]) -> str:
    """The encoding of a whole file: that of its first bytes, UTF-8 if it is that, else the likeliest one."""
    block = file.read(_BLOCK)
    for mark, encoding in _MARKS:
        if block.startswith(mark):
            return encoding
    decoder = codecs.getincrementaldecoder("utf-8")()
    while block:
        try:
            decoder.decode(block)
        except UnicodeDecodeError:
            return _guess_encoding(block)
        block = file.read(_BLOCK)
    return "utf-8"


def _guess_encoding(block: bytes) -> str:
    """The likeliest one of _ENCODINGS, by charset-normalizer; the first of several that are as likely."""
    from charset_normalizer import from_bytes

    if b"\0" in block:
        raise ValueError("it is no text")
    words = [word for word in dict.fromkeys(_BETWEEN_WORDS.split(block)) if not word.isascii()]
    text = b" ".join(words)  # numbers and separators would hide the language
    is_latin = 2 * sum(byte > 127 for byte in text) < sum(map(len, words))
    encodings = _LATIN if is_latin else _ENCODINGS
    found = list(from_bytes(text, cp_isolation=list(encodings)))
    likeliest = max(((match.coherence, -match.chaos) for match in found), default=None)
    tied = [match for match in found if (match.coherence, -match.chaos) == likeliest]
    names = {name for match in tied for name in (match.encoding, *match.could_be_from_charset)}
    return next((name for name in encodings if name in names), encodings[0])


def _rows(sample: str, separator: str) -> list[list[str]]:
    """The values of the first rows of a sample, with the blanks around them; [] if it cannot be read."""
    try:
        reader = csv.reader(io.StringIO(sample, newline=""), delimiter=separator, skipinitialspace=separator == " ")
        rows = [row for row in itertools.islice(reader, _NUM_ROWS + 1) if row]
    except csv.Error:
        return []
    return rows[:-1] if len(sample) == _SAMPLE and len(rows) <= _NUM_ROWS else rows  # the last one may be cut off


def _find_separator(sample: str, separators: Sequence[str]) -> str:
    """The first separator by which the rows have as many values as there are names, and most of these are numbers."""

    def quality(separator: str) -> tuple[bool, float]:
        names, *rows = _rows(sample, separator) or [[]]
        fitting = sum(len(row) == len(names) for row in rows)
        values = [value for row in rows for value in row if value.strip()]
        numbers = sum(_NUMBER.fullmatch(value) is not None for value in values)
        fits = len(names) > 1 and fitting >= _LEAST_FITTING * len(rows) and (separator != " " or fitting == len(rows))
        return fits, numbers / max(1, len(values))

    best = max(separators, key=quality)
    if quality(best)[0]:
        return best
    names: dict[str, Any] = {separator: (_rows(sample, separator) or [[]])[0] for separator in separators}
    return next((name for name in separators if name != " " and len(names[name]) > 1), separators[0])


def _has_blanks(rows: list[list[str]]) -> bool:
    """Whether each value but the first of every row below the names begins with a blank."""
    values = [value for row in rows[1:] for value in row[1:]]
    return bool(values) and all(value.startswith(" ") for value in values)
