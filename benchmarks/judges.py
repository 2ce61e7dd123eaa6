"""Which criterion finds clusters of unequal size without labels: python -m benchmarks.judges.

Nothing is trained. Candidates are found in the inputs: communities of the neighbour graph, merged in four ways; and
Gaussian mixtures, k-means and HDBSCAN on ten principal components. Each candidate is scored by labels and by criteria
that read none. A criterion's regret is the best index of a candidate minus that of the candidate it picks. Data sets of
../shared/data are left out where they are missing; made mixtures are those of `benchmarks.unequal`, with a seed below
100. The record goes to benchmarks/results/judges.json.
"""

import argparse
import functools
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.datasets import load_digits

from benchmarks import markdown, provenance, records, text_tables, unequal
from benchmarks.judge_criteria import CRITERIA, MERGES, Rows, consensus, links_between, mean_ranks
from benchmarks.selection import spearman
from vade_jax.data.scaling import SCALINGS
from vade_jax.data.single_cells import log_normalized
from vade_jax.initialization import modularity, neighbor_graphs
from vade_jax.initialization.best_candidate import CLEARLY
from vade_jax.initialization.communities import find_communities
from vade_jax.initialization.denoising import fit_denoising
from vade_jax.initialization.gaussian_mixtures import fit_mixture, leading_components
from vade_jax.reports import label_scores

_SHARED = records.ROOT.parent / "shared" / "data"
_MOST_ROWS = 4000
_NEIGHBOR_SHARE = 0.05
_RESOLUTIONS, _SEEDS = (1.0, 2.0, 4.0), (1, 2)
_GENES = 2000
RECIPE = "modularity, its resolution by mixture agreement"
_MADE = ("10 columns, 1:50", "200 columns, equal", "200 columns, 1:10, near", "counts, 1:20", "binary, 1:20")


def main() -> None:
    """Measures the sets that the record lacks, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=lambda text: text.split(";"), default=list(SETS), help="separated by ;")
    parser.add_argument("--rows", type=int, default=_MOST_ROWS, help="at most so many of each set, drawn at random")
    parser.add_argument("--record", type=Path, default=records.RESULTS / "judges.json")
    parser.add_argument("--budget", type=float, default=math.inf, help="no set is started after this many minutes")
    options = parser.parse_args()
    deadline = time.monotonic() + 60 * options.budget
    for name in options.sets:
        if time.monotonic() > deadline:
            break
        try:
            x, labels = SETS[name]()
        except FileNotFoundError as error:
            print(f"{name} is left out: {error}")
            continue
        found = judge(x, labels, options.rows)
        record = {**(records.read(options.record) or {}), name: {**provenance.stamp(__file__), **found}}
        records.write(options.record, record)
        print(f"{name}: {found['candidates']} candidates, the best index {found['best']:.3f}", flush=True)
    print(text_tables.aligned(table(records.read(options.record) or {})))


def judge(x: np.ndarray, labels: np.ndarray, most_rows: int) -> dict[str, Any]:
    """How well each criterion ranks the candidates of a set.

    Args:
      x: [N, D], scaled.
      labels: [N].
      most_rows: of more rows, so many are drawn.

    Returns:
      'rows', 'candidates' (their number), 'best' and 'median' adjusted Rand index, and 'criteria': name -> 'ari' and
      'accuracy', the rank correlations with these, 'picked' (the index of the picked candidate) and 'candidate'.
    """
    drawn = np.sort(np.random.default_rng(0).permutation(len(x))[:most_rows])
    x, labels = x[drawn], labels[drawn]
    num_clusters = len(np.unique(labels))
    denoised = fit_denoising(x, num_clusters)(x)
    count = neighbor_graphs.num_neighbors(len(x), num_clusters, _NEIGHBOR_SHARE)
    graph = neighbor_graphs.find_neighbors(denoised, count)[2]
    rows = Rows(graph, leading_components(x, 0), num_clusters)
    found = candidates(rows)
    scores = [label_scores.scores(labels, clusters) for clusters in found.values()]
    indices, accuracies = ([score[name] for score in scores] for name in ("ari", "accuracy"))
    values = {name: [criterion(rows, clusters) for clusters in found.values()] for name, criterion in CRITERIA.items()}
    values["consensus"] = consensus(list(found.values()))
    values["agreement and modularity"] = mean_ranks(values["mixture agreement"], values["modularity at 1"])
    names, chosen = list(found), _choice_of_recipe(rows, found)
    criteria = {
        name: {
            "ari": spearman(value, indices),
            "accuracy": spearman(value, accuracies),
            "picked": indices[int(np.argmax(value))],
            "candidate": names[int(np.argmax(value))],
        }
        for name, value in values.items()
    }
    criteria[RECIPE] = {"ari": None, "accuracy": None, "picked": indices[names.index(chosen)], "candidate": chosen}
    return {
        "rows": len(x),
        "candidates": len(found),
        "best": max(indices),
        "median": float(np.median(indices)),
        "criteria": criteria,
    }


def _choice_of_recipe(rows: Rows, found: Mapping[str, np.ndarray]) -> str:
    """The candidate that starting clusters are taken from: see `best_candidate`."""
    best = []
    for low in MERGES:
        merged = [name for name in found if name.endswith(f"merged at {low}")]
        best.append(max(merged, key=lambda name: modularity.modularity(rows.graph, found[name], low)))
    agreements = [CRITERIA["mixture agreement"](rows, found[name]) for name in best]
    enough = max(agreements) - CLEARLY
    return next(name for name, agreement in zip(best, agreements, strict=True) if agreement >= enough)


def candidates(rows: Rows) -> dict[str, np.ndarray]:
    """Name -> clusters [N]; some have more than K clusters, or fewer."""
    found = {}
    for resolution in _RESOLUTIONS:
        for seed in _SEEDS:
            communities = _at_least(rows.graph, rows.num_clusters, resolution, seed)
            number = communities.max() + 1
            for low in MERGES:
                merged = modularity.merge_to_num_clusters(rows.graph, communities, number, rows.num_clusters, low)
                found[f"communities {resolution} {seed}, merged at {low}"] = merged[communities]
            merged = merge_by_linkage(rows.graph, communities, rows.num_clusters)
            found[f"communities {resolution} {seed}, merged by linkage"] = merged[communities]
    for seed in _SEEDS:
        for shape in ("full", "diag"):
            mixture = fit_mixture(rows.points, shape, rows.num_clusters, seed)
            found[f"mixture {shape} {seed}"] = mixture.predict(rows.points)
        found[f"k-means {seed}"] = KMeans(rows.num_clusters, n_init=1, random_state=seed).fit_predict(rows.points)
    for least in (10, 40):
        found[f"HDBSCAN {least}"] = HDBSCAN(min_cluster_size=least, copy=True).fit_predict(rows.points)
    return {name: np.unique(clusters, return_inverse=True)[1] for name, clusters in found.items()}


def _at_least(graph: csr_matrix, count: int, resolution: float, seed: int) -> np.ndarray:
    communities = find_communities(graph, resolution, seed)
    while communities.max() + 1 < count:
        resolution *= 2
        communities = find_communities(graph, resolution, seed)
    return communities


def merge_by_linkage(graph: csr_matrix, communities: np.ndarray, num_clusters: int) -> np.ndarray:
    """Merges communities to K clusters, each time the pair with the most edges between them for those by chance.

    Returns:
      [P], the cluster of each community.
    """
    links = links_between(graph, communities)
    clusters = np.arange(len(links))
    for _ in range(len(links) - num_clusters):
        volumes = np.maximum(links.sum(axis=1), 1e-9)
        ratios = np.triu(links / np.outer(volumes, volumes), 1) - np.tril(np.ones_like(links))
        unused = links.sum(axis=1) == 0
        ratios[unused], ratios[:, unused] = -1, -1
        one, other = np.unravel_index(ratios.argmax(), ratios.shape)
        links[one] += links[other]
        links[:, one] += links[:, other]
        links[other], links[:, other] = 0, 0
        clusters[clusters == other] = one
    return np.unique(clusters, return_inverse=True)[1]


def table(record: Mapping[str, Any]) -> list[list[str]]:
    """A text table with one row for each criterion, the least regret first; the first row has the column names."""
    names = list(next(iter(record.values()))["criteria"]) if record else []

    def mean(name: str, key: str) -> float:
        return float(np.mean([found["criteria"][name][key] or 0.0 for found in record.values()]))

    best = float(np.mean([found["best"] for found in record.values()])) if record else 0.0
    lines = [["criterion", "regret", "rank correlation with ARI", "with accuracy", *record]]
    for name in sorted(names, key=lambda name: -mean(name, "picked")):
        ranks = [None if name == RECIPE else mean(name, key) for key in ("ari", "accuracy")]
        numbers = [best - mean(name, "picked"), *ranks]
        picked = [found["criteria"][name]["picked"] for found in record.values()]
        lines.append([name, *(text_tables.number(value, 3) for value in (*numbers, *picked))])
    for key in ("best", "median"):
        scores = [found[key] for found in record.values()]
        lines.append([f"{key} candidate", "-", "-", "-", *(text_tables.number(value, 3) for value in scores)])
    return lines


def markdown_table() -> str:
    """The table in Markdown; its header alone without a record."""
    record = records.read(records.RESULTS / "judges.json") or {}
    columns, *found = table(record)
    return markdown.table(columns, markdown.marked(found, record))


def _digits() -> tuple[np.ndarray, np.ndarray]:
    x, labels = load_digits(return_X_y=True)
    return x / 16, labels


def _dense(name: str, scale: float) -> tuple[np.ndarray, np.ndarray]:
    with np.load(_SHARED / name) as parts:
        x, labels = (np.concatenate([parts[f"{kind}_train"], parts[f"{kind}_test"]]) for kind in "xy")
    return x / np.float32(scale), labels


def _sparse(name: str) -> tuple[np.ndarray, np.ndarray]:
    with np.load(_SHARED / name) as parts:
        matrix = csr_matrix((parts["data"].astype(np.float32), parts["indices"], parts["indptr"]), shape=parts["shape"])
        return matrix.toarray(), parts["y"]


def _worm_neurons() -> tuple[np.ndarray, np.ndarray]:
    counts, labels = _sparse("sc_worm_neuron.npz")
    values = log_normalized(counts)
    x = values[:, np.sort(np.argsort(-values.var(axis=0))[:_GENES])]
    shift, scale = SCALINGS["standardize"](x)
    return ((x - shift) * scale).astype(np.float32), labels


def _made(name: str) -> tuple[np.ndarray, np.ndarray]:
    mixture = unequal.MIXTURES[name]
    x, labels, _ = unequal.make_rows(mixture, 3000, seed=1)
    return unequal.prepare(x, mixture), labels


# name -> function that returns scaled rows [N, D] and labels [N]
SETS: dict[str, Callable[[], tuple[np.ndarray, np.ndarray]]] = {
    "digits": _digits,
    "pendigits": functools.partial(_dense, "pendigits.npz", 100.0),
    "HAR": functools.partial(_dense, "har.npz", 2.0),
    "worm neurons": _worm_neurons,
    "R8": functools.partial(_sparse, "reuters21578_r8.npz"),
    "newsgroups": functools.partial(_sparse, "newsgroups20.npz"),
    "RCV1": functools.partial(_sparse, "reuters_rcv1_4root.npz"),
    **{name: functools.partial(_made, name) for name in _MADE},
}


if __name__ == "__main__":
    main()
