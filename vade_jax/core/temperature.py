"""Cluster probabilities at a temperature, softmax(log p / T): more or less certain, in the same order."""

import math

import numpy as np

_LIMITS = math.log(1e-3), math.log(1e3)  # of the temperature; farther out, float32 probabilities no longer change
_HALVINGS = 40  # of the range of log T, which is then known to 1e-11
_TINY = 1e-30  # a probability of 0 becomes this one, so that it has a logarithm
_ROWS_TO_FIT = 20_000  # more rows would change the temperature in its third digit


def temper(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Returns softmax(log p / T) of each row.

    Args:
      probabilities: [..., K], each row sums to 1.
      temperature: T > 0; above 1 the result is less certain, below 1 more certain, 1 changes nothing.

    Returns:
      [..., K], of the same type; each row sums to 1.

    Example:
      >>> temper(np.array([0.8, 0.2]), 2.0).round(3)
      array([0.667, 0.333])
    """
    if temperature == 1:
        return probabilities
    logs = np.log(np.maximum(probabilities, _TINY, dtype=np.float64)) / temperature
    powers = np.exp(logs - logs.max(axis=-1, keepdims=True))
    return (powers / powers.sum(axis=-1, keepdims=True)).astype(probabilities.dtype)


def fit_temperature(probabilities: np.ndarray, confidence: float) -> float:
    """Returns the temperature at which the mean of max_c p_c over the rows is a given number.

    Args:
      probabilities: [N, K], each row sums to 1.
      confidence: the mean to reach, in [1/K, 1].

    Returns:
      T in [1e-3, 1e3]; one of the ends if no T reaches the mean. 1 if there is one cluster.
    """
    if probabilities.shape[-1] == 1:
        return 1.0
    some = probabilities[:: max(1, len(probabilities) // _ROWS_TO_FIT)]
    low, high = _LIMITS
    for _ in range(_HALVINGS):  # the mean falls as T rises
        middle = (low + high) / 2
        mean = temper(some, math.exp(middle)).max(axis=-1).mean(dtype=np.float64)
        low, high = (middle, high) if mean > confidence else (low, middle)
    return math.exp((low + high) / 2)
