"""Merges the components of several candidates to K clusters; the candidate with the highest modularity is taken.

Modularity prefers clusters of equal size, less so at a lower resolution. Mixtures decide on the resolution.
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from vade_jax.initialization.gaussian_mixtures import agreement_with_mixture
from vade_jax.initialization.modularity import (
    count_emptied_clusters,
    mean_modularity,
    merge_to_num_clusters,
    reassign_pieces,
)

_RESOLUTIONS = [1.5**power for power in range(6)]
_LOW_RESOLUTIONS = (0.5, 0.25)  # lower ones joined true clusters of pendigits, and single rows stayed clusters
CLEARLY = 0.05  # by how much more a mixture has to agree; with 0.03, clusters of Fashion-MNIST get worse


class BestCandidate(NamedTuple):
    """The best of several candidates.

    Attributes:
      num_emptied: the number of its clusters left almost empty by reassignment.
      resolution: at which modularity was taken.
      memberships: [N, K].
      scores: the mean modularity of every candidate.
    """

    num_emptied: int
    resolution: float
    memberships: np.ndarray
    scores: list[float]

    def clusters(self) -> np.ndarray:
        """The cluster of each row, [N]."""
        return self.memberships.argmax(axis=1)

    def sort_key(self) -> tuple[int, float, float]:
        """The least is the best."""
        return self.num_emptied, self.resolution, -max(self.scores)


def best_candidates(
    candidates: Sequence[Callable[[], np.ndarray]],
    graph: csr_matrix,
    input_graphs: Sequence[csr_matrix],
    num_clusters: int,
    pieces: np.ndarray | None,
    resolution: float | None,
) -> list[BestCandidate]:
    """Returns the candidates of the highest modularity: at a resolution of 1 or more, at 1/2, and at 1/4.

    At a resolution of 1, two of many clusters have a higher modularity if they are one (Fortunato and Barthelemy 2007,
    PNAS 104(1)). Group after group of one of them would then be reassigned to the other. So the lowest resolution from
    1 on is taken at which reassignment empties no cluster, or the fewest. If that is above 1, or there is one cluster,
    no resolution below 1 is tried.

    Args:
      candidates: each returns the rows' memberships in its P components, [N, P], P >= K. They are asked for again at
        each resolution, since those of all candidates together may not fit in memory.
      graph: [N, N], on which components are merged.
      input_graphs: [N, N] each, on which candidates are compared and pieces are reassigned. If empty, the other graph
        compares them.
      num_clusters: K.
      pieces: [N], the index of each row's piece; None if none are reassigned.
      resolution: below 1, the only one that is tried; 1: none below 1 is tried; None: all are.
    """
    at = functools.partial(_best_at, candidates, graph, input_graphs, num_clusters, pieces)
    if resolution is not None and resolution < 1:
        return [at(resolution)]
    found = []
    for higher in _RESOLUTIONS:
        found.append(at(higher))
        if not found[-1].num_emptied:
            break
    best = min(found, key=BestCandidate.sort_key)
    if resolution is not None or best.resolution > 1 or num_clusters == 1:
        return [best]
    return [best, *map(at, _LOW_RESOLUTIONS)]


def suited_to_sizes(found: Sequence[BestCandidate], spaces: Sequence[np.ndarray]) -> BestCandidate:
    """Returns the candidate at the resolution that suits the sizes of the clusters.

    Clusters may differ much in size, and modularity at 1 would then split a large one and join small ones. A Gaussian
    mixture that starts from such clusters does not stay with them. So the candidates are compared by
    `agreement_with_mixture`, in the space where a mixture agrees most with one of them: in the others, clusters are no
    Gaussians. The highest resolution wins unless a lower one has clearly more.

    Args:
      found: as `best_candidates` returns them.
      spaces: [N, d] each, the rows in different spaces, such as principal components of the inputs and the embedding.
    """
    best, *lower = found
    differ = [option for option in lower if not option.num_emptied and (option.clusters() != best.clusters()).any()]
    if not differ:
        return best
    options = [best, *differ]
    num_clusters = best.memberships.shape[1]
    in_each_space = [
        [agreement_with_mixture(rows, option.clusters(), num_clusters) for option in options] for rows in spaces
    ]
    agreements = max(in_each_space, key=max)
    return next(
        option for option, agreement in zip(options, agreements, strict=True) if agreement >= max(agreements) - CLEARLY
    )


def _best_at(
    candidates: Sequence[Callable[[], np.ndarray]],
    graph: csr_matrix,
    input_graphs: Sequence[csr_matrix],
    num_clusters: int,
    pieces: np.ndarray | None,
    resolution: float,
) -> BestCandidate:
    """Returns the candidate of the highest modularity at a resolution."""
    scoring_graphs = input_graphs or [graph]
    scores: list[float] = []
    for candidate in candidates:
        before, after = _merge_and_reassign(candidate(), graph, input_graphs, num_clusters, pieces, resolution)
        score = mean_modularity(scoring_graphs, after.argmax(axis=1), resolution)
        if score > max(scores, default=-np.inf):
            best_before, best_after = before.argmax(axis=1), after
        scores.append(score)
    num_emptied = count_emptied_clusters(scoring_graphs[0], best_before, best_after.argmax(axis=1), num_clusters)
    return BestCandidate(num_emptied, resolution, best_after, scores)


def _merge_and_reassign(
    components: np.ndarray,
    graph: csr_matrix,
    input_graphs: Sequence[csr_matrix],
    num_clusters: int,
    pieces: np.ndarray | None,
    resolution: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Returns memberships [N, K]: of the components [N, P] merged to K clusters, and after pieces are reassigned."""
    clusters = merge_to_num_clusters(graph, components.argmax(axis=1), components.shape[1], num_clusters, resolution)
    memberships = components @ np.eye(num_clusters)[clusters]
    if pieces is None:
        return memberships, memberships
    return memberships, reassign_pieces(memberships, pieces, input_graphs, resolution)
