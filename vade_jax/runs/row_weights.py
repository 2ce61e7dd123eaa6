"""The weights of a run's rows, kept in its folder for every stage."""

import numpy as np

from vade_jax.runs.run import Run
from vade_jax.system import processes
from vade_jax.system.atomic_files import write_array
from vade_jax.system.errors import damaged_file_errors

_FILE = "weights.npy"


def write_row_weights(run: Run, weights: np.ndarray | None) -> None:
    """Writes the weights [N] of the rows to the run's folder; does nothing without weights.

    All processes call this together.
    """
    if weights is not None:
        scaled = weights / weights.mean(dtype=np.float64)
        processes.on_first_process(lambda: write_array(run.folder / _FILE, scaled.astype(np.float32)), _FILE)


def row_weights(run: Run) -> np.ndarray | None:
    """Returns the weights of the rows, [N], float32, with a mean of 1; None without weights.

    Raises:
      StorageError: the file is damaged.
    """
    if not run.weighted:
        return None
    with damaged_file_errors(run.folder / _FILE):
        return np.load(run.folder / _FILE)
