"""Refills empty clusters of a mixture prior if that raises the bound (Ueda et al. 2000, Neural Computation 12(9))."""

from collections.abc import Iterator

import jax
import numpy as np
from scipy.special import softmax
from sklearn.cluster import KMeans

from vade_jax.core.fit_prior import prior_from_memberships
from vade_jax.core.mixture_prior import GMMPrior, expected_log_prob_z_given_c, log_prob_c, optimal_log_responsibilities
from vade_jax.system.process_wide import PROCESS_WIDE

_MAX_SPLITS = 10


def refill_empty_clusters(
    prior: GMMPrior, z_mean: np.ndarray, z_var: np.ndarray, empty: np.ndarray, seed: int
) -> tuple[GMMPrior, float]:
    """Gives each empty cluster either half of another cluster or the rows that the prior explains worst.

    Each empty cluster takes the candidate with the highest bound, and only if that raises the bound.

    Args:
      prior: K clusters.
      z_mean: [N, J], means of q(z|x).
      z_var: [N, J], variances of q(z|x).
      empty: the numbers of the empty clusters.
      seed: seed of the k-means that halves a cluster.

    Returns:
      The prior after every refill that raises the bound, and the gain in nats per row; (prior, 0.0) if there is none.
    """
    log_q_c = np.array(_log_q_c(z_mean, np.log(z_var), prior))
    log_q_c[:, empty] = -np.inf
    refilled = prior_from_memberships(z_mean, z_var, softmax(log_q_c, axis=1))
    before = _bound(prior, z_mean, z_var)
    bound = max(before, _bound(refilled, z_mean, z_var))  # a refill must beat both priors that it could start from
    raised = False
    for cluster in empty:
        candidates = [
            prior_from_memberships(z_mean, z_var, memberships)
            for memberships in _candidate_memberships(refilled, z_mean, z_var, cluster, seed)
        ]
        bounds = [_bound(candidate, z_mean, z_var) for candidate in candidates]
        if max(bounds) > bound:
            raised, refilled, bound = True, candidates[int(np.argmax(bounds))], max(bounds)
    return (refilled, bound - before) if raised else (prior, 0.0)


def _candidate_memberships(
    prior: GMMPrior, z_mean: np.ndarray, z_var: np.ndarray, cluster: int, seed: int
) -> Iterator[np.ndarray]:
    """Yields memberships [N, K] that give the cluster rows of other clusters."""
    memberships = _memberships(prior, z_mean, z_var)
    evidence = _evidence(prior, z_mean, z_var)
    yield _reassign(memberships, np.argsort(evidence)[: len(z_mean) // memberships.shape[1]], cluster)
    clusters = memberships.argmax(axis=1)
    largest = np.argsort(-np.bincount(clusters, minlength=memberships.shape[1]))[:_MAX_SPLITS]
    for split in largest:
        rows = np.flatnonzero(clusters == split)
        if split != cluster and len(np.unique(z_mean[rows], axis=0)) > 1:
            with PROCESS_WIDE:  # scikit-learn limits BLAS's threads
                halves = KMeans(2, n_init=1, random_state=seed).fit_predict(z_mean[rows])
            yield _reassign(memberships, rows[halves == 1], cluster)


def _memberships(prior: GMMPrior, z_mean: np.ndarray, z_var: np.ndarray) -> np.ndarray:
    return np.exp(_log_q_c(z_mean, np.log(z_var), prior))


def _reassign(memberships: np.ndarray, rows: np.ndarray, cluster: int) -> np.ndarray:
    reassigned = memberships.copy()
    reassigned[rows] = np.eye(memberships.shape[1], dtype=memberships.dtype)[cluster]
    return reassigned


def _bound(prior: GMMPrior, z_mean: np.ndarray, z_var: np.ndarray) -> float:
    return float(_evidence(prior, z_mean, z_var).mean(dtype=np.float64))


def _evidence(prior: GMMPrior, z_mean: np.ndarray, z_var: np.ndarray) -> np.ndarray:
    return np.asarray(_log_evidence(z_mean, np.log(z_var), prior))


_log_q_c = jax.jit(optimal_log_responsibilities)


@jax.jit
def _log_evidence(z_mean: jax.Array, z_log_var: jax.Array, prior: GMMPrior) -> jax.Array:
    """log sum_c p(c) exp E_q(z|x)[log p(z|c)], [N] nats: the prior's part of the bound with the optimal q(c|x)."""
    log_pz_given_c = expected_log_prob_z_given_c(z_mean, z_log_var, prior)
    return jax.nn.logsumexp(log_prob_c(prior)[None, :] + log_pz_given_c, axis=-1)
