"""Runs a method of `benchmarks.table` on a data set."""

import os
import platform
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from benchmarks import provenance, records, seeds
from benchmarks.rivals import AE_GMM, METHODS, Deep, Shallow
from vade_jax.data import sources, splits
from vade_jax.data.scaling import SCALINGS
from vade_jax.reports import label_scores

SCORES = ("accuracy", "nmi", "ari")


def measure(
    method: str,
    config: str,
    seed: int,
    folder: Path,
    flags: Sequence[str],
    deadline: float,
    autoencoders: Path | None = None,
) -> dict[str, Any] | None:
    """Runs a method once, or reads the result of an earlier run.

    Args:
      method: a key of METHODS.
      config: path of the data set's config.
      seed: seed of the run.
      folder: folder for the data set's runs.
      flags: further flags of main.py, for every method.
      deadline: as in time.monotonic(). After it no run is started.
      autoencoders: folder of runs of the config, one for each seed, whose autoencoders are used. None: AE+GMM trains
        them.

    Returns:
      'settings' (only those of the method, by name), 'device', 'versions' and 'run': 'seed', 'commit', and the scores
      with 'seconds', or 'failure'. None if nothing was run.
    """
    how, own_folder = METHODS[method], folder / _slug(method)
    if isinstance(how, Shallow):
        return _fit(how, config, seed, own_folder / f"seed{seed}.json", flags, deadline)
    if autoencoders and method == AE_GMM:
        how = replace(how, shares_autoencoder=True)
    return _train(
        how, config, seed, own_folder, (autoencoders or folder / _slug(AE_GMM)) / f"seed{seed}", flags, deadline
    )


def _fit(
    how: Shallow, config: str, seed: int, file: Path, flags: Sequence[str], deadline: float
) -> dict[str, Any] | None:
    """The cell of a method that clusters the rows themselves, read from a file or written to it."""
    if file.exists():
        return records.read(file)
    if time.monotonic() > deadline:
        return None
    settings = records.read_config(config, flags)
    rows, labels = scaled_rows(settings)
    if how.max_rows and len(rows) > how.max_rows:
        sample = np.random.default_rng(seed).choice(len(rows), how.max_rows, replace=False)
        rows, labels = rows[sample], labels[sample]
    started = time.perf_counter()
    clusters = how.fit(rows, settings.model.num_clusters, seed)
    run = {
        "seed": seed,
        **provenance.stamp(__file__),
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
    records.write(file, cell)
    return cell


def scaled_rows(settings: ConfigDict) -> tuple[np.ndarray, np.ndarray]:
    """The rows [N, D], scaled as for the model, and their labels [N]."""
    options = settings.data
    source = sources.load(options.name, options.path, options.dir)
    rows = splits.select_split(source, options.train_split, "config.data.train_split")
    assert rows.labels is not None, options.name
    shift, scale = SCALINGS[options.scaling](rows.x)
    return (rows.x.astype(np.float32) - shift) * scale, rows.labels


def _train(
    how: Deep, config: str, seed: int, folder: Path, pretrained: Path, flags: Sequence[str], deadline: float
) -> dict[str, Any] | None:
    """The cell of a method that is a recipe for main.py; `pretrained` is the run whose autoencoder it may share."""
    own = [f"--config.{field}={value}" for field, value in how.flags.items()]
    if how.shares_autoencoder:
        if not (pretrained / "results.json").exists():
            return None
        own.append(f"--config.pretrain.workdir={pretrained}")
    for run in seeds.measure(config, [seed], folder, [*flags, *own], deadline):
        kept = {"seed": seed, **provenance.stamp_of_run(run, __file__)}
        if "failure" in run:
            return {"settings": dict(how.flags), "device": None, "versions": None, "run": {**kept, **_failure(run)}}
        seconds = dict(run["seconds"])
        if how.shares_autoencoder:
            seconds["pretrain"] = (records.read(pretrained / "results.json") or {})["seconds"]["pretrain"]
        spent = sum(value for name, value in seconds.items() if name not in ("total", "compile", "evaluate"))
        scores = run["initialization"] if how.scored == "found" else run
        return {
            "settings": dict(how.flags),
            "device": {**run["device"], "cpus": os.cpu_count()},
            "versions": run["versions"],
            "run": {**kept, **{name: scores[name] for name in SCORES}, "seconds": round(spent, 1)},
        }
    return None


def _failure(run: dict[str, Any]) -> dict[str, Any]:
    return {name: run[name] for name in ("failure", "treatments") if name in run}


def _slug(method: str) -> str:
    """A method's name as a file name."""
    return "".join(character if character.isalnum() else "_" for character in method.lower())
