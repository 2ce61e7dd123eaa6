"""Writes the tables of README.md and RESULTS.md from benchmarks/results/: python -m benchmarks.readme."""

import statistics
from collections.abc import Iterable
from pathlib import Path

from benchmarks import changes, checkpointing, criteria, faults, likelihood, rivals, scaling, seeds, speed, table
from benchmarks.selection import CRITERIA

README = Path(__file__).parent.parent / "README.md"
RESULTS = README.with_name("RESULTS.md")
_RESULTS_COLUMNS = (
    "config",
    "seeds",
    "accuracy, median",
    "worst",
    "best",
    "initialization, median",
    "final above initialization in the median",
    "NMI, median",
    "ELBO, median (nats)",
    "minutes a run",
    "device",
)
_ABLATION_COLUMNS = (
    "config",
    "cell",
    "changed",
    "seeds",
    "accuracy, median",
    "worst",
    "best",
    "initialization, median",
    "ELBO, median (nats)",
    "minutes a run",
)
_SELECTION_COLUMNS = (
    "config",
    "seeds",
    "accuracy, best",
    "median",
    *(f"picked by {name.replace('_', ' ')} (rank correlation)" for name in CRITERIA),
)
_CRITERIA_COLUMNS = (
    "config",
    "embeddings",
    "best candidate",
    *(f"median, of {count} component{'s' * (count > 1)} a cluster" for count in criteria.COMPONENTS),
    *(f"picked by {name.replace('_', ' ')} (rank correlation)" for name in criteria.CRITERIA),
)


# column -> what the names of its stages begin with.
_STAGES = {
    "load": "load",
    "autoencoder": "pretrain",
    "finding clusters": "initialize",
    "guide": "guide",
    "align": "align",
    "cluster": "cluster",
    "evaluation": "evaluate",
}


def with_tables(readme: str) -> str:
    """A page's text with the tables of today; what has no markers, or no record, stays as it is."""
    for name, make in _TABLES.items():
        begin, end = f"<!-- {name}: written by python -m benchmarks.readme -->\n", f"<!-- end of {name} -->"
        before, opening, rest = readme.partition(begin)
        _, closing, after = rest.partition(end)
        rows = make()
        if opening and closing and rows:
            readme = before + begin + rows + end + after
    return readme


def results_table() -> str:
    """The table in Markdown, a row for each config that was run over seeds; '' where none was."""
    rows = []
    for path in sorted(seeds.RESULTS.glob("seeds_*.json")):
        record = seeds.read(path) or {}
        summary = seeds.summarize(record["runs"]) or {}
        above = "-" if not summary else "yes" if summary["accuracy"] > summary["initial_accuracy"] else "no"
        rows.append(
            [
                _command(record) + _age(record),
                seeds.count(record["runs"]),
                *_numbers(summary, 3, "accuracy", "worst", "best", "initial_accuracy"),
                above,
                *_numbers(summary, 3, "nmi"),
                *_numbers(summary, 2, "elbo"),
                _minutes(summary),
                _device(record["device"]),
            ]
        )
    return _table(_RESULTS_COLUMNS, rows)


def stages_table() -> str:
    """The table in Markdown of each stage's median share of a run's seconds, a row for each config; '' for none."""
    rows = []
    for path in sorted(seeds.RESULTS.glob("seeds_*.json")):
        record = seeds.read(path) or {}
        ended = seeds.finished(record["runs"])
        if not ended or not seeds.is_of_today(record):
            continue
        shares = []
        for prefix in _STAGES.values():
            spent = [sum(t for name, t in run["seconds"].items() if name.startswith(prefix)) for run in ended]
            of_runs = [part / run["seconds"]["total"] for part, run in zip(spent, ended, strict=True)]
            shares.append(f"{statistics.median(of_runs):.0%}")
        rows.append([_command(record), seeds.count(record["runs"]), _minutes(seeds.summarize(ended)), *shares])
    return _table(["config", "seeds", "minutes a run", *_STAGES], rows)


def ablation_table() -> str:
    """The table in Markdown, a row for each cell of each ablation; '' where there is none."""
    rows = []
    for path in sorted(seeds.RESULTS.glob("ablation_*.json")):
        record = seeds.read(path) or {}
        for name, cell in record["cells"].items():
            summary = cell["summary"] or {}
            changes = " ".join(flag.removeprefix("--config.") for flag in cell["changes"])
            rows.append(
                [
                    _command(record),
                    name + _age(cell),
                    f"`{changes}`" if changes else "",
                    seeds.count(cell["runs"]),
                    *_numbers(summary, 3, "accuracy", "worst", "best", "initial_accuracy"),
                    *_numbers(summary, 2, "elbo"),
                    _minutes(summary),
                ]
            )
    return _table(_ABLATION_COLUMNS, rows)


def selection_table() -> str:
    """The table in Markdown, a row for each record that was asked; '' where none was."""
    rows = []
    for answer in (seeds.read(seeds.RESULTS / "selection.json") or {}).values():
        picks = [answer["criteria"].get(name) for name in CRITERIA]
        cells = [f"{pick['accuracy']:.3f} ({seeds.number(pick['spearman'], 2)})" if pick else "-" for pick in picks]
        rows.append([_command(answer), str(answer["runs"]), *_numbers(answer, 3, "best", "median"), *cells])
    return _table(_SELECTION_COLUMNS, rows)


def criteria_table() -> str:
    """The table in Markdown, a row for each config whose candidates were judged, means over embeddings; '' for none."""
    rows = []
    for path in sorted(seeds.RESULTS.glob("criteria_*.json")):
        record = seeds.read(path) or {}
        runs = record["runs"]
        found = [run["best"] for run in runs], *zip(*(run["medians"] for run in runs), strict=True)
        cells = [f"{statistics.mean(accuracies):.3f}" for accuracies in found]
        for name in criteria.CRITERIA:
            picks = [run["criteria"][name] for run in runs]
            accuracy, spearman = (statistics.mean(pick[key] for pick in picks) for key in ("accuracy", "spearman"))
            cells.append(f"{accuracy:.3f} ({spearman:.2f})")
        rows.append([_command({**record, "flags": []}), str(len(runs)), *cells])
    return _table(_CRITERIA_COLUMNS, rows)


def files_table() -> str:
    """The table in Markdown, a row for each file that was clustered with default settings; '' for none."""
    rows, columns = [], ["file", "rows x columns", "clusters"]
    for name, record in (seeds.read(seeds.RESULTS / "files.json") or {}).items():
        scores = record["scores"]
        columns[3:] = [f"{method}: accuracy, ARI" for method in scores]
        rows.append(
            [
                name.replace("_", " "),
                f"{record['rows']:,} x {record['columns']:,}",
                str(record["settings"]["model.num_clusters"]),
                *(", ".join(_numbers(of_method, 3, "accuracy", "ari")) for of_method in scores.values()),
                _minutes(seeds.summarize(record["runs"])),
            ]
        )
    return _table([*columns, "minutes"], rows)


def speed_table() -> str:
    """The table in Markdown, a row for each contender on each machine; '' where none was measured."""
    return _of_machines("speed", speed.rows)


def changes_table() -> str:
    """The table in Markdown, a row for each change on each machine; '' where none was measured."""
    return _of_machines("changes", changes.rows)


def scaling_table() -> str:
    """The table in Markdown, a row for each point on each machine; '' where none was measured."""
    return _of_machines("scaling", scaling.rows)


def checkpointing_table() -> str:
    """The table in Markdown, a row for each machine; '' where none was measured."""
    return _of_machines("checkpointing", checkpointing.rows)


def faults_table() -> str:
    """The table in Markdown, a row for each kind of fault; '' where no campaign was run."""
    record = seeds.read(seeds.RESULTS / "faults_cpu.json")
    if record is None:
        return ""
    columns, *found = faults.rows(record)
    return _table(columns, found)


def comparison_table() -> str:
    """The table in Markdown of each method's median accuracy on each data set, with the worst; '' for none."""
    found = {name: runs for name in rivals.CONFIGS if (runs := table.methods_of(name))}
    rows = []
    for method in [*rivals.METHODS, rivals.OURS]:
        summaries = [table.summarize(runs.get(method, [])) for runs in found.values()]
        cells = [f"{summary['accuracy']:.3f} ({summary['worst']:.3f})" if summary else "-" for summary in summaries]
        if any(summaries):
            rows.append([method, *cells])
    return _table(["method", *found], rows)


def cells_table() -> str:
    """The table in Markdown of every cell of the comparison, and of published numbers; '' for none."""
    rows = []
    for name in rivals.CONFIGS:
        if table.methods_of(name) or name in rivals.NOT_RUN:
            columns, *of_name = table.rows(name)
            rows += [[name, *row] for row in of_name]
    return _table(["data", *columns], rows) if rows else ""


def likelihood_table() -> str:
    """The table in Markdown of the bounds of log p(x) on rows that were not trained on; '' where none was measured."""
    table_rows = []
    for path in sorted(seeds.RESULTS.glob("likelihood_*.json")):
        record = seeds.read(path) or {}
        columns, *found = likelihood.rows(record)
        table_rows += [[_command(record), *row] for row in found]
    return _table(["command", *columns], table_rows) if table_rows else ""


def _of_machines(kind, rows):
    """One table of the records of a kind; the machine stands in each row, and a failure fills its row."""
    full: list[list[str]] = []
    columns: list[str] = []
    for path in sorted(seeds.RESULTS.glob(f"{kind}_*.json")):
        record = seeds.read(path) or {}
        device = record.get("device") or "cpu"
        machine = f"{record['cpus']} cores, {record['processor']}" if device == "cpu" else device
        columns, *found = rows(record)
        full += [[machine, *row, *[""] * (len(columns) - len(row))] for row in found]
    return _table(["machine", *columns], full)


# name of the markers -> function that returns the table between them.
_TABLES = {
    "results": results_table,
    "ablation": ablation_table,
    "selection": selection_table,
    "criteria": criteria_table,
    "files": files_table,
    "stages": stages_table,
    "speed": speed_table,
    "changes": changes_table,
    "scaling": scaling_table,
    "checkpointing": checkpointing_table,
    "faults": faults_table,
    "comparison": comparison_table,
    "cells": cells_table,
    "likelihood": likelihood_table,
}


def _command(record):
    return f"`{' '.join([record['config'], *record['flags']])}`"


def _age(record):
    return "" if seeds.is_of_today(record) else " (earlier settings)"


def _numbers(summary, digits, *names):
    return [seeds.number(summary.get(name), digits) for name in names]


def _minutes(summary):
    return f"{summary['seconds'] / 60:.1f}" if summary else "-"


def _device(device):
    if device is None:
        return "-"
    return f"{device['cpus']} CPU cores" if device["platform"] == "cpu" else f"{device['count']} {device['kind']}"


def _table(columns, rows):
    return "".join(map(_row, [columns, ["---"] * len(columns), *rows])) if rows else ""


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    for page in (README, RESULTS):
        page.write_text(with_tables(page.read_text()))
