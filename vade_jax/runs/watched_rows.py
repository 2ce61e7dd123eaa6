"""The clusters of the same few rows after every epoch: what the doctor looks at, and a trail of how a run got there."""

from typing import NamedTuple

import jax
import numpy as np

from vade_jax.core.mixture_prior import optimal_log_responsibilities
from vade_jax.data.dataset import sample_row_indices
from vade_jax.inference.answers import make_embed
from vade_jax.runs.run import KeyUse, Run
from vade_jax.system.atomic_files import atomic_write
from vade_jax.training.train_state import TrainState

_TRAIL = "trail.npy"
_NONE = -1


class WatchedPosterior(NamedTuple):
    """The watched rows under a model.

    Attributes:
      z_mean: [W, J].
      z_var: [W, J], variances of q(z|x).
      responsibilities: [W, K], the best q(c|x).
    """

    z_mean: np.ndarray
    z_var: np.ndarray
    responsibilities: np.ndarray


def watched_rows(run: Run) -> np.ndarray:
    """The numbers [W] of the watched rows, the same in every call."""
    return sample_row_indices(run.num_rows, run.key(KeyUse.WATCH), run.config.doctor.watch_rows)


class Watch:
    """Looks at the watched rows, and puts their clusters down on disk, a row for each epoch of the run."""

    def __init__(self, run: Run, x: np.ndarray, num_epochs: int):
        """Takes the watched rows out of x [N, D], and opens or makes trail.npy [num_epochs, W]."""
        self._rows = x[watched_rows(run)]
        self._embed = make_embed(run.model, min(run.config.evaluate.batch_size, len(self._rows)))
        self._log_responsibilities = jax.jit(optimal_log_responsibilities)
        path, shape = run.folder / _TRAIL, (num_epochs, len(self._rows))
        if _read(path, shape) is None:  # a new run, or a file that is damaged: nothing but a curve depends on it
            with atomic_write(path) as partial:
                np.save(partial, np.full(shape, _NONE, np.int32))
        self._trail = _read(path, shape)

    def view(self, state: TrainState) -> WatchedPosterior:
        """The watched rows under the state."""
        z_mean, z_log_var = self._embed(state, self._rows)
        log_q_c = self._log_responsibilities(z_mean, z_log_var, state.params["prior"])
        return WatchedPosterior(z_mean, np.exp(z_log_var), np.exp(log_q_c))

    def record(self, total_epochs: int, clusters: np.ndarray) -> float:
        """Writes the clusters [W] after so many epochs; returns the share of rows that changed in the last one."""
        before = self._trail[total_epochs - 2] if total_epochs > 1 else np.full_like(clusters, _NONE)
        self._trail[total_epochs - 1] = clusters
        self._trail.flush()
        return float(np.mean(before != clusters))


def _read(path, shape):
    """The trail in the file, to be written to; None where it holds none of that shape."""
    try:
        trail = np.load(path, mmap_mode="r+")
    except (OSError, ValueError, EOFError):
        return None
    return trail if (trail.shape, trail.dtype) == (shape, np.int32) else None


def read_cluster_history(run: Run, total_epochs: int) -> tuple[np.ndarray, np.ndarray]:
    """The watched rows' numbers [W], and their clusters [total_epochs, W], -1 in the epochs before there were any."""
    return watched_rows(run), np.load(run.folder / _TRAIL)[:total_epochs]
