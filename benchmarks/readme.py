"""Writes the tables of the pages from benchmarks/results/: python -m benchmarks.readme."""

import importlib
import statistics
from collections.abc import Callable

from benchmarks import (
    accelerator_tables,
    changes,
    checkpointing,
    criteria,
    faults,
    likelihood,
    markdown,
    notes,
    provenance,
    records,
    rivals,
    scaling,
    speed,
    table,
    text_tables,
    waiting_tables,
)
from benchmarks.selection import CRITERIA

_DOCS = ("ablation", "draws", "how_many_clusters", "probabilities", "results", "resuming", "speed", "unequal")
PAGES = [records.ROOT / name for name in ("README.md", "RESULTS.md", *(f"docs/{name}.md" for name in _DOCS))]
_RESULTS_COLUMNS = (
    "config",
    "seeds",
    "accuracy, median",
    "worst",
    "best",
    "initialization, median",
    "final above initialization in the median",
    "balanced accuracy, median",
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


def with_tables(readme: str) -> str:
    """A page's text with its tables written again; a table without markers or without a record is left as it is."""
    for name, make in _TABLES.items():
        begin, end = f"<!-- {name}: written by python -m benchmarks.readme -->\n", f"<!-- end of {name} -->"
        before, opening, rest = readme.partition(begin)
        _, closing, after = rest.partition(end)
        rows = make()
        if opening and closing and rows:
            readme = before + begin + rows + notes.below(name, rows) + end + after
    return readme


def results_table() -> str:
    """A Markdown table with a row for each config that was run over seeds; '' without records."""
    rows = []
    for path in sorted(records.RESULTS.glob("seeds_*.json")):
        record = records.read(path) or {}
        summary = records.summarize(record["runs"]) or {}
        above = "-" if not summary else "yes" if summary["accuracy"] > summary["initial_accuracy"] else "no"
        rows.append(
            [
                markdown.command(record) + markdown.age(record) + provenance.mark(record),
                records.count(record["runs"]),
                *markdown.numbers(summary, 3, "accuracy", "worst", "best", "initial_accuracy"),
                above,
                *markdown.numbers(summary, 3, "balanced_accuracy", "nmi"),
                *markdown.numbers(summary, 2, "elbo"),
                markdown.minutes(summary),
                markdown.device_name(record["device"]),
            ]
        )
    return markdown.table(_RESULTS_COLUMNS, rows)


def stages_table() -> str:
    """A Markdown table of each stage's median share of a run's time, a row for each config; '' without records."""
    rows = []
    for path in sorted(records.RESULTS.glob("seeds_*.json")):
        record = records.read(path) or {}
        ended = records.finished(record["runs"])
        if not ended or not records.is_of_today(record):
            continue
        rows.append(
            [
                markdown.command(record) + provenance.mark(record),
                records.count(record["runs"]),
                markdown.minutes(records.summarize(ended)),
                *(f"{share:.0%}" for share in records.stage_shares(ended).values()),
            ]
        )
    return markdown.table(["config", "seeds", "minutes a run", *records.STAGES], rows)


def ablation_table() -> str:
    """A Markdown table with a row for each cell of each ablation; '' without records."""
    rows = []
    for path in sorted(records.RESULTS.glob("ablation_*.json")):
        record = records.read(path) or {}
        for name, cell in record["cells"].items():
            summary = cell["summary"] or {}
            changes = " ".join(flag.removeprefix("--config.") for flag in cell["changes"])
            rows.append(
                [
                    markdown.command(record),
                    name + markdown.age(cell) + provenance.mark(cell),
                    f"`{changes}`" if changes else "",
                    records.count(cell["runs"]),
                    *markdown.numbers(summary, 3, "accuracy", "worst", "best", "initial_accuracy"),
                    *markdown.numbers(summary, 2, "elbo"),
                    markdown.minutes(summary),
                ]
            )
    return markdown.table(_ABLATION_COLUMNS, rows)


def selection_table() -> str:
    """A Markdown table of what each criterion selects, a row for each config; '' without records."""
    rows = []
    for name, answer in (records.read(records.RESULTS / "selection.json") or {}).items():
        mark = provenance.mark(records.read(records.RESULTS / f"seeds_{name}.json"))
        picks = [answer["criteria"].get(name) for name in CRITERIA]
        cells = [
            f"{pick['accuracy']:.3f} ({text_tables.number(pick['spearman'], 2)})" if pick else "-" for pick in picks
        ]
        rows.append(
            [
                markdown.command(answer) + mark,
                str(answer["runs"]),
                *markdown.numbers(answer, 3, "best", "median"),
                *cells,
            ]
        )
    return markdown.table(_SELECTION_COLUMNS, rows)


def criteria_table() -> str:
    """A Markdown table of how criteria rank candidates, means over embeddings; '' without records."""
    rows = []
    for path in sorted(records.RESULTS.glob("criteria_*.json")):
        record = records.read(path) or {}
        runs = record["runs"]
        found = [run["best"] for run in runs], *zip(*(run["medians"] for run in runs), strict=True)
        cells = [f"{statistics.mean(accuracies):.3f}" for accuracies in found]
        for name in criteria.CRITERIA:
            picks = [run["criteria"][name] for run in runs]
            accuracy, spearman = (statistics.mean(pick[key] for pick in picks) for key in ("accuracy", "spearman"))
            cells.append(f"{accuracy:.3f} ({spearman:.2f})")
        rows.append([markdown.command({**record, "flags": []}) + provenance.mark(record), str(len(runs)), *cells])
    return markdown.table(_CRITERIA_COLUMNS, rows)


def files_table() -> str:
    """A Markdown table with a row for each file clustered with default settings; '' without records."""
    rows, columns = [], ["file", "rows x columns", "clusters"]
    for name, record in (records.read(records.RESULTS / "files.json") or {}).items():
        scores = record["scores"]
        columns[3:] = [f"{method}: accuracy, ARI" for method in scores]
        rows.append(
            [
                name.replace("_", " ") + provenance.mark(record),
                f"{record['rows']:,} x {record['columns']:,}",
                str(record["settings"]["model.num_clusters"]),
                *(", ".join(markdown.numbers(of_method, 3, "accuracy", "ari")) for of_method in scores.values()),
                markdown.minutes(records.summarize(record["runs"])),
            ]
        )
    return markdown.table([*columns, "minutes"], rows)


def speed_table() -> str:
    """A Markdown table with a row for each contender on each machine; '' without records."""
    return markdown.machine_table("speed", speed.rows)


def changes_table() -> str:
    """A Markdown table with a row for each change on each machine; '' without records."""
    return markdown.machine_table("changes", changes.rows)


def scaling_table() -> str:
    """A Markdown table with a row for each point on each machine; '' without records."""
    return markdown.machine_table("scaling", scaling.rows)


def checkpointing_table() -> str:
    """A Markdown table with a row for each machine; '' without records."""
    return markdown.machine_table("checkpointing", checkpointing.rows)


def faults_table() -> str:
    """A Markdown table with a row for each kind of fault; '' without a record."""
    record = records.read(records.RESULTS / "faults_cpu.json")
    columns, *found = faults.rows(record) if record else [[]]
    return markdown.table(columns, markdown.marked(found, record or {}))


def comparison_table() -> str:
    """A Markdown table of each method's median and worst accuracy on each data set; '' without records."""
    found = {name: runs for name in rivals.CONFIGS if (runs := table.methods_of(name))}
    rows = []
    for method in [*rivals.METHODS, rivals.OURS]:
        summaries = [table.summarize(runs.get(method, [])) for runs in found.values()]
        cells = [f"{summary['accuracy']:.3f} ({summary['worst']:.3f})" if summary else "-" for summary in summaries]
        if any(summaries):
            measured = [runs[method] for runs in found.values() if method in runs]
            rows.append([method + provenance.mark(measured), *cells])
    return markdown.table(["method", *found], rows)


def cells_table() -> str:
    """A Markdown table of every cell of the comparison, with published numbers; '' without records."""
    rows = []
    for name in rivals.CONFIGS:
        if table.methods_of(name) or name in rivals.NOT_RUN:
            columns, *of_name = table.rows(name)
            runs = table.methods_of(name)
            marks = {method: provenance.mark(of_method) for method, of_method in runs.items()}
            rows += [[name, method + marks.get(method, ""), *cells] for method, *cells in of_name]
    return markdown.table(["data", *columns], rows) if rows else ""


def likelihood_table() -> str:
    """A Markdown table of the bounds of log p(x) on test rows; '' without records."""
    table_rows = []
    for path in sorted(records.RESULTS.glob("likelihood_*.json")):
        record = records.read(path) or {}
        columns, *found = likelihood.rows(record)
        table_rows += [[markdown.command(record) + provenance.mark(record), *row] for row in found]
    return markdown.table(["command", *columns], table_rows) if table_rows else ""


# name of the markers -> function that returns the table to write between them.
_TABLES: dict[str, Callable[[], str]] = {
    "results": results_table,
    "ablation": ablation_table,
    "selection": selection_table,
    "criteria": criteria_table,
    "files": files_table,
    "stages": stages_table,
    "speed": speed_table,
    "waiting": waiting_tables.markdown_table,
    "changes": changes_table,
    "scaling": scaling_table,
    "checkpointing": checkpointing_table,
    "faults": faults_table,
    "overview": table.overview_table,
    "comparison": comparison_table,
    "cells": cells_table,
    "likelihood": likelihood_table,
    "accelerator": accelerator_tables.markdown_table,
}
_MODULES_WITH_A_TABLE = (
    "calibration",
    "covariates",
    "draws",
    "gaps",
    "judges",
    "long_process",
    "mixed",
    "num_clusters",
    "outliers",
    "unequal",
)
_TABLES |= {name: importlib.import_module(f"benchmarks.{name}").markdown_table for name in _MODULES_WITH_A_TABLE}


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(with_tables(page.read_text()))
