"""Calibrated cluster probabilities: the model's q(c|x) at a temperature that was fitted without labels."""

import numpy as np

from vade_jax.core.temperature import fit_temperature, temper
from vade_jax.inference.row_map import Allocate
from vade_jax.system.large_arrays import row_slices

_CERTAIN = 1 - 1e-6  # of hard memberships, which say nothing about certainty


def calibration_temperature(responsibilities: np.ndarray, confidence: float) -> float:
    """Returns the temperature at which the mean certainty of q(c|x) is a given one.

    Training makes q(c|x) more certain than its targets are, because the networks learn the training rows by heart.

    Args:
      responsibilities: [M, K], q(c|x).
      confidence: how certain the clusters are on average, by what the networks have not influenced; see
        `initialization.soft_memberships.confidence`.

    Returns:
      The temperature; 1 if the confidence is.
    """
    return 1.0 if confidence > _CERTAIN else fit_temperature(responsibilities, confidence)


def calibrated(responsibilities: np.ndarray, temperature: float, allocate: Allocate = np.empty) -> np.ndarray:
    """Returns the probabilities [N, K] of q(c|x) [N, K] at a temperature, in an array that allocate made."""
    probabilities = allocate(responsibilities.shape, responsibilities.dtype)
    for rows in row_slices(responsibilities):
        probabilities[rows] = temper(responsibilities[rows], temperature)
    return probabilities
