"""Merges the components of several candidates to K clusters; the candidate with the highest modularity is taken."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from vade_jax.initialization.modularity import (
    count_emptied_clusters,
    mean_modularity,
    merge_to_num_clusters,
    reassign_pieces,
)

_RESOLUTIONS = [1.5**power for power in range(6)]


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

    def sort_key(self) -> tuple[int, float, float]:
        """The least is the best."""
        return self.num_emptied, self.resolution, -max(self.scores)


def best_candidate(
    candidates: Sequence[Callable[[], np.ndarray]],
    graph: csr_matrix,
    input_graphs: Sequence[csr_matrix],
    num_clusters: int,
    pieces: np.ndarray | None,
) -> BestCandidate:
    """Returns the best candidate at the lowest resolution at which reassignment empties no cluster, or the fewest.

    At a resolution of 1, two of many clusters have a higher modularity if they are one (Fortunato and Barthelemy 2007,
    PNAS 104(1)). Group after group of one of them would then be reassigned to the other.

    Args:
      candidates: each returns the rows' memberships in its P components, [N, P], P >= K. They are asked for again at
        each resolution, since those of all candidates together may not fit in memory.
      graph: [N, N], on which components are merged.
      input_graphs: [N, N] each, on which candidates are compared and pieces are reassigned. If empty, the other graph
        compares them.
      num_clusters: K.
      pieces: [N], the index of each row's piece; None if none are reassigned.
    """
    scoring_graphs = input_graphs or [graph]
    found = []
    for resolution in _RESOLUTIONS:
        scores: list[float] = []
        for candidate in candidates:
            before, after = _merge_and_reassign(candidate(), graph, input_graphs, num_clusters, pieces, resolution)
            score = mean_modularity(scoring_graphs, after.argmax(axis=1), resolution)
            if score > max(scores, default=-np.inf):
                best_before, best_after = before.argmax(axis=1), after
            scores.append(score)
        num_emptied = count_emptied_clusters(scoring_graphs[0], best_before, best_after.argmax(axis=1), num_clusters)
        found.append(BestCandidate(num_emptied, resolution, best_after, scores))
        if not num_emptied:
            break
    return min(found, key=BestCandidate.sort_key)


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
