"""The paper's comparison, from scratch: python -m benchmarks.table --workdir=/tmp/table --data=digits,har.

Methods x data sets x seeds: a run of main.py each, or a fit of scikit-learn's on the same rows, scaled as the model
sees them. The deep methods of a seed share one autoencoder, AE+GMM's or, with --autoencoders=/tmp/mnist, that of this
project's recipe, whose runs `python -m benchmarks.seeds` left there. What is finished is not run again. A record for
each data set goes to benchmarks/results/ after every run, and `python -m benchmarks.readme` writes the tables. The row
of this project's recipe is that of `python -m benchmarks.seeds`.
"""

import argparse
import math
import os
import platform
import statistics
import time
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from benchmarks import seeds
from benchmarks.rivals import CONFIGS, FIRST, METHODS, NOT_RUN, OURS, PUBLISHED, Deep, Shallow
from vade_jax.data import sources, splits
from vade_jax.data.scaling import SCALINGS
from vade_jax.reports import label_scores

_SCORES = ("accuracy", "nmi", "ari")
_COLUMNS = ("method", "seeds", "accuracy, median", "mean +- deviation", "worst", "best", "NMI", "ARI", "seconds")


def main() -> None:
    """Runs the cells that are not done and writes their records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", type=Path, required=True, help="a folder for the runs")
    run = [name for name in CONFIGS if name not in NOT_RUN]
    parser.add_argument("--data", type=_joined_by(","), default=run, help="joined by commas; those at hand by default")
    split, text = _joined_by(";"), "joined by semicolons, as some have a comma; all by default"
    parser.add_argument("--methods", type=split, default=list(METHODS), help=text)
    parser.add_argument("--seeds", type=seeds.integers, default="0,1,2", help="joined by commas")
    text = "a folder of benchmarks.seeds' runs on the one data set, whose autoencoders are taken; trained by default"
    parser.add_argument("--autoencoders", type=Path, help=text)
    parser.add_argument("--budget", type=float, default=math.inf, help="minutes after which no run is started")
    parser.add_argument("flags", nargs="*", help="further flags of main.py, after --")
    options = parser.parse_args()
    for kind, chosen, known in (("data", options.data, CONFIGS), ("methods", options.methods, METHODS)):
        if unknown := [name for name in chosen if name not in known]:
            parser.error(f"no such {kind}: {', '.join(unknown)}; there are {', '.join(known)}")
    if options.autoencoders and len(options.data) != 1:
        parser.error(f"--autoencoders are of one data set, not of {', '.join(options.data)}; name it with --data")
    deadline = time.monotonic() + 60 * options.budget
    for name in options.data:
        path = record_path(name)
        for method in options.methods:
            for seed in options.seeds:
                folder = options.workdir / Path(CONFIGS[name]).stem
                cell = measure(method, CONFIGS[name], seed, folder, options.flags, deadline, options.autoencoders)
                if cell:
                    seeds.write(path, with_run(seeds.read(path), CONFIGS[name], method, cell))
        print(f"{name}\n{seeds.aligned(rows(name))}")
    save_figure(seeds.RESULTS / "table.png")


def _joined_by(separator):
    return lambda text: text.split(separator)


def record_path(name: str) -> Path:
    """The record of a data set."""
    return seeds.record_path("table", None, CONFIGS[name])


def measure(
    method: str,
    config: str,
    seed: int,
    folder: Path,
    flags: Sequence[str],
    deadline: float,
    autoencoders: Path | None = None,
) -> dict[str, Any] | None:
    """One run of a method.

    Args:
      method: a key of METHODS.
      config: the data set's.
      seed: of the run.
      folder: of the data set's runs.
      flags: further ones of main.py, for every method.
      deadline: by time.monotonic(); later than that nothing is run.
      autoencoders: a folder of runs of the config, by seed, whose autoencoders are taken; None: AE+GMM trains them.

    Returns:
      'settings' (its own, by name), 'device' and 'versions', and 'run': 'seed', 'commit', the scores and 'seconds', or
      'failure'; None where it was not run.
    """
    how, place = METHODS[method], folder / _slug(method)
    if isinstance(how, Shallow):
        return _fit(how, config, seed, place / f"seed{seed}.json", flags, deadline)
    if autoencoders and method == FIRST:
        how = how._replace(shares=True)
    return _train(how, config, seed, place, (autoencoders or folder / _slug(FIRST)) / f"seed{seed}", flags, deadline)


def _fit(how: Shallow, config, seed, file, flags, deadline):
    if file.exists():
        return seeds.read(file)
    if time.monotonic() > deadline:
        return None
    settings = seeds.read_config(config, flags)
    rows, labels = _scaled(settings)
    if how.max_rows and len(rows) > how.max_rows:
        drawn = np.random.default_rng(seed).choice(len(rows), how.max_rows, replace=False)
        rows, labels = rows[drawn], labels[drawn]
    started = time.perf_counter()
    clusters = how.fit(rows, settings.model.num_clusters, seed)
    run = {
        "seed": seed,
        "commit": seeds.commit(),
        **label_scores.scores(labels, clusters),
        "seconds": round(time.perf_counter() - started, 1),
        "rows": len(rows),
    }
    cell = {
        "settings": {},
        "device": {"platform": "cpu", "kind": "cpu", "count": 1, "cpus": os.cpu_count()},
        "versions": {"python": platform.python_version(), "scikit-learn": metadata.version("scikit-learn")},
        "run": run,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    seeds.write(file, cell)
    return cell


def _scaled(settings):
    """The rows [N, D] as the model sees them, and their labels."""
    options = settings.data
    source = sources.load(options.name, options.path, options.dir)
    chosen = splits.select_split(source, options.train_split, "config.data.train_split")
    shift, scale = SCALINGS[options.scaling](chosen.x)
    return (chosen.x.astype(np.float32) - shift) * scale, chosen.labels


def _train(how: Deep, config, seed, folder, first, flags, deadline):
    own = [f"--config.{field}={value}" for field, value in how.flags.items()]
    if how.shares:
        if not (first / "results.json").exists():
            return None
        own.append(f"--config.pretrain.workdir={first}")
    for run in seeds.measure(config, [seed], folder, [*flags, *own], deadline):
        kept = {"seed": seed, "commit": run["commit"]}
        if "failure" in run:
            return {"settings": dict(how.flags), "device": None, "versions": None, "run": {**kept, **_failure(run)}}
        seconds = dict(run["seconds"])
        if how.shares:
            seconds["pretrain"] = (seeds.read(first / "results.json") or {})["seconds"]["pretrain"]
        spent = sum(value for name, value in seconds.items() if name not in ("total", "compile", "evaluate"))
        scores = run["initialization"] if how.scored == "found" else run
        return {
            "settings": dict(how.flags),
            "device": {**run["device"], "cpus": os.cpu_count()},
            "versions": run["versions"],
            "run": {**kept, **{name: scores[name] for name in _SCORES}, "seconds": round(spent, 1)},
        }
    return None


def _failure(run):
    return {name: run[name] for name in ("failure", "treatments") if name in run}


def _slug(method):
    return "".join(character if character.isalnum() else "_" for character in method.lower())


def with_run(earlier: dict[str, Any] | None, config: str, method: str, cell: dict[str, Any]) -> dict[str, Any]:
    """A record of a data set with one run more; earlier ones of the method stay where settings and device are the same.

    Args:
      earlier: the record so far, or None.
      config: the data set's.
      method: a key of METHODS.
      cell: as `measure` returns it.

    Returns:
      'config' and 'methods': name -> 'settings', 'device', 'versions' and 'runs' in the order of their seeds.
    """
    methods = (earlier or {}).get("methods", {})
    old = methods.get(method)
    run = cell["run"]
    runs = {run["seed"]: run}
    if old and old["settings"] == cell["settings"] and seeds.agree(old, cell, "device"):
        runs = {**{other["seed"]: other for other in old["runs"]}, **runs}
    entry = {
        "settings": cell["settings"],
        "device": cell["device"] or (old or {}).get("device"),
        "versions": cell["versions"] or (old or {}).get("versions"),
        "runs": [runs[seed] for seed in sorted(runs)],
    }
    return {"config": config, "methods": {**methods, method: entry}}


def methods_of(name: str) -> dict[str, list[dict[str, Any]]]:
    """The runs of each method on a data set, in the table's order; this project's are those of its config's seeds."""
    record = seeds.read(record_path(name)) or {"methods": {}}
    ours = seeds.read(seeds.record_path("seeds", None, CONFIGS[name])) or {"runs": []}
    runs = {method: record["methods"][method]["runs"] for method in METHODS if method in record["methods"]}
    if ours["runs"]:
        runs[OURS] = [{**run, "seconds": run["seconds"]["total"]} if "seconds" in run else run for run in ours["runs"]]
    return runs


def summarize(runs: Sequence[Mapping[str, Any]]) -> dict[str, float] | None:
    """What is told of a cell: medians of the scores and the seconds, mean, deviation, least and best accuracy.

    Args:
      runs: of a method on a data set.

    Returns:
      'accuracy', 'nmi', 'ari', 'seconds', 'mean', 'deviation' (0 of a single run), 'worst' and 'best'; None where every
      run failed.
    """
    ended = [run for run in runs if "failure" not in run]
    if not ended:
        return None
    accuracies = [run["accuracy"] for run in ended]
    return {
        **{name: statistics.median(run[name] for run in ended) for name in (*_SCORES, "seconds")},
        "mean": statistics.mean(accuracies),
        "deviation": statistics.stdev(accuracies) if len(ended) > 1 else 0.0,
        "worst": min(accuracies),
        "best": max(accuracies),
    }


def rows(name: str) -> list[list[str]]:
    """The cells of a data set as rows of text under their columns, published numbers of other runs beside them."""
    table = [[*_COLUMNS, "published"]]
    runs = methods_of(name)
    for method in [*METHODS, OURS, *(other for other in PUBLISHED if other not in METHODS)]:
        summary = summarize(runs.get(method, [])) or {}
        published = seeds.number(PUBLISHED.get(method, {}).get(name), 3)
        if not summary and published == "-":
            continue
        spread = f"{summary['mean']:.3f} +- {summary['deviation']:.3f}" if summary else "-"
        table.append(
            [
                method,
                seeds.count(runs[method]) if method in runs else NOT_RUN.get(name, "-"),
                seeds.number(summary.get("accuracy"), 3),
                spread,
                *(seeds.number(summary.get(key), 3) for key in ("worst", "best", "nmi", "ari")),
                seeds.number(summary.get("seconds"), 0),
                published,
            ]
        )
    return table


def save_figure(path: Path) -> None:
    """Draws the accuracy of every run, a panel for each data set; no file where nothing was run."""
    found = {name: runs for name in CONFIGS if (runs := methods_of(name))}
    if not found:
        return
    figure = Figure(figsize=(2.2 * len(found) + 2.4, 3.6), dpi=120, layout="constrained")
    panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    order = [method for method in [*METHODS, OURS] if any(method in runs for runs in found.values())]
    for axes, (name, runs) in zip(panels, found.items(), strict=True):
        for place, method in enumerate(order):
            accuracies = [run["accuracy"] for run in runs.get(method, []) if "failure" not in run]
            color = "tab:red" if method == OURS else "tab:blue"
            axes.plot(accuracies, [place] * len(accuracies), "o", color=color, alpha=0.6, markersize=4)
            if published := PUBLISHED.get(method, {}).get(name):
                axes.plot(published, place, "|", color="black", markersize=10)
        axes.set_title(name, fontsize="small")
        axes.grid(alpha=0.3)
        axes.tick_params(labelsize="x-small")
    panels[0].set_yticks(range(len(order)), order)
    panels[0].invert_yaxis()
    figure.supxlabel("accuracy; a dot is a run, a bar what was published", fontsize="small")
    figure.savefig(path, metadata={"Software": None})


if __name__ == "__main__":
    main()
