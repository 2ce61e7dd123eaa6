"""The records of the benchmarks: JSON files with scores, settings, versions, device and commit."""

import json
import os
import re
import statistics
import subprocess
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scipy.stats import entropy

if TYPE_CHECKING:
    from ml_collections import ConfigDict

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
_SCORES = ("seed", "commit", "accuracy", "nmi", "ari", "elbo", "log_likelihood", "occupancy")
_NEWER_SCORES = ("balanced_accuracy", "recall")  # older results lack them
# Title in a table -> prefix of the names of its stages.
STAGES = {
    "load": "load",
    "autoencoder": "pretrain",
    "finding clusters": "initialize",
    "guide": "guide",
    "align": "align",
    "cluster": "cluster",
    "evaluation": "evaluate",
}
# An innermost list or object of indented JSON. JSON strings hold no line breaks, so no text can match by accident.
_FLAT = re.compile(r"([\[{])\n\s*([^\[\]{}]*?)\n\s*([\]}])")


def record_path(kind: str, name: str | None, config: str) -> Path:
    """The path of a record; it is named after `name`, or after the config if there is no name."""
    return RESULTS / f"{kind}_{name or Path(config).stem}.json"


def trained_settings(path: Path) -> dict[str, Any] | None:
    """The settings that a run was trained with, except its seed; None without a file."""
    return _without_seed(json.loads(path.read_text())) if path.exists() else None


def _without_seed(settings: dict[str, Any]) -> dict[str, Any]:
    from vade_jax.runs.workdir import settings_that_change_training

    return {name: value for name, value in settings_that_change_training(settings).items() if name != "seed"}


def read_config(path: str, flags: Sequence[str]) -> "ConfigDict":
    """The config after the flags are applied, as main.py reads it."""
    # Not all that reads a record has these installed: benchmarks.accelerator.
    from absl.flags import FlagValues
    from ml_collections import config_flags

    values = FlagValues()
    argv = ["main.py", f"--config={path}", *flags]
    config_flags.DEFINE_config_file("config", flag_values=values, sys_argv=argv)
    with warnings.catch_warnings():  # ml_collections imports configs by a call that Python has deprecated
        warnings.simplefilter("ignore", DeprecationWarning)
        values(argv, known_only=True)
    return values.config


def is_of_today(record: dict[str, Any]) -> bool:
    """Whether a record was measured with its config's current settings; fields added later do not count."""
    today = _without_seed(json.loads(read_config(record["config"], record["flags"]).to_json()))
    return agree(record, {"settings": today}, "settings")


def commit() -> str:
    """The current commit, with ' dirty' appended if the code differs from it; 'unknown' in a copy without git."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", "vade_jax", "configs", "main.py")
        return git("rev-parse", "HEAD") + (" dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def processor() -> str | None:
    """The processor's name on Linux; None elsewhere."""
    try:
        with open("/proc/cpuinfo") as lines:
            return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)
    except OSError:
        return None


def make_record(config: str, flags: Sequence[str], runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A record of runs with one config and the same flags.

    Args:
      config: the config's path.
      flags: further flags of main.py.
      runs: as `measure` yields them.

    Returns:
      'config', 'flags', 'runs' sorted by seed, and 'settings', 'device' and 'versions' of the last run that did not
      fail (None if all failed).
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


def _entry(run: dict[str, Any]) -> dict[str, Any]:
    """The part of a run that the record keeps."""
    if "failure" in run:
        kept = {name: run[name] for name in ("seed", "commit", "failure")}
        return {**kept, **_code(run), "treatments": run.get("treatments", [])}
    return {
        **{name: run[name] for name in _SCORES},
        **{name: run[name] for name in _NEWER_SCORES if name in run},
        **_code(run),
        **_criteria(run),
        "initial_accuracy": run["initialization"]["accuracy"],
        "rounds": [found["accuracy"] for found in run["rounds"]],
        "accuracy_by_epoch": [None if value is None else round(value, 4) for value in run["accuracy_by_epoch"]],
        "stage_starts": run["stage_starts"],
        "treatments": run["treatments"],
        "seconds": {name: round(value, 1) for name, value in run["seconds"].items()},
    }


def _code(run: dict[str, Any]) -> dict[str, Any]:
    """The code of a run, as `benchmarks.provenance` notes it; {} if it was not noted."""
    return {"code": run["code"]} if run.get("code") else {}


def _criteria(run: dict[str, Any]) -> dict[str, float]:
    """Criteria that could select a good run without labels, in addition to its bounds; higher is better."""
    spread = float(entropy(run["occupancy"]))  # of the cluster sizes, nats
    return {
        "occupancy_entropy": spread,
        "elbo_equal_weights": run["elbo"] + spread,
        "modularity": run["input_modularity"],
    }


def merge(earlier: dict[str, Any] | None, record: dict[str, Any]) -> dict[str, Any]:
    """Merges a record with the runs that an earlier record has of other seeds.

    Args:
      earlier: a record, or None.
      record: the new record. Its runs replace earlier runs of the same seeds.

    Returns:
      The new record. The earlier runs are included if config, flags, settings and device are the same. An earlier run
      states its library versions if they differ from the new record's.
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
    """Whether two records have the same value for a key, except for fields that were added later.

    A record that has only failed runs holds None, which agrees with anything.
    """
    old, new = earlier.get(name, {"": None}), record[name]  # a record that lacks the key agrees with none
    return old is None or new is None or old.items() <= new.items()


def read(path: Path) -> dict[str, Any] | None:
    """The record in a file; None if there is no file."""
    return json.loads(path.read_text()) if path.exists() else None


def write(path: Path, record: dict[str, Any]) -> None:
    """Writes a record as indented JSON, with each innermost list or object on one line."""
    text = _FLAT.sub(lambda match: match[1] + re.sub(r"\n\s*", " ", match[2]) + match[3], json.dumps(record, indent=1))
    path.write_text(text + "\n")


def finished(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The runs that did not fail."""
    return [run for run in runs if "failure" not in run]


def count(runs: Sequence[dict[str, Any]]) -> str:
    """The number of runs as text: '5', or '4 of 5' if one failed."""
    ended = len(finished(runs))
    return str(ended) if ended == len(runs) else f"{ended} of {len(runs)}"


def summarize(runs: Sequence[dict[str, Any]]) -> dict[str, float] | None:
    """The worst and the best accuracy and the medians over the runs that did not fail; None if all failed.

    Args:
      runs: of a record.

    Returns:
      'accuracy', 'worst', 'best', 'initial_accuracy', 'nmi', 'elbo' (nats) and 'seconds'; 'balanced_accuracy' if all
      runs have it.
    """
    ended = finished(runs)
    if not ended:
        return None
    accuracies = [run["accuracy"] for run in ended]
    medians = ["initial_accuracy", "nmi", "elbo"]
    if all("balanced_accuracy" in run for run in ended):
        medians.append("balanced_accuracy")
    return {
        "accuracy": statistics.median(accuracies),
        "worst": min(accuracies),
        "best": max(accuracies),
        **{name: statistics.median(run[name] for run in ended) for name in medians},
        "seconds": statistics.median(run["seconds"]["total"] for run in ended),
    }


def stage_shares(runs: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Each stage's share of a run's seconds, medians over runs that did not fail, by the stage's name in a table."""
    shares = {}
    for title, prefix in STAGES.items():
        spent = [sum(t for name, t in run["seconds"].items() if name.startswith(prefix)) for run in runs]
        shares[title] = statistics.median(part / run["seconds"]["total"] for part, run in zip(spent, runs, strict=True))
    return shares
