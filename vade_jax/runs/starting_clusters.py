"""The clusters that stages start from: found in the embedding, and saved in the run's folder."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from vade_jax.data.equal_rows import is_first
from vade_jax.data.scaling import Scaling
from vade_jax.inference.answers import make_embed
from vade_jax.initialization import methods, neighbor_graphs
from vade_jax.initialization.column_kinds import Columns
from vade_jax.initialization.modularity import mean_modularity
from vade_jax.initialization.soft_memberships import soften
from vade_jax.runs.basis import basis, is_of
from vade_jax.runs.filled_inputs import searched_rows
from vade_jax.runs.input_graphs import (
    NeighborLists,
    clustered_row_indices,
    num_neighbors,
    num_soft_neighbors,
    representatives,
)
from vade_jax.runs.run import Run
from vade_jax.runs.saved_model import LAST_STAGE, load_autoencoder
from vade_jax.system import console
from vade_jax.system.array_files import read_array, written_array
from vade_jax.system.atomic_files import atomic_write, exists, write_array
from vade_jax.system.errors import damaged_file_errors

_ROWS_AT_A_TIME = 2**16
_NEWER_FIELDS = "resolution", "are_probabilities", "of_inputs"  # older files lack them


class StartingClusters(NamedTuple):
    """The clusters that a stage starts from, and how they were chosen.

    Attributes:
      memberships: [M, K], of the rows that clusters are found on, float32; each row sums to 1.
      scores: of each candidate, in the clustering method's own measure.
      found_modularity: [], of the best candidate, the mean over the input graphs.
      modularity: [], of these clusters, the mean over the input graphs.
      unchanged: [], bool, whether they are the clusters of the stage before, because the new ones are not better.
      resolution: [], of modularity; the first stage chooses it, and later ones find and compare clusters at it.
      are_probabilities: [], bool, whether memberships were not softened, because they say how certain each row is.
      of_inputs: [], bool, whether no embedding had a part in them.
    """

    memberships: np.ndarray
    scores: np.ndarray
    found_modularity: np.ndarray
    modularity: np.ndarray
    unchanged: np.ndarray
    resolution: np.ndarray = np.array(1.0)
    are_probabilities: np.ndarray = np.array(False)
    of_inputs: np.ndarray = np.array(False)


def find_starting_clusters(
    run: Run,
    embeddings: np.ndarray,
    points: np.ndarray,
    input_graphs: Sequence[csr_matrix],
    last: StartingClusters | None,
    input_neighbors: NeighborLists | None = None,
    inputs: np.ndarray | None = None,
    columns: Columns | None = None,
) -> StartingClusters:
    """Finds clusters of the embeddings with the config's method; returns the last ones if the new ones are not better.

    Clusters are compared by their mean modularity on the input graphs, at the resolution of the first ones. The
    embedding cannot judge them: after a guide stage it separates the clusters that it was trained towards more than the
    data do.

    Args:
      run: its config names the method.
      embeddings: [M, J], of the rows that clusters are found on.
      points: [M, d], the inputs or the autoencoder's embedding, which no clusters have influenced. Memberships are
        softened in it.
      input_graphs: [M, M] each, from `load_input_graphs`.
      last: the clusters of the stage before, or None. If they are unchanged, or no embedding has a part in them, they
        are returned without a search.
      input_neighbors: from `load_input_neighbors`.
      inputs: [M, D], scaled, for the methods that use them.
      columns: of M rows, for the methods that use them.

    Returns:
      The clusters.
    """
    if last is not None and (last.unchanged or last.of_inputs):
        return last._replace(unchanged=np.array(True))
    config = run.config
    options = methods.ClusteringOptions(
        num_clusters=config.model.num_clusters,
        seed=config.seed,
        num_restarts=config.init.num_restarts,
        covariance=config.init.covariance,
        num_layouts=config.init.num_layouts,
        neighbor_share=config.init.neighbor_share,
        input_neighbors=input_neighbors.first(num_neighbors(run, len(embeddings)))
        if input_neighbors and config.init.neighbors == methods.BOTH
        else None,
        components=config.init.components,
        part_rows=config.init.part_rows,
        input_graphs=input_graphs,
        inputs=inputs,
        columns=columns,
        resolution=float(last.resolution) if last else None,
    )
    enough_rows = len(embeddings) >= config.model.num_clusters
    method = methods.METHODS[config.init.method] if enough_rows else methods.one_cluster_each
    memberships, scores, resolution, are_probabilities, of_inputs = method(embeddings, options)
    modularity = np.array(mean_modularity(input_graphs, memberships.argmax(axis=1), resolution))
    if last is not None and modularity <= last.modularity:
        return last._replace(scores=np.array(scores), found_modularity=modularity, unchanged=np.array(True))
    if not are_probabilities and input_neighbors and (count := num_soft_neighbors(run, len(embeddings))):
        memberships = soften(memberships, points, input_neighbors.first(count).indices, config.seed)
    return StartingClusters(
        memberships=memberships.astype(np.float32),
        scores=np.array(scores),
        found_modularity=modularity,
        modularity=modularity,
        unchanged=np.array(False),
        resolution=np.array(resolution),
        are_probabilities=np.array(are_probabilities),
        of_inputs=np.array(of_inputs),
    )


def softening_points(run: Run, scaling: Scaling, sample: np.ndarray, embedding: np.ndarray | None = None) -> np.ndarray:
    """Returns the points [M, d] in which a mixture tells how certain clusters of the sample [M, D], as stored, are.

    They are the inputs if an embedding could hold no more than these, else the autoencoder's embedding [M, J], which is
    computed if it is not given. No clusters have influenced either. All processes call this together: the
    autoencoder is restored and runs on all of them.
    """
    if run.num_features <= run.config.model.latent_dim:
        return searched_rows(run, scaling, sample)
    if embedding is not None:
        return embedding
    return make_embed(run.model, run.config.evaluate.batch_size)(load_autoencoder(run), sample)[0]


def write_points(run: Run, points: np.ndarray) -> None:
    """Writes the `softening_points` to the run's folder, for its evaluation, which is done by one process alone."""
    write_array(_points_path(run), points.astype(np.float32))


def read_points(run: Run) -> np.ndarray | None:
    """Returns the `softening_points`; None if the run has none.

    Raises:
      StorageError: the file is damaged.
    """
    path = _points_path(run)
    if not exists(path):
        return None
    with damaged_file_errors(path):
        return np.load(path)


def _points_path(run: Run) -> Path:
    return run.folder / "softening_points.npy"


def extend_to_all_rows(run: Run, stage: str, embeddings: np.ndarray, embed: Callable[[slice], np.ndarray]) -> None:
    """Writes memberships of all N rows for a stage whose clusters were found on M of them.

    A row has the memberships of the clustered row that it equals. If there is none, they are the mean of those of its
    nearest neighbours among the M rows in the embedding.

    Args:
      run: the memberships are written to its folder.
      stage: its starting clusters are already written.
      embeddings: [M, J], of the rows that clusters were found on.
      embed: a slice of the rows -> their embeddings.
    """
    found = read(run, stage).memberships
    count = num_neighbors(run, len(found))
    clustered, firsts = clustered_row_indices(run), representatives(run)
    equals_clustered = np.isin(firsts, clustered)
    shape = run.num_rows, found.shape[1]
    progress = console.progress_bar(desc="memberships", total=run.num_rows, unit="row", leave=False)
    with written_array(_all_rows_path(run, stage), shape, np.float32) as all_rows, progress as bar:
        for start in range(0, run.num_rows, _ROWS_AT_A_TIME):
            rows = slice(start, start + _ROWS_AT_A_TIME)
            if not equals_clustered[rows].all():
                _, neighbors = neighbor_graphs.nearest_neighbors(embeddings, embed(rows), count)
                all_rows[rows] = found[neighbors].mean(axis=1)
            bar.update(len(firsts[rows]))
        all_rows[clustered] = found
        repeated = np.flatnonzero(~is_first(firsts))
        for start in range(0, len(repeated), _ROWS_AT_A_TIME):
            indices = repeated[start : start + _ROWS_AT_A_TIME]
            all_rows[indices] = all_rows[firsts[indices]]


def memberships(run: Run, stage: str) -> np.ndarray:
    """Returns the memberships [N, K] of all rows that a stage trains towards.

    Raises:
      StorageError: the file is damaged.
    """
    found, rows = read_with_rows(run, stage)
    if len(rows) == run.num_rows:  # a file of an earlier attempt with fewer rows may lie there
        return found.memberships
    path = _all_rows_path(run, stage)
    with damaged_file_errors(path):
        return read_array(path)


def _all_rows_path(run: Run, stage: str) -> Path:
    return run.folder / f"memberships_{stage}.npy"


def _path(run: Run, stage: str) -> Path:
    return run.folder / f"initialization_{stage}.npz"


def write(run: Run, stage: str, clusters: StartingClusters) -> None:
    """Writes the clusters that a stage starts from to the run's folder."""
    with atomic_write(_path(run, stage)) as partial:
        np.savez(
            partial,
            settled=clusters.unchanged,  # the key of older versions, so that their folders can still be read
            memberships=clusters.memberships,
            scores=clusters.scores,
            found_modularity=clusters.found_modularity,
            modularity=clusters.modularity,
            resolution=clusters.resolution,
            are_probabilities=clusters.are_probabilities,
            of_inputs=clusters.of_inputs,
            rows=clustered_row_indices(run),
            basis=_basis(run),
        )


def _basis(run: Run) -> str:
    """Returns a digest of the rows and the settings by which clusters are found and compared."""
    config = run.config
    settings = {"init": config.init.to_dict(), "augment": run.moves, "seed": config.seed}
    return basis(settings | {"num_clusters": config.model.num_clusters}, clustered_row_indices(run))


def read_last(run: Run, stage: str) -> StartingClusters | None:
    """Returns the clusters of the stage before; None if they were found on other rows or with other settings."""
    clusters, origin = _read_file(run, stage)
    return clusters if is_of(origin, _basis(run)) else None


def read(run: Run, stage: str) -> StartingClusters:
    """Returns the clusters that a stage started from.

    Raises:
      StorageError: the file is damaged or missing.
    """
    return _read_file(run, stage)[0]


def read_with_rows(run: Run, stage: str) -> tuple[StartingClusters, np.ndarray]:
    """Returns the clusters that a stage started from, and the indices [M] of the rows that they were found on.

    Raises:
      StorageError: the file is damaged or missing.
    """
    clusters, origin = _read_file(run, stage)
    return clusters, origin["rows"] if "rows" in origin else clustered_row_indices(run)


def _read_file(run: Run, stage: str) -> tuple[StartingClusters, dict[str, np.ndarray]]:
    """Returns the clusters of a stage, and the rows and the basis by which they were found; older files lack them."""
    path = _path(run, stage)
    with damaged_file_errors(path), path.open("rb") as stream, np.load(stream) as arrays:
        clusters = StartingClusters(
            memberships=arrays["memberships"],
            scores=arrays["scores"],
            found_modularity=arrays["found_modularity"],
            modularity=arrays["modularity"],
            unchanged=arrays["settled"],
            **{name: arrays[name] for name in _NEWER_FIELDS if name in arrays},
        )
        return clusters, {name: arrays[name] for name in ("rows", "basis") if name in arrays}


def guide_names(run: Run) -> list[str]:
    """Returns the names of the guide stages, in their order."""
    return [f"guide{number}" for number in range(1, run.config.guide.num_rounds + 1)]


def align_names(run: Run) -> list[str]:
    """Returns the name of the align stage in a list; [] if the run has none."""
    return ["align"] if run.config.align.num_epochs else []


def finding_names(run: Run) -> list[str]:
    """Returns the names of the stages that begin with finding starting clusters, in their order."""
    return [*guide_names(run), *align_names(run)] or [LAST_STAGE]
