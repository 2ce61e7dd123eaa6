"""The states that stages start from: scaled, pretrained, or with a prior fitted to starting clusters."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import jax.numpy as jnp
import numpy as np

from vade_jax.core.fit_prior import fit_prior
from vade_jax.core.mixture_prior import GMMPrior
from vade_jax.data.scaling import Scaling, fitted_scaling, inverse_geometric_means
from vade_jax.inference.answers import make_embed
from vade_jax.initialization import methods
from vade_jax.networks.by_columns import positive_columns, scaled_columns
from vade_jax.networks.encoders_decoders import with_constant_log_var
from vade_jax.runs import starting_clusters
from vade_jax.runs.filled_inputs import columns_by_kind, searched_rows, write_filled_rows
from vade_jax.runs.input_graphs import (
    clustered_row_indices,
    count_equal_rows,
    load_input_graphs,
    load_input_neighbors,
    write_representatives,
)
from vade_jax.runs.run import Run, read_run
from vade_jax.runs.saved_model import load_autoencoder, save_autoencoder
from vade_jax.runs.starting_clusters import StartingClusters, finding_names, guide_names
from vade_jax.system import processes
from vade_jax.training.train_state import TrainState

Embed = Callable[[TrainState, np.ndarray], tuple[np.ndarray, np.ndarray]]  # (state, x) -> z_mean, z_log_var


class BeginStage(Protocol):
    """Makes the state that a stage starts from."""

    def __call__(self, run: Run, name: str, state: TrainState, x: np.ndarray) -> TrainState | None:
        """Returns the state that a stage starts from; may write files to the run's folder.

        Args:
          run: settings, folder and model.
          name: of the stage.
          state: after the stage before.
          x: [N, D], the rows to cluster, as stored.

        Returns:
          The state; None if the stage is to be skipped.
        """
        ...


def continue_from_state(run: Run, name: str, state: TrainState, x: np.ndarray) -> TrainState:
    """Returns the state unchanged."""
    return state


def with_method_prior(start: Callable[[GMMPrior], GMMPrior], begin: BeginStage) -> BeginStage:
    """Wraps a start function so that the prior is converted to the method's initial prior."""

    def begin_with_method_prior(run: Run, name: str, state: TrainState, x: np.ndarray) -> TrainState | None:
        begun = begin(run, name, state, x)
        return None if begun is None else _replace_prior(begun, start(begun.params["prior"]))

    return begin_with_method_prior


def fit_scaling(run: Run, name: str, state: TrainState, x: np.ndarray) -> TrainState:
    """Returns the state with the scaling of the training rows, and with a small constant variance of q(z|x)."""
    encoder = with_constant_log_var(state.params["encoder"], run.config.init.log_var)
    return state.replace(scaling=_scaling_of(run, x), params={**state.params, "encoder": encoder})


def _scaling_of(run: Run, x: np.ndarray) -> Scaling:
    """The scaling of rows x [N, D + S]; covariates that are numbers are standardized."""
    covariates = run.model.covariates
    features, given = covariates.split(x)
    numbers = np.flatnonzero(np.equal(covariates.num_levels, 0))
    shifts, scales = fitted_scaling(run.config.data.scaling, features, scaled_columns(run.columns))
    parts = [
        (features.shape[1], (shifts, scales * inverse_geometric_means(features, positive_columns(run.columns)))),
        (covariates.count, fitted_scaling("standardize", given, numbers)),
    ]
    shift, scale = (
        jnp.concatenate(
            [jnp.broadcast_to(jnp.asarray(pair[which], jnp.float32), (1, count)) for count, pair in parts], 1
        )
        for which in (0, 1)
    )
    return Scaling(shift, scale)


def load_pretrained(run: Run, name: str, state: TrainState, x: np.ndarray) -> TrainState:
    """Returns the state with the networks and the scaling of another run's autoencoder, for any number of clusters."""
    # `saved_model.check_autoencoder` has checked that its network and likelihood are those of this run's own config.
    other = load_autoencoder(read_run(Path(run.config.pretrain.workdir), allow_import=True))
    return state.replace(scaling=other.scaling, params={**other.params, "prior": state.params["prior"]})


def start_from_clusters(run: Run, name: str, state: TrainState, x: np.ndarray) -> TrainState | None:
    """Finds starting clusters in the embedding, and returns the state with the prior fitted to them.

    Returns None if a guide stage would train towards the same clusters as the one before.
    """
    is_first = name == finding_names(run)[0]
    if is_first:
        save_autoencoder(run, state)
        processes.on_first_process(lambda: write_representatives(run, x), f"equal rows of {name}")
    sample = x[clustered_row_indices(run)]
    write_filled_rows(run, sample, state if is_first else None)
    embed = make_embed(run.model, run.config.evaluate.batch_size)
    z_mean, z_log_var = embed(state, sample)
    # Without softening the points are not used.
    known = z_mean if is_first or not run.config.init.soft_neighbors else None
    points = starting_clusters.softening_points(run, state.scaling, sample, known)
    processes.on_first_process(
        lambda: _write_starting_clusters(run, name, state, x, z_mean, points, embed), f"clusters of {name}"
    )
    clusters = starting_clusters.read(run, name)
    if _round_is_redundant(run, name, clusters):
        return None
    memberships = clusters.memberships * count_equal_rows(run)[:, None]  # the prior's weights are shares of all rows
    return _replace_prior(state, fit_prior(run.config.init.prior, z_mean, np.exp(z_log_var), memberships))


def _write_starting_clusters(
    run: Run,
    name: str,
    state: TrainState,
    x: np.ndarray,
    z_mean: np.ndarray,
    points: np.ndarray,
    embed: Embed,
) -> None:
    """Finds the starting clusters of a stage and writes them to the run's folder.

    Args:
      run: settings, folder and model.
      name: of the stage.
      state: its encoder gives the embedding.
      x: [N, D], the rows to cluster, as stored.
      z_mean: [M, J], the embedding of the rows that clusters are found on.
      points: [M, d], their inputs or their embedding by the autoencoder; see `find_starting_clusters`.
      embed: computes the embedding of further rows.
    """
    names = finding_names(run)
    before = names[: names.index(name)]
    sample = x[clustered_row_indices(run)]
    uses_inputs = run.config.init.method in methods.ON_GRAPHS
    clusters = starting_clusters.find_starting_clusters(
        run,
        z_mean,
        points,
        load_input_graphs(run, state.scaling, x),
        starting_clusters.read_last(run, before[-1]) if before else None,
        load_input_neighbors(run, state.scaling, x),
        searched_rows(run, state.scaling, sample) if uses_inputs else None,
        columns_by_kind(run, sample) if uses_inputs else None,
    )
    if run.config.init.soft_neighbors:
        starting_clusters.write_points(run, points)
    starting_clusters.write(run, name, clusters)
    if len(z_mean) < run.num_rows and not _round_is_redundant(run, name, clusters):
        starting_clusters.extend_to_all_rows(run, name, z_mean, lambda rows: embed(state, x[rows])[0])


def _round_is_redundant(run: Run, name: str, clusters: StartingClusters) -> bool:
    """Returns whether a guide stage would train towards the same clusters as the one before."""
    return bool(clusters.unchanged) and name in guide_names(run)


def _replace_prior(state: TrainState, prior: GMMPrior) -> TrainState:
    return state.replace(params={**state.params, "prior": prior})
