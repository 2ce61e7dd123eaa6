"""Writes the README's table of results from benchmarks/results/: python -m benchmarks.readme."""

import json
import statistics
from collections.abc import Iterable
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parent.parent / "README.md"
_BEGIN, _END = "<!-- results: written by python -m benchmarks.readme -->\n", "<!-- end of results -->"
_COLUMNS = (
    "config",
    "seeds",
    "accuracy, median",
    "worst",
    "best",
    "initialization, median",
    "NMI, median",
    "ELBO, median (nats)",
    "minutes a run",
    "device",
)


def table() -> str:
    """The table in Markdown, a row for each config that was run over seeds."""
    rows = [_row(_COLUMNS), _row("---" for _ in _COLUMNS)]
    for path in sorted(RESULTS.glob("seeds_*.json")):
        record = json.loads(path.read_text())
        runs = record["runs"]
        accuracies = [run["accuracy"] for run in runs]
        device = record["device"]
        kind = f"{device['cpus']} CPU cores" if device["platform"] == "cpu" else f"{device['count']} {device['kind']}"
        cells = [
            f"`{record['config']}`",
            str(len(runs)),
            f"{statistics.median(accuracies):.3f}",
            f"{min(accuracies):.3f}",
            f"{max(accuracies):.3f}",
            f"{statistics.median(run['initial_accuracy'] for run in runs):.3f}",
            f"{statistics.median(run['nmi'] for run in runs):.3f}",
            f"{statistics.median(run['elbo'] for run in runs):.2f}",
            f"{statistics.median(run['seconds']['total'] for run in runs) / 60:.1f}",
            kind,
        ]
        rows.append(_row(cells))
    return "".join(rows)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def with_table(readme: str) -> str:
    """The README's text with the table of today."""
    before, _, rest = readme.partition(_BEGIN)
    return before + _BEGIN + table() + _END + rest.partition(_END)[2]


if __name__ == "__main__":
    README.write_text(with_table(README.read_text()))
