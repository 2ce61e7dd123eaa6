"""The log-likelihood below which a row is an outlier."""

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
      log_likelihoods: [R], log p(x) of rows that were not trained on, nats.
      share: in [0, 1].

    Returns:
      The threshold, nats; -inf for a share of 0.
    """
    if share <= 0:
        return -np.inf
    num_rows = len(log_likelihoods)
    tail = max(round(_TAIL_SHARE * num_rows), _LEAST_TAIL)
    if share * (num_rows + 1) >= 1 or tail >= num_rows:
        return float(np.quantile(log_likelihoods, share, method="weibull"))
    ascending = np.sort(log_likelihoods).astype(np.float64)
    start = ascending[tail]
    mean_excess = (start - ascending[:tail]).mean()
    return float(start - tail * mean_excess * ((tail / num_rows / share) ** (1 / tail) - 1))
