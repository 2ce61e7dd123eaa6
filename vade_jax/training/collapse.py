"""Collapses that a clustering run is known for, told from their signs, without a label."""

import math
from typing import NamedTuple

import numpy as np

_ACTIVE_SHARE = 0.01  # of z's variance, that mu_z's over the rows has; after Burda et al. 2016, arXiv:1509.00519, 4.2
_EMPTY_SHARE = 0.01  # of the rows that a cluster of average size has
_LONE_EXCESS = 0.05  # effective clusters beyond the first, of the K - 1 that are asked for
_UNSURE_EXCESS = 0.1  # mean max_c q(c|x) beyond 1/K, of the distance to certainty


class Signs(NamedTuple):
    """What a sample of W rows shows of a model.

    Attributes:
      clusters: [W], argmax_c q(c|x).
      occupancy: [K], mean of q(c|x), sums to 1.
      effective_clusters: the exponential of the occupancy's entropy, in [1, K].
      active_units: latent dimensions in which the rows' mu_z have more than a hundredth of z's variance, in [0, J].
      confidence: mean of max_c q(c|x), in [1/K, 1].
    """

    clusters: np.ndarray
    occupancy: np.ndarray
    effective_clusters: float
    active_units: int
    confidence: float


class Diagnosis(NamedTuple):
    """What is wrong.

    Attributes:
      name: 'not_finite', 'exploding_loss', 'inactive_latent', 'one_cluster', 'uniform_responsibilities' or
        'empty_clusters'.
      detail: the figures, in words.
    """

    name: str
    detail: str


def compute_signs(responsibilities: np.ndarray, z_mean: np.ndarray, z_var: np.ndarray) -> Signs:
    """The signs of q(c|x) [W, K] and of q(z|x)'s means and variances, [W, J] each, of the same rows."""
    between, within = z_mean.var(axis=0, dtype=np.float64), z_var.mean(axis=0, dtype=np.float64)
    occupancy = responsibilities.mean(axis=0, dtype=np.float64)
    shares = occupancy[occupancy > 0]
    return Signs(
        responsibilities.argmax(axis=1),
        occupancy,
        float(np.exp(-np.sum(shares * np.log(shares)))),
        int(np.sum(between > _ACTIVE_SHARE * (between + within))),
        float(responsibilities.max(axis=1).mean(dtype=np.float64)),
    )


def empty_clusters(signs: Signs) -> np.ndarray:
    """The numbers of clusters with less than a hundredth of the rows that an average one has."""
    return np.flatnonzero(signs.occupancy < _EMPTY_SHARE / len(signs.occupancy))


def diagnose_losses(losses: list[float], num_features: int) -> Diagnosis | None:
    """Whether the losses of a stage's epochs, in their order, say that it runs away.

    Args:
      losses: nats per row, one for each epoch.
      num_features: D, the scale of a loss that lies near 0.

    Returns:
      'not_finite'; 'exploding_loss', where the last one lies above the least by more than the least and the first one
      are large, and D/10 nats; or None.
    """
    last = losses[-1]
    if not math.isfinite(last):
        return Diagnosis("not_finite", f"the loss is {last}")
    least = min(losses)
    allowed = max(abs(least), abs(losses[0]), 0.1 * num_features)
    if last - least > allowed:
        return Diagnosis("exploding_loss", f"the loss rose from {least:.4g} to {last:.4g} nats")
    return None


def diagnose_non_finite(not_finite_share: float, sound: bool) -> Diagnosis | None:
    """Whether an epoch met a number that is not finite.

    Args:
      not_finite_share: of its steps, whose loss was not finite.
      sound: whether the state after it is finite.

    Returns:
      'not_finite', or None.
    """
    if not_finite_share:
        return Diagnosis("not_finite", f"the loss of {not_finite_share:.2%} of the steps is not finite")
    return None if sound else Diagnosis("not_finite", "the parameters are not finite")


def diagnose_signs(signs: Signs) -> Diagnosis | None:
    """Whether the latent space or the clusters have collapsed; the gravest diagnosis, or None."""
    num_clusters = len(signs.occupancy)
    if signs.active_units == 0:
        return Diagnosis("inactive_latent", "no latent dimension depends on the data")
    if num_clusters == 1:
        return None
    if signs.confidence < 1 / num_clusters + _UNSURE_EXCESS * (1 - 1 / num_clusters):
        return Diagnosis(
            "uniform_responsibilities", f"max q(c|x) is {signs.confidence:.3f} in the mean, 1/K {1 / num_clusters:.3f}"
        )
    if signs.effective_clusters < 1 + _LONE_EXCESS * (num_clusters - 1):
        return Diagnosis("one_cluster", f"one of {num_clusters} clusters has {signs.occupancy.max():.1%} of the rows")
    if len(empty := empty_clusters(signs)):
        return Diagnosis("empty_clusters", f"{len(empty)} of {num_clusters} clusters are empty")
    return None
