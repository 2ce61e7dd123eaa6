"""Embeddings -> the clusters to start from and the prior that holds them, without a label."""

import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from vade_jax.initialization.best_of_layouts import Search, best_on_layouts, make_layout_clusterer
from vade_jax.initialization.gaussian_mixtures import fit_mixture
from vade_jax.initialization.neighbor_graphs import num_neighbors

COVARIANCES = ("full", "diag")
BOTH = "both"
NEIGHBORS = ("embedding", BOTH)
_MIN_LAYOUT_ROWS = 4


class Clustering(NamedTuple):
    """Memberships of embeddings and how they were chosen.

    Attributes:
      memberships: [N, K], in [0, 1], each row sums to 1.
      scores: of each restart, in the method's own measure; the highest was taken, by 'manifold' of the layouts with the
        lowest resolution.
    """

    memberships: np.ndarray
    scores: list[float]


class ClusteringOptions(NamedTuple):
    """What the methods can be told.

    Attributes:
      num_clusters: K, at most N.
      seed: restarts take their random numbers from it.
      num_restarts: at least 1; 'manifold' has so many on each layout.
      covariance: of the mixture of 'gmm', 'full' or 'diag'.
      num_layouts: of 'manifold', at least 1.
      neighbor_share: 'manifold' joins each row to so many others, as a share of an average cluster's rows.
      input_neighbors: distances and numbers, each [N, k], of so many nearest others of each row by its input, if
        'manifold' is to join it to those too that are nearer than the embedding's; None for the embedding's alone.
      components: of a mixture of 'manifold', 1 to so many for each cluster that they are joined to.
      part_rows: 'manifold' cuts clusters into parts of about so many rows, which move to where all of input_graphs join
        them better; 0: not.
      input_graphs: [N, N] each, of the inputs' neighbours; on these 'manifold' compares what it found. None: on its own
        graph.
    """

    num_clusters: int
    seed: int
    num_restarts: int
    covariance: str = "full"
    num_layouts: int = 4
    neighbor_share: float = 0.05
    input_neighbors: tuple[np.ndarray, np.ndarray] | None = None
    components: int = 2
    part_rows: int = 70
    input_graphs: Sequence[csr_matrix] = ()


def gmm(embeddings: np.ndarray, options: ClusteringOptions) -> Clustering:
    """A Gaussian mixture by expectation-maximization, the likeliest restart (arXiv:1611.05148, Sec. 4.2).

    Args:
      embeddings: [N, J], real.
      options: all but the manifold's.

    Returns:
      The mixture's posteriors; scores are mean log-likelihoods, nats per row.
    """
    embeddings = np.asarray(embeddings, np.float64)
    restarts = [
        fit_mixture(embeddings, options.covariance, options.num_clusters, seed)
        for seed in _seeds(options.seed, options.num_restarts)
    ]
    scores = [float(mixture.score(embeddings)) for mixture in restarts]
    return Clustering(restarts[int(np.argmax(scores))].predict_proba(embeddings), scores)


def kmeans(embeddings: np.ndarray, options: ClusteringOptions) -> Clustering:
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


def manifold(embeddings: np.ndarray, options: ClusteringOptions) -> Clustering:
    """Gaussian mixtures of full covariance on UMAP layouts of a neighbour graph, their components joined to clusters.

    Neighbours keep a curved cluster together that no Gaussian in the embedding's own space holds (N2D, McConville et
    al. 2019, arXiv:1908.05968). A mixture of K components often divides one cluster and covers two others; of more
    components each lies in one cluster, and the graph says which belong together (see `parts.joined`). Of all starts of
    either on all layouts that is taken whose clusters cut the inputs' graphs best: a mixture's likelihood in its layout
    says little about that, and one layout in two may tear a cluster apart. Small parts that a layout holds beside the
    wrong cluster have gone before to where the inputs' neighbours are (see `parts.moved_parts`). Where that would empty
    a cluster, since fewer than K cut the graph best, modularity is taken at the lowest higher resolution at which it
    does not.

    Args:
      embeddings: [N, J], real.
      options: all but covariance.

    Returns:
      The posteriors of clusters; scores are modularities (see `graphs`), at each layout's resolution.
    """
    if len(embeddings) < _MIN_LAYOUT_ROWS:
        return gmm(embeddings, options._replace(covariance="full"))
    memberships, scores = best_on_layouts(
        embeddings,
        options.num_clusters,
        _search(len(embeddings), options),
        options.input_neighbors,
        options.input_graphs,
    )
    return Clustering(memberships, scores)


def random_memberships(embeddings: np.ndarray, options: ClusteringOptions) -> Clustering:
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
METHODS = {"gmm": gmm, "kmeans": kmeans, "manifold": manifold, "random": random_memberships}


def make_clusterer(method: str, embeddings: np.ndarray, options: ClusteringOptions) -> Callable[[int], np.ndarray]:
    """A method for any number of clusters on the same embeddings.

    'manifold' makes its layouts once, with the neighbours that suit options.num_clusters.

    Args:
      method: a key of METHODS.
      embeddings: [N, J], real.
      options: num_clusters is the largest K.

    Returns:
      K -> memberships [N, K].
    """
    if method == "manifold" and len(embeddings) >= _MIN_LAYOUT_ROWS:
        return make_layout_clusterer(embeddings, _search(len(embeddings), options))
    return lambda num_clusters: METHODS[method](embeddings, options._replace(num_clusters=num_clusters)).memberships


def _search(num_rows, options):
    return Search(
        num_neighbors(num_rows, options.num_clusters, options.neighbor_share),
        _seeds(options.seed, options.num_layouts),
        _seeds(options.seed, options.num_restarts),
        options.components,
        options.part_rows,
    )


def _seeds(seed, count):
    return [int(number) for number in np.random.SeedSequence(seed).generate_state(count)]
