"""The clusters that stages begin with, found in the embeddings and kept in the run's folder."""

from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy.sparse import csr_matrix, load_npz, save_npz

from vade_jax import graphs, initialization
from vade_jax.run import Run
from vade_jax.train_state import Scaling

_GRAPH_ROWS = 20_000  # joined to their neighbours among all: with so many MNIST's rounds keep their order


class Found(NamedTuple):
    """The clusters to hold, and how they were chosen.

    Attributes:
      memberships: [N, K], float32, each row sums to 1.
      scores: of each candidate that was found, in the method's own measure.
      found_modularity: [], of the candidate taken, on the graph of the inputs.
      modularity: [], of the clusters to hold.
      settled: [], bool: they are those of the last time, since what was found now is not better.
    """

    memberships: np.ndarray
    scores: np.ndarray
    found_modularity: np.ndarray
    modularity: np.ndarray
    settled: np.ndarray


def find(run: Run, embeddings: np.ndarray, graph: csr_matrix, last: Found | None) -> Found:
    """Clusters of the embeddings by the config's method, or the last ones where these are no better.

    A network that was guided to clusters shows them as clearer than they are; only the inputs can tell whether the ones
    that it shows now are better than the ones it was shown.

    Args:
      run: its config names the method.
      embeddings: [N, J].
      graph: [N, N], of the inputs: clusters of higher modularity there are better.
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
    scores = np.array(clustering.scores)
    modularity = np.array(graphs.modularity(graph, clustering.memberships.argmax(axis=1)))
    if last is not None and modularity <= last.modularity:
        return Found(last.memberships, scores, modularity, last.modularity, np.array(True))
    return Found(clustering.memberships.astype(np.float32), scores, modularity, modularity, np.array(False))


def input_graph(run: Run, scaling: Scaling, x: np.ndarray) -> csr_matrix:
    """The neighbour graph [N, N] of the model's inputs, the same for every run on the same rows; kept in the folder.

    Args:
      run: its config says how many neighbours.
      scaling: of the rows.
      x: [N, D], as stored.
    """
    file = run.folder / "input_graph.npz"
    if not file.exists():
        config = run.config
        count = graphs.num_neighbors(len(x), config.model.num_clusters, config.init.neighbor_share)
        inputs = np.asarray(scaling(jnp.asarray(x)))
        partial = file.with_suffix(".partial.npz")  # whole, or not there at all
        save_npz(partial, graphs.sampled_graph(inputs, count, _GRAPH_ROWS, seed=0))
        partial.replace(file)
    return load_npz(file)


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
