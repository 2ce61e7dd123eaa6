"""How many clusters are recommended for rows whose number is known: python -m benchmarks.num_clusters.

Each row is what `VaDE("auto").fit(X)` chose and found. Made rows differ between seeds, read ones do not. Two moons,
two circles, Gaussians of unequal size and the tables were looked at with seeds below 100 while the rule was chosen; so
were wine, iris and digits. The record goes to benchmarks/results/num_clusters.json.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.datasets import load_digits, load_iris, load_wine, make_circles, make_moons
from sklearn.metrics import adjusted_rand_score

from benchmarks import arguments, markdown, mixed, provenance, records, text_tables
from vade_jax import VaDE

_COLUMNS = ("rows", "clusters", "seeds", "recommended", "adjusted Rand index", "seconds")


def main() -> None:
    """Measures every data set and seed, and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=arguments.integers, default="100,101,102", help="separated by commas")
    options = parser.parse_args()
    path = records.RESULTS / "num_clusters.json"
    record: dict[str, Any] = {**provenance.stamp(__file__)}
    for name, make in DATA.items():
        record[name] = [measure(*make(seed), seed) for seed in options.seeds]
        records.write(path, record)
    print(text_tables.aligned(rows(record)))
    print(f"wrote {path}")


def measure(x: Any, labels: np.ndarray, seed: int) -> dict[str, Any]:
    """The recommended number, how well the clusters agree with the labels, and how long it took."""
    started = time.perf_counter()
    model = VaDE("auto", random_state=seed).fit(x)
    return {
        "seed": seed,
        "clusters": len(np.unique(labels)),
        "recommended": len(model.weights_),
        "ari": float(adjusted_rand_score(labels, model.labels_)),
        "seconds": time.perf_counter() - started,
    }


def _gaussians(sizes: list[int], distance: float, num_columns: int) -> Callable[[int], tuple[np.ndarray, np.ndarray]]:
    """Makes rows of unit Gaussians whose centres are so far from the mean in random directions."""

    def make(seed: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(seed)
        labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
        directions = rng.normal(size=(len(sizes), num_columns))
        centres = distance * directions / np.linalg.norm(directions, axis=1, keepdims=True)
        return centres[labels] + rng.normal(size=(len(labels), num_columns)), labels

    return make


def _overlapping(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Four unit Gaussians whose centres are 4.2 apart, in four columns."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(4, 1000, p=(0.5, 0.25, 0.15, 0.1))
    return 3 * np.eye(4)[labels] + rng.normal(size=(1000, 4)), labels


def _uniform(seed: int) -> tuple[np.ndarray, np.ndarray]:
    return np.random.default_rng(seed).random((1000, 3)), np.zeros(1000, int)


DATA: dict[str, Callable[[int], tuple[Any, np.ndarray]]] = {
    "one Gaussian": _gaussians([1000], 0.0, 5),
    "uniform": _uniform,
    "two moons": lambda seed: make_moons(1000, noise=0.06, random_state=seed),
    "two circles": lambda seed: make_circles(1000, noise=0.04, factor=0.5, random_state=seed),
    "seven Gaussians of 100 to 500 rows": _gaussians([500, 400, 350, 300, 200, 150, 100], 6.4, 20),
    "four overlapping Gaussians": _overlapping,
    "customers": mixed.customers,
    "customers, numbers alone": mixed.customers_in_numbers,
    "customers as indicators": mixed.customers_as_indicators,
    "penguins": lambda seed: mixed.penguins(),
    "iris": lambda seed: load_iris(return_X_y=True),
    "wine": lambda seed: load_wine(return_X_y=True),
    "digits": lambda seed: load_digits(return_X_y=True),
}


def rows(record: dict[str, Any]) -> list[list[str]]:
    """The recommended numbers, and medians over the seeds, as a text table; the first row has the column names."""
    table = [list(_COLUMNS)]
    for name in DATA:
        if runs := record.get(name):
            index, seconds = (statistics.median(run[key] for run in runs) for key in ("ari", "seconds"))
            recommended = ", ".join(str(run["recommended"]) for run in runs)
            table.append(
                [name, str(runs[0]["clusters"]), str(len(runs)), recommended, f"{index:.3f}", f"{seconds:.0f}"]
            )
    return table


def markdown_table() -> str:
    """The table of `rows` in Markdown; '' without a record."""
    return markdown.record_table("num_clusters", rows)


if __name__ == "__main__":
    main()
