"""Soft memberships: rows are less certain where clusters meet or overlap, and keep their clusters."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.datasets import make_moons

from vade_jax.core.temperature import fit_temperature, temper
from vade_jax.initialization.neighbor_graphs import nearest_neighbors_without_hubs
from vade_jax.initialization.soft_memberships import confidence, num_soft_neighbors, soften


def softened(rows, clusters, num_clusters, count=40):
    neighbors = nearest_neighbors_without_hubs(rows, count)[1]
    return soften(np.eye(num_clusters)[clusters], rows, neighbors, seed=0)


@pytest.fixture(scope="module")
def overlapping():
    """1,000 rows of two Gaussians in three dimensions, and their true posterior."""
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=1000)
    means = np.array([[0.0, 0, 0], [2.5, 0, 0]])
    rows = means[labels] + rng.normal(size=(1000, 3))
    densities = np.stack([multivariate_normal(mean).pdf(rows) for mean in means], axis=1)
    return rows, densities / densities.sum(axis=1, keepdims=True)


def test_overlapping_gaussians_get_their_posterior_at_half_its_uncertainty(overlapping):
    rows, posterior = overlapping
    clusters = posterior.argmax(axis=1)
    soft = softened(rows, clusters, 2)
    certainty = posterior.max(axis=1)
    assert abs(soft.max(axis=1).mean() - (1 + certainty.mean()) / 2) < 0.01
    assert np.abs(temper(soft, fit_temperature(soft, certainty.mean())) - posterior).mean() < 0.06
    assert np.abs(np.eye(2)[clusters] - posterior).mean() > 0.1  # what hard clusters would be off by


def test_confidence_is_the_share_of_right_rows(overlapping):
    rows, posterior = overlapping
    right = posterior.argmax(axis=1)
    wrong = np.where(np.random.default_rng(0).random(len(rows)) < 0.2, 1 - right, right)
    for clusters in (right, wrong):
        share = posterior[np.arange(len(rows)), clusters].mean()  # of rows that such clusters get right
        assert abs(confidence(clusters, 2, rows, seed=0) - share) < 0.02


def test_rows_keep_their_clusters_and_probabilities_sum_to_one(overlapping):
    rows, _ = overlapping
    clusters = np.random.default_rng(1).integers(3, size=len(rows))  # clusters that no view agrees with
    soft = softened(rows, clusters, 3)
    np.testing.assert_array_equal(soft.argmax(axis=1), clusters)
    np.testing.assert_allclose(soft.sum(axis=1), 1, rtol=1e-5)
    assert soft.dtype == np.float32
    assert soft.min() >= 0


def test_rows_where_curved_clusters_meet_are_the_least_certain():
    rows, labels = make_moons(600, noise=0.05, random_state=0)
    clusters = np.where(rows[:, 0] > 1.5, 1 - labels, labels)  # the end of one moon is wrongly in the other's cluster
    certainty = softened(rows, clusters, 2).max(axis=1)
    border = np.abs(rows[:, 0] - 1.5) < 0.1
    assert certainty[border].mean() < certainty[~border].mean() - 0.1


def test_separate_clusters_stay_certain():
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(3), 100)
    rows = 20.0 * np.eye(3)[clusters] + rng.normal(size=(300, 3))
    assert softened(rows, clusters, 3, count=20).max(axis=1).min() > 0.99


def test_the_same_seed_gives_the_same_bits(overlapping):
    rows, posterior = overlapping
    clusters = posterior.argmax(axis=1)
    np.testing.assert_array_equal(softened(rows, clusters, 2), softened(rows, clusters, 2))


@pytest.mark.parametrize("num_rows", [3, 5])
def test_few_rows_an_empty_cluster_and_one_cluster_are_allowed(num_rows):
    rows = np.random.default_rng(0).normal(size=(num_rows, 2))
    clusters = np.arange(num_rows) % 2
    for num_clusters in (2, 3):
        soft = softened(rows, clusters, num_clusters, count=1)
        np.testing.assert_array_equal(soft.argmax(axis=1), clusters)
    np.testing.assert_array_equal(softened(rows, np.zeros(num_rows, int), 1, count=1), np.ones((num_rows, 1)))


@pytest.mark.parametrize(
    ("num_rows", "num_clusters", "most", "expected"),
    [(70_000, 10, 40, 40), (900, 10, 40, 18), (178, 3, 40, 12), (20, 3, 40, 10), (5, 3, 40, 3), (2, 1, 40, 1)],
)
def test_number_of_neighbours(num_rows, num_clusters, most, expected):
    assert num_soft_neighbors(num_rows, num_clusters, most) == expected


@pytest.mark.parametrize("offset", [10.0, 1000.0, 1e4])
def test_an_offset_of_all_rows_changes_nothing(overlapping, offset):
    rows, posterior = overlapping
    clusters = posterior.argmax(axis=1)
    shifted = rows.astype(np.float32) + np.float32(offset)
    same = shifted.astype(np.float64) - offset  # the values that float32 keeps
    np.testing.assert_allclose(softened(shifted, clusters, 2), softened(same, clusters, 2), atol=1e-3)
