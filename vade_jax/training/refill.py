"""Split moves on a mixture prior, accepted by the bound (Ueda et al. 2000, Neural Computation 12(9))."""

import jax
import numpy as np
from scipy.special import softmax
from sklearn.cluster import KMeans

from vade_jax.core.fit_prior import prior_from_memberships
from vade_jax.core.mixture_prior import GMMPrior, expected_log_prob_z_given_c, log_prob_c, optimal_log_responsibilities

_MAX_SPLITS = 10


def refill_empty_clusters(
    prior: GMMPrior, z_mean: np.ndarray, z_var: np.ndarray, empty: np.ndarray, seed: int
) -> tuple[GMMPrior, float]:
    """Gives each empty cluster rows: a half of another cluster, or the rows explained worst.

    Of these the move of the highest bound is taken, and of the moves together only what raises it.

    Args:
      prior: K clusters.
      z_mean: [N, J], of q(z|x).
      z_var: [N, J].
      empty: numbers of clusters.
      seed: of the halving.

    Returns:
      The prior after all moves that raise the bound, and by how much they do, nats per row; (prior, 0.0) if none does.
    """
    log_q_c = np.array(_log_q_c(z_mean, np.log(z_var), prior))
    log_q_c[:, empty] = -np.inf
    refilled = prior_from_memberships(z_mean, z_var, softmax(log_q_c, axis=1))
    before = _bound(prior, z_mean, z_var)
    bound = max(before, _bound(refilled, z_mean, z_var))  # a refilled cluster has to beat an empty one at its best
    moved = False
    for cluster in empty:
        moves = [
            prior_from_memberships(z_mean, z_var, to)
            for to in _candidate_memberships(refilled, z_mean, z_var, cluster, seed)
        ]
        bounds = [_bound(move, z_mean, z_var) for move in moves]
        if max(bounds) > bound:
            moved, refilled, bound = True, moves[int(np.argmax(bounds))], max(bounds)
    return (refilled, bound - before) if moved else (prior, 0.0)


def _candidate_memberships(prior, z_mean, z_var, cluster, seed):
    """Memberships [N, K] in which the cluster has taken rows from others."""
    memberships = _memberships(prior, z_mean, z_var)
    evidence = _evidence(prior, z_mean, z_var)
    yield _reassign(memberships, np.argsort(evidence)[: len(z_mean) // memberships.shape[1]], cluster)
    clusters = memberships.argmax(axis=1)
    largest = np.argsort(-np.bincount(clusters, minlength=memberships.shape[1]))[:_MAX_SPLITS]
    for split in largest:
        rows = np.flatnonzero(clusters == split)
        if split != cluster and len(np.unique(z_mean[rows], axis=0)) > 1:
            halves = KMeans(2, n_init=1, random_state=seed).fit_predict(z_mean[rows])
            yield _reassign(memberships, rows[halves == 1], cluster)


def _memberships(prior, z_mean, z_var):
    return np.exp(_log_q_c(z_mean, np.log(z_var), prior))


def _reassign(memberships, rows, cluster):
    moved = memberships.copy()
    moved[rows] = np.eye(memberships.shape[1], dtype=memberships.dtype)[cluster]
    return moved


def _bound(prior, z_mean, z_var):
    return float(_evidence(prior, z_mean, z_var).mean(dtype=np.float64))


def _evidence(prior, z_mean, z_var):
    return np.asarray(_log_evidence(z_mean, np.log(z_var), prior))


_log_q_c = jax.jit(optimal_log_responsibilities)


@jax.jit
def _log_evidence(z_mean, z_log_var, prior):
    """[N]: log sum_c p(c) exp E_q(z|x)[log p(z|c)], what the prior adds to the bound under the best q(c|x), nats."""
    log_pz_given_c = expected_log_prob_z_given_c(z_mean, z_log_var, prior)
    return jax.nn.logsumexp(log_prob_c(prior)[None, :] + log_pz_given_c, axis=-1)
