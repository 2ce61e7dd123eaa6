"""The label-free criteria that `benchmarks.judges` compares."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix
from scipy.special import gammaln, logsumexp
from scipy.stats import multivariate_normal, rankdata
from sklearn.metrics import adjusted_rand_score, silhouette_score

from vade_jax.initialization import modularity
from vade_jax.initialization.gaussian_mixtures import agreement_with_mixture, refine_mixture

MERGES = (1.0, 0.5, 0.25)  # resolutions of modularity
_SILHOUETTE_ROWS = 1500
_SHRINKAGE = 0.01  # of a Gaussian's covariance, of that of all points


class Rows(NamedTuple):
    """The rows of one set as criteria see them.

    Attributes:
      graph: [N, N], the neighbour graph of the inputs without noise.
      points: [N, d], their leading principal components.
      num_clusters: K.
    """

    graph: csr_matrix
    points: np.ndarray
    num_clusters: int


def links_between(graph: csr_matrix, clusters: np.ndarray) -> np.ndarray:
    """[K, K], the sums of the weights of the edges between clusters."""
    indicator = csr_matrix((np.ones(len(clusters)), (np.arange(len(clusters)), clusters)))
    return (indicator.T @ graph @ indicator).toarray()


def _modularity(rows: Rows, clusters: np.ndarray, resolution: float) -> float:
    return modularity.modularity(rows.graph, clusters, resolution)


def _description_length(rows: Rows, clusters: np.ndarray) -> float:
    """The negative description length, nats, of a degree-corrected block model (Peixoto 2014, Phys. Rev. X 4)."""
    links, sizes = links_between(rows.graph, clusters), np.bincount(clusters)
    shares, volumes = links / links.sum(), links.sum(axis=1) / links.sum()
    gain = shares * np.log(np.maximum(shares, 1e-300) / np.outer(volumes, volumes))
    edges, pairs = links.sum() / 2, len(sizes) * (len(sizes) + 1) / 2
    partition = gammaln(len(clusters) + 1) - gammaln(sizes + 1).sum()
    return float(edges * gain.sum() - partition - gammaln(pairs + edges) + gammaln(pairs) + gammaln(edges + 1))


def _constant_potts(rows: Rows, clusters: np.ndarray) -> float:
    """Edges inside clusters, minus half of those of a graph of the same mean density (Traag et al. 2011, PRE 84)."""
    inside = np.trace(links_between(rows.graph, clusters)) / rows.graph.sum()
    return float(inside - 0.5 * np.square(np.bincount(clusters) / len(clusters)).sum())


def _conductances(rows: Rows, clusters: np.ndarray) -> np.ndarray:
    links = links_between(rows.graph, clusters)
    return 1 - np.diag(links) / links.sum(axis=1)


def _held_out_likelihood(rows: Rows, clusters: np.ndarray) -> float:
    """The mean log-likelihood, nats, of each half of the rows under the Gaussians of the clusters of the other half."""
    return float(
        np.mean([_log_density(rows.points[half], clusters[half], rows.points[~half]) for half in _halves(rows)])
    )


def _log_density(points: np.ndarray, clusters: np.ndarray, others: np.ndarray) -> float:
    """The mean log-likelihood of other points under one Gaussian for each cluster of at least two points."""
    spread = _SHRINKAGE * np.cov(points.T)
    joint = [
        np.log(inside.mean())
        + multivariate_normal(points[inside].mean(axis=0), np.cov(points[inside].T) + spread).logpdf(others)
        for inside in (clusters == cluster for cluster in np.unique(clusters))
        if inside.sum() > 1
    ]
    return float(logsumexp(joint, axis=0).mean())


def _stability(rows: Rows, clusters: np.ndarray) -> float:
    """The adjusted Rand index of two mixtures, each fitted to half of the rows, starting from these clusters."""
    indicator = np.eye(clusters.max() + 1)[clusters]
    mixtures = [refine_mixture(rows.points[half], indicator[half]) for half in _halves(rows)]
    first, second = (mixture.predict(rows.points) for mixture in mixtures)
    return float(adjusted_rand_score(first, second))


def _halves(rows: Rows) -> list[np.ndarray]:
    """Every other row, and the rest: [N] each, bool."""
    return [np.arange(len(rows.points)) % 2 == parity for parity in (0, 1)]


def _silhouette(rows: Rows, clusters: np.ndarray) -> float:
    """On random rows; -1 if they are all in one cluster."""
    drawn = np.random.default_rng(0).permutation(len(clusters))[:_SILHOUETTE_ROWS]
    several = len(np.unique(clusters[drawn])) > 1
    return float(silhouette_score(rows.points[drawn], clusters[drawn])) if several else -1.0


# name -> (rows, clusters [N]) -> value; higher is better.
CRITERIA: dict[str, Callable[[Rows, np.ndarray], float]] = {
    **{f"modularity at {low:g}": functools.partial(_modularity, resolution=low) for low in (2.0, *MERGES)},
    "description length": _description_length,
    "constant Potts model": _constant_potts,
    "normalized cut": lambda rows, clusters: -float(_conductances(rows, clusters).mean()),
    "worst conductance": lambda rows, clusters: -float(_conductances(rows, clusters).max()),
    "held-out likelihood": _held_out_likelihood,
    "mixture agreement": lambda rows, clusters: agreement_with_mixture(rows.points, clusters, clusters.max() + 1),
    "stability over halves": _stability,
    "silhouette": _silhouette,
}


def consensus(found: Sequence[np.ndarray]) -> list[float]:
    """The mean adjusted Rand index of each candidate with the others."""
    pairs = [[adjusted_rand_score(one, other) for other in found] for one in found]
    return [float((sum(row) - 1) / (len(found) - 1)) for row in pairs]


def mean_ranks(*values: Sequence[float]) -> list[float]:
    """The mean of the ranks of each candidate by several criteria."""
    return np.mean([rankdata(value) for value in values], axis=0).tolist()
