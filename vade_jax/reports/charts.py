"""Charts and images as PNG: arrays in, bytes out. Each chart is drawn for a light and for a dark page."""

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

_PIXELS_AN_INCH = 100  # of the page; twice as many are drawn, for dense screens
_MARKERS = ("o", "^", "s", "D")  # with each colour, so that more groups than colours stay apart
_MOST_NAMES = 50  # in a scatter
_MOST_CELLS = 20  # a side, with their counts written in
_MOST_BARS = 40  # with a number each
_LONGEST_NAME = 18
_LEAST_SPAN = 0.12  # of an axis, that is named


class Theme(NamedTuple):
    """Colours of a page; those of groups are after Okabe and Ito, which the colour-blind tell apart."""

    ground: str
    ink: str
    muted: str
    line: str
    accent: str
    groups: tuple[str, ...]


LIGHT = Theme(
    "#ffffff",
    "#1d232b",
    "#5d6672",
    "#dde1e6",
    "#0b62a4",
    ("#0072b2", "#e08a00", "#009e73", "#c25b98", "#d1490f", "#3fa7e0", "#8a7a00", "#69707a"),
)
DARK = Theme(
    "#14171b",
    "#e8eaed",
    "#a0a8b3",
    "#323841",
    "#6db8f0",
    ("#4da3e0", "#f0b23a", "#2fc79a", "#e39bc4", "#f07f45", "#9bd7fa", "#e6da4a", "#b4bac2"),
)


class Chart(NamedTuple):
    """A chart twice, as PNG on a transparent ground, and its size on the page in pixels."""

    light: bytes
    dark: bytes
    width: int
    height: int


def _chart(width: float, height: float, draw: Callable[[Axes, Theme], None]) -> Chart:
    """What draw puts on axes of so many inches, for both themes."""
    light, dark = (_png(width, height, draw, theme) for theme in (LIGHT, DARK))
    return Chart(light, dark, round(width * _PIXELS_AN_INCH), round(height * _PIXELS_AN_INCH))


def _png(width, height, draw, theme):
    style: dict[Any, Any] = {
        "font.size": 8.5,
        "text.color": theme.ink,
        "text.parse_math": False,  # names are users' text
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
    with matplotlib.rc_context(style), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # of a name in a script that the font does not have
        figure = Figure((width, height), layout="constrained")
        draw(figure.add_subplot(), theme)
        with io.BytesIO() as file:
            figure.savefig(file, format="png", dpi=2 * _PIXELS_AN_INCH, transparent=True)
            return file.getvalue()


def curves(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    xlabel: str,
    spans: Mapping[str, tuple[float, float]] | None = None,
    limits: tuple[float, float] | None = None,
) -> Chart:
    """Lines over epochs.

    Args:
      lines: name -> (x, y); a lone one needs no name on the chart.
      xlabel: with its unit.
      spans: stage -> its first and its last x, where several stages follow one another.
      limits: of the y axis; None for those of the lines.
    """

    def draw(axes, theme):
        for number, (name, (x, y)) in enumerate(lines.items()):
            few = "o" if len(x) < 3 else None
            axes.plot(x, y, color=theme.groups[number], linewidth=1.6, label=name, marker=few, markersize=4)
        if len(lines) > 1:
            axes.legend(frameon=False, fontsize=8, loc="center right")
        left, right = axes.get_xlim()
        for number, (stage, (first, last)) in enumerate((spans or {}).items()):
            if number:
                axes.axvline(first - 0.5, color=theme.muted, linewidth=0.8, linestyle=(0, (2, 3)))
            if last - first > _LEAST_SPAN * (right - left):
                above = axes.get_xaxis_transform()
                axes.text((first + last) / 2, 1.03, stage, transform=above, ha="center", color=theme.muted, size=7)
        axes.set_ylim(limits)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(True, axis="y")
        axes.set_xlabel(xlabel)
        axes.tick_params(length=0)

    return _chart(3.4, 2.3, draw)


def bars(values: np.ndarray, ylabel: str, top: float | None = None) -> Chart:
    """A bar for each cluster by number, or, where they are many, by size of the value.

    Args:
      values: [K]; NaN where there is none.
      ylabel: with its unit.
      top: of the axis; None for the largest value.
    """
    many = len(values) > _MOST_BARS

    def draw(axes, theme):
        places = np.arange(len(values))
        if many:
            axes.fill_between(places + 1, np.sort(values)[::-1], step="mid", color=theme.accent, linewidth=0)
        else:
            axes.bar(places, values, color=theme.accent, width=0.72)
            axes.set_xticks(places if len(values) <= _MOST_CELLS else places[::5])
        axes.set_ylim(0, top)
        axes.grid(True, axis="y")
        axes.set_xlabel("clusters, in descending order" if many else "cluster")
        axes.set_ylabel(ylabel)
        axes.tick_params(length=0)

    return _chart(4.6, 2.3, draw)


def scatter(points: np.ndarray, groups: np.ndarray, names: Sequence[Any] | np.ndarray, centres: np.ndarray) -> Chart:
    """Points of groups in a plane, with a group's name at its centre; the largest groups' where they are many.

    Args:
      points: [N, 2].
      groups: [N], integers in 0..G-1.
      names: [G].
      centres: [G, 2].
    """
    sizes = np.bincount(groups, minlength=len(names))
    named = np.argsort(-sizes, kind="stable")[:_MOST_NAMES]

    def draw(axes, theme):
        colour, marker = groups % len(theme.groups), groups // len(theme.groups) % len(_MARKERS)
        for style in np.unique(np.stack([colour, marker]), axis=1).T:
            x, y = points[(colour == style[0]) & (marker == style[1])].T
            axes.plot(
                *(x, y, _MARKERS[style[1]]), color=theme.groups[style[0]], markersize=2.6, alpha=0.75, markeredgewidth=0
            )
        halo = [withStroke(linewidth=2.6, foreground=theme.ground)]
        for group in named:
            axes.text(
                *(*centres[group], _short(names[group])),
                ha="center",
                va="center",
                size=11 if len(names) <= _MOST_CELLS else 8,
                weight="bold",
                path_effects=halo,
            )
        axes.set_aspect("equal", adjustable="datalim")
        axes.set_axis_off()

    return _chart(4.8, 4.4, draw)


def matrix(counts: np.ndarray, rows: Sequence[Any], columns: Sequence[Any], ylabel: str, xlabel: str) -> Chart:
    """Counts coloured by their share of the row: from 0 to 1, written in but for zeros, where they are few.

    Many are coloured from 0 to the largest share.

    Args:
      counts: [R, C].
      rows: [R], names.
      columns: [C], names.
      ylabel: of the rows.
      xlabel: of the columns.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    few = max(counts.shape) <= _MOST_CELLS
    names = [_short(name) for name in rows]

    def draw(axes, theme):
        colours = LinearSegmentedColormap.from_list("", [theme.ground, theme.accent])
        axes.imshow(shares, cmap=colours, vmin=0, vmax=1 if few else shares.max(), aspect="auto")
        if few:
            for row, column in np.argwhere(counts):
                ink = theme.ground if shares[row, column] > 0.5 else theme.ink
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


def _short(name):
    text = str(name)
    return text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1] + "…"
