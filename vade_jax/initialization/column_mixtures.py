"""Mixtures for tables of numbers, counts and categories, fitted by expectation-maximization.

In a cluster numbers are Gaussian, counts Poisson and categories categorical, each column independent of the others
(latent class analysis; Hunt and Jorgensen 1999, doi:10.1111/1467-842X.00071). Numbers may have full covariances
instead. Gaps are left out of the likelihood, so no value is made up for them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import gammaln, logsumexp
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold

from vade_jax.initialization.column_kinds import Columns
from vade_jax.initialization.gaussian_mixtures import ROWS_PER_DIM
from vade_jax.system.process_wide import filtered_warnings

_MAX_ITERATIONS = 200
_TOLERANCE = 3e-5  # nats per row
_LEAST_VAR = 1e-3  # of a number with variance 1
_FOLDS, _STARTS = 3, 2
_TEST_ROWS, _FIT_ROWS = 3_000, 20_000
_LEAST_TEST_ROWS = 10  # for each of 2 K clusters
_COMPLETE_SHARE = 0.5  # of the rows, whose numbers have no gap: with fewer, covariances are not tried
# On tables for tuning with shares from 0.82 on, mixtures were better than communities; two moons have 0.24.
_LEAST_SHARE = 0.7
_LEAST_SHARE_OF_LEVELS = 0.9  # of rows without numbers; handwritten digits as 0 and 1 have 0.80, and are no mixture


class Mixture(NamedTuple):
    """The parameters of K clusters.

    Attributes:
      log_weights: [K].
      means: [K, A].
      covariances: [K, A, A], or the variances [K, A] of independent numbers.
      rates: [K, B], of the counts.
      log_shares: [K, L], of the levels.
    """

    log_weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    rates: np.ndarray
    log_shares: np.ndarray


class MixtureFit(NamedTuple):
    """A fitted mixture, and how likely the rows are under it.

    Attributes:
      mixture: of the likeliest start.
      is_full: whether its covariances are full.
      log_likelihood: mean log p(x) of the rows, nats.
    """

    mixture: Mixture
    is_full: bool
    log_likelihood: float


def fit_columns(rows: Columns, num_clusters: int, seeds: Sequence[int]) -> MixtureFit:
    """Fits K clusters with and without covariances, each from several starts; takes what held-out rows prefer.

    Args:
      rows: of the table; of more than 20,000 evenly spaced ones are used.
      num_clusters: K.
      seeds: of the starts. Each has two: k-means, and random memberships.
    """
    rows = rows.spaced(_FIT_ROWS)
    complete, num_dims = _complete(rows), rows.numbers.shape[1]
    is_full = False
    if num_dims > 1 and complete.sum() >= max(_COMPLETE_SHARE * len(complete), ROWS_PER_DIM * num_clusters * num_dims):
        known = rows.take(complete).spaced(_TEST_ROWS)
        diagonal, full = (_held_out(known, num_clusters, covariances) for covariances in (False, True))
        is_full = bool(full.mean() > diagonal.mean())
    return _likeliest(rows.take(complete) if is_full else rows, num_clusters, is_full, seeds)


def clusters_of_columns(
    rows: Columns, num_clusters: int, seeds: Sequence[int]
) -> tuple[np.ndarray, list[float]] | None:
    """The memberships [N, K] of a mixture and its log-likelihood; None if the rows' clusters are no such mixture.

    Args:
      rows: of the table.
      num_clusters: K.
      seeds: of the starts.
    """
    if len(rows.numbers) < _LEAST_TEST_ROWS * 2 * num_clusters:
        return None
    fit = fit_columns(rows, num_clusters, seeds)
    has_numbers = rows.numbers.size + rows.counts.size > 0
    least_share = _LEAST_SHARE if has_numbers else _LEAST_SHARE_OF_LEVELS
    if explained_share(rows, num_clusters, fit.is_full) < least_share:
        return None
    return memberships(fit.mixture, rows), [fit.log_likelihood]


def held_out_log_likelihoods(rows: Columns, num_clusters: int) -> np.ndarray:
    """log p [N], nats, of each row under K clusters fitted to other rows, with covariances if they suit them better.

    Args:
      rows: N of a table. Covariances are not tried if some number has a gap.
      num_clusters: K.
    """
    tried = [_held_out(rows, num_clusters, is_full=False)]
    if rows.numbers.shape[1] > 1 and _complete(rows).all():
        tried.append(_held_out(rows, num_clusters, is_full=True))
    return max(tried, key=np.mean)


def memberships(mixture: Mixture, rows: Columns) -> np.ndarray:
    """The probabilities of the clusters of each row, [N, K]."""
    return _expect(mixture, rows)[0]


def explained_share(rows: Columns, num_clusters: int, is_full: bool) -> float:
    """How much of the held-out likelihood that 2 K clusters gain over one is gained by K clusters; 1 if they gain more.

    If clusters are what the mixture takes them for, K clusters explain almost all of it.
    """
    rows = (rows.take(_complete(rows)) if is_full else rows).spaced(_TEST_ROWS)
    one, few, many = (_held_out(rows, count, is_full).mean() for count in (1, num_clusters, 2 * num_clusters))
    return float((few - one) / max(many - one, few - one, np.finfo(float).tiny))


def _likeliest(rows: Columns, num_clusters: int, is_full: bool, seeds: Sequence[int]) -> MixtureFit:
    """The likeliest fit. With covariances each cluster has to have more rows than numbers, if it has in some fit."""
    starts = [start for seed in seeds for start in _starts(rows, num_clusters, seed)]
    too_few = rows.numbers.shape[1] if is_full else 0

    def sort_key(fit: MixtureFit) -> tuple[bool, float]:
        return bool(np.exp(fit.mixture.log_weights.min()) * len(rows.numbers) > too_few), fit.log_likelihood

    return max((_fit(rows, start, is_full) for start in starts), key=sort_key)


def _starts(rows: Columns, num_clusters: int, seed: int) -> list[np.ndarray]:
    """Memberships [N, K] to start from: those of k-means, and random ones."""
    with filtered_warnings("ignore", ConvergenceWarning):  # fewer distinct rows than clusters
        clusters = KMeans(num_clusters, n_init=1, random_state=seed).fit_predict(rows.features())
    rng = np.random.default_rng(seed)
    return [np.eye(num_clusters)[clusters], rng.dirichlet(np.full(num_clusters, 0.5), len(clusters))]


def _fit(rows: Columns, start: np.ndarray, is_full: bool) -> MixtureFit:
    """Expectation-maximization from memberships [N, K]."""
    found, last = start, -np.inf
    for _ in range(_MAX_ITERATIONS):
        mixture = _maximize(rows, found, is_full)
        found, log_prob = _expect(mixture, rows)
        mean = float(log_prob.mean())
        if mean - last < _TOLERANCE:
            break
        last = mean
    return MixtureFit(mixture, is_full, mean)


def _maximize(rows: Columns, found: np.ndarray, is_full: bool) -> Mixture:
    """The likeliest parameters for memberships [N, K]; shares and rates as if one more row were like the average."""
    sizes = found.sum(axis=0)
    means, covariances = _gaussians(rows.numbers, found, is_full)
    seen = ~np.isnan(rows.counts)
    counts = np.nan_to_num(rows.counts)
    average = counts.sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    level_counts = found.T @ rows.indicators + _shares(rows.indicators.sum(axis=0)[None], rows.category)
    return Mixture(
        np.log((sizes + 1) / (sizes + 1).sum()),
        means,
        covariances,
        (found.T @ counts + average + np.finfo(float).tiny) / (found.T @ seen + 1),
        np.log(_shares(level_counts, rows.category)),
    )


def _gaussians(numbers: np.ndarray, found: np.ndarray, is_full: bool) -> tuple[np.ndarray, np.ndarray]:
    """Means [K, A], and covariances [K, A, A] or variances [K, A], of numbers [N, A] for memberships [N, K]."""
    seen, values = (~np.isnan(numbers)).astype(np.float64), np.nan_to_num(numbers)
    sizes = found.T @ seen + np.finfo(float).tiny
    means = found.T @ values / sizes
    if not is_full:
        return means, np.maximum(found.T @ values**2 / sizes - means**2, 0.0) + _LEAST_VAR
    covariances = [
        (own[:, None] * (values - mean)).T @ (values - mean) / size.max()
        for own, mean, size in zip(found.T, means, sizes, strict=True)
    ]
    return means, np.array(covariances) + _LEAST_VAR * np.eye(means.shape[1])


def _expect(mixture: Mixture, rows: Columns) -> tuple[np.ndarray, np.ndarray]:
    """The probabilities of the clusters of each row, [N, K], and log p(x), [N], nats."""
    joint = _log_joint(mixture, rows)
    log_prob = logsumexp(joint, axis=1, keepdims=True)
    return np.exp(joint - log_prob), log_prob[:, 0]


def _log_joint(mixture: Mixture, rows: Columns) -> np.ndarray:
    """log p(x, c) [N, K], nats, of the entries that are no gaps."""
    seen, counts = ~np.isnan(rows.counts), np.nan_to_num(rows.counts)
    log_prob_counts = (
        counts @ np.log(mixture.rates).T - seen @ mixture.rates.T - gammaln(counts + 1).sum(axis=1)[:, None]
    )
    log_prob_levels = rows.indicators @ mixture.log_shares.T
    return mixture.log_weights + log_prob_counts + log_prob_levels + _log_prob_numbers(mixture, rows.numbers)


def _log_prob_numbers(mixture: Mixture, numbers: np.ndarray) -> np.ndarray:
    """log p(numbers | c) [N, K] of the numbers that are no gaps."""
    seen, means = ~np.isnan(numbers), mixture.means
    log_scale = np.log(2 * np.pi)
    if mixture.covariances.ndim == 2:
        values, precisions = np.nan_to_num(numbers), 1 / mixture.covariances
        squares = values**2 @ precisions.T - 2 * values @ (means * precisions).T
        return -0.5 * (squares + seen @ (means**2 * precisions - np.log(precisions) + log_scale).T)
    log_prob = np.empty((len(numbers), len(means)))
    patterns, pattern_of = seen[:1], np.zeros(len(numbers), np.int64)
    if not seen.all():
        patterns, pattern_of = np.unique(seen, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        rows = np.flatnonzero(pattern_of.ravel() == number)
        values = numbers[rows][:, pattern]
        for cluster, (mean, covariance) in enumerate(zip(means, mixture.covariances, strict=True)):
            factor = np.linalg.cholesky(covariance[np.ix_(pattern, pattern)])
            distances = solve_triangular(factor, (values - mean[pattern]).T, lower=True)
            log_det = 2 * np.log(np.diag(factor)).sum() + pattern.sum() * log_scale
            log_prob[rows, cluster] = -0.5 * (np.square(distances).sum(axis=0) + log_det)
    return log_prob


def _held_out(rows: Columns, num_clusters: int, is_full: bool) -> np.ndarray:
    """log p(x) [N], nats, of each row under a mixture fitted to the rows of other folds."""
    log_prob = np.empty(len(rows.numbers))
    for kept, out in KFold(_FOLDS, shuffle=True, random_state=0).split(rows.numbers):
        fit = _likeliest(rows.take(kept), num_clusters, is_full, range(_STARTS))
        log_prob[out] = _expect(fit.mixture, rows.take(out))[1]
    return log_prob


def _complete(rows: Columns) -> np.ndarray:
    """Which rows have no gap in their numbers, [N]."""
    return ~np.isnan(rows.numbers).any(axis=1)


def _shares(level_counts: np.ndarray, category: np.ndarray) -> np.ndarray:
    """Counts of levels [K, L] as shares of their category, above 0."""
    level_counts = level_counts + np.finfo(float).tiny
    totals = level_counts @ (category[:, None] == category)
    return level_counts / totals
