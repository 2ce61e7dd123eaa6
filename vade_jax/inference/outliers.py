"""Outliers: rows whose log p(x) is below that of almost all rows that were not trained on."""

import numpy as np

_TAIL_SHARE = 0.2
_LEAST_TAIL = 5


def outlier_threshold(log_likelihoods: np.ndarray, share: float) -> float:
    """Returns the log p(x) below which a share of new rows is expected.

    A new row is below the r-th smallest of R rows with probability r / (R + 1), whatever their distribution; between
    two of them the threshold is interpolated. A share below 1 / (R + 1) needs an assumption: that the least likely
    fifth of the rows has an exponential tail (peaks over threshold, Pickands 1975, Ann. Statist. 3). The threshold is
    then a quantile of the predictive distribution of one more row.

    Args:
      log_likelihoods: [R], log p(x) of rows that were not trained on, nats; NaN counts as -inf.
      share: in [0, 1].

    Returns:
      The threshold, nats; -inf for a share of 0.
    """
    if share <= 0:
        return -np.inf
    num_rows = len(log_likelihoods)
    tail = max(round(_TAIL_SHARE * num_rows), _LEAST_TAIL)
    known = np.where(np.isnan(log_likelihoods), -np.inf, log_likelihoods)
    with np.errstate(invalid="ignore"):  # from -inf to -inf
        if share * (num_rows + 1) >= 1 or tail >= num_rows:
            threshold = np.quantile(known, share, method="weibull")
        else:
            threshold = _in_exponential_tail(np.sort(known).astype(np.float64), tail, share)
    return -np.inf if np.isnan(threshold) else float(threshold)


def _in_exponential_tail(ascending: np.ndarray, tail: int, share: float) -> float:
    """The quantile of a share of values [R], if the smallest ones, tail in number, are exponential."""
    start = ascending[tail]
    mean_excess = (start - ascending[:tail]).mean()
    return start - tail * mean_excess * ((tail / len(ascending) / share) ** (1 / tail) - 1)


def are_outliers(log_likelihoods: np.ndarray, threshold: float) -> np.ndarray:
    """Returns whether rows are outliers, [N].

    Args:
      log_likelihoods: [N], nats. One that is not finite is below every threshold.
      threshold: nats; see `outlier_threshold`.
    """
    return ~(np.isfinite(log_likelihoods) & (log_likelihoods >= threshold))
