"""The table of `benchmarks.accelerator`. What was not measured says so."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import markdown, provenance, records, text_tables

FLOAT32 = "vade_jax in float32"  # a contender of its own: on a GPU the others multiply matrices in TF32
_NOT_MEASURED = "not measured"
_EPOCH_ROWS = 70_000
_ANY_GPU = "a GPU"  # heads the column of a device that nobody has measured

Record = dict[str, Any]


def _difference(precision: str, name: str) -> Callable[[Record], str | None]:
    """The largest difference of this name from the CPU in a precision."""

    def cell(record: Record) -> str | None:
        found = record["parts"].get("correctness", {}).get(precision, {}).get(name)
        return None if found is None else f"{max(found.values()) if isinstance(found, dict) else found:.1e}"

    return cell


def _contender(name: str, show: Callable[[Record, Record], str | None]) -> Callable[[Record], str | None]:
    """What `show` makes of a contender's entry and the whole part."""

    def cell(record: Record) -> str | None:
        part = record["parts"].get("speed", {})
        entry = part.get("contenders", {}).get(name, {})
        return show(entry, part) if "seconds_per_step" in entry else None

    return cell


def _step_ms(entry: Record, part: Record) -> str:
    return text_tables.number(1e3 * entry["seconds_per_step"], 3)


def _epoch_seconds(entry: Record, part: Record) -> str:
    return text_tables.number(entry["seconds_per_step"] * (_EPOCH_ROWS // part["batch_size"]), 2)


def _device_mib(entry: Record, _: object) -> str | None:
    peak = entry.get("peak_device_mib")
    return None if peak is None else f"{peak:,}"


def _whole_runs(name: str, show: Callable[[Record, Sequence[Record]], str | None]) -> Callable[[Record], str | None]:
    """What `show` makes of a part of whole runs and of its runs that ended."""

    def cell(record: Record) -> str | None:
        part = record["parts"].get(name, {})
        ended = [run for run in part.get("runs", []) if "accuracy" in run]
        return show(part, ended) if ended else None

    return cell


def _accuracies(part: Record, runs: Sequence[Record]) -> str:
    accuracies = [run["accuracy"] for run in runs]
    return f"{statistics.median(accuracies):.3f} ({min(accuracies):.3f}) of {len(runs)} runs of `{part['config']}`"


def _minutes(part: Record, runs: Sequence[Record]) -> str:
    return f"{part['wall_s'] / 60:.1f}"


def _shares(part: Record, runs: Sequence[Record]) -> str:
    return ", ".join(f"{name} {share:.0%}" for name, share in records.stage_shares(runs).items() if share >= 0.005)


# Title, and function of a record; None if it was not measured.
_CELLS: tuple[tuple[str, Callable[[Record], str | None]], ...] = (
    ("bounds: largest relative difference from a CPU, in float32", _difference("float32", "bounds")),
    ("the same in TF32", _difference("tensorfloat32", "bounds")),
    ("loss of an epoch: relative difference from a CPU, in float32", _difference("float32", "epoch_loss")),
    ("the same in TF32", _difference("tensorfloat32", "epoch_loss")),
    ("ms a step of 256 rows, in the device's own precision", _contender("vade_jax", _step_ms)),
    ("the same in float32", _contender(FLOAT32, _step_ms)),
    ("the same called batch by batch", _contender("jax_steps", _step_ms)),
    ("PyTorch", _contender("torch", _step_ms)),
    ("PyTorch, torch.compile", _contender("torch_compile", _step_ms)),
    ("16 runs in one program, a step of one of them", _contender("runs_side_by_side", _step_ms)),
    ("seconds an epoch of 70,000 rows", _contender("vade_jax", _epoch_seconds)),
    ("peak device memory of one run, MiB", _contender("vade_jax", _device_mib)),
    ("of PyTorch", _contender("torch", _device_mib)),
    ("of 16 runs in one program", _contender("runs_side_by_side", _device_mib)),
    ("whole runs side by side: median accuracy (worst)", _whole_runs("seeds", _accuracies)),
    ("minutes, all of them", _whole_runs("seeds", _minutes)),
    ("share of each stage", _whole_runs("seeds", _shares)),
    ("peak device memory, MiB", _whole_runs("seeds", _device_mib)),
    ("16 whole runs in one program from k-means: median accuracy (worst)", _whole_runs("sixteen", _accuracies)),
    ("minutes, all 16", _whole_runs("sixteen", _minutes)),
)


def rows(found: Sequence[Record]) -> list[list[str]]:
    """A text table with a column for each record; the first row has the column names."""
    devices = [_device_name(record["device"]) for record in found]
    lines = [[name, *(cell(record) or _NOT_MEASURED for record in found)] for name, cell in _CELLS]
    return [["measured", *devices], *lines]


def _device_name(device: Record | None) -> str:
    return f"{device['count']} {device['kind']}" if device else "-"


def markdown_table() -> str:
    """A Markdown table with a column for each device, and one that says 'not measured' while there is no GPU."""
    paths = sorted(records.RESULTS.glob("accelerator_*.json"))
    found = [record for path in paths if (record := records.read(path)) and not record["small"]]
    table = rows(found)
    table[0] = [table[0][0], *(name + provenance.mark(of) for name, of in zip(table[0][1:], found, strict=True))]
    if not any((record["device"] or {}).get("platform") == "gpu" for record in found):
        table = [[*line, _NOT_MEASURED if number else _ANY_GPU] for number, line in enumerate(table)]
    columns, *lines = table
    return markdown.table(columns, lines)
