"""A mixture needs as many components as rows have clusters, or more."""

import numpy as np
import pytest
from sklearn.datasets import make_moons

from vade_jax.initialization.column_kinds import split_columns
from vade_jax.initialization.mixture_sizes import likeliest, measure, standard_error, sufficient


def components(rows, columns=None, candidates=range(1, 10)):
    """The number of components that rows need, and all scores."""
    scores = measure(rows, columns, candidates, 2, 0)
    return sufficient(scores.log_likelihoods), scores


def overlapping(num_rows=900):
    """Rows [N, 2] of three Gaussians whose centres are three standard deviations apart."""
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0]])
    return centres[rng.choice(3, num_rows, p=(0.5, 0.3, 0.2))] + rng.normal(size=(num_rows, 2))


def test_overlapping_gaussians_need_one_component_each():
    count, scores = components(overlapping())
    assert count == 3
    assert scores.stability.mean() > 0.8


def test_one_gaussian_needs_one_component():
    count, scores = components(np.random.default_rng(0).normal(size=(500, 4)))
    assert count == likeliest(scores.log_likelihoods) == 1
    assert list(scores.log_likelihoods) == [1, 2, 3, 4], "the search ends when three more numbers are no better"
    assert scores.stability.tolist() == [1, 1]


def test_curved_clusters_need_more_components_than_there_are_clusters():
    assert components(make_moons(600, noise=0.05, random_state=0)[0])[0] > 4


def test_components_of_uniform_numbers_are_not_stable():
    assert components(np.random.default_rng(0).random((800, 3)))[1].stability.mean() < 0.6


@pytest.mark.parametrize("seed", [1, 2])
def test_flags_and_numbers_need_one_component_for_each_cluster(seed):
    """Communities of such rows follow the flags: two flags that say nothing make four of each cluster."""
    rng = np.random.default_rng(seed)
    clusters = rng.choice(2, 800, p=(0.6, 0.4))
    numbers = 3.0 * clusters + rng.normal(size=(2, 800))
    x = np.stack([*numbers, *(rng.random((2, 800)) < 0.4)], axis=1)
    count, scores = components(x, split_columns(x, ["number", "number", "binary", "binary"], [0, 0, 0, 0]))
    assert count == 2
    assert scores.stability.min() > 0.9


def test_many_columns_of_numbers_are_not_measured():
    assert measure(np.zeros((100, 11)), None, range(1, 10), 2, 0) is None


def test_at_most_3000_rows_are_measured():
    rows = np.random.default_rng(0).normal(size=(7000, 1))
    assert len(components(rows, candidates=[1])[1].log_likelihoods[1]) == 2334


def test_least_number_within_one_standard_error_is_sufficient():
    found = {1: np.zeros(4), 2: np.array([1.0, 2.0, 1.0, 2.0]), 3: np.array([1.0, 2.5, 1.0, 2.0])}
    assert likeliest(found) == 3
    assert sufficient(found) == 2  # behind by 0.125 +- 0.125
    assert sufficient(found | {3: found[3] + 0.1}) == 3


def test_standard_error_is_that_of_a_mean():
    assert standard_error(np.array([1.0, 3.0])) == pytest.approx(1)
    assert standard_error(np.array([5.0])) == 0
