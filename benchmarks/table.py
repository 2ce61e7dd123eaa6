"""The paper's comparison, from scratch: python -m benchmarks.table --workdir=/tmp/table --data=digits,har.

Every method runs on every data set with every seed: as a run of main.py, or as a scikit-learn estimator on the same
scaled rows. The deep methods of a seed share one autoencoder. It is that of AE+GMM, or with --autoencoders=/tmp/mnist
that of this project's recipe, from runs of `python -m benchmarks.seeds` in that folder. Finished runs are not repeated.
A record for each data set is written to benchmarks/results/ after every run. `python -m benchmarks.readme` writes the
tables. The numbers of this project's recipe are those of `python -m benchmarks.seeds`.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks import arguments, markdown, provenance, records, text_tables
from benchmarks.rival_runs import SCORES, measure
from benchmarks.rivals import CONFIGS, METHODS, NOT_RUN, OURS, PUBLISHED

# method -> its name in the overview
_OVERVIEW = {
    "KMeans": "KMeans",
    "AE+GMM": "autoencoder, mixture",
    "AE+UMAP+GMM (N2D)": "the same on UMAP",
    OURS: "vade-jax",
}
_COLUMNS = ("method", "seeds", "accuracy, median", "mean +- deviation", "worst", "best", "NMI", "ARI", "seconds")


def main() -> None:
    """Runs the cells that are not finished and writes their records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", type=Path, required=True, help="folder for the runs")
    run = [name for name in CONFIGS if name not in NOT_RUN]
    parser.add_argument(
        "--data",
        type=_split_at(","),
        default=run,
        help="separated by commas; by default all but those that need a download",
    )
    split, text = _split_at(";"), "separated by semicolons, because some names contain a comma; all by default"
    parser.add_argument("--methods", type=split, default=list(METHODS), help=text)
    parser.add_argument("--seeds", type=arguments.integers, default="0,1,2", help="separated by commas")
    text = "workdir of benchmarks.seeds on the same data set, to use its autoencoders; by default they are trained"
    parser.add_argument("--autoencoders", type=Path, help=text)
    parser.add_argument("--budget", type=float, default=math.inf, help="no run is started after this many minutes")
    parser.add_argument("flags", nargs="*", help="further flags of main.py, after --")
    options = parser.parse_args()
    for kind, chosen, known in (("data", options.data, CONFIGS), ("methods", options.methods, METHODS)):
        if unknown := [name for name in chosen if name not in known]:
            parser.error(f"unknown {kind}: {', '.join(unknown)}. Choose from {', '.join(known)}")
    if options.autoencoders and len(options.data) != 1:
        parser.error(f"--autoencoders needs one data set, got {', '.join(options.data)}. Name it with --data")
    deadline = time.monotonic() + 60 * options.budget
    for name in options.data:
        path = record_path(name)
        for method in options.methods:
            for seed in options.seeds:
                folder = options.workdir / Path(CONFIGS[name]).stem
                cell = measure(method, CONFIGS[name], seed, folder, options.flags, deadline, options.autoencoders)
                if cell:
                    records.write(path, with_run(records.read(path), CONFIGS[name], method, cell))
        print(f"{name}\n{text_tables.aligned(rows(name))}")
    save_figure(records.RESULTS / "table.png")


def _split_at(separator: str) -> Callable[[str], list[str]]:
    return lambda text: text.split(separator)


def record_path(name: str) -> Path:
    """The path of a data set's record."""
    return records.record_path("table", None, CONFIGS[name])


def with_run(earlier: dict[str, Any] | None, config: str, method: str, cell: dict[str, Any]) -> dict[str, Any]:
    """Adds a run to a data set's record.

    Earlier runs of the method are kept if settings and device are the same.

    Args:
      earlier: the record so far, or None.
      config: path of the data set's config.
      method: a key of METHODS.
      cell: as `measure` returns it.

    Returns:
      'config' and 'methods': name -> 'settings', 'device', 'versions' and 'runs' sorted by seed.
    """
    methods = (earlier or {}).get("methods", {})
    old = methods.get(method)
    run = cell["run"]
    runs = {run["seed"]: run}
    if old and old["settings"] == cell["settings"] and records.agree(old, cell, "device"):
        runs = {**{other["seed"]: other for other in old["runs"]}, **runs}
    entry = {
        "settings": cell["settings"],
        "device": cell["device"] or (old or {}).get("device"),
        "versions": cell["versions"] or (old or {}).get("versions"),
        "runs": [runs[seed] for seed in sorted(runs)],
    }
    return {"config": config, "methods": {**methods, method: entry}}


def methods_of(name: str) -> dict[str, list[dict[str, Any]]]:
    """The runs of each method on a data set, in the table's order; OURS are the runs of `benchmarks.seeds`."""
    record = records.read(record_path(name)) or {"methods": {}}
    ours = records.read(records.record_path("seeds", None, CONFIGS[name])) or {"runs": []}
    runs = {method: record["methods"][method]["runs"] for method in METHODS if method in record["methods"]}
    if ours["runs"]:
        runs[OURS] = [{**run, "seconds": run["seconds"]["total"]} if "seconds" in run else run for run in ours["runs"]]
    return runs


def summarize(runs: Sequence[Mapping[str, Any]]) -> dict[str, float] | None:
    """Statistics of a method's runs on a data set.

    Args:
      runs: as in `methods_of`.

    Returns:
      'accuracy', 'nmi', 'ari' and 'seconds' are medians; 'mean', 'deviation' (0 for a single run), 'worst' and 'best'
      are those of the accuracy. None if every run failed.
    """
    ended = [run for run in runs if "failure" not in run]
    if not ended:
        return None
    accuracies = [run["accuracy"] for run in ended]
    return {
        **{name: statistics.median(run[name] for run in ended) for name in (*SCORES, "seconds")},
        "mean": statistics.mean(accuracies),
        "deviation": statistics.stdev(accuracies) if len(ended) > 1 else 0.0,
        "worst": min(accuracies),
        "best": max(accuracies),
    }


def rows(name: str) -> list[list[str]]:
    """A data set's cells and published numbers as a text table; the first row has the column names."""
    table = [[*_COLUMNS, "published"]]
    runs = methods_of(name)
    for method in [*METHODS, OURS, *(other for other in PUBLISHED if other not in METHODS)]:
        summary = summarize(runs.get(method, [])) or {}
        published = text_tables.number(PUBLISHED.get(method, {}).get(name), 3)
        if not summary and published == "-":
            continue
        spread = f"{summary['mean']:.3f} +- {summary['deviation']:.3f}" if summary else "-"
        table.append(
            [
                method,
                records.count(runs[method]) if method in runs else NOT_RUN.get(name, "-"),
                text_tables.number(summary.get("accuracy"), 3),
                spread,
                *(text_tables.number(summary.get(key), 3) for key in ("worst", "best", "nmi", "ari")),
                text_tables.number(summary.get("seconds"), 0),
                published,
            ]
        )
    return table


def overview_table() -> str:
    """A Markdown table of four methods' median and worst accuracy on each data set; '' without records.

    The minutes are those of this project's recipe.
    """
    lines = []
    for name in CONFIGS:
        runs = methods_of(name)
        summaries = {method: summarize(runs.get(method, [])) for method in _OVERVIEW}
        ours = summaries[OURS]
        if ours:
            count = max((run["rows"] for of_method in runs.values() for run in of_method if "rows" in run), default=0)
            cells = [
                f"{found['accuracy']:.3f} ({found['worst']:.3f})" if found else "-" for found in summaries.values()
            ]
            mark = provenance.mark([runs[method] for method in _OVERVIEW if method in runs])
            lines.append([(f"{name}, {count:,} rows" if count else name) + mark, *cells, f"{ours['seconds'] / 60:.0f}"])
    return markdown.table(["data", *_OVERVIEW.values(), "minutes"], lines)


def save_figure(path: Path) -> None:
    """Draws the accuracy of every run, one panel for each data set; writes nothing if there are no runs."""
    found = {name: runs for name in CONFIGS if (runs := methods_of(name))}
    if not found:
        return
    figure = Figure(figsize=(2.2 * len(found) + 2.4, 3.6), dpi=120, layout="constrained")
    panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    order = [method for method in [*METHODS, OURS] if any(method in runs for runs in found.values())]
    for axes, (name, runs) in zip(panels, found.items(), strict=True):
        for height, method in enumerate(order):
            accuracies = [run["accuracy"] for run in runs.get(method, []) if "failure" not in run]
            color = "tab:red" if method == OURS else "tab:blue"
            axes.plot(accuracies, [height] * len(accuracies), "o", color=color, alpha=0.6, markersize=4)
            if published := PUBLISHED.get(method, {}).get(name):
                axes.plot(published, height, "|", color="black", markersize=10)
        axes.set_title(name, fontsize="small")
        axes.grid(alpha=0.3)
        axes.tick_params(labelsize="x-small")
    panels[0].set_yticks(range(len(order)), order)
    panels[0].invert_yaxis()
    figure.supxlabel("accuracy; a dot is a run, a bar is a published number", fontsize="small")
    figure.savefig(path, metadata={"Software": None})


if __name__ == "__main__":
    main()
