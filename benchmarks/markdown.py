"""Cells and tables in Markdown."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from benchmarks import provenance, records, text_tables


def command(record: dict[str, Any]) -> str:
    """The config and the flags of a record, as code."""
    return f"`{' '.join([record['config'], *record['flags']])}`"


def age(record: dict[str, Any]) -> str:
    """A note for a record that was measured with other settings than its config's current ones; else ''."""
    return "" if records.is_of_today(record) else " (earlier settings)"


def numbers(summary: Mapping[str, Any], digits: int, *names: str) -> list[str]:
    """The named values of a summary as text; '-' for a missing one."""
    return [text_tables.number(summary.get(name), digits) for name in names]


def minutes(summary: Mapping[str, Any] | None) -> str:
    """The seconds of a summary as minutes; '-' without a summary."""
    return f"{summary['seconds'] / 60:.1f}" if summary else "-"


def device_name(device: dict[str, Any] | None) -> str:
    """The device of a record as text; '-' for None."""
    if device is None:
        return "-"
    return f"{device['cpus']} CPU cores" if device["platform"] == "cpu" else f"{device['count']} {device['kind']}"


def table(columns: Sequence[str], rows: Sequence[Iterable[str]]) -> str:
    """A table in Markdown; '' without rows."""
    return "".join(map(_row, [columns, ["---"] * len(columns), *rows])) if rows else ""


def marked(rows: Sequence[Sequence[str]], record: dict[str, Any]) -> list[list[str]]:
    """Rows with a mark on the first cell of those that were measured with older code.

    Args:
      rows: of a table. If the first cell is a key of the record, the row shows that part of it; else all of it.
      record: the record.
    """

    def mark(name: str) -> str:
        part = record.get(name)
        return provenance.mark(part if any(True for _ in provenance.codes(part)) else record)

    return [[name + mark(name), *cells] for name, *cells in rows]


def record_table(name: str, rows: Callable[[dict[str, Any]], list[list[str]]]) -> str:
    """The Markdown table of the record of this name, with the marks of older code; '' without a record.

    Args:
      name: of the record's file, without its ending.
      rows: the record, {} without one -> its table; the first row has the column names.
    """
    record = records.read(records.RESULTS / f"{name}.json") or {}
    columns, *found = rows(record)
    return table(columns, marked(found, record))


def machine_table(kind: str, rows: Callable[[dict[str, Any]], list[list[str]]]) -> str:
    """One Markdown table of all records of a kind, with the machine in each row; a row of a failure is padded."""
    full: list[list[str]] = []
    columns: list[str] = []
    for path in sorted(records.RESULTS.glob(f"{kind}_*.json")):
        record = records.read(path) or {}
        device = record.get("device") or "cpu"
        machine = f"{record['cpus']} cores, {record['processor']}" if device == "cpu" else device
        columns, *found = rows(record)
        machine += provenance.mark(record)
        full += [[machine, *row, *[""] * (len(columns) - len(row))] for row in found]
    return table(["machine", *columns], full)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"
