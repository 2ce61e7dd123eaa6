"""Signs of the collapses that clustering runs suffer from, and their diagnosis. No label is read."""

import math
from typing import NamedTuple

import numpy as np

# A latent dimension is active if the variance of mu_z over the rows is above this share of z's total variance,
# after Burda et al. 2016, arXiv:1509.00519, Sec. 4.2.
_ACTIVE_SHARE = 0.01
_EMPTY_SHARE = 0.01  # a cluster is empty below this share of the average cluster's rows
_ONE_CLUSTER_EXCESS = 0.05  # one_cluster: fewer effective clusters than 1 + this share of K - 1
_UNIFORM_EXCESS = 0.1  # uniform_responsibilities: mean max_c q(c|x) below 1/K + this share of 1 - 1/K
_FEW_EPOCHS = 10  # exploding_loss: too few to tell how much the loss changes by chance


class Signs(NamedTuple):
    """Statistics of W rows that reveal a collapse.

    Attributes:
      clusters: [W], argmax_c q(c|x).
      occupancy: [K], mean of q(c|x), sums to 1.
      effective_clusters: the exponential of the occupancy's entropy, in [1, K].
      active_units: number of latent dimensions where the variance of mu_z over the rows is above a hundredth of z's
        total variance, in [0, J].
      confidence: mean of max_c q(c|x), in [1/K, 1].
    """

    clusters: np.ndarray
    occupancy: np.ndarray
    effective_clusters: float
    active_units: int
    confidence: float


class Diagnosis(NamedTuple):
    """One collapse.

    Attributes:
      name: 'not_finite', 'exploding_loss', 'inactive_latent', 'one_cluster', 'uniform_responsibilities' or
        'empty_clusters'.
      detail: what was measured, in words.
    """

    name: str
    detail: str


def compute_signs(responsibilities: np.ndarray, z_mean: np.ndarray, z_var: np.ndarray) -> Signs:
    """The signs of W rows, from their q(c|x) [W, K] and the means and variances of their q(z|x), [W, J] each."""
    between, within = z_mean.var(axis=0, dtype=np.float64), z_var.mean(axis=0, dtype=np.float64)
    occupancy = responsibilities.mean(axis=0, dtype=np.float64)
    return Signs(
        clusters=responsibilities.argmax(axis=1),
        occupancy=occupancy,
        effective_clusters=effective_clusters(occupancy),
        active_units=int(np.sum(between > _ACTIVE_SHARE * (between + within))),
        confidence=float(responsibilities.max(axis=1).mean(dtype=np.float64)),
    )


def effective_clusters(shares: np.ndarray) -> float:
    """The exponential of the entropy of the clusters' shares [K] of the rows, which sum to 1; in [1, K]."""
    positive = shares[shares > 0]
    return float(np.exp(-np.sum(positive * np.log(positive))))


def empty_clusters(signs: Signs) -> np.ndarray:
    """The numbers of the clusters that have less than a hundredth of the average cluster's rows."""
    return np.flatnonzero(signs.occupancy < _EMPTY_SHARE / len(signs.occupancy))


def diagnose_losses(losses: list[float], num_features: int) -> Diagnosis | None:
    """The diagnosis of a loss that is not finite or runs away, or None.

    Args:
      losses: nats per row, one for each epoch of the stage, in order.
      num_features: D, which gives the scale of a loss near 0.

    Returns:
      'not_finite'; 'exploding_loss', if the last loss exceeds the smallest one by more than
      max(|smallest|, |first|, D/10, 10 median |change in an epoch|) nats; or None. On few rows an epoch is a step or
      two, and its mean loss is noise of about the median change.
    """
    last = losses[-1]
    if not math.isfinite(last):
        return Diagnosis("not_finite", f"the loss is {last}")
    least = min(losses)
    noise = float(np.median(np.abs(np.diff(losses)))) if len(losses) > _FEW_EPOCHS else 0.0
    allowed = max(abs(least), abs(losses[0]), 0.1 * num_features, 10 * noise)
    if last - least > allowed:
        return Diagnosis("exploding_loss", f"the loss rose from {least:.4g} to {last:.4g} nats")
    return None


def diagnose_non_finite(not_finite_share: float, state_is_finite: bool) -> Diagnosis | None:
    """The diagnosis of an epoch that met numbers that are not finite, or None.

    Args:
      not_finite_share: share of the epoch's steps whose loss was not finite.
      state_is_finite: whether the state after the epoch is finite.

    Returns:
      'not_finite', or None.
    """
    if not_finite_share:
        return Diagnosis("not_finite", f"the loss of {not_finite_share:.2%} of the steps is not finite")
    return None if state_is_finite else Diagnosis("not_finite", "the parameters are not finite")


def diagnose_signs(signs: Signs) -> Diagnosis | None:
    """The most serious diagnosis of the latent space and the clusters, or None if they have not collapsed."""
    num_clusters = len(signs.occupancy)
    if signs.active_units == 0:
        return Diagnosis("inactive_latent", "no latent dimension depends on the data")
    if num_clusters == 1:
        return None
    if signs.confidence < 1 / num_clusters + _UNIFORM_EXCESS * (1 - 1 / num_clusters):
        return Diagnosis(
            "uniform_responsibilities",
            f"the mean of max q(c|x) is {signs.confidence:.3f}, and 1/K is {1 / num_clusters:.3f}",
        )
    if signs.effective_clusters < 1 + _ONE_CLUSTER_EXCESS * (num_clusters - 1):
        return Diagnosis("one_cluster", f"one of {num_clusters} clusters has {signs.occupancy.max():.1%} of the rows")
    if len(empty := empty_clusters(signs)):
        return Diagnosis("empty_clusters", f"{len(empty)} of {num_clusters} clusters are empty")
    return None
