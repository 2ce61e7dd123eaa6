"""Compares numbers of clusters K by clustering two halves of the rows separately, and recommends one K."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.sparse import csr_matrix
from sklearn.metrics import adjusted_rand_score
from sklearn.metrics.cluster import contingency_matrix

from vade_jax.core.fit_prior import prior_from_memberships
from vade_jax.core.mixture_prior import GMMPrior
from vade_jax.initialization.methods import ClusteringOptions, make_clusterer
from vade_jax.initialization.mixture_sizes import MixtureScores, likeliest, standard_error, sufficient
from vade_jax.initialization.modularity import modularity
from vade_jax.initialization.neighbor_graphs import nearest_neighbors
from vade_jax.system import console

# Least adjusted Rand index of a stable K, and what is taken if none has that. The halves of a single Gaussian stay
# below 0.25. Two moons cut in parts have 0.6 to 0.8.
_STABLE, _FAIRLY_STABLE = 0.85, 0.5
_STABLE_MIXTURE = 0.7  # the same of mixtures; on uniform numbers and heavy tails they stay below 0.55
RULE = (
    f"among the K >= 2 with a stability of at least {_STABLE}, or of {_FAIRLY_STABLE} if none has that, the smallest "
    "whose modularity is within one standard error of the highest, but at most as many as a mixture has components: "
    "the fewest under which held-out rows are as likely as under more, within one standard error; if no K has a "
    f"stability of {_FAIRLY_STABLE}, that number if the mixture's stability is at least {_STABLE_MIXTURE}, else 1"
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
    """Rows whose likelihood is measured under priors that were fitted without them.

    Attributes:
      bound: a prior -> the bound of log p(x), [R] nats.
      indices: [R], the indices of these rows among the clustered rows; None if they are other rows.
    """

    bound: Callable[[GMMPrior], np.ndarray]
    indices: np.ndarray | None


class KScores(NamedTuple):
    """The scores of one K in each of S splits of the rows into halves.

    Attributes:
      bound: [S, R], the bound of log p(x) of held-out rows, nats.
      stability: [S], the adjusted Rand index between the clusters of all rows found from one half and from the other.
      prediction_strength: [S], the mean of both directions.
      modularity: [S], on the graph of the inputs, the mean over the clusters from both halves.
      shares: [S, K], the share of all rows in each cluster, the largest first, the mean over the clusters from both
        halves.
    """

    bound: np.ndarray
    stability: np.ndarray
    prediction_strength: np.ndarray
    modularity: np.ndarray
    shares: np.ndarray


class _Halves(NamedTuple):
    """A split of the rows into two halves.

    Attributes:
      rows: the indices of each half's rows, [N / 2] each.
      neighbors: for each half, [N / 2, k]: the nearest rows in it of each row of the other half, as positions in it.
    """

    rows: list[np.ndarray]
    neighbors: list[np.ndarray]


def measure(
    rows: EmbeddedRows,
    held_out: HeldOut,
    candidates: Sequence[int],
    num_splits: int,
    method: str,
    options: ClusteringOptions,
) -> dict[int, KScores]:
    """Measures several numbers of clusters on the same splits.

    Args:
      rows: N of them.
      held_out: the rows whose likelihood is measured.
      candidates: the values of K, each less than N / 2.
      num_splits: S.
      method: a key of `methods.METHODS`.
      options: of the method; num_clusters is the largest K.

    Returns:
      K -> its scores.
    """
    rng = np.random.default_rng(options.seed)
    count = options.num_neighbors(len(rows.z_mean) // 2)
    scores: dict[int, list[KScores]] = {num_clusters: [] for num_clusters in candidates}
    with console.progress_bar(desc="select_k", total=num_splits * len(candidates), unit="number") as bar:
        for _ in range(num_splits):
            halves = _halve(rows.z_mean, count, rng)
            clusterers = [make_clusterer(method, rows.z_mean[half], options) for half in halves.rows]
            for num_clusters in candidates:
                memberships = [cluster(num_clusters) for cluster in clusterers]
                scores[num_clusters].append(_score_split(rows, held_out, halves, memberships, max(candidates)))
                bar.update()
    return {num_clusters: KScores(*map(np.stack, zip(*splits, strict=True))) for num_clusters, splits in scores.items()}


def _score_split(
    rows: EmbeddedRows, held_out: HeldOut, halves: _Halves, memberships: list[np.ndarray], largest: int
) -> KScores:
    """Returns the scores of one split, without the axis S, for the memberships found on each half."""
    first, second = (_carry_to_other_half(halves, half, found) for half, found in enumerate(memberships))
    strengths = [
        prediction_strength(first[halves.rows[0]], second[halves.rows[0]]),
        prediction_strength(second[halves.rows[1]], first[halves.rows[1]]),
    ]
    num_clusters = memberships[0].shape[1]
    sizes = [np.sort(np.bincount(clusters, minlength=num_clusters))[::-1] for clusters in (first, second)]
    return KScores(
        bound=_held_out_bound(rows, held_out, halves, memberships, largest),
        stability=np.array(adjusted_rand_score(first, second)),
        prediction_strength=np.array(np.mean(strengths)),
        modularity=np.array(np.mean([modularity(rows.graph, clusters) for clusters in (first, second)])),
        shares=np.mean(sizes, axis=0) / len(first),
    )


def _held_out_bound(
    rows: EmbeddedRows, held_out: HeldOut, halves: _Halves, memberships: list[np.ndarray], largest: int
) -> np.ndarray:
    """Returns the bound of each held-out row under the prior fitted to the half without it.

    If the held-out rows are not among the clustered rows, it is the mean of the bounds under both priors.
    """
    priors = [
        prior_from_memberships(rows.z_mean[half], rows.z_var[half], found)
        for half, found in zip(halves.rows, memberships, strict=True)
    ]
    first, second = (held_out.bound(_pad_clusters(prior, largest)) for prior in priors)
    if held_out.indices is None:
        return (first + second) / 2
    return np.where(np.isin(held_out.indices, halves.rows[0]), second, first)


def _pad_clusters(prior: GMMPrior, num_clusters: int) -> GMMPrior:
    """Adds clusters of weight 0 up to num_clusters, so that the bound is compiled once and not for each K."""
    added = num_clusters - len(prior.logits)
    return GMMPrior(
        logits=jnp.pad(prior.logits, (0, added), constant_values=-jnp.inf),
        means=jnp.pad(prior.means, ((0, added), (0, 0))),
        log_vars=jnp.pad(prior.log_vars, ((0, added), (0, 0))),
    )


def _halve(embeddings: np.ndarray, num_neighbors: int, rng: np.random.Generator) -> _Halves:
    halves = [np.sort(half) for half in np.array_split(rng.permutation(len(embeddings)), 2)]
    neighbors = [
        nearest_neighbors(embeddings[half], embeddings[other], num_neighbors)[1]
        for half, other in zip(halves, reversed(halves), strict=True)
    ]
    return _Halves(halves, neighbors)


def _carry_to_other_half(halves: _Halves, half: int, memberships: np.ndarray) -> np.ndarray:
    """Returns the clusters [N] of all rows from memberships of one half.

    Each row of the other half gets the cluster of the highest mean membership of its neighbours in this half.
    """
    clusters = np.empty(sum(map(len, halves.rows)), int)
    clusters[halves.rows[half]] = memberships.argmax(axis=1)
    clusters[halves.rows[1 - half]] = memberships[halves.neighbors[half]].mean(axis=1).argmax(axis=1)
    return clusters


def prediction_strength(clusters: np.ndarray, predicted: np.ndarray) -> float:
    """Returns the prediction strength (Tibshirani and Walther 2005, JCGS 14(3), eq. 2.1).

    It is the share of the pairs of rows in a cluster that are also predicted to share a cluster, for the cluster in
    which that share is smallest.

    Args:
      clusters: [N], found on these rows.
      predicted: [N], of the same rows, from clusters found on other rows.

    Returns:
      In [0, 1]; a cluster of one row has no pairs and does not count.
    """
    counts = contingency_matrix(clusters, predicted).astype(float)
    sizes = counts.sum(axis=1)
    several = sizes > 1
    kept = (counts * (counts - 1)).sum(axis=1)[several] / (sizes * (sizes - 1))[several]
    return float(kept.min(initial=1.0))


class Recommendation(NamedTuple):
    """A recommended number of clusters, and how clear the recommendation is.

    Attributes:
      num_clusters: K by RULE.
      runner_up: the other K with the highest modularity, the most stable K if none is stable, or the other number of
        components under which held-out rows are likeliest; None if there is none.
      measure: by which both are compared: 'modularity', 'stability' if no K is stable, or 'mixture' if K is the number
        of components that a mixture needs.
      margin: by how much K is ahead of the runner-up: in modularity, the mean over splits, or in log p(x) of held-out
        rows, nats per row. It is below 0 if the runner-up is ahead, but within one standard error. If none is stable,
        it is what the runner-up lacks to be stable. None without a runner-up.
      standard_error: of the margin, over rows for 'mixture', else over splits, where it is too low, since the splits
        share rows. None without a runner-up.
    """

    num_clusters: int
    runner_up: int | None
    measure: str
    margin: float | None
    standard_error: float | None


def recommend(scores: dict[int, KScores], mixtures: MixtureScores | None) -> Recommendation:
    """Recommends one of the measured numbers of clusters by RULE.

    Args:
      scores: K -> its scores.
      mixtures: of the rows; None if none were fitted.
    """
    by_modularity = _recommend_by_modularity(scores)
    if mixtures is None:
        return by_modularity
    log_likelihoods = mixtures.log_likelihoods
    count = sufficient(log_likelihoods)
    if by_modularity.measure == "stability":
        decides = count > 1 and mixtures.stability.mean() >= _STABLE_MIXTURE
    else:
        decides = count < by_modularity.num_clusters
    if not decides:
        return by_modularity
    others = {number: values for number, values in log_likelihoods.items() if number != count}
    other = likeliest(others) if others else None
    return _compare(count, other, "mixture", log_likelihoods[count] - others[other] if other else None)


def _recommend_by_modularity(scores: dict[int, KScores]) -> Recommendation:
    several = [number for number in scores if number > 1]
    stability = {number: scores[number].stability.mean() for number in several}
    least = _STABLE if max(stability.values(), default=0) >= _STABLE else _FAIRLY_STABLE
    stable = [number for number in several if stability[number] >= least]
    if not stable:
        other = max(several, key=lambda number: stability[number], default=None)
        return _compare(1, other, "stability", _FAIRLY_STABLE - scores[other].stability if other else None)
    modularities = {number: scores[number].modularity for number in stable}
    highest = max(modularities.values(), key=np.mean)
    behind = {number: highest - values for number, values in modularities.items()}
    chosen = min(number for number in stable if behind[number].mean() <= standard_error(behind[number]))
    others = [number for number in stable if number != chosen]
    other = max(others, key=lambda number: modularities[number].mean(), default=None)
    return _compare(chosen, other, "modularity", modularities[chosen] - modularities[other] if other else None)


def _compare(num_clusters: int, runner_up: int | None, measured: str, margins: np.ndarray | None) -> Recommendation:
    return Recommendation(
        num_clusters=num_clusters,
        runner_up=runner_up,
        measure=measured,
        margin=None if margins is None else float(margins.mean()),
        standard_error=None if margins is None else standard_error(margins),
    )
