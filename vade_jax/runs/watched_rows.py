"""The clusters of the same random rows after every epoch, for the checks and for the report."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from vade_jax.core.mixture_prior import optimal_log_responsibilities
from vade_jax.data.dataset import sample_row_indices
from vade_jax.inference.answers import make_embed
from vade_jax.runs.run import KeyUse, Run
from vade_jax.system.atomic_files import exists, write_array
from vade_jax.system.errors import check_readable
from vade_jax.training.train_state import TrainState

_HISTORY, _HISTORY_ROWS = "trail.npy", "trail_rows.npy"
_NO_CLUSTER = -1


class WatchedPosterior(NamedTuple):
    """The posterior of the watched rows.

    Attributes:
      z_mean: [W, J].
      z_var: [W, J], variances of q(z|x).
      responsibilities: [W, K], the q(c|x) with the tightest bound.
    """

    z_mean: np.ndarray
    z_var: np.ndarray
    responsibilities: np.ndarray


def watched_rows(run: Run) -> np.ndarray:
    """Returns the indices [W] of the watched rows, the same in every call."""
    return sample_row_indices(run.num_rows, run.key(KeyUse.WATCH), run.config.doctor.watch_rows)


class Watch:
    """Computes the posterior of the watched rows, and writes their clusters after each epoch to trail.npy.

    The indices of the rows are in trail_rows.npy: after a change of the settings, other rows may be watched.
    """

    def __init__(self, run: Run, x: np.ndarray, num_epochs: int):
        """Selects the watched rows of x [N, D], and opens or creates trail.npy [num_epochs, W]."""
        row_indices = watched_rows(run)
        self._rows = x[row_indices]
        self._embed = make_embed(run.model, run.config.evaluate.batch_size)
        self._log_responsibilities = jax.jit(optimal_log_responsibilities)
        path, rows_path = run.folder / _HISTORY, run.folder / _HISTORY_ROWS
        shape = num_epochs, len(self._rows)
        history = _open_history(path, shape) if _are_rows(rows_path, row_indices) else None
        if history is None:  # a new run, other rows, or a damaged file: only the report's curve depends on it
            write_array(path, np.full(shape, _NO_CLUSTER, np.int32))
            history = np.load(path, mmap_mode="r+")
            write_array(rows_path, row_indices)
        self._history = history

    def posterior(self, state: TrainState) -> WatchedPosterior:
        """Returns the posterior of the watched rows."""
        z_mean, z_log_var = self._embed(state, self._rows)
        log_q_c = self._log_responsibilities(z_mean, z_log_var, state.params["prior"])
        return WatchedPosterior(z_mean, np.exp(z_log_var), np.exp(log_q_c))

    def record(self, total_epochs: int, clusters: np.ndarray) -> float:
        """Writes the clusters [W] after an epoch; returns the share of rows whose cluster changed in that epoch."""
        before = self._history[total_epochs - 2] if total_epochs > 1 else np.full_like(clusters, _NO_CLUSTER)
        self._history[total_epochs - 1] = clusters
        self._history.flush()
        return float(np.mean(before != clusters))


def _open_history(path: Path, shape: tuple[int, int]) -> np.memmap | None:
    """Returns the file's array, mapped to memory for writing; None if it has another shape, is missing or damaged."""
    history = _load(path, mmap_mode="r+")
    return history if history is not None and (history.shape, history.dtype) == (shape, np.int32) else None


def _are_rows(path: Path, row_indices: np.ndarray) -> bool:
    """Returns whether the file has these row indices; older versions have no such file, and watch the same rows."""
    return not exists(path) or np.array_equal(_load(path), row_indices)


def _load(path: Path, **options: Any) -> Any:
    """Returns the array in a file; None if it is missing or damaged."""
    try:
        return np.load(path, **options)
    except (OSError, ValueError, EOFError) as error:
        check_readable(path, error)
        return None


def read_cluster_history(run: Run, total_epochs: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the watched rows' indices [W] and their clusters [total_epochs, W], -1 in epochs without clusters."""
    return watched_rows(run), np.load(run.folder / _HISTORY)[:total_epochs]
