"""Clusters of two batches, with and without the covariate: python -m benchmarks.covariates --workdir=/tmp/batch.

Each row is of one of two batches, and the second batch is moved. `digits` are scikit-learn's, as a table: every column
of the second batch moves by its own normal random number of standard deviations. `worm neurons` are counts of 1,000
genes in 1,500 cells: in the second batch each gene is found as often as a random number says, log-normal with a
deviation of 2. A batch has every class equally often, or, as `unequal`, one half of the classes four times as often as
the other batch. Each kind of rows is clustered as it was before it was moved, then moved without and with the
covariate, and then, without it, with each batch's mean of each column taken off. How well the batch is told from the
first autoencoder's embedding is the accuracy of the majority of 15 neighbours (0.5 is chance for equal batches). The
record goes to benchmarks/results/covariates.json.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.metrics import mutual_info_score
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier

from benchmarks import arguments, judges, markdown, provenance, records, seeds, text_tables
from vade_jax.commands.load_rows import reload_rows
from vade_jax.data.single_cells import log_normalized
from vade_jax.inference.answers import make_embed
from vade_jax.runs import saved_model, workdir

_CONFIG = "configs/table.py"
_NEIGHBORS = 15
_CELLS, _GENES = 1500, 1000
_SPREAD = 2.0  # of the logarithm of a gene's factor; with 1 k-means hardly sees the batches
_MOVED, _WITH, _CENTRED, _BEFORE = "moved", "moved, with the covariate", "moved, batch means taken off", "not moved"
_COLUMNS = (
    "rows",
    "batches",
    "seeds",
    "clustered",
    "adjusted Rand index",
    "worst",
    "mutual information with the batch (nats)",
    "that of the classes",
    "batch told from the embedding",
)


class Rows(NamedTuple):
    """Rows of two batches.

    Attributes:
      before: [N, D], not moved.
      moved: [N, D], the second batch moved.
      labels: [N].
      batch: [N], 0 or 1.
    """

    before: np.ndarray
    moved: np.ndarray
    labels: np.ndarray
    batch: np.ndarray


def main() -> None:
    """Trains what is not trained yet, and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--names", type=lambda text: text.split(","), default=list(ROWS), help="separated by commas")
    parser.add_argument("--seeds", type=arguments.integers, default="100,101,102", help="separated by commas")
    parser.add_argument("--budget", type=float, default=math.inf, help="no run is started after this many minutes")
    options = parser.parse_args()
    deadline = time.monotonic() + 60 * options.budget
    path = records.RESULTS / "covariates.json"
    for name in options.names:
        for seed in options.seeds:
            for kind in KINDS:
                entry = measure(name, kind, seed, options.workdir / f"{name}, {kind}".replace(" ", "_"), deadline)
                if entry:
                    records.write(path, with_entry(records.read(path) or {}, name, kind, entry))
    if record := records.read(path):
        print(text_tables.aligned(rows(record)))
        print(f"wrote {path}")


def batches(labels: np.ndarray, unequal: bool, seed: int) -> np.ndarray:
    """A random batch of each row, 0 or 1, [N]; if unequal, four fifths of every other class are in batch 1."""
    share = np.where(labels % 2, 0.8, 0.2) if unequal else np.full(len(labels), 0.5)
    return (np.random.default_rng(seed).random(len(labels)) < share).astype(np.int64)


def moved_digits(unequal: bool, seed: int) -> Rows:
    """The digits as rows of numbers."""
    x, labels = load_digits(return_X_y=True)
    batch = batches(labels, unequal, seed)
    steps = np.random.default_rng([seed, 1]).normal(size=x.shape[1]) * x.std(axis=0)
    return Rows(x, x + batch[:, None] * steps, labels, batch)


def moved_neurons(unequal: bool, seed: int) -> Rows:
    """Some worm neurons, as the logarithms of counts that each cell's sum scales."""
    counts, labels = judges._sparse("sc_worm_neuron.npz")
    cells = np.random.default_rng(0).choice(len(counts), _CELLS, replace=False)
    counts, labels = counts[cells], labels[cells]
    counts = counts[:, np.sort(np.argsort(-log_normalized(counts).var(axis=0))[:_GENES])]
    batch = batches(labels, unequal, seed)
    rng = np.random.default_rng([seed, 1])
    factors = np.where(batch[:, None], np.exp(rng.normal(0, _SPREAD, counts.shape[1])), 1.0)
    moved = rng.poisson(counts * factors)
    return Rows(log_normalized(counts), log_normalized(moved), labels, batch)


ROWS: dict[str, Callable[[bool, int], Rows]] = {"digits": moved_digits, "worm neurons": moved_neurons}
KINDS = ("equal", "unequal")


def measure(name: str, kind: str, seed: int, folder: Path, deadline: float) -> dict[str, Any] | None:
    """What the config made of the rows of one name, kind of batches and seed; None if a run did not end."""
    made = ROWS[name](kind == "unequal", seed)
    centred = made.moved.copy()
    for batch in (0, 1):
        centred[made.batch == batch] -= centred[made.batch == batch].mean(axis=0)
    clustered = {_BEFORE: made.before, _MOVED: made.moved, _WITH: made.moved, _CENTRED: centred}
    found = {}
    for method, x in clustered.items():
        run = _train(x, made, method == _WITH, seed, folder / method.replace(", ", "_").replace(" ", "_"), deadline)
        if run is None:
            return None
        found[method] = run
    origin = found[_WITH].pop("origin")
    for run in found.values():
        run.pop("origin", None)
    return {
        "seed": seed,
        **origin,
        "of_classes": float(mutual_info_score(made.batch, made.labels)),
        "methods": found,
    }


def _train(
    x: np.ndarray, made: Rows, with_covariate: bool, seed: int, folder: Path, deadline: float
) -> dict[str, Any] | None:
    """The scores of one run, and its origin."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"rows{seed}.parquet"
    frame = pd.DataFrame(x.astype(np.float32), columns=[f"column {number}" for number in range(x.shape[1])])
    frame.assign(label=made.labels, batch=made.batch).to_parquet(file, index=False)
    column = "--config.data.covariates=('batch',)" if with_covariate else "--config.data.id_column=batch"
    fixed = ["--config.data.scaling=standardize", "--config.model.likelihood=gaussian_shared", "--config.report=false"]
    flags = [*fixed, "--config.data.label_column=label", f"--config.model.num_clusters={len({*made.labels})}", column]
    for run in seeds.measure(_CONFIG, [seed], folder, [f"--config.data.path={file}", *flags], deadline):
        if "failure" in run:
            print(f"{folder}, seed {seed}: {run['failure']}")
            continue
        with np.load(folder / f"seed{seed}" / "assignments.npz") as found:
            clusters = found["cluster"]
        origin = records.make_record(_CONFIG, flags, [run])
        return {
            "ari": run["ari"],
            "accuracy": run["accuracy"],
            "starting_ari": run["initialization"]["ari"],
            "information": float(mutual_info_score(made.batch, clusters)),
            "told": told_from_embedding(folder / f"seed{seed}", made.batch),
            "seconds": run["seconds"]["total"],
            "origin": {
                **provenance.stamp_of_run(run, __file__),
                "digest": workdir.read(folder / f"seed{seed}")[1]["digest"],
                **{key: origin[key] for key in ("device", "versions")},
            },
        }
    return None


def told_from_embedding(trained: Path, batch: np.ndarray) -> float:
    """How often 15 neighbours in the embedding of a run's first autoencoder tell the batch of a row."""
    run, _, _ = saved_model.restore(trained)
    embed = make_embed(run.model, run.config.evaluate.batch_size)
    z_mean, _ = embed(saved_model.load_autoencoder(run), reload_rows(run)[0].inputs)
    return float(cross_val_score(KNeighborsClassifier(_NEIGHBORS), z_mean, batch, cv=5).mean())


def with_entry(record: dict[str, Any], name: str, kind: str, entry: dict[str, Any]) -> dict[str, Any]:
    """The record with an entry in place of an earlier one of the same seed."""
    key = f"{name}, {kind}"
    others = [other for other in record.get(key, []) if other["seed"] != entry["seed"]]
    return {**record, key: sorted([*others, entry], key=lambda one: one["seed"])}


def rows(record: dict[str, Any]) -> list[list[str]]:
    """Medians over the seeds as a text table; the first row has the column names."""
    table = [list(_COLUMNS)]
    for key, entries in record.items():
        name, kind = key.rsplit(", ", 1)
        for method in (_BEFORE, _MOVED, _CENTRED, _WITH):
            runs = [entry["methods"][method] for entry in entries]
            indices = [run["ari"] for run in runs]
            numbers = (
                statistics.median(indices),
                min(indices),
                statistics.median(run["information"] for run in runs),
                statistics.median(entry["of_classes"] for entry in entries),
                statistics.median(run["told"] for run in runs),
            )
            table.append([name, kind, str(len(runs)), method, *(f"{number:.3f}" for number in numbers)])
    return table


def markdown_table() -> str:
    """The table of `rows` in Markdown; '' without a record."""
    record = records.read(records.RESULTS / "covariates.json") or {}
    columns, *found = rows(record)
    marked = [[name + provenance.mark(record[f"{name}, {kind}"]), kind, *cells] for name, kind, *cells in found]
    return markdown.table(columns, marked) if found else ""


if __name__ == "__main__":
    main()
