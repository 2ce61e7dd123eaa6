"""Mixtures of tables of numbers, counts and categories."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import logsumexp
from sklearn.cluster import KMeans
from sklearn.datasets import make_moons
from sklearn.metrics import adjusted_rand_score

from vade_jax.initialization.column_kinds import Columns, split_columns
from vade_jax.initialization.column_mixtures import (
    Mixture,
    clusters_of_columns,
    explained_share,
    fit_columns,
    memberships,
)
from vade_jax.initialization.methods import ClusteringOptions, communities, gaussians_or_communities

KINDS, LEVELS = ["number", "number", "count", "category", "binary"], [0, 0, 0, 3, 0]
COVARIANCES = {
    "full": np.array([[[1.0, 0.5], [0.5, 2.0]], [[0.4, -0.1], [-0.1, 0.3]]]),
    "diagonal": np.array([[1.0, 2.0], [0.4, 0.3]]),
}
SHARES = np.array([[0.2, 0.3, 0.5, 0.9, 0.1], [0.6, 0.3, 0.1, 0.4, 0.6]])


def mixture(covariances):
    means, rates = np.array([[0.0, 1.0], [2.0, -1.0]]), np.array([[0.5], [4.0]])
    return Mixture(np.log([0.3, 0.7]), means, covariances, rates, np.log(SHARES))


def table(seed, num_rows=900, gaps=0.0):
    """Rows of three clusters that are independent columns, and which row is of which."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, num_rows, p=(0.6, 0.3, 0.1))
    x = np.stack(
        [
            rng.normal(np.array([0.0, 2.5, 0.0])[labels]),
            rng.normal(np.array([0.0, 0.0, 3.0])[labels], 0.5),
            rng.poisson(np.array([1.0, 5.0, 5.0])[labels]),
            np.array([rng.choice(3, p=((0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8))[c]) for c in labels]),
            rng.random(num_rows) < np.array([0.2, 0.8, 0.2])[labels],
        ],
        axis=1,
    )
    return np.where(rng.random(x.shape) < gaps, np.nan, x), labels


@pytest.mark.parametrize("name", COVARIANCES)
def test_memberships_follow_from_the_distributions_of_the_entries_that_are_no_gaps(name):
    x = np.array([[0.3, -0.2, 1, 2, 0], [np.nan, 0.1, 3, 0, 1], [1.0, np.nan, np.nan, np.nan, 1], [np.nan] * 5])
    rows = Columns(x[:, :2], x[:, 2:3], split_columns(x, KINDS, LEVELS).indicators, np.array([0, 0, 0, 1, 1]))
    own = mixture(COVARIANCES[name])
    log_joint = np.zeros((4, 2))
    for (row, c), _ in np.ndenumerate(log_joint):
        number, count, level, binary = ~np.isnan(x[row, :2]), *~np.isnan(x[row, 2:])
        full = own.covariances[c] if own.covariances.ndim == 3 else np.diag(own.covariances[c])
        log_joint[row, c] = own.log_weights[c]
        if number.any():
            gaussian = stats.multivariate_normal(own.means[c][number], full[np.ix_(number, number)])
            log_joint[row, c] += gaussian.logpdf(x[row, :2][number])
        log_joint[row, c] += stats.poisson(own.rates[c, 0]).logpmf(x[row, 2]) if count else 0
        log_joint[row, c] += own.log_shares[c, int(x[row, 3])] if level else 0
        log_joint[row, c] += own.log_shares[c, 3 + int(x[row, 4])] if binary else 0
    expected = np.exp(log_joint - logsumexp(log_joint, axis=1, keepdims=True))
    np.testing.assert_allclose(memberships(own, rows), expected, rtol=1e-12)


@pytest.mark.parametrize("gaps", [0.0, 0.1])
def test_clusters_of_independent_columns_are_found(gaps):
    x, labels = table(0, gaps=gaps)
    rows = split_columns(x, KINDS, LEVELS)
    found, scores = clusters_of_columns(rows, 3, range(3))
    of_kmeans = KMeans(3, n_init=10, random_state=0).fit_predict(rows.features())
    agreement = adjusted_rand_score(labels, found.argmax(axis=1))
    assert agreement > 0.8 - gaps
    assert agreement > adjusted_rand_score(labels, of_kmeans)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert len(scores) == 1


def test_the_parameters_are_those_that_the_rows_were_drawn_from():
    x, _ = table(1, num_rows=20_000)
    fit = fit_columns(split_columns(x, KINDS, LEVELS), 3, range(2))
    assert not fit.is_full
    order = np.argsort(-fit.mixture.log_weights)
    np.testing.assert_allclose(np.exp(fit.mixture.log_weights[order]), [0.6, 0.3, 0.1], atol=0.02)
    np.testing.assert_allclose(fit.mixture.rates[order, 0], [1, 5, 5], rtol=0.1)
    np.testing.assert_allclose(np.exp(fit.mixture.log_shares[order, 3 + 1]), [0.2, 0.8, 0.2], atol=0.03)


def test_covariances_are_full_where_held_out_rows_say_so():
    rng = np.random.default_rng(0)
    x, _ = table(2)
    shared = rng.normal(size=len(x))
    x[:, 0] += 2 * shared
    x[:, 1] += 2 * shared
    assert fit_columns(split_columns(x, KINDS, LEVELS), 3, range(2)).is_full


def test_curved_clusters_are_left_to_communities():
    inputs, _ = make_moons(600, noise=0.05, random_state=0)
    levels = np.random.default_rng(0).integers(3, size=600)
    rows = split_columns(np.column_stack([inputs, levels]), ["number", "number", "category"], [0, 0, 3])
    assert explained_share(rows, 2, is_full=True) < 0.5
    assert clusters_of_columns(rows, 2, range(2)) is None
    options = ClusteringOptions(num_clusters=2, seed=0, num_restarts=2, inputs=inputs)
    found = gaussians_or_communities(inputs, options._replace(columns=rows))
    np.testing.assert_array_equal(found.memberships, communities(inputs, options).memberships)
    assert not found.are_probabilities
    assert not found.of_inputs


def test_too_few_rows_are_left_to_communities():
    x, _ = table(0, num_rows=59)
    assert clusters_of_columns(split_columns(x, KINDS, LEVELS), 3, range(2)) is None


@pytest.mark.parametrize("columns", [[0], [2], [3], [3, 4], [2, 3]], ids=str)
def test_tables_of_any_kinds_are_clustered(columns):
    x, _ = table(0, gaps=0.05)
    rows = split_columns(x[:, columns], np.array(KINDS)[columns], np.array(LEVELS)[columns])
    fit = fit_columns(rows, 2, range(2))
    assert np.isfinite(memberships(fit.mixture, rows)).all()
    assert 0 <= explained_share(rows, 2, fit.is_full) <= 1
