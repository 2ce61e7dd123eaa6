"""What speaks for a number of clusters: halves of the rows are clustered, each by itself, and compared."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.sparse import csr_matrix
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.cluster import contingency_matrix
from tqdm import tqdm

from vade_jax.core.fit_prior import prior_from_memberships
from vade_jax.core.mixture_prior import GMMPrior
from vade_jax.initialization.methods import ClusteringOptions, make_clusterer
from vade_jax.initialization.modularity import modularity
from vade_jax.initialization.neighbor_graphs import nearest_neighbors, num_neighbors

_STABLE = 0.5  # least adjusted Rand index: halves of one Gaussian stay below 0.25
RULE = (
    f"of all K >= 2 with a stability of at least {_STABLE} the smallest whose modularity is within one standard error "
    "of the highest; 1 where there is none"
)


class EmbeddedRows(NamedTuple):
    """Rows to cluster.

    Attributes:
      z_mean: [N, J], their embeddings.
      z_var: [N, J], variances of q(z|x).
      graph: [N, N], the neighbour graph of their inputs.
    """

    z_mean: np.ndarray
    z_var: np.ndarray
    graph: csr_matrix


class HeldOut(NamedTuple):
    """Rows whose likelihood is asked under priors that were found without them.

    Attributes:
      bound: a prior -> the bound of log p(x), [R] nats.
      numbers: [R], among the rows that are clustered; None for rows that are not.
    """

    bound: Callable[[GMMPrior], np.ndarray]
    numbers: np.ndarray | None


class KScores(NamedTuple):
    """What speaks for one K, in each of S splits.

    Attributes:
      bound: [S, R], of log p(x) of held-out rows, nats.
      stability: [S], the adjusted Rand index of the clusters from one half and those from the other, of all rows.
      prediction_strength: [S], the mean of both directions.
      modularity: [S], on the graph of the inputs, the mean of both halves' clusters.
      shares: [S, K], of all rows in each cluster, the largest first, the mean of both halves' clusters.
    """

    bound: np.ndarray
    stability: np.ndarray
    prediction_strength: np.ndarray
    modularity: np.ndarray
    shares: np.ndarray


class _Halves(NamedTuple):
    """The rows in two halves.

    Attributes:
      rows: the numbers of each half's rows, [N / 2] each.
      neighbors: [N / 2, k] each: of the rows of the other half the nearest in this one, by their places in it.
    """

    rows: list[np.ndarray]
    neighbors: list[np.ndarray]


def measure(
    rows: EmbeddedRows,
    held_out: HeldOut,
    numbers: Sequence[int],
    num_splits: int,
    method: str,
    options: ClusteringOptions,
) -> dict[int, KScores]:
    """The figures of several numbers of clusters, in the same splits.

    Args:
      rows: N of them.
      held_out: whose likelihood is asked.
      numbers: each K, less than N / 2.
      num_splits: S.
      method: a key of `initialization.METHODS`.
      options: of the method; num_clusters is the largest K.

    Returns:
      K -> its figures.
    """
    rng = np.random.default_rng(options.seed)
    count = num_neighbors(len(rows.z_mean) // 2, options.num_clusters, options.neighbor_share)
    found: dict[int, list[KScores]] = {number: [] for number in numbers}
    with tqdm(desc="select_k", total=num_splits * len(numbers), unit="number", dynamic_ncols=True) as bar:
        for _ in range(num_splits):
            halves = _halve(rows.z_mean, count, rng)
            finders = [make_clusterer(method, rows.z_mean[half], options) for half in halves.rows]
            for number in numbers:
                memberships = [find(number) for find in finders]
                found[number].append(_measure_split(rows, held_out, halves, memberships, max(numbers)))
                bar.update()
    return {number: KScores(*map(np.stack, zip(*figures, strict=True))) for number, figures in found.items()}


def _measure_split(rows, held_out, halves, memberships, largest):
    """The figures, each without its axis S, of the memberships that were found on each half."""
    first, second = (_carry_to_other_half(halves, half, found) for half, found in enumerate(memberships))
    strengths = [
        prediction_strength(first[halves.rows[0]], second[halves.rows[0]]),
        prediction_strength(second[halves.rows[1]], first[halves.rows[1]]),
    ]
    num_clusters = memberships[0].shape[1]
    sizes = [np.sort(np.bincount(clusters, minlength=num_clusters))[::-1] for clusters in (first, second)]
    return KScores(
        _held_out_bound(rows, held_out, halves, memberships, largest),
        np.array(adjusted_rand_score(first, second)),
        np.array(np.mean(strengths)),
        np.array(np.mean([modularity(rows.graph, clusters) for clusters in (first, second)])),
        np.mean(sizes, axis=0) / len(first),
    )


def _held_out_bound(rows, held_out, halves, memberships, largest):
    """The bound of every held-out row under the prior of the half that it is not in, or under both in the mean."""
    priors = [
        prior_from_memberships(rows.z_mean[half], rows.z_var[half], found)
        for half, found in zip(halves.rows, memberships, strict=True)
    ]
    first, second = (held_out.bound(_padded(prior, largest)) for prior in priors)
    if held_out.numbers is None:
        return (first + second) / 2
    return np.where(np.isin(held_out.numbers, halves.rows[0]), second, first)


def _padded(prior, num_clusters):
    """The same mixture with so many clusters, the last of weight 0: its bound is compiled once, not for each K."""
    beyond = num_clusters - len(prior.logits)
    return GMMPrior(
        jnp.pad(prior.logits, (0, beyond), constant_values=-jnp.inf),
        jnp.pad(prior.means, ((0, beyond), (0, 0))),
        jnp.pad(prior.log_vars, ((0, beyond), (0, 0))),
    )


def _halve(embeddings, num_neighbors, rng):
    halves = [np.sort(half) for half in np.array_split(rng.permutation(len(embeddings)), 2)]
    near = [
        nearest_neighbors(embeddings[half], embeddings[other], num_neighbors)[1]
        for half, other in zip(halves, reversed(halves), strict=True)
    ]
    return _Halves(halves, near)


def _carry_to_other_half(halves, half, memberships):
    """Clusters [N] of all rows, from memberships found on one half: the others go with their neighbours there."""
    clusters = np.empty(sum(map(len, halves.rows)), int)
    clusters[halves.rows[half]] = memberships.argmax(axis=1)
    clusters[halves.rows[1 - half]] = memberships[halves.neighbors[half]].mean(axis=1).argmax(axis=1)
    return clusters


def prediction_strength(clusters: np.ndarray, predicted: np.ndarray) -> float:
    """Of the cluster that is kept together worst, the share of its pairs of rows that are predicted to share a cluster.

    Tibshirani and Walther 2005 (JCGS 14(3)), eq. 2.1.

    Args:
      clusters: [N], found on these rows.
      predicted: [N], of the same rows by clusters that were found on others.

    Returns:
      In [0, 1]; a cluster of one row has no pairs and does not count.
    """
    counts = contingency_matrix(clusters, predicted).astype(float)
    sizes = counts.sum(axis=1)
    several = sizes > 1
    kept = (counts * (counts - 1)).sum(axis=1)[several] / (sizes * (sizes - 1))[several]
    return float(kept.min(initial=1.0))


class Recommendation(NamedTuple):
    """A number of clusters, and how clear it is.

    Attributes:
      num_clusters: K by RULE.
      runner_up: the other K of the highest modularity, or the most stable one where none is stable; None without one.
      measure: that both are compared by: 'modularity', or 'stability' where none is stable.
      margin: what K has more than the runner-up, in the mean over splits, below 0 where the larger of both is within
        one standard error; how far the runner-up is from stable where none is; None without one.
      standard_error: of the margin over splits; these share rows, so that it is a low estimate.
    """

    num_clusters: int
    runner_up: int | None
    measure: str
    margin: float | None
    standard_error: float | None


def recommend(figures: dict[int, KScores]) -> Recommendation:
    """The number of clusters that RULE names, of those that were measured."""
    several = [number for number in figures if number > 1]
    stable = [number for number in several if figures[number].stability.mean() >= _STABLE]
    if not stable:
        other = max(several, key=lambda number: figures[number].stability.mean(), default=None)
        return _compared(1, other, "stability", _STABLE - figures[other].stability if other else None)
    cuts = {number: figures[number].modularity for number in stable}
    highest = max(cuts.values(), key=np.mean)
    chosen = min(number for number, cut in cuts.items() if (highest - cut).mean() <= standard_error(highest - cut))
    other = max((number for number in stable if number != chosen), key=lambda number: cuts[number].mean(), default=None)
    return _compared(chosen, other, "modularity", cuts[chosen] - cuts[other] if other else None)


def _compared(number, other, measured, margins):
    if other is None:
        return Recommendation(number, None, measured, None, None)
    return Recommendation(number, other, measured, float(margins.mean()), standard_error(margins))


def standard_error(values: np.ndarray) -> float:
    """The standard error of the mean of values [S]; 0 for a single one."""
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0
