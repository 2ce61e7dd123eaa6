"""The clusters that stages begin with, found in the embeddings and kept in the run's folder."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.lib.format import open_memmap
from scipy.sparse import csr_matrix, load_npz, save_npz

from vade_jax.data.scaling import Scaling
from vade_jax.initialization import methods, neighbor_graphs
from vade_jax.initialization.modularity import mean_modularity
from vade_jax.runs.run import Run
from vade_jax.runs.saved_model import LAST_STAGE
from vade_jax.system import console
from vade_jax.system.atomic_files import atomic_write, reserve_disk_space
from vade_jax.system.errors import damaged_file_errors

_SPREAD_ROWS = 2**16  # at a time
_MOVED_ROWS = 1024  # at a time
_GRAPH_ROWS = 20_000  # joined to their neighbours among all: with so many MNIST's rounds keep their order


class StartingClusters(NamedTuple):
    """The clusters to hold, and how they were chosen.

    Attributes:
      memberships: [M, K], of the sample, float32, each row sums to 1.
      scores: of each candidate that was found, in the method's own measure.
      found_modularity: [], of the candidate taken, the mean on the graphs of the inputs.
      modularity: [], of the clusters to hold.
      unchanged: [], bool: they are those of the round before, since what was found now is not better.
    """

    memberships: np.ndarray
    scores: np.ndarray
    found_modularity: np.ndarray
    modularity: np.ndarray
    unchanged: np.ndarray


_KEPT_AS_NAMED = (
    "memberships",
    "scores",
    "found_modularity",
    "modularity",
)  # in the file; `unchanged` is 'settled' there


def clustered_row_indices(run: Run) -> np.ndarray:
    """The numbers [M] of the rows that clusters are found on, ascending, the same for every run on the same rows."""
    if run.num_rows <= run.config.init.max_rows:
        return np.arange(run.num_rows)
    return np.sort(np.random.default_rng(0).choice(run.num_rows, run.config.init.max_rows, replace=False))


def find_starting_clusters(
    run: Run,
    embeddings: np.ndarray,
    input_graphs: Sequence[csr_matrix],
    last: StartingClusters | None,
    input_neighbors: tuple[np.ndarray, np.ndarray] | None = None,
) -> StartingClusters:
    """Clusters of the embeddings by the config's method, or the last ones where these are no better.

    A network that was guided to clusters shows them as clearer than they are; only the inputs can tell whether the ones
    that it shows now are better than the ones it was shown.

    Args:
      run: its config names the method.
      embeddings: [M, J], of the sample.
      input_graphs: as the function of that name has them: clusters of a higher mean modularity there are better.
      last: what was found the last time, or None.
      input_neighbors: of the sample, as the function of that name has them.

    Returns:
      The clusters; the last ones again where those are unchanged.
    """
    if last is not None and last.unchanged:
        return last
    config = run.config
    options = methods.ClusteringOptions(
        config.model.num_clusters,
        config.seed,
        config.init.num_restarts,
        config.init.covariance,
        config.init.num_layouts,
        config.init.neighbor_share,
        input_neighbors if config.init.neighbors == methods.BOTH else None,
        config.init.components,
        config.init.part_rows,
        input_graphs,
    )
    memberships, scores = methods.METHODS[config.init.method](embeddings, options)
    modularity = np.array(mean_modularity(input_graphs, memberships.argmax(axis=1)))
    if last is not None and modularity <= last.modularity:
        return StartingClusters(last.memberships, np.array(scores), modularity, last.modularity, np.array(True))
    return StartingClusters(memberships.astype(np.float32), np.array(scores), modularity, modularity, np.array(False))


def input_graphs(run: Run, scaling: Scaling, x: np.ndarray) -> list[csr_matrix]:
    """The neighbour graphs [M, M] of the sample's inputs, the same for every run on the same rows with the same config.

    Where training moves images, moved ones are joined to those near to them in one graph, and in another, where
    `input_neighbors` has theirs, images as they are: what is alike but for a move is no neighbour in the second, and
    some things that are not alike are in the first.

    Args:
      run: its config says how many neighbours.
      scaling: of the rows.
      x: [N, D], all rows, as stored.
    """
    graph = _cached_input_graph(run, scaling, x)
    unmoved = input_neighbors(run, scaling, x) if run.augmentation else None
    return [graph, _graph_of(unmoved)] if unmoved else [graph]


def _cached_input_graph(run, scaling, x):
    """Kept in the folder; of all rows where `input_neighbors` has those of images that do not move, else of enough."""

    def make(partial):
        if not run.augmentation and (found := input_neighbors(run, scaling, x)):
            save_npz(partial, _graph_of(found))
        else:
            rows = x[clustered_row_indices(run)]
            save_npz(partial, build_input_graph(run, scaling, rows, _num_neighbors(run, rows), _GRAPH_ROWS))

    return _load_or_compute(run.folder / "input_graph.npz", load_npz, make)


def input_neighbors(run: Run, scaling: Scaling, x: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Each row's nearest others among the sample's inputs, as `graphs.nearest_others` has them; kept in the folder.

    Args:
      run: its config says how many, and whether finding clusters reads them.
      scaling: of the rows.
      x: [N, D], all rows, as stored.

    Returns:
      Distances in ascending order and numbers in the sample, each [M, k]; None where nothing reads them.
    """
    init = run.config.init
    unmoved = run.augmentation and init.part_rows
    if init.method != "manifold" or not (init.neighbors == methods.BOTH or unmoved):
        return None

    def make(partial):
        rows = np.asarray(scaling(jnp.asarray(x[clustered_row_indices(run)])))
        count = _num_neighbors(run, rows)
        distances, neighbors = neighbor_graphs.nearest_neighbors_without_hubs(rows, count)
        np.savez(partial, distances=distances.astype(np.float32), neighbors=neighbors.astype(np.int32))

    def from_stream(stream):
        with np.load(stream) as arrays:
            return arrays["distances"], arrays["neighbors"]

    return _load_or_compute(run.folder / "input_neighbors.npz", from_stream, make)


def _load_or_compute(file, from_stream, make):
    """What the file holds; it is made anew where it is not there yet, or damaged."""
    try:
        with file.open("rb") as stream:
            return from_stream(stream)
    except Exception:
        with atomic_write(file) as partial:
            make(partial)
        with file.open("rb") as stream:
            return from_stream(stream)


def _graph_of(neighborhoods):
    _, neighbors = neighborhoods
    return neighbor_graphs.neighbor_graph(np.arange(len(neighbors)), neighbors, len(neighbors))


def _num_neighbors(run, rows):
    return neighbor_graphs.num_neighbors(len(rows), run.config.model.num_clusters, run.config.init.neighbor_share)


def build_input_graph(run: Run, scaling: Scaling, x: np.ndarray, count: int, num_rows: int) -> csr_matrix:
    """The neighbour graph [M, M] of rows as the model sees them.

    Where training moves images, a row is joined to those that are near to it once it was moved: near is then what is
    alike but for a move.

    Args:
      run: its config says whether and how images are moved.
      scaling: of the rows.
      x: [M, D], as stored.
      count: k, neighbours of each row.
      num_rows: that are joined to their neighbours among all.
    """
    inputs = np.asarray(scaling(jnp.asarray(x)))
    queries = inputs
    if augmentation := run.augmentation:
        keys = jax.random.split(jax.random.key(0), len(inputs))
        queries = np.asarray(jax.lax.map(lambda pair: augmentation(*pair), (keys, inputs), batch_size=_MOVED_ROWS))
    return neighbor_graphs.sampled_graph(inputs, count, num_rows, seed=0, queries=queries)


def extend_to_all_rows(run: Run, stage: str, embeddings: np.ndarray, embed: Callable[[slice], np.ndarray]) -> None:
    """Keeps memberships of every row for a stage whose clusters were found on a sample: the mean of their neighbours'.

    Args:
      run: its folder keeps them.
      stage: whose clusters were written.
      embeddings: [M, J], of the sample.
      embed: a slice of the rows -> their embeddings.
    """
    found = read(run, stage).memberships
    count = _num_neighbors(run, found)
    everywhere = open_memmap(_everywhere(run, stage), "w+", np.float32, (run.num_rows, found.shape[1]))
    with _everywhere(run, stage).open("rb+") as file:
        reserve_disk_space(file)
    with console.progress_bar(desc="memberships", total=run.num_rows, unit="row", leave=False) as bar:
        for start in range(0, run.num_rows, _SPREAD_ROWS):
            rows = slice(start, start + _SPREAD_ROWS)
            _, neighbors = neighbor_graphs.nearest_neighbors(embeddings, embed(rows), count)
            everywhere[rows] = found[neighbors].mean(axis=1)
            bar.update(len(neighbors))
    everywhere[clustered_row_indices(run)] = found
    everywhere.flush()


def memberships(run: Run, stage: str) -> np.ndarray:
    """[N, K], of every row, that a stage holds the model to."""
    file = _everywhere(run, stage)
    if not file.exists():
        return read(run, stage).memberships
    with damaged_file_errors(file):
        return np.load(file, mmap_mode="r")


def _everywhere(run, stage):
    return run.folder / f"memberships_{stage}.npy"


def path(run: Run, stage: str) -> Path:
    """The file of the clusters that a stage began with, an .npz of what `Found` holds."""
    return run.folder / f"initialization_{stage}.npz"


def write(run: Run, stage: str, found: StartingClusters) -> None:
    """Keeps the clusters that a stage begins with."""
    with atomic_write(path(run, stage)) as partial:
        arrays = found._asdict()
        np.savez(partial, settled=arrays.pop("unchanged"), **arrays)


def read(run: Run, stage: str) -> StartingClusters:
    """The clusters that a stage began with."""
    with damaged_file_errors(path(run, stage)), path(run, stage).open("rb") as stream, np.load(stream) as arrays:
        return StartingClusters(unchanged=arrays["settled"], **{name: arrays[name] for name in _KEPT_AS_NAMED})


def initialization_paths(run: Run) -> list[Path]:
    """The files of the clusters that stages began with, in their order; see `rounds`."""
    return [path(run, name) for name in finding_names(run)]


def guide_names(run: Run) -> list[str]:
    """The names of the guided rounds, in their order."""
    return [f"guide{number}" for number in range(1, run.config.guide.num_rounds + 1)]


def align_names(run: Run) -> list[str]:
    """The name of the stage that aligns the model with the last clusters; [] without one."""
    return ["align"] if run.config.align.num_epochs else []


def finding_names(run: Run) -> list[str]:
    """The stages that begin with clusters found in the embeddings, in their order."""
    return [*guide_names(run), *align_names(run)] or [LAST_STAGE]
