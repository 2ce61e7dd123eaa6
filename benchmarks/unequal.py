"""Clusters of unequal size whose truth is known: python -m benchmarks.unequal --workdir=/tmp/unequal.

Each mixture is made: z is drawn from Gaussians of unequal size, and a random decoder of two layers gives the rows x,
with noise, columns that hold noise only, counts, or only 0 and 1. VaDE with default settings is compared with other
methods by the adjusted Rand index with the clusters that the rows were drawn from. No method can be expected to exceed
the most probable clusters given z, which are scored too. Labels are read by the scores only.

`--rows=600 --methods=KMeans,Leiden` takes seconds. The record and a figure go to benchmarks/results/.
"""

import argparse
import math
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from scipy.special import expit
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from benchmarks import arguments, markdown, provenance, records, text_tables
from vade_jax import VaDE
from vade_jax.initialization.communities import find_communities
from vade_jax.initialization.neighbor_graphs import find_neighbors
from vade_jax.reports import label_scores

_LATENT_DIM, _HIDDEN = 5, 32
_NOISE = 0.5  # of a column, in standard deviations of its signal
_COMPONENTS, _GRAPH_COMPONENTS, _NEIGHBORS = 10, 50, 15
_HALVINGS = 12
_LEAST_CLUSTER = 10  # of HDBSCAN
POSTERIOR = "posterior given z"


class Mixture(NamedTuple):
    """How rows are made.

    Attributes:
      num_columns: D.
      ratio: the largest cluster's rows, as a multiple of the smallest one's; sizes between them are a geometric series.
      separation: the distance of the nearest two means, in the mean standard deviation of a cluster.
      noise_columns: the share of columns that hold noise only.
      kind: 'real', 'counts' or 'binary'.
      num_clusters: K.
    """

    num_columns: int
    ratio: float
    separation: float = 5.0
    noise_columns: float = 0.0
    kind: str = "real"
    num_clusters: int = 6


MIXTURES = {
    "10 columns, equal": Mixture(10, 1),
    "10 columns, 1:10": Mixture(10, 10),
    "10 columns, 1:50": Mixture(10, 50),
    "200 columns, equal": Mixture(200, 1, noise_columns=0.5),
    "200 columns, 1:10": Mixture(200, 10, noise_columns=0.5),
    "200 columns, 1:50": Mixture(200, 50, noise_columns=0.5),
    "200 columns, 1:10, near": Mixture(200, 10, 3.5, 0.5),
    "200 columns, 1:10, far": Mixture(200, 10, 8, 0.5),
    "5,000 columns, equal": Mixture(5000, 1, noise_columns=0.97),
    "5,000 columns, 1:20": Mixture(5000, 20, noise_columns=0.97),
    "counts, equal": Mixture(1000, 1, 6, 0.7, "counts"),
    "counts, 1:20": Mixture(1000, 20, 6, 0.7, "counts"),
    "binary, equal": Mixture(300, 1, 6, 0.3, "binary"),
    "binary, 1:20": Mixture(300, 20, 6, 0.3, "binary"),
}


def make_rows(mixture: Mixture, num_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws rows from a mixture.

    Args:
      mixture: how they are made.
      num_rows: N, at least K.
      seed: of the decoder and the draws.

    Returns:
      Rows [N, D], float32; the clusters they were drawn from, [N]; and the most probable clusters given z, [N].
    """
    rng = np.random.default_rng(seed)
    num_clusters = mixture.num_clusters
    weights = mixture.ratio ** -np.linspace(0, 1, num_clusters)
    weights /= weights.sum()
    sizes = np.maximum(1, np.floor(weights * num_rows)).astype(int)
    sizes[0] += num_rows - sizes.sum()
    means, deviations = _draw_clusters(mixture, rng)
    labels = rng.permutation(np.repeat(np.arange(num_clusters), sizes))
    z = means[labels] + deviations[labels] * rng.normal(size=(num_rows, _LATENT_DIM))
    scaled = (z[:, None] - means) / deviations  # [N, K, J]
    log_joint = np.log(weights) - np.log(deviations).sum(axis=1) - np.square(scaled).sum(axis=2) / 2
    return _decode(z, mixture, rng).astype(np.float32), labels, log_joint.argmax(axis=1)


def _draw_clusters(mixture: Mixture, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations, [K, J] each."""
    means = rng.normal(size=(mixture.num_clusters, _LATENT_DIM))
    distances = np.linalg.norm(means[:, None] - means, axis=2)
    nearest = distances[np.triu_indices(mixture.num_clusters, 1)].min()
    return means * mixture.separation / nearest, rng.uniform(0.6, 1.4, means.shape)


def _decode(z: np.ndarray, mixture: Mixture, rng: np.random.Generator) -> np.ndarray:
    """Rows [N, D] for z [N, J]; columns of noise have the mean and variance of columns of signal."""
    num_signal = max(1, round((1 - mixture.noise_columns) * mixture.num_columns))
    inner = np.tanh((z - z.mean(axis=0)) / z.std() @ rng.normal(size=(_LATENT_DIM, _HIDDEN)) / 2)
    signal = inner @ rng.normal(size=(_HIDDEN, num_signal))
    signal = (signal - signal.mean(axis=0)) / signal.std(axis=0)
    noise = rng.normal(size=(len(z), mixture.num_columns - num_signal))
    columns = np.concatenate([signal, noise], axis=1)[:, rng.permutation(mixture.num_columns)]
    if mixture.kind == "counts":
        return rng.poisson(np.exp(columns - 1))
    if mixture.kind == "binary":
        return rng.random(columns.shape) < expit(2 * columns)
    return columns + _NOISE * rng.normal(size=columns.shape)


def prepare(rows: np.ndarray, mixture: Mixture) -> np.ndarray:
    """The rows as methods are given them: counts are scaled to the same total for each row, then log(1 + x)."""
    if mixture.kind != "counts":
        return rows
    totals = np.maximum(rows.sum(axis=1, keepdims=True), 1)
    return np.log1p(rows * (totals.mean() / totals)).astype(np.float32)


def main() -> None:
    """Measures what the record lacks, and writes the record and the figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mixtures", type=lambda text: text.split(";"), default=list(MIXTURES), help="separated by ;")
    parser.add_argument("--methods", type=lambda text: text.split(","), default=list(METHODS), help=", ".join(METHODS))
    parser.add_argument("--seeds", type=arguments.integers, default="100,101", help="separated by commas")
    parser.add_argument("--rows", type=int, default=3000, help="of each mixture")
    parser.add_argument("--workdir", type=Path, default=records.RESULTS, help="folder for the record and the figure")
    parser.add_argument("--budget", type=float, default=math.inf, help="nothing is started after this many minutes")
    options = parser.parse_args()
    deadline = time.monotonic() + 60 * options.budget
    path = options.workdir / "unequal.json"
    options.workdir.mkdir(parents=True, exist_ok=True)
    for name in options.mixtures:
        for seed in options.seeds:
            entry = measure(name, seed, options.rows, options.methods, deadline)
            records.write(path, with_entry(records.read(path) or {}, name, entry))
    record = records.read(path) or {}
    _save_figure(path.with_suffix(".png"), record)
    print(text_tables.aligned(table(record)))
    print(f"wrote {path}")


def measure(name: str, seed: int, num_rows: int, methods: Sequence[str], deadline: float = math.inf) -> dict[str, Any]:
    """The scores of methods on one mixture.

    Returns:
      'seed', 'rows', 'commit', 'settings' of the mixture, and 'scores': method -> 'accuracy', 'ari' and 'seconds'.
    """
    mixture = MIXTURES[name]
    x, labels, most_probable = make_rows(mixture, num_rows, seed)
    rows = prepare(x, mixture)
    scores = {POSTERIOR: _scores(labels, most_probable, 0.0)}
    for method in methods:
        if time.monotonic() > deadline:
            break
        start = time.perf_counter()
        clusters = METHODS[method](rows, mixture.num_clusters, seed)
        scores[method] = _scores(labels, clusters, time.perf_counter() - start)
        print(f"{name}, seed {seed}, {method}: {scores[method]}")
    settings = mixture._asdict()
    return {"seed": seed, "rows": num_rows, **provenance.stamp(__file__), "settings": settings, "scores": scores}


def _scores(labels: np.ndarray, clusters: np.ndarray, seconds: float) -> dict[str, float]:
    found = label_scores.scores(labels, clusters)
    return {**{name: round(found[name], 4) for name in ("accuracy", "ari")}, "seconds": round(seconds, 1)}


def _vade(rows: np.ndarray, num_clusters: int, seed: int) -> np.ndarray:
    return VaDE(num_clusters, random_state=seed).fit(rows).labels_


def _components(rows: np.ndarray, count: int) -> np.ndarray:
    return PCA(min(count, *rows.shape), random_state=0).fit_transform(rows)


def _kmeans(rows: np.ndarray, num_clusters: int, seed: int) -> np.ndarray:
    return KMeans(num_clusters, n_init=10, random_state=seed).fit_predict(_components(rows, _COMPONENTS))


def _mixture(rows: np.ndarray, num_clusters: int, seed: int) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some starts do not converge
        model = GaussianMixture(num_clusters, n_init=10, random_state=seed)
        return model.fit_predict(_components(rows, _COMPONENTS))


def _hdbscan(rows: np.ndarray, num_clusters: int, seed: int) -> np.ndarray:
    """Finds as many clusters as it likes; rows that it calls noise are one more cluster."""
    return HDBSCAN(min_cluster_size=_LEAST_CLUSTER, copy=True).fit_predict(_components(rows, _COMPONENTS))


def _leiden(rows: np.ndarray, num_clusters: int, seed: int) -> np.ndarray:
    """The communities at the resolution that gives K, or the fewest above K, found by bisection."""
    points = _components(rows, _GRAPH_COMPONENTS)
    graph = find_neighbors(points, _NEIGHBORS)[2]
    low, high = 0.0, 16.0
    best = find_communities(graph, high, seed)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        found = find_communities(graph, middle, seed)
        low, high, best = (middle, high, best) if found.max() + 1 < num_clusters else (low, middle, found)
    return best


# name -> (rows [N, D], K, seed) -> clusters [N]
METHODS: dict[str, Callable[[np.ndarray, int, int], np.ndarray]] = {
    "VaDE": _vade,
    "KMeans": _kmeans,
    "GaussianMixture": _mixture,
    "HDBSCAN": _hdbscan,
    "Leiden": _leiden,
}


def with_entry(record: dict[str, Any], name: str, entry: dict[str, Any]) -> dict[str, Any]:
    """The record with this entry; scores of other methods on the same rows and seed are kept."""
    entries = {(other["seed"], other["rows"]): other for other in record.get(name, [])}
    key = entry["seed"], entry["rows"]
    earlier = entries[key]["scores"] if key in entries and entries[key]["settings"] == entry["settings"] else {}
    entries[key] = {**entry, "scores": earlier | entry["scores"]}
    return {**record, name: [entries[key] for key in sorted(entries)]}


def table(record: dict[str, Any]) -> list[list[str]]:
    """A text table of the mean adjusted Rand index over seeds, one row for each mixture; first the column names."""
    methods = [POSTERIOR, *METHODS]
    lines = [["mixture", "seeds", *methods]]
    for name, entries in record.items():
        lines.append([name, str(len(entries)), *(text_tables.number(_mean(entries, method), 3) for method in methods)])
    return lines


def markdown_table() -> str:
    """The table of `table` in Markdown; '' without a record."""
    record = records.read(records.RESULTS / "unequal.json") or {}
    columns, *found = table(record)
    return markdown.table(columns, markdown.marked(found, record))


def _mean(entries: Sequence[dict[str, Any]], method: str) -> float | None:
    """The mean adjusted Rand index of a method; None if an entry lacks it."""
    found = [entry["scores"][method]["ari"] for entry in entries if method in entry["scores"]]
    return float(np.mean(found)) if len(found) == len(entries) else None


def _save_figure(path: Path, record: dict[str, Any]) -> None:
    """Draws the mean adjusted Rand index of every method on every mixture."""
    figure = Figure(figsize=(7, 0.9 + 0.3 * len(record)), dpi=120, layout="constrained")
    axes = figure.subplots()
    heights = np.arange(len(record))[::-1]
    for method, marker in zip([POSTERIOR, *METHODS], "|o^sxD", strict=True):
        means = [_mean(entries, method) for entries in record.values()]
        axes.scatter([np.nan if mean is None else mean for mean in means], heights, marker=marker, s=28, label=method)
    axes.set_yticks(heights, list(record))
    axes.set_xlabel("adjusted Rand index")
    figure.legend(fontsize="small", loc="outside upper center", ncols=3)
    figure.savefig(path, metadata={"Software": None})


if __name__ == "__main__":
    main()
