"""Starting clusters: what each method finds, which restart it takes, and the prior fitted to the clusters."""

import sys
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.datasets import make_blobs
from sklearn.neighbors import NearestNeighbors

from vade_jax.core.fit_prior import prior_from_memberships
from vade_jax.core.mixture_prior import expected_log_prob_z_given_c, log_prob_c, log_prob_z
from vade_jax.initialization.methods import COVARIANCES, METHODS, ClusteringOptions, gmm, manifold
from vade_jax.initialization.modularity import mean_modularity, modularity
from vade_jax.initialization.neighbor_graphs import nearest_neighbors, neighbor_graph, num_neighbors
from vade_jax.initialization.umap_layouts import umap_layout
from vade_jax.reports.label_scores import clustering_accuracy

CENTRES = np.array([[-8.0, 0.0], [0.0, 6.0], [8.0, 0.0]])
STDS = [0.5, 1.0, 2.0]
THREE = ClusteringOptions(num_clusters=3, seed=0, num_restarts=3)


@pytest.fixture(scope="module")
def blobs():
    return make_blobs([100, 200, 300], centers=CENTRES, cluster_std=STDS, random_state=0)


@pytest.mark.parametrize("options", [THREE._replace(covariance=covariance) for covariance in COVARIANCES])
@pytest.mark.parametrize("method", sorted(METHODS.keys() - {"random"}))
def test_methods_find_separated_clusters(blobs, method, options):
    embeddings, labels = blobs
    memberships, scores, *_ = METHODS[method](embeddings, options)
    assert clustering_accuracy(labels, memberships.argmax(axis=1)) > 0.98
    np.testing.assert_allclose(memberships.sum(axis=1), 1)
    assert len(scores) >= 3


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_prior_has_the_weights_means_and_variances_of_the_mixture(blobs, covariance):
    embeddings, labels = blobs
    memberships, scores, *_ = gmm(embeddings, THREE._replace(covariance=covariance))
    assert clustering_accuracy(labels, memberships.argmax(axis=1)) > 0.99
    prior = prior_from_memberships(embeddings, np.zeros_like(embeddings), memberships)
    order = np.argsort(np.asarray(prior.means)[:, 0])
    np.testing.assert_allclose(np.exp(log_prob_c(prior))[order], [1 / 6, 2 / 6, 3 / 6], atol=0.01)
    np.testing.assert_allclose(np.asarray(prior.means)[order], CENTRES, atol=0.3)
    expected = np.square(STDS)[:, None].repeat(2, 1)
    np.testing.assert_allclose(np.exp(prior.log_vars)[order], expected, rtol=0.25)
    if covariance == "diag":  # then the prior is the fitted mixture itself
        np.testing.assert_allclose(np.mean(log_prob_z(embeddings, prior)), max(scores), rtol=1e-4)


@pytest.mark.parametrize("covariance", COVARIANCES)
def test_constant_embeddings_give_a_finite_prior(covariance):
    embeddings = np.ones((20, 2))
    memberships, *_ = gmm(embeddings, ClusteringOptions(num_clusters=1, seed=0, num_restarts=1, covariance=covariance))
    prior = prior_from_memberships(embeddings, np.zeros_like(embeddings), memberships)
    assert all(np.isfinite(array).all() for array in prior)


@pytest.mark.parametrize("method", METHODS)
def test_same_seed_gives_identical_memberships(method):
    embeddings = np.random.default_rng(0).normal(size=(60, 3))
    options = ClusteringOptions(num_clusters=5, seed=0, num_restarts=2)
    first, again = (METHODS[method](embeddings, options) for _ in range(2))
    other = METHODS[method](embeddings, options._replace(seed=1))
    np.testing.assert_array_equal(first.memberships, again.memberships)
    assert not np.array_equal(first.memberships, other.memberships)


def test_gmm_takes_the_likeliest_restart():
    embeddings = np.random.default_rng(0).normal(size=(200, 3))  # no clusters: restarts end in different optima
    options = ClusteringOptions(num_clusters=5, seed=0, num_restarts=6)
    memberships, scores, *_ = gmm(embeddings, options)
    assert len(set(scores)) > 1
    best = int(np.argmax(scores))
    shorter = [gmm(embeddings, options._replace(num_restarts=count)).memberships for count in (best, best + 1) if count]
    np.testing.assert_array_equal(shorter[-1], memberships)
    assert not any(np.array_equal(worse, memberships) for worse in shorter[:-1])


@pytest.mark.parametrize("components", [2, 3])
def test_manifold_maximises_modularity_and_gives_outliers_no_cluster(components, monkeypatch):
    """Two of three blobs touch, and a few outliers are far away: by likelihood the outliers would be a cluster."""
    blobs, labels = make_blobs([200, 200, 200], centers=[[0, 0], [3, 0], [20, 0]], cluster_std=0.5, random_state=0)
    rows = np.concatenate([blobs, np.random.default_rng(0).normal([0, 60], 1e-3, (12, 2))])
    labels = np.concatenate([labels, np.zeros(12, int)])
    monkeypatch.setattr(
        "vade_jax.initialization.best_of_layouts.umap_layout", lambda embeddings, distances, neighbors, seed: embeddings
    )
    likeliest = gmm(rows, THREE._replace(num_restarts=5)).memberships.argmax(axis=1)
    assert clustering_accuracy(labels, likeliest) < 0.7
    options = THREE._replace(num_restarts=5, components=components)
    memberships, scores, *_ = manifold(rows, options)
    assert clustering_accuracy(labels, memberships.argmax(axis=1)) > 0.97
    nearest = NearestNeighbors(n_neighbors=num_neighbors(len(rows), 3, THREE.neighbor_share)).fit(rows)
    graph = neighbor_graph(np.arange(len(rows)), nearest.kneighbors(return_distance=False), len(rows))
    np.testing.assert_allclose(max(scores), modularity(graph, memberships.argmax(axis=1)))
    other_graph = neighbor_graph(
        np.arange(len(rows)), nearest.kneighbors(n_neighbors=5, return_distance=False), len(rows)
    )
    memberships, scores, *_ = manifold(rows, options._replace(input_graphs=[other_graph], part_rows=0))
    np.testing.assert_allclose(max(scores), modularity(other_graph, memberships.argmax(axis=1)))
    memberships, scores, *_ = manifold(rows, options._replace(input_graphs=[other_graph, graph], part_rows=0))
    np.testing.assert_allclose(max(scores), mean_modularity([other_graph, graph], memberships.argmax(axis=1)))


def test_manifold_compares_candidates_by_the_mean_over_input_graphs(monkeypatch):
    """One graph slightly prefers the split clusters, the other one clearly prefers the right ones.

    This happens with augmented images, where those of two classes may be neighbours.
    """
    rows = np.random.default_rng(0).normal(size=(150, 2))
    right = np.repeat([0, 1, 2], 50)
    wrong = np.where(right == 2, 1, np.where(np.arange(150) < 25, 2, right))
    wrong_graph, clear = (csr_matrix((clusters[:, None] == clusters) * 1.0) for clusters in (wrong, right))
    blurred = 6 * wrong_graph + clear
    candidates = iter(np.eye(3)[[right, wrong]])
    monkeypatch.setattr(
        "vade_jax.initialization.best_of_layouts.umap_layout", lambda embeddings, distances, neighbors, seed: embeddings
    )
    mixture = SimpleNamespace(predict_proba=lambda layout: next(candidates))
    monkeypatch.setattr("vade_jax.initialization.best_of_layouts.fit_mixture", lambda *arguments: mixture)
    options = THREE._replace(num_restarts=2, num_layouts=1, components=1, part_rows=0)
    assert 0 < modularity(blurred, wrong) - modularity(blurred, right) < 0.05
    memberships, *_ = manifold(rows, options._replace(input_graphs=[blurred, clear]))
    np.testing.assert_array_equal(memberships.argmax(axis=1), right)


def test_manifold_takes_the_layout_with_the_best_clusters(blobs, monkeypatch):
    embeddings, labels = blobs
    noise = np.random.default_rng(0).normal(size=embeddings.shape)
    seeds = []

    def second_is_good(embeddings, distances, neighbors, seed):
        seeds.append(seed)
        return embeddings if len(seeds) == 2 else noise

    monkeypatch.setattr("vade_jax.initialization.best_of_layouts.umap_layout", second_is_good)
    memberships, scores, *_ = manifold(embeddings, THREE._replace(num_layouts=3))
    assert clustering_accuracy(labels, memberships.argmax(axis=1)) > 0.98
    assert len(set(seeds)) == 3
    assert len(scores) >= 3 * THREE.num_restarts
    memberships, *_ = manifold(embeddings, THREE._replace(num_layouts=1))
    assert clustering_accuracy(labels, memberships.argmax(axis=1)) < 0.7


def test_input_neighbors_join_a_cluster_that_the_embedding_splits():
    """One of two clusters is split in the embedding, and one of its halves is nearer to the other cluster."""
    inputs, labels = make_blobs([120, 120], centers=[[0] * 4, [9] * 4], cluster_std=1.0, random_state=0)
    rng = np.random.default_rng(0)
    centres = np.where(labels == 0, 0.0, np.where(rng.random(240) < 0.5, 3.0, 12.0))
    embeddings = centres[:, None] + rng.normal(size=(240, 2))
    two = ClusteringOptions(num_clusters=2, seed=0, num_restarts=3)
    by_embedding = manifold(embeddings, two).memberships.argmax(axis=1)
    count = num_neighbors(240, 2, two.neighbor_share)
    neighbors = nearest_neighbors(inputs, inputs, count, np.arange(240))
    both = manifold(embeddings, two._replace(input_neighbors=neighbors)).memberships.argmax(axis=1)
    assert clustering_accuracy(labels, both) > 0.95 > 0.85 > clustering_accuracy(labels, by_embedding)


@pytest.mark.slow
def test_layouts_in_processes_give_the_same_clusters(blobs, monkeypatch):
    embeddings, _ = blobs
    options = THREE._replace(num_layouts=2)
    in_one_process = manifold(embeddings, options)
    monkeypatch.setattr("vade_jax.initialization.best_of_layouts._ROWS_FOR_PROCESSES", 0)
    in_several = manifold(embeddings, options)
    np.testing.assert_allclose(in_several.scores, in_one_process.scores, rtol=1e-6)
    np.testing.assert_allclose(in_several.memberships, in_one_process.memberships, atol=1e-6)


@pytest.mark.parametrize("num_rows", [2, 3, 4, 5, 12])
def test_manifold_accepts_very_few_rows(num_rows):
    embeddings = np.random.default_rng(0).normal(size=(num_rows, 3))
    memberships, *_ = manifold(embeddings, ClusteringOptions(num_clusters=2, seed=0, num_restarts=1))
    np.testing.assert_allclose(memberships.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("num_equal", [0, 144])
def test_layouts_of_equal_distances_are_repeatable(num_equal):
    """Their eigenvectors are not unique, and ARPACK continues with random ones."""
    rows = np.concatenate([np.zeros((num_equal, 96)), np.eye(96)]).astype(np.float32)
    distances, neighbors = nearest_neighbors(rows, rows, 10, np.arange(len(rows)))
    first, again = (umap_layout(rows, distances, neighbors, seed=0) for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_layout_does_not_import_tensorflow():
    manifold(np.random.default_rng(0).normal(size=(20, 3)), ClusteringOptions(num_clusters=2, seed=0, num_restarts=1))
    assert "umap" in sys.modules
    assert "tensorflow" not in sys.modules


def test_prior_maximises_the_expected_log_density():
    rng = np.random.default_rng(0)
    z_mean, z_var = rng.normal(size=(50, 2)), rng.uniform(0.5, 1, size=(50, 2))
    memberships = rng.dirichlet(np.ones(3), size=50)
    prior = prior_from_memberships(z_mean, z_var, memberships)

    def objective(prior):
        log_pz = expected_log_prob_z_given_c(jnp.float32(z_mean), jnp.log(jnp.float32(z_var)), prior)
        return jnp.mean(jnp.sum(jnp.float32(memberships) * (log_pz + log_prob_c(prior)[None]), axis=1))

    slopes = jax.grad(objective)(prior)
    # A small variance is added to every cluster, so the slope of the variances is not exactly 0.
    for slope, bound in zip(slopes, (1e-6, 1e-6, 1e-3), strict=True):
        assert np.abs(slope).max() < bound
    np.testing.assert_allclose(jnp.exp(log_prob_c(prior)), memberships.mean(axis=0), rtol=1e-5)


def test_empty_clusters_and_equal_rows_give_a_finite_prior():
    memberships = np.eye(3)[np.zeros(20, int)]
    prior = prior_from_memberships(np.ones((20, 2)), np.zeros((20, 2)), memberships)
    assert all(np.isfinite(array).all() for array in prior)
    assert np.asarray(jnp.exp(log_prob_c(prior)))[1:].max() < 0.05
