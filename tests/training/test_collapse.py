"""Each collapse is diagnosed from its signs, and a healthy run has no diagnosis."""

import numpy as np
import pytest

from vade_jax.training.collapse import compute_signs, diagnose_losses, diagnose_signs, empty_clusters


def signs(occupancy, confidence=0.99, spread=1.0):
    """Signs of rows with clusters of these sizes, this max q(c|x), and this standard deviation of z_mean."""
    num_clusters = len(occupancy)
    clusters = np.repeat(np.arange(num_clusters), occupancy)
    rest = (1 - confidence) / max(1, num_clusters - 1)
    responsibilities = np.full((len(clusters), num_clusters), rest if num_clusters > 1 else 1.0)
    if num_clusters > 1:
        responsibilities[np.arange(len(clusters)), clusters] = confidence
    z_mean = spread * np.random.default_rng(0).normal(size=(len(clusters), 3))
    return compute_signs(responsibilities, z_mean, np.ones_like(z_mean))


def test_compute_signs():
    read = signs([500, 500, 0, 0], confidence=1.0)
    np.testing.assert_array_equal(read.clusters, np.repeat([0, 1], 500))
    np.testing.assert_allclose(read.occupancy, [0.5, 0.5, 0, 0])
    np.testing.assert_allclose(read.effective_clusters, 2)
    assert read.active_units == 3
    assert read.confidence == 1
    assert empty_clusters(read).tolist() == [2, 3]


@pytest.mark.parametrize(
    ("occupancy", "confidence", "spread", "name"),
    [
        ([100] * 10, 0.99, 1.0, None),
        ([820, 20, 20, 20, 20, 20, 20, 20, 20, 40], 0.99, 1.0, None),  # unbalanced but healthy
        ([1000], 1.0, 1.0, None),
        ([100] * 10, 0.99, 0.05, "inactive_latent"),
        ([100] * 10, 0.15, 1.0, "uniform_responsibilities"),
        ([1000, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1.0, 1.0, "one_cluster"),
        ([991, 1, 1, 1, 1, 1, 1, 1, 1, 1], 1.0, 1.0, "one_cluster"),
        ([200, 200, 200, 200, 200, 0, 0, 0, 0, 0], 1.0, 1.0, "empty_clusters"),
    ],
)
def test_diagnose_signs_names_the_collapse(occupancy, confidence, spread, name):
    diagnosis = diagnose_signs(signs(occupancy, confidence, spread))
    assert (diagnosis and diagnosis.name) == name


@pytest.mark.parametrize(
    ("losses", "name"),
    [
        ([100.0], None),
        ([200.0, 120.0, 100.0, 101.0], None),
        ([-1.0, -3.0, -2.0, 5.0], None),  # within D/10 nats around 0
        ([100.0, float("nan")], "not_finite"),
        ([float("inf")], "not_finite"),
        ([100.0, 95.0, 250.0], "exploding_loss"),
        ([-500.0, -600.0, 100.0], "exploding_loss"),
        ([-1.0, -3.0, 20.0], "exploding_loss"),
        ([8.0, -8.0] * 10 + [12.0], None),  # noise of epochs that are one step
        ([8.0, -8.0] * 10 + [200.0], "exploding_loss"),
        ([100.0 - i for i in range(60)] + [200.0], "exploding_loss"),
    ],
)
def test_diagnose_losses_names_the_collapse(losses, name):
    diagnosis = diagnose_losses(losses, num_features=100)
    assert (diagnosis and diagnosis.name) == name
