"""A config over seeds: python -m benchmarks.seeds --config=configs/digits.py --seeds=0,1,2,3,4 --workdir=/tmp/digits.

Each seed is one run of main.py in its own folder below the workdir; a finished one is not trained again. The scores go
to benchmarks/results/, beside those of other seeds that were measured alike, and `python -m benchmarks.readme` writes
the README's tables from there. Flags for main.py follow `--`.
"""

import argparse
import json
import math
import os
import re
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from absl.flags import FlagValues
from matplotlib.figure import Figure
from ml_collections import ConfigDict, config_flags
from scipy.stats import entropy

from vade_jax.runs.metrics_log import read_metrics
from vade_jax.runs.workdir import settings_that_change_training

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
_SCORES = ("seed", "commit", "accuracy", "nmi", "ari", "elbo", "log_likelihood", "occupancy")
_FLAT = re.compile(r"([\[{])\n\s*([^\[\]{}]*?)\n\s*([\]}])")  # in indented JSON, where no text holds a line break
_COLUMNS = ("seed", "initial accuracy", "accuracy", "NMI", "ARI", "ELBO", "smallest cluster", "seconds")


def main() -> None:
    """Runs the seeds that are not done and writes the record of all."""
    options = make_parser(__doc__, default_seeds="0,1,2,3,4").parse_args()
    path = record_path("seeds", options.name, options.config)
    deadline = time.monotonic() + 60 * options.budget
    runs: list[dict[str, Any]] = []
    for run in measure(options.config, options.seeds, options.workdir, options.flags, deadline):
        runs.append(run)
        record = merge(read(path), make_record(options.config, options.flags, runs))
        write(path, record)
        save_figure(path.with_suffix(".png"), record)
    if runs:
        print(aligned(_table(record["runs"])))
        print(f"wrote {path}")


def make_parser(description: str | None, default_seeds: str) -> argparse.ArgumentParser:
    """The options of a campaign.

    Args:
      description: for --help.
      default_seeds: joined by commas.

    Returns:
      A parser of config, seeds, workdir, name, budget and flags.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, help="such as configs/digits.py")
    parser.add_argument("--seeds", type=integers, default=default_seeds, help="joined by commas")
    parser.add_argument("--workdir", type=Path, required=True, help="a folder for the runs")
    parser.add_argument("--name", help="of the record; the config's by default")
    parser.add_argument("--budget", type=float, default=math.inf, help="minutes after which no run is started")
    parser.add_argument("flags", nargs="*", help="further flags of main.py, after --")
    return parser


def integers(text: str) -> list[int]:
    """Numbers joined by commas."""
    return [int(number) for number in text.split(",")]


def record_path(kind: str, name: str | None, config: str) -> Path:
    """The file of a record, by its own name or its config's."""
    return RESULTS / f"{kind}_{name or Path(config).stem}.json"


def measure(
    config: str, seeds: Sequence[int], folder: Path, flags: Sequence[str], deadline: float = math.inf
) -> Iterator[dict[str, Any]]:
    """Runs main.py over seeds, one after the other.

    Args:
      config: the config's path.
      seeds: a run each, in a folder of its own.
      folder: the runs' folders lie in it.
      flags: further flags of main.py.
      deadline: by time.monotonic(); later than that no run is started, and only finished ones are read.

    Yields:
      The content of a results.json, with 'seed', 'commit', 'settings' (flat, without the seed; None where a run did not
      get so far) and 'stage_starts'; with 'failure' where the run failed.
    """
    for seed in seeds:
        workdir = folder / f"seed{seed}"
        if (workdir / "results.json").exists() or time.monotonic() < deadline:
            yield _run(config, seed, workdir, flags)
        else:
            print(f"the budget is spent: {workdir} is not run")


def _run(config, seed, workdir, flags):
    command = [sys.executable, "main.py", f"--config={config}", f"--workdir={workdir}", f"--config.seed={seed}", *flags]
    path = workdir / "results.json"
    status = 0
    if not path.exists():
        workdir.mkdir(parents=True, exist_ok=True)
        (workdir / "commit.txt").write_text(commit())
        status = subprocess.run(command, cwd=ROOT, check=False).returncode
    results = json.loads(path.read_text()) if path.exists() else {"failure": f"exit status {status}"}
    metrics = read_metrics(workdir / "metrics.jsonl")
    return {
        **results,
        "seed": seed,
        "commit": (workdir / "commit.txt").read_text(),
        "settings": _settings(workdir / "config.json"),
        "stage_starts": {record["stage"]: record["total_epochs"] - record["epoch"] for record in metrics},
    }


def _settings(path):
    """What a run was trained with, but its seed."""
    return _without_seed(json.loads(path.read_text())) if path.exists() else None


def _without_seed(settings):
    return {name: value for name, value in settings_that_change_training(settings).items() if name != "seed"}


def read_config(path: str, flags: Sequence[str]) -> ConfigDict:
    """The config with the flags on it, as main.py reads it."""
    values = FlagValues()
    argv = ["main.py", f"--config={path}", *flags]
    config_flags.DEFINE_config_file("config", flag_values=values, sys_argv=argv)
    with warnings.catch_warnings():  # ml_collections imports a config by a call that Python is about to drop
        warnings.simplefilter("ignore", DeprecationWarning)
        values(argv, known_only=True)
    return values.config


def is_of_today(record: dict[str, Any]) -> bool:
    """Whether a record was measured with the settings that its config has now, but for fields that came since."""
    today = _without_seed(json.loads(read_config(record["config"], record["flags"]).to_json()))
    return agree(record, {"settings": today}, "settings")


def commit() -> str:
    """The commit that was measured; 'dirty' where the code differs from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    changed = git("status", "--porcelain", "--", "vade_jax", "configs", "main.py")
    return git("rev-parse", "HEAD") + (" dirty" if changed else "")


def make_record(config: str, flags: Sequence[str], runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The record of runs of one config and the same flags.

    Args:
      config: the config's path.
      flags: further flags of main.py.
      runs: as `measure` yields them.

    Returns:
      'config', 'flags', 'settings', 'device' and 'versions' of the last run that ended well (None where none did), and
      'runs' in the order of their seeds.
    """
    origin = next((run for run in reversed(runs) if "failure" not in run), None)
    return {
        "config": config,
        "flags": list(flags),
        "settings": origin["settings"] if origin else None,
        "device": {**origin["device"], "cpus": os.cpu_count()} if origin else None,
        "versions": origin["versions"] if origin else None,
        "runs": sorted(map(_entry, runs), key=lambda run: run["seed"]),
    }


def _entry(run):
    """What the record keeps of a run."""
    if "failure" in run:
        kept = {name: run[name] for name in ("seed", "commit", "failure")}
        return {**kept, "treatments": run.get("treatments", [])}
    return {
        **{name: run[name] for name in _SCORES},
        **_criteria(run),
        "initial_accuracy": run["initialization"]["accuracy"],
        "rounds": [found["accuracy"] for found in run["rounds"]],
        "accuracy_by_epoch": [None if value is None else round(value, 4) for value in run["accuracy_by_epoch"]],
        "stage_starts": run["stage_starts"],
        "treatments": run["treatments"],
        "seconds": {name: round(value, 1) for name, value in run["seconds"].items()},
    }


def _criteria(run):
    """What could tell a good run from a bad one without labels, besides its bounds; higher is better."""
    spread = float(entropy(run["occupancy"]))  # of the clusters' shares of the rows, nats
    return {
        "occupancy_entropy": spread,
        "elbo_equal_weights": run["elbo"] + spread,
        "modularity": run["input_modularity"],
    }


def merge(earlier: dict[str, Any] | None, record: dict[str, Any]) -> dict[str, Any]:
    """A record with an earlier one's runs of other seeds.

    Args:
      earlier: a record, or None.
      record: the new one, whose runs replace the earlier ones of their seeds.

    Returns:
      The new record, with the earlier runs where config, flags, settings and device are the same; such a run names its
      versions where they were others.
    """
    if earlier is None or not all(agree(earlier, record, name) for name in ("device", "settings")):
        return record
    if any(earlier[name] != record[name] for name in ("config", "flags")):
        return record
    versions = record["versions"] or earlier["versions"]
    stamp = {} if earlier["versions"] in (None, versions) else {"versions": earlier["versions"]}
    runs = {run["seed"]: run for run in [*({**stamp, **run} for run in earlier["runs"]), *record["runs"]]}
    return {
        **record,
        "settings": record["settings"] or earlier.get("settings"),
        "device": record["device"] or earlier["device"],
        "versions": versions,
        "runs": [runs[seed] for seed in sorted(runs)],
    }


def agree(earlier: dict[str, Any], record: dict[str, Any], name: str) -> bool:
    """Whether two records hold the same under a name, but for fields that came since.

    One of failed runs alone holds None, which suits any.
    """
    old, new = earlier.get(name, {"": None}), record[name]  # {"": None}: of before records had it
    return old is None or new is None or old.items() <= new.items()


def read(path: Path) -> dict[str, Any] | None:
    """The record in a file, None where there is no file."""
    return json.loads(path.read_text()) if path.exists() else None


def write(path: Path, record: dict[str, Any]) -> None:
    """Writes a record as JSON, lists and objects without others in them on one line."""
    text = _FLAT.sub(lambda match: match[1] + re.sub(r"\n\s*", " ", match[2]) + match[3], json.dumps(record, indent=1))
    path.write_text(text + "\n")


def finished(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The runs that did not fail."""
    return [run for run in runs if "failure" not in run]


def count(runs: Sequence[dict[str, Any]]) -> str:
    """The number of runs in words: '5', or '4 of 5' where one failed."""
    ended = len(finished(runs))
    return str(ended) if ended == len(runs) else f"{ended} of {len(runs)}"


def summarize(runs: Sequence[dict[str, Any]]) -> dict[str, float] | None:
    """The least and the best accuracy and the medians of the runs that did not fail; None where all did.

    Args:
      runs: of a record.

    Returns:
      'accuracy', 'worst', 'best', 'initial_accuracy', 'nmi', 'elbo' (nats) and 'seconds'.
    """
    ended = finished(runs)
    if not ended:
        return None
    accuracies = [run["accuracy"] for run in ended]
    return {
        "accuracy": statistics.median(accuracies),
        "worst": min(accuracies),
        "best": max(accuracies),
        **{name: statistics.median(run[name] for run in ended) for name in ("initial_accuracy", "nmi", "elbo")},
        "seconds": statistics.median(run["seconds"]["total"] for run in ended),
    }


def save_figure(path: Path, record: dict[str, Any]) -> None:
    """Draws the accuracy of the watched rows over epochs, a line for each seed; no file where no run has it.

    Args:
      path: of the PNG.
      record: as `make_record` returns it.
    """
    runs = [run for run in finished(record["runs"]) if any(run.get("accuracy_by_epoch", []))]
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


def _table(runs):
    """Rows of text, a row for each run."""
    rows = [list(_COLUMNS)]
    for run in runs:
        if "failure" in run:
            rows.append([str(run["seed"]), run["failure"]])
            continue
        scores = [number(run[name], 4) for name in ("initial_accuracy", "accuracy", "nmi", "ari")]
        smallest, seconds = str(min(run["occupancy"])), number(run["seconds"]["total"], 0)
        rows.append([str(run["seed"]), *scores, number(run["elbo"], 2), smallest, seconds])
    return rows


def number(value: float | None, digits: int) -> str:
    """A number with so many digits after the point; a dash for None."""
    return "-" if value is None else f"{value:.{digits}f}"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text as lines, each column as wide as its widest cell; the last cell of a shorter row runs on."""
    full = [row for row in rows if len(row) == len(rows[0])]
    widths = [max(map(len, column)) for column in zip(*full, strict=True)]
    lines = ("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


if __name__ == "__main__":
    main()
