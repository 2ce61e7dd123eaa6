"""The clusters that stages begin with, found in the embeddings and kept in the run's folder."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.metrics import adjusted_rand_score

from vade_jax import initialization
from vade_jax.run import Run


class Found(NamedTuple):
    """Clusters of a run's rows.

    Attributes:
      memberships: [N, K], float32, each row sums to 1.
      scores: of each candidate, in the method's own measure.
      settled: [], bool: they are those that were found the last time.
    """

    memberships: np.ndarray
    scores: np.ndarray
    settled: np.ndarray


def find(run: Run, embeddings: np.ndarray, last: Found | None) -> Found:
    """Clusters of the embeddings by the config's method.

    Args:
      run: its config names the method, and the adjusted Rand index to the last clusters from which on they are settled.
      embeddings: [N, J].
      last: what was found the last time, or None.

    Returns:
      The clusters; the last ones again where those had settled.
    """
    if last is not None and last.settled:
        return last
    config = run.config
    options = initialization.Options(
        config.model.num_clusters,
        config.seed,
        config.init.num_restarts,
        config.init.covariance,
        config.init.num_layouts,
        config.init.neighbor_share,
        config.init.max_rows,
    )
    clustering = initialization.METHODS[config.init.method](embeddings, options)
    settled = last is not None and config.guide.stop_ari <= adjusted_rand_score(
        last.memberships.argmax(axis=1), clustering.memberships.argmax(axis=1)
    )
    return Found(clustering.memberships.astype(np.float32), np.array(clustering.scores), np.array(settled))


def path(run: Run, stage: str) -> Path:
    """The file of the clusters that a stage began with, an .npz of what `Found` holds."""
    return run.folder / f"initialization_{stage}.npz"


def write(run: Run, stage: str, found: Found) -> None:
    """Keeps the clusters that a stage begins with."""
    np.savez(path(run, stage), **found._asdict())


def read(run: Run, stage: str) -> Found:
    """The clusters that a stage began with."""
    with np.load(path(run, stage)) as arrays:
        return Found(**arrays)
