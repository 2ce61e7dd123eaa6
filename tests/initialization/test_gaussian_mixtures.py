"""Whether Gaussians suffice for rows, and what is clustered if they do."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine, make_moons
from sklearn.preprocessing import StandardScaler

from vade_jax.initialization.gaussian_mixtures import gaussians_suffice, leading_components
from vade_jax.initialization.methods import ClusteringOptions, communities, gaussians_or_communities
from vade_jax.reports.label_scores import clustering_accuracy

# name -> loader, clusters, whether each class is close to one Gaussian
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
        assert gaussians_suffice(leading_components(rows, seed), num_clusters, seed) == expected


def test_few_rows_for_each_cluster_do_not_show_it():
    rows = np.random.default_rng(0).normal(size=(59, 10))
    assert not gaussians_suffice(rows, 2, seed=0)


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
    monkeypatch.setattr("vade_jax.initialization.methods.gaussians_suffice", lambda *_: pytest.fail("fitted again"))
    found = gaussians_or_communities(inputs, options._replace(resolution=1.0))
    np.testing.assert_array_equal(found.memberships, communities(inputs, options._replace(resolution=1.0)).memberships)


def test_components_that_leave_out_columns_are_not_used_for_more_clusters_than_components():
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(12), 60)
    inputs = 4 * rng.normal(size=(12, 30))[clusters] + rng.normal(size=(720, 30))
    options = ClusteringOptions(num_clusters=12, seed=0, num_restarts=1, inputs=inputs)
    assert gaussians_suffice(leading_components(inputs, 0), 12, seed=0)
    found = gaussians_or_communities(inputs, options)
    np.testing.assert_array_equal(found.memberships, communities(inputs, options).memberships)
