"""Whether Gaussians suffice for rows, and what is clustered if they do."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine, make_circles, make_moons
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler

from vade_jax.initialization.gaussian_mixtures import (
    leading_components,
    likeliest,
    refine_mixture,
    sufficient_covariance,
)
from vade_jax.initialization.methods import ClusteringOptions, communities, gaussians_or_communities
from vade_jax.reports.label_scores import clustering_accuracy

# name -> loader, clusters, whether each class is close to one Gaussian, of 10 principal components or fewer
TABLES = {
    "wine": (lambda: load_wine().data, 3, True),
    "iris": (lambda: load_iris().data, 3, True),
    "breast cancer": (lambda: load_breast_cancer().data, 2, False),
    "digits": (lambda: load_digits().data, 10, False),
    "moons": (lambda: make_moons(1000, noise=0.08, random_state=0)[0], 2, False),
}


@pytest.mark.parametrize("name", TABLES)
def test_gaussians_suffice_for_classes_that_are_one_gaussian_each(name):
    load, num_clusters, expected = TABLES[name]
    rows = StandardScaler().fit_transform(load())
    for seed in range(3):
        points = leading_components(rows, seed)
        assert bool(sufficient_covariance(points, num_clusters, seed, rows.shape[1] <= 10)) == expected


def test_few_rows_for_each_cluster_do_not_show_it():
    rows = np.random.default_rng(0).normal(size=(59, 10))
    assert sufficient_covariance(rows, 2, seed=0, has_all_columns=True) is None


def overlapping(num_rows, correlation):
    rng = np.random.default_rng(0)
    clusters = rng.choice(4, num_rows, p=(0.4, 0.3, 0.2, 0.1))
    means = np.array([[0, 0, 0], [3, 0, 1], [0, 3, 2], [3, 3, 3]])
    noise = rng.normal(size=(num_rows, 3))
    noise[:, 1] = correlation * noise[:, 0] + (1 - correlation**2) ** 0.5 * noise[:, 1]
    return means[clusters] + noise, clusters


@pytest.mark.parametrize(("correlation", "expected"), [(0.0, "diag"), (0.9, "full")])
def test_covariances_are_taken_where_held_out_rows_prefer_them(correlation, expected):
    rows, _ = overlapping(1000, correlation)
    assert sufficient_covariance(rows, 4, seed=0, has_all_columns=True) == expected
    assert sufficient_covariance(rows, 4, seed=0, has_all_columns=False) in ("full", None)


def test_overlapping_groups_that_twice_as_many_gaussians_describe_as_well_are_gaussians():
    rows, clusters = overlapping(8000, 0.0)
    rows[:, 2] = np.sign(rows[:, 2]) * np.abs(rows[:, 2]) ** 1.3
    inputs = StandardScaler().fit_transform(rows)
    options = ClusteringOptions(num_clusters=4, seed=0, num_restarts=3, inputs=inputs)
    gaussians, others = (
        adjusted_rand_score(clusters, method(inputs, options).memberships.argmax(axis=1))
        for method in (gaussians_or_communities, communities)
    )
    assert gaussians > others + 0.1


@pytest.mark.parametrize("seed", range(3))
def test_circles_in_circles_are_no_gaussians(seed):
    rows, _ = make_circles(400, noise=0.05, factor=0.4, random_state=seed)
    assert sufficient_covariance(rows, 2, seed=0, has_all_columns=True) is None


def test_clusters_are_gaussians_of_the_inputs_where_these_suffice():
    x, labels = load_wine(return_X_y=True)
    inputs = StandardScaler().fit_transform(x)
    options = ClusteringOptions(num_clusters=3, seed=0, num_restarts=5)
    useless = np.random.default_rng(0).normal(size=(len(x), 2))
    found = gaussians_or_communities(useless, options._replace(inputs=inputs))
    assert clustering_accuracy(labels, found.memberships.argmax(axis=1)) > 0.95
    assert found.of_inputs
    without = gaussians_or_communities(inputs, options)
    np.testing.assert_array_equal(without.memberships, communities(inputs, options).memberships)


def test_clusters_are_communities_where_gaussians_do_not_suffice():
    inputs, labels = make_moons(600, noise=0.05, random_state=0)
    options = ClusteringOptions(num_clusters=2, seed=0, num_restarts=2)
    found = gaussians_or_communities(inputs, options._replace(inputs=inputs))
    np.testing.assert_array_equal(found.memberships, communities(inputs, options).memberships)
    assert clustering_accuracy(labels, found.memberships.argmax(axis=1)) > 0.98
    assert not found.of_inputs


def test_mixtures_are_tried_in_the_first_stage_only(monkeypatch):
    inputs, _ = make_moons(600, noise=0.05, random_state=0)
    options = ClusteringOptions(num_clusters=2, seed=0, num_restarts=2, inputs=inputs)
    monkeypatch.setattr("vade_jax.initialization.methods.sufficient_gaussians", lambda *_: pytest.fail("fitted again"))
    found = gaussians_or_communities(inputs, options._replace(resolution=1.0))
    np.testing.assert_array_equal(found.memberships, communities(inputs, options._replace(resolution=1.0)).memberships)


def test_components_that_leave_out_columns_are_not_used_for_more_clusters_than_components():
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(12), 60)
    inputs = 4 * rng.normal(size=(12, 30))[clusters] + rng.normal(size=(720, 30))
    options = ClusteringOptions(num_clusters=12, seed=0, num_restarts=1, inputs=inputs)
    assert sufficient_covariance(leading_components(inputs, 0), 12, seed=0, has_all_columns=False) == "full"
    found = gaussians_or_communities(inputs, options)
    np.testing.assert_array_equal(found.memberships, communities(inputs, options).memberships)


def test_a_component_of_fewer_rows_than_columns_is_not_the_likeliest():
    """Four rows close to a line are as likely as you like under a Gaussian of their own."""
    rng = np.random.default_rng(0)
    rows = np.concatenate([rng.normal(size=(60, 6)), 1.2 + rng.normal(size=(40, 6)), 9 + np.zeros((4, 6))])
    good, bad = (fit_from(rows, labels) for labels in (np.repeat([0, 1], [60, 44]), np.repeat([0, 1], [100, 4])))
    assert bad.score(rows) > good.score(rows)
    assert likeliest([bad, good], rows) is good
    assert likeliest([bad], rows) is bad, "no other mixture is there"


def fit_from(rows, labels):
    """A mixture that starts from two clusters."""
    return refine_mixture(rows, np.eye(2)[labels])
