"""The methods that find starting clusters in embeddings. They read no labels."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from vade_jax.initialization.best_candidate import BestCandidate
from vade_jax.initialization.best_of_layouts import Search, best_on_layouts, make_layout_clusterer
from vade_jax.initialization.column_kinds import Columns
from vade_jax.initialization.column_mixtures import clusters_of_columns
from vade_jax.initialization.communities import make_community_clusterer
from vade_jax.initialization.gaussian_mixtures import fit_mixture, leading_components, likeliest, sufficient_gaussians
from vade_jax.initialization.neighbor_graphs import num_neighbors
from vade_jax.system.process_wide import filtered_warnings

COVARIANCES = ("full", "diag")
BOTH = "both"
NEIGHBORS = ("embedding", BOTH)
ON_COMMUNITIES = ("communities", "gaussians_or_communities")  # these use the inputs themselves
ON_GRAPHS = (*ON_COMMUNITIES, "manifold")  # the methods that use neighbour graphs
_MOST_RESTARTS, _ROWS_OF_RESTARTS = 20, 20_000  # of Gaussians; on few rows each restart is quick
_MIN_GRAPH_ROWS = 4


class Clustering(NamedTuple):
    """Clusters of embeddings, and the scores of all candidates.

    Attributes:
      memberships: [N, K], in [0, 1], each row sums to 1.
      scores: of each restart, in the method's own measure. The highest was taken; 'gmm' takes the `likeliest`, and
        'manifold' the highest among the layouts with the fewest emptied clusters and the lowest resolution.
      resolution: of the modularity by which these clusters are to be compared with others, at most 1.
      are_probabilities: whether memberships say how certain each row is, and need no softening.
      of_inputs: whether they were found in the inputs alone, and would be the same for other embeddings.
    """

    memberships: np.ndarray
    scores: list[float]
    resolution: float = 1.0
    are_probabilities: bool = False
    of_inputs: bool = False


class ClusteringOptions(NamedTuple):
    """Options of the methods.

    Attributes:
      num_clusters: K, at most N.
      seed: of the restarts' random numbers.
      num_restarts: at least 1; for 'manifold' on each layout, for 'communities' at each resolution.
      covariance: of the mixture of 'gmm', 'full' or 'diag'.
      num_layouts: of 'manifold', at least 1.
      neighbor_share: the number of neighbours of each row in the neighbour graph, as a share of the rows of an average
        cluster; see `neighbor_graphs.num_neighbors`. This and the options below are of 'manifold' and 'communities'.
      input_neighbors: distances and indices, [N, k] each, of each row's nearest others by its input, where k is that
        number of neighbours. They are merged with the embedding's neighbours; None: only the latter are used.
      components: 'manifold' tries mixtures of 1 to this many components for each cluster.
      part_rows: the mean size of the pieces that are reassigned by the input_graphs; 0: none are.
      input_graphs: [N, N] each, neighbour graphs of the inputs, on which candidates are compared. If empty, the graph
        of the embedding is used.
      inputs: [N, D], scaled, for Gaussians and for the choice of the resolution; None: neither is done.
      columns: the inputs by kinds of columns, for 'gaussians_or_communities', if some are no numbers.
      resolution: of the clusters of the stage before, with which these are to be compared; None to choose it.
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
    inputs: np.ndarray | None = None
    columns: Columns | None = None
    resolution: float | None = None

    def num_neighbors(self, num_rows: int) -> int:
        """The number of neighbours of each row in a neighbour graph of this many rows."""
        return num_neighbors(num_rows, self.num_clusters, self.neighbor_share)


class InitializationMethod(Protocol):
    """A way to find clusters in embeddings."""

    def __call__(self, embeddings: np.ndarray, options: ClusteringOptions, /) -> Clustering:
        """Returns clusters of embeddings [N, J]; it reads only the options that concern it."""


def gmm(embeddings: np.ndarray, options: ClusteringOptions) -> Clustering:
    """Fits a Gaussian mixture by expectation-maximization; takes the `likeliest` restart (arXiv:1611.05148, Sec. 4.2).

    Args:
      embeddings: [N, J], real.
      options: num_clusters, seed, num_restarts and covariance are read.

    Returns:
      The mixture's posterior probabilities; scores are mean log-likelihoods, nats per row.
    """
    embeddings = np.asarray(embeddings, np.float64)
    restarts = [
        fit_mixture(embeddings, options.covariance, options.num_clusters, seed)
        for seed in _make_seeds(options.seed, options.num_restarts)
    ]
    scores = [float(mixture.score(embeddings)) for mixture in restarts]
    return Clustering(likeliest(restarts, embeddings).predict_proba(embeddings), scores)


def kmeans(embeddings: np.ndarray, options: ClusteringOptions) -> Clustering:
    """Runs k-means and takes the restart with the least inertia.

    Args:
      embeddings: [N, J], real.
      options: num_clusters, seed and num_restarts are read.

    Returns:
      Hard memberships; scores are negative inertias per row.
    """
    with filtered_warnings("ignore", ConvergenceWarning):  # fewer distinct rows than clusters
        restarts = [
            KMeans(options.num_clusters, n_init=1, random_state=seed).fit(embeddings)
            for seed in _make_seeds(options.seed, options.num_restarts)
        ]
    scores = [-float(restart.inertia_) / len(embeddings) for restart in restarts]
    return Clustering(np.eye(options.num_clusters)[restarts[int(np.argmax(scores))].labels_], scores)


def manifold(embeddings: np.ndarray, options: ClusteringOptions) -> Clustering:
    """Fits Gaussian mixtures on UMAP layouts of a neighbour graph and merges their components to clusters.

    A neighbour graph keeps a curved cluster together that no Gaussian in the embedding's space fits (N2D, McConville et
    al. 2019, arXiv:1908.05968). The steps are:

    1. Lay out the graph several times, and fit mixtures of full covariance from several starts on each layout. A
       mixture of K components often splits one cluster and joins two others. Mixtures with more components are tried
       too: each component then lies in one cluster.
    2. Merge the components to K clusters by the graph; see `modularity.merge_to_num_clusters`.
    3. Reassign small groups of rows that a layout placed beside the wrong cluster; see `modularity.reassign_pieces`.
       If fewer than K clusters have a higher modularity, this could empty a cluster. Modularity is then taken at the
       lowest resolution at which it does not, and for clusters of very different sizes at a lower one than 1.
    4. Take the candidate whose clusters have the highest modularity on the inputs' graphs. The likelihood of a mixture
       in its layout says little about its clusters, and one layout in two may split a cluster.

    Args:
      embeddings: [N, J], real.
      options: all but covariance and columns are read. For fewer than four rows `gmm` is used.

    Returns:
      The probabilities of the clusters; scores are mean modularities, at each layout's resolution.
    """
    if len(embeddings) < _MIN_GRAPH_ROWS:
        return gmm(embeddings, options._replace(covariance="full"))
    best = best_on_layouts(
        embeddings,
        options.num_clusters,
        _make_search(len(embeddings), options),
        options.input_neighbors,
        options.input_graphs,
        *_spaces_and_resolution(embeddings, options),
    )
    return Clustering(best.memberships, best.scores, min(best.resolution, 1.0))


def communities(embeddings: np.ndarray, options: ClusteringOptions) -> Clustering:
    """Finds communities of a neighbour graph and merges them to clusters.

    There are more communities than clusters. They are merged, small ones are reassigned and candidates are compared as
    in `manifold`.

    Args:
      embeddings: [N, J], real.
      options: num_clusters, seed, num_restarts, neighbor_share, part_rows, input_neighbors, input_graphs, inputs and
        resolution are read. For fewer than four rows `gmm` is used.

    Returns:
      The shares of each row's neighbours in the clusters; scores are mean modularities.
    """
    if len(embeddings) < _MIN_GRAPH_ROWS:
        return gmm(embeddings, options._replace(covariance="full"))
    best = _make_community_clusterer(embeddings, options)(options.num_clusters)
    return Clustering(best.memberships, best.scores, min(best.resolution, 1.0))


def gaussians_or_communities(embeddings: np.ndarray, options: ClusteringOptions) -> Clustering:
    """Fits Gaussians to the inputs if each cluster is one of them, else finds communities of the neighbour graph.

    Modularity prefers other clusters than those of overlapping Gaussians. So K Gaussians are compared with 2 K; see
    `gaussian_mixtures.sufficient_gaussians`. For rows by kinds of columns the mixtures are those of `column_mixtures`.
    Where the stage before took communities, so does this one.

    Args:
      embeddings: [N, J], real, for `communities`.
      options: those of `communities`.
    """
    if options.resolution is not None or len(embeddings) < _MIN_GRAPH_ROWS:
        return communities(embeddings, options)
    if options.columns is not None:
        found = clusters_of_columns(
            options.columns, options.num_clusters, _make_seeds(options.seed, options.num_restarts)
        )
        if found is not None:
            return Clustering(*found, are_probabilities=True, of_inputs=True)
    elif options.inputs is not None:
        points, found_covariance = sufficient_gaussians(options.inputs, options.num_clusters, options.seed)
        if found_covariance:
            restarts = max(options.num_restarts, min(_MOST_RESTARTS, _ROWS_OF_RESTARTS // len(points)))
            options = options._replace(covariance=found_covariance, num_restarts=restarts)
            return gmm(points, options)._replace(of_inputs=True)
    return communities(embeddings, options)


def random_memberships(embeddings: np.ndarray, options: ClusteringOptions) -> Clustering:
    """Puts each row in a random cluster; a baseline for training without an initialization.

    Of the options num_clusters and seed are read.
    """
    clusters = np.random.default_rng(options.seed).integers(options.num_clusters, size=len(embeddings))
    return Clustering(np.eye(options.num_clusters)[clusters], [0.0])


def one_cluster_each(embeddings: np.ndarray, options: ClusteringOptions) -> Clustering:
    """Puts each row in its own cluster, if there are fewer rows than clusters; the other clusters stay empty.

    Args:
      embeddings: [N, J], N < K; only N is read.
      options: num_clusters is read.
    """
    return Clustering(np.eye(len(embeddings), options.num_clusters), [0.0])


METHODS: dict[str, InitializationMethod] = {
    "communities": communities,
    "gaussians_or_communities": gaussians_or_communities,
    "gmm": gmm,
    "kmeans": kmeans,
    "manifold": manifold,
    "random": random_memberships,
}


def make_clusterer(method: str, embeddings: np.ndarray, options: ClusteringOptions) -> Callable[[int], np.ndarray]:
    """Returns a function that applies a method to the same embeddings for any K.

    Layouts and communities are made only once, with the number of neighbours for options.num_clusters.

    Args:
      method: a key of METHODS.
      embeddings: [N, J], real.
      options: num_clusters is the largest K.

    Returns:
      K -> memberships [N, K].
    """
    if method == "manifold" and len(embeddings) >= _MIN_GRAPH_ROWS:
        return make_layout_clusterer(embeddings, _make_search(len(embeddings), options))
    if method in ON_COMMUNITIES and len(embeddings) >= _MIN_GRAPH_ROWS:
        options = options._replace(input_neighbors=None, input_graphs=(), inputs=embeddings)
        cluster = _make_community_clusterer(embeddings, options)
        return lambda num_clusters: cluster(num_clusters).memberships
    return lambda num_clusters: METHODS[method](embeddings, options._replace(num_clusters=num_clusters)).memberships


def _make_community_clusterer(embeddings: np.ndarray, options: ClusteringOptions) -> Callable[[int], BestCandidate]:
    return make_community_clusterer(
        embeddings,
        options.num_neighbors(len(embeddings)),
        _make_seeds(options.seed, options.num_restarts),
        options.part_rows,
        options.input_neighbors,
        options.input_graphs,
        *_spaces_and_resolution(embeddings, options),
    )


def _spaces_and_resolution(embeddings: np.ndarray, options: ClusteringOptions) -> tuple[list[np.ndarray], float | None]:
    """The spaces that choose the resolution of modularity, each once, and the resolution; not chosen without inputs."""
    if options.inputs is None or options.resolution is not None:
        return [], options.resolution or 1.0
    spaces = [leading_components(options.inputs, options.seed)]
    return spaces if options.inputs is embeddings else [*spaces, embeddings], None


def _make_search(num_rows: int, options: ClusteringOptions) -> Search:
    return Search(
        num_neighbors=options.num_neighbors(num_rows),
        layout_seeds=_make_seeds(options.seed, options.num_layouts),
        mixture_seeds=_make_seeds(options.seed, options.num_restarts),
        components=options.components,
        part_rows=options.part_rows,
    )


def _make_seeds(seed: int, count: int) -> list[int]:
    return [int(number) for number in np.random.SeedSequence(seed).generate_state(count)]
