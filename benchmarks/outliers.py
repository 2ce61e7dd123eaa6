"""How many outliers are found where a share is asked for: python -m benchmarks.outliers --workdir=/tmp/outliers.

The rows of a data set are shuffled by the seed. The model trains on one half with default settings, and answers the
other half and a hundred rows of another data set. The share of outliers in the other half should be the share asked
for, and the foreign rows should all be outliers. Data sets that scikit-learn does not have are read from
../shared/data. The record goes to benchmarks/results/outliers.json.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine

from benchmarks import arguments, markdown, provenance, records, seeds, text_tables
from vade_jax.commands.predict import log_likelihoods
from vade_jax.inference.outliers import outlier_threshold
from vade_jax.reports.results import LOG_LIKELIHOODS
from vade_jax.runs import saved_model

_SHARES = (0.01, 0.05)
_FOREIGN_ROWS = 100
_SHARED = records.ROOT.parent / "shared" / "data"
_CONFIGS = {"digits": "configs/digits.py", "pendigits": "configs/pendigits.py", "wine": "configs/table.py"}
_COLUMNS = ("data", "seeds", "rows held out", "found of 1%", "found of 5%", "foreign rows found, of 100, at 1%")


def main() -> None:
    """Trains what is not trained yet, and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--sets", type=lambda text: text.split(","), default=list(_CONFIGS), help=", ".join(_CONFIGS))
    parser.add_argument("--seeds", type=arguments.integers, default="100,101,102", help="separated by commas")
    parser.add_argument("--budget", type=float, default=math.inf, help="no run is started after this many minutes")
    options = parser.parse_args()
    deadline = time.monotonic() + 60 * options.budget
    path = records.RESULTS / "outliers.json"
    for name in options.sets:
        for seed in options.seeds:
            if entry := _measure(name, seed, options.workdir / name, deadline):
                records.write(path, with_entry(records.read(path) or {}, name, entry))
    if record := records.read(path):
        print(text_tables.aligned(rows(record)))
        print(f"wrote {path}")


def _measure(name: str, seed: int, folder: Path, deadline: float) -> dict[str, Any] | None:
    """The shares of outliers of one data set and seed; None if it was not run or failed."""
    x, foreign = DATA[name]()
    order = np.random.default_rng(seed).permutation(len(x))
    train, new = x[order[: len(x) // 2]], x[order[len(x) // 2 :]]
    file = folder / f"rows{seed}.npz"
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(file, x=train)
    own = ["--config.model.num_clusters=3"] if name == "wine" else []
    flags = ["--config.data.name=file", f"--config.data.path={file}", "--config.report=false", *own]
    for run in seeds.measure(_CONFIGS[name], [seed], folder, flags, deadline):
        if "failure" in run:
            print(f"{name}, seed {seed}: {run['failure']}")
            continue
        record = records.make_record(_CONFIGS[name], flags, [run])
        origin = {key: record[key] for key in ("device", "versions")}
        return {
            "seed": seed,
            **provenance.stamp_of_run(run, __file__),
            **origin,
            **_shares(folder / f"seed{seed}", new, foreign),
        }
    return None


def _shares(workdir: Path, new: np.ndarray, foreign: np.ndarray) -> dict[str, Any]:
    run, state, _ = saved_model.restore(workdir)
    known = np.load(workdir / LOG_LIKELIHOODS)
    of_new, of_foreign = (log_likelihoods(run, state, part.reshape(len(part), -1)) for part in (new, foreign))
    return {
        "held_out": len(known),
        "found": [float((of_new < outlier_threshold(known, share)).mean()) for share in _SHARES],
        "foreign": int((of_foreign < outlier_threshold(known, _SHARES[0])).sum()),
    }


def with_entry(record: dict[str, Any], name: str, entry: dict[str, Any]) -> dict[str, Any]:
    """The record with an entry of a data set in place of an earlier one of the same seed."""
    others = [other for other in record.get(name, []) if other["seed"] != entry["seed"]]
    return {**record, name: sorted([*others, entry], key=lambda one: one["seed"])}


def rows(record: dict[str, Any]) -> list[list[str]]:
    """Means over the seeds as a text table; the first row has the column names."""
    table = [list(_COLUMNS)]
    for name, entries in record.items():
        found = [f"{statistics.mean(entry['found'][i] for entry in entries):.1%}" for i in range(len(_SHARES))]
        foreign = text_tables.number(statistics.mean(entry["foreign"] for entry in entries), 1)
        table.append([name, str(len(entries)), str(entries[0]["held_out"]), *found, foreign])
    return table


def markdown_table() -> str:
    """The table of `rows` in Markdown; '' without a record."""
    return markdown.record_table("outliers", rows)


def _digits() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's digits, and pictures of clothes at the same size."""
    with np.load(_SHARED / "fashion_mnist_test.npz") as arrays:
        clothes = next(arrays[name] for name in arrays.files if arrays[name].ndim >= 3)[:_FOREIGN_ROWS]
    blocks = clothes.reshape(_FOREIGN_ROWS, 28, 28)[:, 2:26, 2:26].reshape(_FOREIGN_ROWS, 8, 3, 8, 3)
    small = blocks.mean(axis=(2, 4)) * 16 / 255
    return load_digits().images.astype(np.uint8), small.round().astype(np.uint8)


def _pendigits() -> tuple[np.ndarray, np.ndarray]:
    """The pen-based digits, coordinates 0 to 100, and the first columns of activity data in that range."""
    with np.load(_SHARED / "pendigits.npz") as arrays:
        x = np.concatenate([arrays["x_train"], arrays["x_test"]]).astype(np.float32)
    with np.load(_SHARED / "har.npz") as arrays:
        activity = arrays["x_train"][:_FOREIGN_ROWS, : x.shape[1]]
    return x, (50 * (activity + 1)).astype(np.float32)


def _wine() -> tuple[np.ndarray, np.ndarray]:
    """Wines, and as many columns of tumours."""
    x = load_wine().data
    return x, load_breast_cancer().data[:_FOREIGN_ROWS, : x.shape[1]]


# name -> function that returns rows [N, ...] and foreign rows [100, ...].
DATA: dict[str, Callable[[], tuple[np.ndarray, np.ndarray]]] = {
    "digits": _digits,
    "pendigits": _pendigits,
    "wine": _wine,
}


if __name__ == "__main__":
    main()
