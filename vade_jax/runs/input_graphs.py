"""The rows that clusters are found on, and neighbour graphs of their inputs. They are cached in the run's folder.

A cached file says what it was made from: the rows, their scaling and the settings. If these change, it is made again.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse import csr_matrix

from vade_jax.data.equal_rows import first_equal_rows, is_first
from vade_jax.data.scaling import Scaling
from vade_jax.initialization import methods, neighbor_graphs, soft_memberships
from vade_jax.initialization.denoising import MANY_COLUMNS, fit_denoising
from vade_jax.runs.basis import basis, is_of
from vade_jax.runs.filled_inputs import changing_arrays, scaled_rows, searched_features, searched_rows
from vade_jax.runs.row_weights import row_weights
from vade_jax.runs.run import Run
from vade_jax.system.atomic_files import atomic_write, exists, write_array
from vade_jax.system.errors import check_readable, damaged_file_errors

_MOVED_ROWS = 1024  # at a time
_GRAPH_ROWS = 20_000  # rows that get edges; with this many, modularity ranks the rounds on MNIST as with all rows
_T = TypeVar("_T")


class NeighborLists(NamedTuple):
    """The nearest others of each row.

    Attributes:
      distances: [M, k], float32, ascending.
      indices: [M, k], int32, among the M rows.
    """

    distances: np.ndarray
    indices: np.ndarray

    def first(self, count: int) -> "NeighborLists":
        """Returns the nearest count others."""
        return NeighborLists(self.distances[:, :count], self.indices[:, :count])


def write_representatives(run: Run, x: np.ndarray) -> None:
    """Finds equal rows before clusters are found for the first time, and writes what `representatives` reads.

    Without equal rows no file is written. The folder of an older version, which counted each row, keeps doing so.

    Args:
      run: the file is written to its folder.
      x: [N, D], all rows, as stored.
    """
    if exists(_graph_path(run)):
        return
    firsts = first_equal_rows(x)
    if is_first(firsts).all():
        return
    write_array(_representatives_path(run), firsts)


def representatives(run: Run) -> np.ndarray:
    """Returns the index of the first row that equals each row, [N]; a row that equals no earlier one has its own.

    Raises:
      StorageError: the file is damaged.
    """
    path = _representatives_path(run)
    if not exists(path):
        return np.arange(run.num_rows)
    with damaged_file_errors(path):
        return np.load(path)


def clustered_row_indices(run: Run) -> np.ndarray:
    """Returns the indices [M] of the rows that clusters are found on, ascending.

    No two of them are equal: a graph that joins equal rows to each other may not join them to any others, and a layout
    may put them anywhere. The indices are the same for every run on the same rows.
    """
    distinct = np.flatnonzero(is_first(representatives(run)))
    if len(distinct) <= run.config.init.max_rows:
        return distinct
    return distinct[np.sort(np.random.default_rng(0).choice(len(distinct), run.config.init.max_rows, replace=False))]


def count_equal_rows(run: Run) -> np.ndarray:
    """Returns how many of all N rows equal each row that clusters are found on, itself included: [M], float32.

    Rows with weights count as often as these say.
    """
    counts = np.bincount(representatives(run), weights=row_weights(run))
    return counts[clustered_row_indices(run)].astype(np.float32)


def _representatives_path(run: Run) -> Path:
    return run.folder / "representatives.npy"


def _graph_path(run: Run) -> Path:
    return run.folder / "input_graph.npz"


def num_neighbors(run: Run, num_rows: int) -> int:
    """Returns how many neighbours each of num_rows rows gets."""
    return neighbor_graphs.num_neighbors(num_rows, run.config.model.num_clusters, run.config.init.neighbor_share)


def num_soft_neighbors(run: Run, num_rows: int) -> int:
    """Returns over how many neighbours memberships are averaged; 0 if they stay as found."""
    most = run.config.init.soft_neighbors
    return soft_memberships.num_soft_neighbors(num_rows, run.config.model.num_clusters, most) if most else 0


def load_input_graphs(run: Run, scaling: Scaling, x: np.ndarray) -> list[csr_matrix]:
    """Returns neighbour graphs [M, M] of the inputs that clusters are found on; modularity is computed on them.

    They are the same for every run on the same rows with the same config. Without augmentation there is one graph.

    With augmentation, the first graph joins each randomly moved image to the unmoved images nearest to it. If
    `load_input_neighbors` has the neighbours of unmoved images, a second graph is made of them. The second graph misses
    images that are alike except for a move, and the first one has some edges between images that are not alike.

    Args:
      run: its config says how many neighbours each row gets.
      scaling: of the rows.
      x: [N, D], all rows, as stored.
    """
    graph = _cached_input_graph(run, scaling, x)
    unmoved = load_input_neighbors(run, scaling, x) if run.augmentation else None
    return [graph, _graph_of(run, unmoved)] if unmoved else [graph]


def _cached_input_graph(run: Run, scaling: Scaling, x: np.ndarray) -> csr_matrix:
    """Returns the first input graph: of `load_input_neighbors` if they are of images as they are moved here."""
    clustered = clustered_row_indices(run)
    count = num_neighbors(run, len(clustered))
    augment = run.moves if run.augmentation else None
    of_unmoved = not augment and _needs_input_neighbors(run)

    def make() -> dict[str, Any]:
        found = load_input_neighbors(run, scaling, x) if of_unmoved else None
        graph = (
            _graph_of(run, found)
            if found
            else build_input_graph(run, scaled_rows(run, scaling, x[clustered]), count, _GRAPH_ROWS)
        )
        return {"data": graph.data, "indices": graph.indices, "indptr": graph.indptr, "shape": graph.shape}

    def read(arrays: Mapping[str, Any]) -> csr_matrix:
        return csr_matrix((arrays["data"], arrays["indices"], arrays["indptr"]), arrays["shape"])

    settings = {"neighbors": count, "augment": augment, "of_neighbor_lists": of_unmoved, "num_rows": _GRAPH_ROWS}
    settings |= _denoising_settings(run)
    made_from = basis(settings, clustered, *changing_arrays(run, scaling, x[clustered]))
    return _load_or_compute(_graph_path(run), made_from, read, make)


def load_input_neighbors(run: Run, scaling: Scaling, x: np.ndarray) -> NeighborLists | None:
    """Returns the nearest others of each input that clusters are found on, without hubs.

    Args:
      run: its config says how many neighbours are needed, and what for.
      scaling: of the rows.
      x: [N, D], all rows, as stored.

    Returns:
      The neighbours of the M rows, at least `num_neighbors` and `num_soft_neighbors`; None if nothing uses them.
    """
    if not _needs_input_neighbors(run):
        return None
    clustered = clustered_row_indices(run)
    count = max(num_neighbors(run, len(clustered)), num_soft_neighbors(run, len(clustered)))

    def make() -> dict[str, Any]:
        rows = searched_rows(run, scaling, x[clustered])
        denoise = fit_denoising(rows, run.config.model.num_clusters)
        distances, neighbors = neighbor_graphs.nearest_neighbors_without_hubs(denoise(rows), count)
        return {"distances": distances.astype(np.float32), "neighbors": neighbors.astype(np.int32)}

    def read(arrays: Mapping[str, Any]) -> NeighborLists:
        return NeighborLists(distances=arrays["distances"], indices=arrays["neighbors"])

    settings = {"neighbors": count} | _denoising_settings(run)
    made_from = basis(settings, clustered, *changing_arrays(run, scaling, x[clustered]))
    return _load_or_compute(run.folder / "input_neighbors.npz", made_from, read, make)


def _needs_input_neighbors(run: Run) -> bool:
    """Returns whether anything uses the nearest others of the inputs."""
    init = run.config.init
    needs_unmoved = run.augmentation and init.part_rows
    in_graphs = init.method in methods.ON_GRAPHS and (init.neighbors == methods.BOTH or needs_unmoved)
    return bool(in_graphs or init.soft_neighbors)


def _denoising_settings(run: Run) -> dict[str, int]:
    """Returns what `fit_denoising` depends on besides the rows; nothing for rows that it always leaves."""
    return {"denoised_for": run.config.model.num_clusters} if run.num_features > MANY_COLUMNS else {}


def _load_or_compute(
    file: Path, made_from: str, read: Callable[[Mapping[str, Any]], _T], make: Callable[[], dict[str, Any]]
) -> _T:
    """Returns the content of a file; makes it first if it is missing, damaged, or made from something else.

    Args:
      file: an .npz.
      made_from: the `basis` of the file.
      read: from the arrays by name to the content.
      make: returns these arrays.
    """
    try:
        with file.open("rb") as stream, np.load(stream) as arrays:
            if is_of(arrays, made_from):
                return read(arrays)
    except Exception as error:  # libraries raise errors of many types for a damaged file
        check_readable(file, error)
    made = make()
    with atomic_write(file) as partial:
        np.savez(partial, basis=made_from, **made)
    return read(made)


def _graph_of(run: Run, neighbors: NeighborLists) -> csr_matrix:
    num_rows = len(neighbors.indices)
    nearest = neighbors.first(num_neighbors(run, num_rows))
    return neighbor_graphs.neighbor_graph(np.arange(num_rows), nearest.indices, num_rows)


def build_input_graph(run: Run, x: np.ndarray, count: int, num_rows: int) -> csr_matrix:
    """Returns the neighbour graph [M, M] of the features of rows.

    With augmentation, a row is moved at random and joined to the unmoved rows nearest to it. Rows that are alike except
    for a move are then neighbours.

    Args:
      run: its config gives the augmentation, and its likelihood the features.
      x: [M, D + S], as the model's input, without gaps.
      count: k, neighbours of each row.
      num_rows: how many of the rows, drawn at random, are joined to their neighbours among all M.
    """
    inputs = searched_features(run.model, x)
    denoise = fit_denoising(inputs, run.config.model.num_clusters)
    queries = None
    if augmentation := run.augmentation:
        keys = jax.random.split(jax.random.key(0), len(x))
        moved = jax.lax.map(lambda pair: augmentation(*pair), (keys, jnp.asarray(x)), batch_size=_MOVED_ROWS)
        queries = denoise(searched_features(run.model, np.asarray(moved)))
    return neighbor_graphs.sampled_graph(denoise(inputs), count, num_rows, seed=0, queries=queries)
