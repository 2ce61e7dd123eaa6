"""How many components a mixture needs to describe rows, which is the most clusters that they have.

A cluster that is not one component needs several, so there are no more clusters than components.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from sklearn.metrics import adjusted_rand_score

from vade_jax.initialization import column_mixtures, gaussian_mixtures
from vade_jax.initialization.column_kinds import Columns

_MOST_NUMBERS = 10  # columns; with many more Gaussians are not known well enough to be compared
_MOST_ROWS = 3_000
_PATIENCE = 3  # so many more components that describe held-out rows no better end the search


class MixtureScores(NamedTuple):
    """How well mixtures of more and more components describe rows.

    Attributes:
      log_likelihoods: the number of components -> log p of each row under the mixture that was fitted to other rows,
        [M] nats.
      stability: [S], of the `sufficient` number, the adjusted Rand index between the clusters of all rows by a mixture
        fitted to one half and by one fitted to the other.
    """

    log_likelihoods: dict[int, np.ndarray]
    stability: np.ndarray


def measure(
    inputs: np.ndarray, columns: Columns | None, candidates: Sequence[int], num_splits: int, seed: int
) -> MixtureScores | None:
    """Fits mixtures until three more numbers of components describe held-out rows no better.

    Args:
      inputs: [N, D], scaled, without gaps, for Gaussians; of more than 3,000 rows evenly spaced ones are used.
      columns: rows by kinds of columns, for mixtures of these instead; None if all columns are numbers.
      candidates: the numbers of components, ascending.
      num_splits: S.
      seed: of the folds, the Gaussians and the halves.

    Returns:
      The scores; None for more than ten columns of numbers alone.
    """
    rows: Columns | np.ndarray
    if columns is not None:
        rows = columns.spaced(_MOST_ROWS)
        num_rows = len(rows.numbers)
    elif inputs.shape[1] <= _MOST_NUMBERS:
        rows = inputs[:: -(-len(inputs) // _MOST_ROWS)].astype(np.float64)
        num_rows = len(rows)
    else:
        return None
    found = _until_no_better(lambda count: _held_out(rows, count, seed), candidates)
    return MixtureScores(found, _stability(rows, num_rows, sufficient(found), num_splits, seed))


def _held_out(rows: Columns | np.ndarray, count: int, seed: int) -> np.ndarray:
    if isinstance(rows, Columns):
        return column_mixtures.held_out_log_likelihoods(rows, count)
    return gaussian_mixtures.held_out_log_likelihoods(rows, count, seed)


def _until_no_better(held_out: Callable[[int], np.ndarray], candidates: Sequence[int]) -> dict[int, np.ndarray]:
    found: dict[int, np.ndarray] = {}
    for number, count in enumerate(candidates):
        found[count] = held_out(count)
        if number - list(found).index(likeliest(found)) == _PATIENCE:
            break
    return found


def _stability(rows: Columns | np.ndarray, num_rows: int, count: int, num_splits: int, seed: int) -> np.ndarray:
    """The `MixtureScores.stability` [S] of mixtures of count components."""
    if count == 1:
        return np.ones(num_splits)
    rng = np.random.default_rng(seed)
    splits = [np.array_split(rng.permutation(num_rows), 2) for _ in range(num_splits)]
    return np.array(
        [
            adjusted_rand_score(
                _clusters(rows, first, second, count, seed), _clusters(rows, second, first, count, seed)
            )
            for first, second in splits
        ]
    )


def _clusters(rows: Columns | np.ndarray, half: np.ndarray, other: np.ndarray, count: int, seed: int) -> np.ndarray:
    """The clusters [N] of all rows by a mixture fitted to one half, with the covariances that suit the other better."""
    if isinstance(rows, Columns):
        fit = column_mixtures.fit_columns(rows.take(half), count, [seed])
        return column_mixtures.memberships(fit.mixture, rows).argmax(axis=1)
    tried = [gaussian_mixtures.fit_likeliest(rows[half], covariance, count, seed) for covariance in ("full", "diag")]
    return max(tried, key=lambda mixture: mixture.score(rows[other])).predict(rows)


def likeliest(log_likelihoods: dict[int, np.ndarray]) -> int:
    """The number of components under which held-out rows are likeliest."""
    return max(log_likelihoods, key=lambda count: log_likelihoods[count].mean())


def sufficient(log_likelihoods: dict[int, np.ndarray]) -> int:
    """The least number of components that is within one standard error of the likeliest."""
    best = log_likelihoods[likeliest(log_likelihoods)]
    return min(
        count for count, values in log_likelihoods.items() if (best - values).mean() <= standard_error(best - values)
    )


def standard_error(values: np.ndarray) -> float:
    """Returns the standard error of the mean of values [S]; 0 for a single one."""
    return float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else 0.0
