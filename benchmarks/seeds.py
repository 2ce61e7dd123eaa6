"""A config over seeds: python -m benchmarks.seeds --config=configs/digits.py --seeds=0,1,2,3,4 --workdir=/tmp/digits.

Each seed is one run of main.py in its own folder below the workdir. A finished run is not trained again. The scores go
to benchmarks/results/, together with those of other seeds that were measured with the same settings and device.
`python -m benchmarks.readme` writes the README's tables from these records. Flags for main.py follow `--`.
"""

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks import arguments, provenance, records, text_tables
from vade_jax.runs.metrics_log import read_metrics

_CODE = "code.json"  # in a run's folder: the code that it was trained with
_COLUMNS = ("seed", "initial accuracy", "accuracy", "NMI", "ARI", "ELBO", "smallest cluster", "seconds")


def main() -> None:
    """Runs the seeds that are not finished and writes the record of all seeds."""
    options = make_parser(__doc__, default_seeds="0,1,2,3,4").parse_args()
    path = records.record_path("seeds", options.name, options.config)
    deadline = time.monotonic() + 60 * options.budget
    runs: list[dict[str, Any]] = []
    for run in measure(options.config, options.seeds, options.workdir, options.flags, deadline):
        runs.append(run)
        record = records.merge(records.read(path), records.make_record(options.config, options.flags, runs))
        records.write(path, record)
        save_figure(path.with_suffix(".png"), record)
    if runs:
        print(text_tables.aligned(_table(record["runs"])))
        print(f"wrote {path}")


def make_parser(description: str | None, default_seeds: str) -> argparse.ArgumentParser:
    """The command-line parser that the benchmarks over seeds share.

    Args:
      description: for --help.
      default_seeds: separated by commas.

    Returns:
      A parser of config, seeds, workdir, name, budget and flags.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, help="for example configs/digits.py")
    parser.add_argument("--seeds", type=arguments.integers, default=default_seeds, help="separated by commas")
    parser.add_argument("--workdir", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--name", help="name of the record; the config's name by default")
    parser.add_argument("--budget", type=float, default=math.inf, help="no run is started after this many minutes")
    parser.add_argument("flags", nargs="*", help="further flags of main.py, after --")
    return parser


def measure(
    config: str, seeds: Sequence[int], folder: Path, flags: Sequence[str], deadline: float = math.inf
) -> Iterator[dict[str, Any]]:
    """Runs main.py over seeds, one after the other.

    Args:
      config: the config's path.
      seeds: one run for each.
      folder: contains the folders of the runs, seed0, seed1 and so on.
      flags: further flags of main.py.
      deadline: as in time.monotonic(). After it no run is started, and only finished runs are read.

    Yields:
      The content of each run's results.json, with 'seed', 'commit', 'code' (None if it was not noted), 'settings'
      and 'stage_starts'. 'settings' are flat,
      without the seed, and None if the run failed before it wrote them. A failed run has 'failure'.
    """
    for seed in seeds:
        workdir = folder / f"seed{seed}"
        if (workdir / "results.json").exists() or time.monotonic() < deadline:
            yield _run(config, seed, workdir, flags)
        else:
            print(f"the time budget is used up: {workdir} was not run")


def _run(config: str, seed: int, workdir: Path, flags: Sequence[str]) -> dict[str, Any]:
    """One entry of `measure`, from a finished run or a new one."""
    command = [sys.executable, "main.py", f"--config={config}", f"--workdir={workdir}", f"--config.seed={seed}", *flags]
    path = workdir / "results.json"
    status = 0
    if not path.exists():
        workdir.mkdir(parents=True, exist_ok=True)
        (workdir / "commit.txt").write_text(records.commit())
        records.write(workdir / _CODE, provenance.code_of_run(config))
        status = subprocess.run(command, cwd=records.ROOT, check=False).returncode
    results = json.loads(path.read_text()) if path.exists() else {"failure": f"exit status {status}"}
    metrics = read_metrics(workdir / "metrics.jsonl")
    return {
        **results,
        "seed": seed,
        "commit": (workdir / "commit.txt").read_text(),
        provenance.CODE: records.read(workdir / _CODE),
        "settings": records.trained_settings(workdir / "config.json"),
        "stage_starts": {record["stage"]: record["total_epochs"] - record["epoch"] for record in metrics},
    }


def save_figure(path: Path, record: dict[str, Any]) -> None:
    """Draws the accuracy of the watched rows over epochs, one line for each seed.

    Nothing is written if no run has these accuracies.

    Args:
      path: the PNG to write.
      record: as `records.make_record` returns it.
    """
    runs = [run for run in records.finished(record["runs"]) if any(run.get("accuracy_by_epoch", []))]
    if not runs:
        return
    figure = Figure(figsize=(8, 3.6), dpi=120, layout="constrained")
    axes = figure.subplots()
    for run in runs:
        accuracies = [math.nan if value is None else value for value in run["accuracy_by_epoch"]]
        starts = list(run["stage_starts"].values())
        label = f"seed {run['seed']}"
        epochs = range(1, len(accuracies) + 1)
        axes.plot(epochs, accuracies, linewidth=0.8, marker="o", markersize=3, markevery=starts, label=label)
    axes.set_title(f"{record['config']}: a dot is the first epoch of a stage", fontsize="medium")
    axes.set_xlabel("epoch, pretraining included")
    axes.set_ylabel("accuracy of the watched rows")
    axes.grid(alpha=0.3)
    figure.legend(fontsize="small", ncols=5, loc="outside lower center")
    figure.savefig(path, metadata={"Software": None})


def _table(runs: Sequence[dict[str, Any]]) -> list[list[str]]:
    """A text table with one row for each run; the first row has the column names."""
    rows = [list(_COLUMNS)]
    for run in runs:
        if "failure" in run:
            rows.append([str(run["seed"]), run["failure"]])
            continue
        scores = [text_tables.number(run[name], 4) for name in ("initial_accuracy", "accuracy", "nmi", "ari")]
        smallest, seconds = str(min(run["occupancy"])), text_tables.number(run["seconds"]["total"], 0)
        rows.append([str(run["seed"]), *scores, text_tables.number(run["elbo"], 2), smallest, seconds])
    return rows


if __name__ == "__main__":
    main()
