"""The tables and the figure of `benchmarks.waiting`, made from its record."""

import statistics
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks import markdown, records, text_tables
from benchmarks.waiting_parts import RIVALS

_PREDICT, _GROWTH = "predict", "growth"
_COLUMNS = ("rows", "contender", "runs", "accuracy", "ARI", "wall s", "CPU s", "peak MiB")
_PREDICT_COLUMNS = (
    "contender",
    "runs",
    "first row, ms",
    "later rows, ms each",
    "rows a second",
    "encoder alone",
    "share of the encoder's rate",
    "wall s",
    "CPU s",
    "peak MiB",
)
_GROWTH_COLUMNS = ("size", "from", "to", "wall s from", "wall s to", "exponent")
_NOT_MEASURED = "not measured"


def rows(record: dict[str, Any]) -> list[list[str]]:
    """Medians of every contender as a text table; the first row has the column names."""
    table = [list(_COLUMNS)]
    for name, part in record["parts"].items():
        if name == _PREDICT:
            continue
        for contender, runs in part["contenders"].items():
            cells = [records.count(runs), *_cells(runs, 3, "accuracy", "ari"), *_usage(runs)]
            table.append([_title(name, part), contender, *(_reason(runs) or cells)])
    return table


def prediction_rows(record: dict[str, Any]) -> list[list[str]]:
    """The part predict as a text table; the first row has the column names."""
    table = [list(_PREDICT_COLUMNS)]
    for contender, runs in record["parts"].get(_PREDICT, {"contenders": {}})["contenders"].items():
        rates = [f"{_median(runs, key) or 0:,.0f}" for key in ("rows_per_second", "encoder_rows_per_second")]
        times, share = _cells(runs, 1, "first_ms", "one_row_ms"), _cells(runs, 2, "share_of_encoder")
        cells = [records.count(runs), *times, *rates, *share, *_usage(runs)]
        table.append([contender, *(_reason(runs) or cells)])
    return table


def growth_rows(record: dict[str, Any]) -> list[list[str]]:
    """How wall seconds grow with each size, as a text table; the first row has the column names.

    The exponent is the slope of log seconds over log size, by least squares; 1 if the seconds are proportional to the
    size.
    """
    table = [list(_GROWTH_COLUMNS)]
    part = record["parts"].get(_GROWTH)
    if part is None:
        return table
    base = next(iter(part["sizes"].values()))
    for axis, name in enumerate("NDK"):
        seconds = {
            sizes[axis]: _median(part["contenders"][point], "wall_s")
            for point, sizes in part["sizes"].items()
            if [*sizes[:axis], *sizes[axis + 1 :]] == [*base[:axis], *base[axis + 1 :]]
        }
        measured = {size: value for size, value in sorted(seconds.items()) if value}
        if len(measured) > 1:
            slope = np.polyfit(np.log(list(measured)), np.log(list(measured.values())), 1)[0]
            ends = min(measured), max(measured)
            times = [text_tables.number(measured[end], 1) for end in ends]
            table.append([name, *(f"{end:,}" for end in ends), *times, text_tables.number(slope, 2)])
    return table


def text(record: dict[str, Any]) -> str:
    """All tables of a record that have rows, for the terminal."""
    tables = [make(record) for make in (rows, prediction_rows, growth_rows)]
    return "\n\n".join(text_tables.aligned(table) for table in tables if len(table) > 1)


def markdown_table() -> str:
    """All tables of all records in Markdown; '' without records."""
    tables = [markdown.machine_table("waiting", make) for make in (rows, prediction_rows, growth_rows)]
    return "\n".join(table for table in tables if table)


def _reason(runs: list[dict[str, Any]]) -> list[str]:
    """The cells of a contender without a run that ended: why; [] if there is such a run."""
    if records.finished(runs):
        return []
    return [records.count(runs), runs[-1]["failure"]] if runs else ["-", _NOT_MEASURED]


def _usage(runs: list[dict[str, Any]]) -> list[str]:
    return [*_cells(runs, 1, "wall_s", "cpu_s"), *_cells(runs, 0, "peak_mib")]


def _cells(runs: list[dict[str, Any]], digits: int, *names: str) -> list[str]:
    """The medians of these quantities as text; '-' for one that the runs do not have."""
    return [text_tables.number(_median(runs, name), digits) for name in names]


def _median(runs: list[dict[str, Any]], name: str) -> float | None:
    values = [run[name] for run in records.finished(runs) if name in run]
    return statistics.median(values) if values else None


def _title(name: str, part: dict[str, Any]) -> str:
    """A part's name, with its numbers of rows and columns where all contenders have the same rows."""
    return name if name == _GROWTH else f"{name}, {part['sizes'][0]:,} x {part['sizes'][1]:,}"


def save_figure(path: Path, record: dict[str, Any]) -> None:
    """Draws the wall seconds of every contender, one panel for each part; writes nothing if none was measured.

    Args:
      path: the PNG to write.
      record: as `waiting.with_part` returns it.
    """
    seconds = {
        _title(name, part): {
            contender: [run["wall_s"] for run in records.finished(runs)]
            for contender, runs in part["contenders"].items()
        }
        for name, part in record["parts"].items()
        if name != _PREDICT
    }
    measured = [wall for part in seconds.values() for runs in part.values() for wall in runs]
    if not measured:
        return
    heights = [len(part) for part in seconds.values()]
    figure = Figure(figsize=(8, 0.6 + 0.4 * len(seconds) + 0.26 * sum(heights)), dpi=110, layout="constrained")
    panels = figure.subplots(len(seconds), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    panels[0].set_xscale("log")
    panels[0].set_xlim(min(measured) / 2, 3 * max(measured))
    for axes, (title, part) in zip(panels, seconds.items(), strict=True):
        axes.set_title(title, fontsize="small", loc="left")
        _draw_part(axes, part)
    panels[-1].set_xlabel("wall seconds; a bar is the median, a dot is a run", fontsize="small")
    figure.savefig(path, metadata={"Software": None})


def _draw_part(axes: Axes, seconds: dict[str, list[float]]) -> None:
    """A bar for each contender, labelled with its median."""
    for height, (contender, runs) in enumerate(seconds.items()):
        if not runs:
            axes.text(axes.get_xlim()[0], height, f" {_NOT_MEASURED}", va="center", fontsize="x-small")
            continue
        median = statistics.median(runs)
        axes.barh(height, median, color="tab:blue" if contender in RIVALS else "tab:red", alpha=0.6)
        axes.plot(runs, [height] * len(runs), ".", color="black", markersize=3)
        axes.text(1.1 * max(runs), height, f"{median:.3g} s", va="center", fontsize="x-small")
    axes.set_yticks(range(len(seconds)), list(seconds))
    axes.set_ylim(len(seconds) - 0.5, -0.5)
    axes.grid(alpha=0.3, axis="x")
    axes.tick_params(labelsize="x-small")
