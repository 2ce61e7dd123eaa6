"""Embeddings -> the clusters to start from and the prior that holds them, without a label."""

import sys
import warnings
from collections.abc import Iterator
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors

from vade_jax.graphs import modularity, neighbor_graph, num_neighbors
from vade_jax.priors import GMMPrior

COVARIANCES = ("full", "diag")
_MIN_VAR = 1e-3  # added to every variance, relative to the embeddings' mean variance
_MAX_ITERATIONS = 200
_MANIFOLD_DIM = 10
_MIN_LAYOUT_ROWS = 4
_INLIERS = 0.95  # of the rows of a layout: no mixture there is fitted to fewer
_SMALL = 0.5  # of an average cluster: what is larger is no piece of outliers
_LAYOUT_EPOCHS = 50  # umap-learn's 200 to 500 find the same clusters, later


class Clustering(NamedTuple):
    """Memberships of embeddings and how they were chosen.

    Attributes:
      memberships: [N, K], in [0, 1], each row sums to 1.
      scores: of each restart, in the method's own measure; the highest was taken.
    """

    memberships: np.ndarray
    scores: list[float]


class Options(NamedTuple):
    """What the methods can be told.

    Attributes:
      num_clusters: K, at most N.
      seed: restarts take their random numbers from it.
      num_restarts: at least 1; 'manifold' has so many on each layout.
      covariance: of the mixture of 'gmm', 'full' or 'diag'.
      num_layouts: of 'manifold', at least 1.
      neighbor_share: 'manifold' joins each row to so many others, as a share of an average cluster's rows.
      max_rows: 'manifold' lays out so many rows drawn at random, and gives the others their neighbours' memberships.
    """

    num_clusters: int
    seed: int
    num_restarts: int
    covariance: str = "full"
    num_layouts: int = 4
    neighbor_share: float = 0.05
    max_rows: int = 100_000


def gmm(embeddings: np.ndarray, options: Options) -> Clustering:
    """A Gaussian mixture by expectation-maximization, the likeliest restart (arXiv:1611.05148, Sec. 4.2).

    Args:
      embeddings: [N, J], real.
      options: all but the manifold's.

    Returns:
      The mixture's posteriors; scores are mean log-likelihoods, nats per row.
    """
    embeddings = np.asarray(embeddings, np.float64)
    restarts = [
        _mixture(embeddings, options.covariance, options.num_clusters, seed)
        for seed in _seeds(options.seed, options.num_restarts)
    ]
    scores = [float(mixture.score(embeddings)) for mixture in restarts]
    return Clustering(restarts[int(np.argmax(scores))].predict_proba(embeddings), scores)


def _mixture(rows, covariance, num_clusters, seed):
    mean_var = float(rows.var(axis=0, dtype=np.float64).mean())
    with warnings.catch_warnings():  # a restart that is cut short competes by its likelihood like any other
        warnings.simplefilter("ignore", ConvergenceWarning)
        return GaussianMixture(
            num_clusters,
            covariance_type=covariance,
            reg_covar=_MIN_VAR * mean_var if mean_var > 0 else _MIN_VAR,
            max_iter=_MAX_ITERATIONS,
            random_state=seed,
        ).fit(rows)


def kmeans(embeddings: np.ndarray, options: Options) -> Clustering:
    """k-means, the restart of the least inertia; scores are negative inertias per row.

    Args:
      embeddings: [N, J], real.
      options: num_clusters, seed and num_restarts are read.

    Returns:
      Hard memberships.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than clusters
        restarts = [
            KMeans(options.num_clusters, n_init=1, random_state=seed).fit(embeddings)
            for seed in _seeds(options.seed, options.num_restarts)
        ]
    scores = [-float(restart.inertia_) / len(embeddings) for restart in restarts]
    return Clustering(np.eye(options.num_clusters)[restarts[int(np.argmax(scores))].labels_], scores)


def manifold(embeddings: np.ndarray, options: Options) -> Clustering:
    """A Gaussian mixture of full covariance on UMAP layouts of the embeddings' neighbour graph.

    Neighbours keep a curved cluster together that no Gaussian in the embedding's own space holds (N2D, McConville et
    al. 2019, arXiv:1908.05968). Of all mixtures on all layouts that is taken whose clusters cut the graph best: a
    mixture's likelihood in its layout says little about that, and one layout in two may tear a cluster apart.

    Args:
      embeddings: [N, J], real.
      options: all but covariance.

    Returns:
      The mixture's posteriors; scores are modularities (see `graphs`).
    """
    num_rows = len(embeddings)
    if num_rows < _MIN_LAYOUT_ROWS:
        return gmm(embeddings, options._replace(covariance="full"))
    order = np.random.default_rng(options.seed).permutation(num_rows)
    laid_out = np.sort(order[: options.max_rows])
    count = num_neighbors(len(laid_out), options.num_clusters, options.neighbor_share)
    nearest = NearestNeighbors(n_neighbors=count, n_jobs=-1).fit(embeddings[laid_out])
    distances, neighbors = nearest.kneighbors()
    graph = neighbor_graph(np.arange(len(laid_out)), neighbors, len(laid_out))
    layouts = (
        lay_out(embeddings[laid_out], distances, neighbors, seed) for seed in _seeds(options.seed, options.num_layouts)
    )
    clustering = _best_mixture(layouts, graph, options)
    if len(laid_out) == num_rows:
        return clustering
    memberships = np.empty((num_rows, options.num_clusters))
    memberships[laid_out] = clustering.memberships
    rest = np.sort(order[options.max_rows :])
    neighbors = nearest.kneighbors(embeddings[rest], return_distance=False)
    memberships[rest] = clustering.memberships[neighbors].mean(axis=1)
    return Clustering(memberships, clustering.scores)


def lay_out(embeddings: np.ndarray, distances: np.ndarray, neighbors: np.ndarray, seed: int) -> np.ndarray:
    """UMAP's layout of the graph of nearest neighbours.

    Args:
      embeddings: [N, J].
      distances: [N, k], of each row to its nearest others, in ascending order.
      neighbors: [N, k], their numbers.
      seed: of the layout.

    Returns:
      [N, 10], or fewer columns for a handful of rows.
    """
    # umap-learn counts a row as its own first neighbour; its own search is not exact and takes longer to compile.
    itself = np.arange(len(embeddings))[:, None]
    neighbors = np.concatenate([itself, neighbors], axis=1)
    distances = np.concatenate([np.zeros_like(itself), distances], axis=1).astype(np.float32)
    umap = _umap()(
        n_neighbors=neighbors.shape[1],
        n_components=min(_MANIFOLD_DIM, max(2, len(embeddings) - 2)),
        min_dist=0.0,
        n_epochs=_LAYOUT_EPOCHS,
        precomputed_knn=(neighbors, distances),
        random_state=seed,
        n_jobs=1,
    )
    with warnings.catch_warnings():  # it says that it cannot lay out further rows, and that it searches small data anew
        warnings.filterwarnings("ignore", message="precomputed_knn")
        return umap.fit_transform(np.asarray(embeddings, np.float32))


def _best_mixture(layouts, graph, options):
    """The posteriors of the mixture that cuts the graph best, of all layouts, restarts and outliers left out."""
    scores: list[float] = []
    memberships = np.empty((0, options.num_clusters))
    for layout in layouts:
        for seed in _seeds(options.seed, options.num_restarts):
            for mixture in mixtures(layout, options.num_clusters, seed):
                score = modularity(graph, mixture.predict(layout))
                if score > max(scores, default=-1.0):
                    memberships = mixture.predict_proba(layout)
                scores.append(score)
    return Clustering(memberships, scores)


def mixtures(layout: np.ndarray, num_clusters: int, seed: int) -> Iterator[GaussianMixture]:
    """A mixture of all rows, then of those outside its smallest cluster, and so on while few are left out.

    A layout tears outliers off in small dense pieces. A mixture gains by giving them a cluster and joining two others.

    Args:
      layout: [N, d].
      num_clusters: K.
      seed: of the mixtures' starts.

    Yields:
      Fitted mixtures of full covariance; at most 5 % of the rows are left out.
    """
    rows = layout
    while True:
        mixture = _mixture(rows, "full", num_clusters, seed)
        yield mixture
        clusters = mixture.predict(rows)
        sizes = np.bincount(clusters, minlength=num_clusters)
        spare = len(rows) - max(num_clusters, _INLIERS * len(layout))
        if not 0 < sizes.min() <= min(spare, _SMALL * len(layout) / num_clusters):
            return
        rows = rows[clusters != sizes.argmin()]


def random(embeddings: np.ndarray, options: Options) -> Clustering:
    """Each row in a cluster drawn at random: what clustering makes of no start at all.

    Args:
      embeddings: [N, J]; their number is read.
      options: num_clusters and seed are read.

    Returns:
      Hard memberships, one score of 0.
    """
    clusters = np.random.default_rng(options.seed).integers(options.num_clusters, size=len(embeddings))
    return Clustering(np.eye(options.num_clusters)[clusters], [0.0])


# name -> function (embeddings [N, J], Options) that returns a Clustering.
METHODS = {"gmm": gmm, "kmeans": kmeans, "manifold": manifold, "random": random}


def prior_from_memberships(z_mean: np.ndarray, z_var: np.ndarray, memberships: np.ndarray) -> GMMPrior:
    """The mixture that fits q(z|x) under the memberships best: the M-step of their weights, means and variances.

    It maximises sum_n E_q(z|x_n)[sum_c q(c|x_n) log p(c, z)] over diagonal mixtures.

    Args:
      z_mean: [N, J].
      z_var: [N, J], variances of q(z|x).
      memberships: [N, K], q(c|x).

    Returns:
      The prior, float32; an empty cluster gets the moments of all rows, and a weight of half a row.
    """
    mean_var = float(z_mean.var(axis=0).mean())
    sizes = memberships.sum(axis=0)
    empty = sizes < 0.5
    weights = np.where(empty, 1.0, memberships / np.where(empty, 1.0, sizes))
    weights = weights / weights.sum(axis=0)  # [N, K]
    means = weights.T @ z_mean
    variances = weights.T @ (np.square(z_mean, dtype=np.float64) + z_var) - np.square(means)
    variances = np.maximum(variances, 0) + (_MIN_VAR * mean_var if mean_var > 0 else _MIN_VAR)
    sizes = np.maximum(sizes, 0.5)
    log_weights = np.log(sizes / sizes.sum())
    return GMMPrior(*(jnp.asarray(array, jnp.float32) for array in (log_weights, means, np.log(variances))))


def _umap():
    """umap-learn's UMAP, imported by those who need it: it compiles for seconds."""
    # It imports TensorFlow where there is one, for a network that nothing here uses.
    tensorflow = sys.modules.setdefault("tensorflow", None)  # type: ignore[arg-type]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ImportWarning)
            from umap import UMAP
    finally:
        if tensorflow is None:
            del sys.modules["tensorflow"]
    return UMAP


def _seeds(seed, count):
    return [int(number) for number in np.random.SeedSequence(seed).generate_state(count)]
