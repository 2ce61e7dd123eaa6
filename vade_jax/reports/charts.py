"""Charts as PNG: arrays in, bytes out. Each chart is drawn for a light and for a dark page."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from vade_jax.reports import palette
from vade_jax.system.console import printable
from vade_jax.system.process_wide import PROCESS_WIDE, filtered_warnings

_PIXELS_PER_INCH = 100  # on the page; the PNG has twice as many, for dense screens
_MAX_CELLS = 20  # of a matrix, along each side, if their counts are written
_MAX_BARS = 40  # more values are drawn as an area
_MAX_NAME_LENGTH = 18
_MIN_NAMED_SPAN = 0.12  # share of the axis; the names of shorter stages would overlap


class Theme(NamedTuple):
    """Colours of a page."""

    background: str
    ink: str
    muted: str
    line: str
    accent: str
    groups: tuple[str, ...]


LIGHT = Theme(
    background="#ffffff",
    ink="#1d232b",
    muted="#5d6672",
    line="#dde1e6",
    accent="#0b62a4",
    groups=palette.LIGHT,
)
DARK = Theme(
    background="#14171b",
    ink="#e8eaed",
    muted="#a0a8b3",
    line="#323841",
    accent="#6db8f0",
    groups=palette.DARK,
)


class Chart(NamedTuple):
    """A chart as PNG with a transparent background, for a light and a dark page, and its size in pixels."""

    light: bytes
    dark: bytes
    width: int
    height: int


def _chart(width: float, height: float, draw: Callable[[Axes, Theme], None]) -> Chart:
    """Calls draw on new axes for each theme. Width and height are in inches."""
    light, dark = (_png(width, height, draw, theme) for theme in (LIGHT, DARK))
    return Chart(light, dark, round(width * _PIXELS_PER_INCH), round(height * _PIXELS_PER_INCH))


def _png(width: float, height: float, draw: Callable[[Axes, Theme], None], theme: Theme) -> bytes:
    glyphs = filtered_warnings("ignore", pattern="Glyph")  # the font lacks some scripts
    with PROCESS_WIDE, matplotlib.rc_context(_style(theme)), glyphs:
        figure = Figure((width, height), layout="constrained")
        draw(figure.add_subplot(), theme)
        with io.BytesIO() as file:
            figure.savefig(file, format="png", dpi=2 * _PIXELS_PER_INCH, transparent=True)
            return file.getvalue()


def _style(theme: Theme) -> dict[Any, Any]:
    return {
        "font.size": 8.5,
        "text.color": theme.ink,
        "text.parse_math": False,  # names are users' text, in which $ means nothing
        "axes.edgecolor": theme.line,
        "axes.labelcolor": theme.muted,
        "axes.linewidth": 0.8,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.formatter.useoffset": False,
        "grid.color": theme.line,
        "grid.linewidth": 0.6,
        "xtick.color": theme.line,
        "ytick.color": theme.line,
        "xtick.labelcolor": theme.muted,
        "ytick.labelcolor": theme.muted,
    }


Lines = Mapping[str, tuple[Sequence[float], Sequence[float] | np.ndarray]]  # name -> (x, y)
Spans = Mapping[str, tuple[float, float]]  # stage -> its first and its last x


def draw_curves(
    lines: Lines, xlabel: str, spans: Spans | None = None, limits: tuple[float, float] | None = None
) -> Chart:
    """Draws lines over epochs; the arguments are those of `plot_curves`."""
    return _chart(3.4, 2.3, lambda axes, theme: plot_curves(axes, theme, lines, xlabel, spans, limits))


def plot_curves(
    axes: Axes,
    theme: Theme,
    lines: Lines,
    xlabel: str,
    spans: Spans | None = None,
    limits: tuple[float, float] | None = None,
) -> None:
    """Draws lines over epochs on axes.

    Args:
      axes: to draw on.
      theme: the colours.
      lines: name -> (x, y); there is a legend if there are several.
      xlabel: label of the x axis, with its unit.
      spans: stage -> its first and its last x; a dashed line separates stages.
      limits: of the y axis; None to fit the lines.
    """
    for number, (name, (x, y)) in enumerate(lines.items()):
        marker = "o" if len(x) < 3 else None
        colour = theme.groups[number % len(theme.groups)]
        axes.plot(x, y, color=colour, linewidth=1.6, label=name, marker=marker, markersize=4)
    if len(lines) > 1:
        axes.legend(frameon=False, fontsize=8, loc="center right")
    left, right = axes.get_xlim()
    for number, (stage, (first, last)) in enumerate((spans or {}).items()):
        if number:
            axes.axvline(first - 0.5, color=theme.muted, linewidth=0.8, linestyle=(0, (2, 3)))
        if last - first > _MIN_NAMED_SPAN * (right - left):
            above = axes.get_xaxis_transform()
            axes.text((first + last) / 2, 1.03, stage, transform=above, ha="center", color=theme.muted, size=7)
    axes.set_ylim(limits)
    axes.locator_params(axis="x", integer=True)
    axes.grid(True, axis="y")
    axes.set_xlabel(xlabel)
    axes.tick_params(length=0)


def draw_bars(values: np.ndarray, ylabel: str, top: float | None = None) -> Chart:
    """Draws a bar for each cluster; the arguments are those of `plot_bars`."""
    return _chart(4.6, 2.3, lambda axes, theme: plot_bars(axes, theme, values, ylabel, top))


def plot_bars(
    axes: Axes,
    theme: Theme,
    values: np.ndarray,
    ylabel: str,
    top: float | None = None,
    colours: Sequence[str] | None = None,
) -> None:
    """Draws a bar for each cluster on axes; of more than 40 clusters, an area of the values in descending order.

    Args:
      axes: to draw on.
      theme: the colours.
      values: [K]; NaN for a cluster without a value.
      ylabel: label of the y axis, with its unit.
      top: the upper limit of the y axis; None to fit the values.
      colours: [K], of the bars; None for the same colour.
    """
    numbers, many = np.arange(len(values)), len(values) > _MAX_BARS
    if many:
        axes.fill_between(numbers + 1, np.sort(values)[::-1], step="mid", color=theme.accent, linewidth=0)
    else:
        axes.bar(numbers, values, color=colours or theme.accent, width=0.72)
        axes.set_xticks(numbers if len(values) <= _MAX_CELLS else numbers[::5])
    axes.set_ylim(0, top)
    axes.set_axisbelow(True)
    axes.grid(True, axis="y")
    axes.set_xlabel("clusters, in descending order" if many else "cluster")
    axes.set_ylabel(ylabel)
    axes.tick_params(length=0)


def draw_matrix(
    counts: np.ndarray,
    rows: Sequence[Any] | np.ndarray,
    columns: Sequence[Any] | np.ndarray,
    ylabel: str,
    xlabel: str,
) -> Chart:
    """Draws counts as cells, coloured by their share of the row.

    Up to 20 rows and columns: the colours span 0 to 1, and counts above 0 are written. More: the colours span 0 to the
    largest share, and nothing is written.

    Args:
      counts: [R, C].
      rows: [R], names.
      columns: [C], names.
      ylabel: what the rows are.
      xlabel: what the columns are.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    few = max(counts.shape) <= _MAX_CELLS
    names = [_shorten(name) for name in rows]

    def draw(axes: Axes, theme: Theme) -> None:
        colours = LinearSegmentedColormap.from_list("", [theme.background, theme.accent])
        axes.imshow(shares, cmap=colours, vmin=0, vmax=1 if few else shares.max(), aspect="auto")
        if few:
            for row, column in np.argwhere(counts):
                ink = theme.background if shares[row, column] > 0.5 else theme.ink
                axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=ink, size=8)
            axes.set_xticks(range(len(columns)), [str(name) for name in columns])
            axes.set_yticks(range(len(rows)), names)
        else:
            axes.set_xticks([])
            axes.set_yticks([])
        axes.spines[:].set_visible(True)
        axes.tick_params(length=0)
        axes.set_xlabel(xlabel)
        axes.set_ylabel(ylabel)

    if not few:
        return _chart(10.4, 5.0, draw)
    margin = 0.08 * max(map(len, names))
    return _chart(1.1 + margin + 0.44 * len(columns), 1.0 + 0.34 * len(rows), draw)


def _shorten(name: object) -> str:
    text = printable(str(name))
    return text if len(text) <= _MAX_NAME_LENGTH else text[: _MAX_NAME_LENGTH - 1] + "…"
