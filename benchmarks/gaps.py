"""Clusters of rows with gaps, and how well gaps are filled: python -m benchmarks.gaps --workdir=/tmp/gaps.

A share of the entries of the pen-based digits is removed at random. The recipe of configs/pendigits.py clusters the
complete rows, the rows with gaps, and the rows whose gaps have their column's mean; a Gaussian mixture clusters the
rows as KNNImputer fills them. Errors of filled entries are in standard deviations of their column. Rows are read from
../shared/data. The record goes to benchmarks/results/gaps.json.
"""

import argparse
import math
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer
from sklearn.mixture import GaussianMixture

from benchmarks import arguments, markdown, provenance, records, seeds, text_tables
from vade_jax.inference.imputation import impute
from vade_jax.reports.label_scores import scores
from vade_jax.runs import saved_model
from vade_jax.runs.run import KeyUse

_CONFIG = "configs/pendigits.py"
_FILE = records.ROOT.parent / "shared" / "data" / "pendigits.npz"
_SHARES = (0.2, 0.5)
_NUM_CLUSTERS, _STARTS, _NEIGHBORS = 10, 10, 10
_ACCURACIES = ("VaDE", "mean, then VaDE", "KNNImputer, then GaussianMixture")
_ERRORS = ("VaDE", "KNNImputer", "IterativeImputer", "mean")
_COLUMNS = (
    "entries removed",
    "seeds",
    *(f"accuracy: {name}" for name in _ACCURACIES),
    *(f"RMSE: {n}" for n in _ERRORS),
)


def main() -> None:
    """Trains what is not trained yet, and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--seeds", type=arguments.integers, default="100,101,102", help="separated by commas")
    parser.add_argument("--budget", type=float, default=math.inf, help="no run is started after this many minutes")
    options = parser.parse_args()
    deadline = time.monotonic() + 60 * options.budget
    path = records.RESULTS / "gaps.json"
    with np.load(_FILE) as arrays:
        x, labels = (np.concatenate([arrays[f"{name}_train"], arrays[f"{name}_test"]]) for name in "xy")
    x = x.astype(np.float64)
    for seed in options.seeds:
        for share in (0.0, *_SHARES):
            if entry := measure(x, labels, share, seed, options.workdir / f"{share:g}", deadline):
                records.write(path, with_entry(records.read(path) or {}, f"{share:g}", entry))
    if record := records.read(path):
        print(text_tables.aligned(rows(record)))
        print(f"wrote {path}")


def remove(x: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Rows x [N, D] with a share of the entries, chosen at random, replaced by NaN."""
    return np.where(np.random.default_rng(seed).random(x.shape) < share, np.nan, x)


def measure(
    x: np.ndarray, labels: np.ndarray, share: float, seed: int, folder: Path, deadline: float
) -> dict[str, Any] | None:
    """Accuracies and errors of one share of removed entries and one seed; None if a run did not end.

    Args:
      x: [N, D], complete.
      labels: [N].
      share: of the entries that are removed.
      seed: of their choice and of the methods.
      folder: for the runs.
      deadline: no run is started after it, by `time.monotonic`.
    """
    gaps = remove(x, share, seed)
    run = _train(gaps, labels, seed, folder / "gaps", deadline)
    if run is None or not share:
        return run and {"seed": seed, **run, "accuracy": {"VaDE": run["accuracy"]}}
    means = np.where(np.isnan(gaps), np.nanmean(gaps, axis=0), gaps)
    of_means = _train(means, labels, seed, folder / "means", deadline)
    if of_means is None:
        return None
    neighbours = KNNImputer(n_neighbors=_NEIGHBORS).fit_transform(gaps / x.std(axis=0)) * x.std(axis=0)
    mixture = GaussianMixture(_NUM_CLUSTERS, n_init=_STARTS, random_state=seed).fit_predict(neighbours)
    filled = {
        "VaDE": _impute(folder / "gaps" / f"seed{seed}", gaps),
        "KNNImputer": neighbours,
        "IterativeImputer": IterativeImputer(random_state=seed, max_iter=20).fit_transform(gaps),
        "mean": means,
    }
    accuracies = run["accuracy"], of_means["accuracy"], scores(labels, mixture)["accuracy"]
    return {
        "seed": seed,
        **run,
        "accuracy": dict(zip(_ACCURACIES, accuracies, strict=True)),
        "error": {name: error(values, x, np.isnan(gaps)) for name, values in filled.items()},
    }


def error(filled: np.ndarray, x: np.ndarray, removed: np.ndarray) -> float:
    """The root mean square error of filled entries, in standard deviations of their column."""
    return float(np.sqrt(np.mean(((filled - x) / x.std(axis=0))[removed] ** 2)))


def _train(x: np.ndarray, labels: np.ndarray, seed: int, folder: Path, deadline: float) -> dict[str, Any] | None:
    """What the recipe of the config made of rows; None if it was not run or failed."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"rows{seed}.npz"
    np.savez(file, x=x.astype(np.float32), y=labels)
    flags = [f"--config.data.path={file}", "--config.report=false"]
    for run in seeds.measure(_CONFIG, [seed], folder, flags, deadline):
        if "failure" in run:
            print(f"{folder}, seed {seed}: {run['failure']}")
            continue
        origin = records.make_record(_CONFIG, flags, [run])
        return {
            **provenance.stamp_of_run(run, __file__),
            "accuracy": run["accuracy"],
            **{k: origin[k] for k in ("device", "versions")},
        }
    return None


def _impute(workdir: Path, gaps: np.ndarray) -> np.ndarray:
    """The rows with their gaps filled by a trained run."""
    run, state, _ = saved_model.restore(workdir)
    scoring = run.config.evaluate
    x = impute(
        run.model,
        state,
        gaps.astype(np.float32),
        run.key(KeyUse.EVALUATION),
        num_samples=scoring.bound_samples,
        batch_size=scoring.batch_size,
    )
    return np.where(np.isnan(gaps), state.scaling.inverse(x), gaps)


def with_entry(record: dict[str, Any], share: str, entry: dict[str, Any]) -> dict[str, Any]:
    """The record with an entry of a share in place of an earlier one of the same seed."""
    others = [other for other in record.get(share, []) if other["seed"] != entry["seed"]]
    return {**record, share: sorted([*others, entry], key=lambda one: one["seed"])}


def rows(record: dict[str, Any]) -> list[list[str]]:
    """Medians over the seeds as a text table; the first row has the column names."""
    table = [list(_COLUMNS)]
    for share, entries in sorted(record.items()):

        def medians(key: str, names: tuple[str, ...], entries: list[dict[str, Any]] = entries) -> list[str]:
            known = {name for entry in entries for name in entry.get(key, {})}
            return [
                f"{statistics.median(entry[key][name] for entry in entries):.3f}" if name in known else ""
                for name in names
            ]

        table.append(
            [f"{float(share):.0%}", str(len(entries)), *medians("accuracy", _ACCURACIES), *medians("error", _ERRORS)]
        )
    return table


def markdown_table() -> str:
    """The table of `rows` in Markdown; '' without a record."""
    return markdown.record_table("gaps", rows)


if __name__ == "__main__":
    main()
