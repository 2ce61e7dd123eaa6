"""Tables of text for the terminal."""

from collections.abc import Sequence


def number(value: float | None, digits: int) -> str:
    """A number as text with the given digits after the point; '-' for None."""
    return "-" if value is None else f"{value:.{digits}f}"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """A text table as lines with aligned columns; the last cell of a shorter row may be wider than its column."""
    full = [row for row in rows if len(row) == len(rows[0])]
    widths = [max(map(len, column)) for column in zip(*full, strict=True)]
    lines = ("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)
