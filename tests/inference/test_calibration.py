"""Calibrated probabilities: as certain as the memberships, in the order of the model's own."""

import numpy as np
from scipy.special import softmax

from vade_jax.inference.calibration import calibrated, calibration_temperature

Q = softmax(9 * np.random.default_rng(0).normal(size=(300, 4)), axis=1).astype(np.float32)


def test_calibrated_probabilities_have_the_given_mean_certainty():
    temperature = calibration_temperature(Q, 0.7)
    probabilities = calibrated(Q, temperature)
    assert temperature > 1
    assert abs(probabilities.max(axis=1).mean() - 0.7) < 1e-4
    np.testing.assert_array_equal(probabilities.argmax(axis=1), Q.argmax(axis=1))


def test_full_confidence_changes_nothing():
    temperature = calibration_temperature(Q, 1.0)
    assert temperature == 1
    np.testing.assert_array_equal(calibrated(Q, temperature), Q)
