"""Calibrated probabilities: as certain as the memberships, in the order of the model's own."""

import numpy as np
from scipy.special import softmax

from vade_jax.inference.calibration import calibrated, calibration_temperature

Q = softmax(9 * np.random.default_rng(0).normal(size=(300, 4)), axis=1).astype(np.float32)


def test_calibrated_probabilities_are_as_certain_as_the_memberships():
    memberships = softmax(2 * np.random.default_rng(1).normal(size=(300, 4)), axis=1)
    temperature = calibration_temperature(Q, memberships)
    probabilities = calibrated(Q, temperature)
    assert temperature > 1
    assert abs(probabilities.max(axis=1).mean() - memberships.max(axis=1).mean()) < 1e-4
    np.testing.assert_array_equal(probabilities.argmax(axis=1), Q.argmax(axis=1))


def test_hard_memberships_change_nothing():
    temperature = calibration_temperature(Q, np.eye(4)[Q.argmax(axis=1)])
    assert temperature == 1
    np.testing.assert_array_equal(calibrated(Q, temperature), Q)
