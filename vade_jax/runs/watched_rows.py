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

    def __init__(self, run: Run, x: np.ndarray, epochs_done: int, epochs_left: int):
        """Selects the watched rows of x [N, D], and opens or creates trail.npy with a line [W] for each epoch."""
        row_indices = watched_rows(run)
        self._rows = x[row_indices]
        self._embed = make_embed(run.model, run.config.evaluate.batch_size)
        self._log_responsibilities = jax.jit(optimal_log_responsibilities)
        path, rows_path = run.folder / _HISTORY, run.folder / _HISTORY_ROWS
        # Without a file, with other rows or a damaged file nothing is known. Only the report's curve depends on it.
        known = _load_history(path, len(row_indices)) if _are_rows(rows_path, row_indices) else None
        if known is None or len(known) < epochs_done + epochs_left:
            history = np.full((epochs_done + epochs_left, len(row_indices)), _NO_CLUSTER, np.int32)
            if known is not None:
                history[: len(known)] = known
            write_array(path, history)
            write_array(rows_path, row_indices)
        self._history = np.load(path, mmap_mode="r+")
        self._history[epochs_done:] = _NO_CLUSTER  # these epochs are done again

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


def _load_history(path: Path, num_rows: int) -> np.ndarray | None:
    """Returns the array [epochs, W] in a file; None if it is of another number W of rows, missing or damaged."""
    history = _load(path)
    return history if history is not None and (history.shape[1:], history.dtype) == ((num_rows,), np.int32) else None


def _are_rows(path: Path, row_indices: np.ndarray) -> bool:
    """Returns whether the file has these row indices; older versions have no such file, and watch the same rows."""
    return not exists(path) or np.array_equal(_load(path), row_indices)


def _load(path: Path) -> Any:
    """Returns the array in a file; None if it is missing or damaged."""
    try:
        return np.load(path)
    except (OSError, ValueError, EOFError) as error:
        check_readable(path, error)
        return None


def read_cluster_history(run: Run, total_epochs: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the watched rows' indices [W] and their clusters [total_epochs, W], -1 in epochs without clusters."""
    return watched_rows(run), np.load(run.folder / _HISTORY)[:total_epochs]
