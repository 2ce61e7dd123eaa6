"""The stages of a run: the loss, the optimizer, the number of epochs and the start of each, from the config."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from vade_jax.core.fit_prior import prior_from_memberships
from vade_jax.core.mixture_prior import GMMPrior
from vade_jax.data.scaling import SCALINGS, Scaling
from vade_jax.inference.answers import make_embed
from vade_jax.networks.encoders_decoders import with_constant_log_var
from vade_jax.runs import starting_clusters
from vade_jax.runs.input_graphs import (
    clustered_row_indices,
    count_equal_rows,
    load_input_graphs,
    load_input_neighbors,
    write_representatives,
)
from vade_jax.runs.run import Run, read_run
from vade_jax.runs.saved_model import LAST_STAGE, load_autoencoder, save_autoencoder
from vade_jax.runs.starting_clusters import StartingClusters, align_names, finding_names, guide_names
from vade_jax.system import processes
from vade_jax.training.objectives import (
    CLUSTERING,
    PRETRAINING,
    Objective,
    Weight,
    guided_negative_elbo,
    with_augmented_input,
)
from vade_jax.training.optimizer import make_schedule, make_tx
from vade_jax.training.train_state import TrainState

Embed = Callable[[TrainState, np.ndarray], tuple[np.ndarray, np.ndarray]]  # (state, x) -> z_mean, z_log_var
MakeArray = Callable[[TrainState, np.ndarray], np.ndarray]  # (state before an epoch, x) -> [N, K], float32


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


class Stage(NamedTuple):
    """A part of training with its own objective and optimizer.

    Attributes:
      name: used in logs and checkpoints.
      objective: the loss that is minimised.
      num_epochs: number of epochs.
      num_passes: how often an epoch goes through the rows.
      batch_size: B.
      learning_rates: 'learning_rate' and 'prior_learning_rate' -> schedule, without the state's rate factor.
      tx: the optimizer.
      has_clusters: whether the prior has clusters that can collapse.
      can_refill: whether the loss is the bound, so that empty clusters can be refilled.
      begin: (state after the stage before, x [N, D] as stored) -> the state to start from; None to skip the stage.
      extra_arrays: name -> function that makes a further input [N, K] of the objective's batches, called every epoch.
    """

    name: str
    objective: Objective
    num_epochs: int
    num_passes: int
    batch_size: int
    learning_rates: dict[str, optax.Schedule]
    tx: optax.GradientTransformation
    has_clusters: bool
    can_refill: bool
    begin: Callable[[TrainState, np.ndarray], TrainState | None]
    extra_arrays: dict[str, MakeArray]


def make_stages(run: Run) -> list[Stage]:
    """Returns the stages in the order in which they are trained.

    These are pretrain, the guide stages, align and cluster. Each guide stage and align begin with finding starting
    clusters in the embedding. Without guide stages and align, the cluster stage starts from clusters found in the
    autoencoder's embedding, as in the paper (arXiv:1611.05148, Sec. 4.2).
    """
    config, model = run.config, run.model
    method = CLUSTERING[config.train.objective]
    weight = _kl_weight(run, config.train)
    objective = method.objective(model, config.train.estimator, config.train.num_samples, weight)
    guides = [_guided_stage(run, name, config.guide) for name in guide_names(run)]
    aligns = [_guided_stage(run, name, config.align) for name in align_names(run)]
    begin: BeginStage = _continue_from_state if guides or aligns else _start_from_clusters
    return [
        _make_stage(
            run,
            "pretrain",
            PRETRAINING[config.pretrain.objective](model, _kl_weight(run, config.pretrain)),
            config.pretrain,
            begin=_load_pretrained if config.pretrain.workdir else _fit_scaling,
        ),
        *guides,
        *aligns,
        _make_stage(
            run,
            LAST_STAGE,
            objective,
            config.train,
            begin=_with_method_prior(method.start, begin),
            extra_arrays={"targets": _make_targets(run, method.targets)} if method.has_targets else {},
            can_refill=not method.has_targets,
        ),
    ]


def _steps_per_epoch(run: Run, section: ConfigDict) -> int:
    return run.num_passes(section) * (run.num_rows // section.batch_size)


def _kl_weight(run: Run, section: ConfigDict) -> Weight:
    """Returns the weight of the KL term at a step: it rises from 0 to 1 over the section's warm-up."""
    if not section.kl_warmup_epochs:
        return optax.constant_schedule(1.0)
    return optax.linear_schedule(0.0, 1.0, section.kl_warmup_epochs * _steps_per_epoch(run, section))


def _guided_stage(run: Run, name: str, section: ConfigDict) -> Stage:
    """Returns a stage that trains with q(c|x) fixed to the starting clusters: guide or align."""
    objective = guided_negative_elbo(run.model, section.num_samples, section.kl_c_weight)
    # A large array is compared with its digest once, and not in every epoch.
    memberships = functools.cache(functools.partial(starting_clusters.memberships, run, name))
    arrays: dict[str, MakeArray] = {"memberships": lambda state, x: memberships()}
    return _make_stage(run, name, objective, section, begin=_start_from_clusters, extra_arrays=arrays)


def _make_stage(
    run: Run,
    name: str,
    objective: Objective,
    section: ConfigDict,
    *,
    begin: BeginStage,
    extra_arrays: Mapping[str, MakeArray] | None = None,
    can_refill: bool = True,
) -> Stage:
    """Returns a stage, with the learning rates and the number of epochs of its section of the config."""
    options = run.config.optimizer
    steps_per_epoch = _steps_per_epoch(run, section)
    epochs = run.num_epochs(section)

    def schedule(rate: float) -> optax.Schedule:
        return make_schedule(
            options.schedule,
            learning_rate=rate,
            final_fraction=options.final_fraction,
            decay_rate=options.decay_rate,
            decay_steps=options.decay_epochs * steps_per_epoch,
            num_steps=max(1, epochs * steps_per_epoch),
        )

    if augmentation := run.augmentation:
        objective = with_augmented_input(objective, augmentation)
    rate, prior_rate = schedule(section.learning_rate), schedule(section.prior_learning_rate)
    return Stage(
        name=name,
        objective=objective,
        num_epochs=epochs,
        num_passes=run.num_passes(section),
        batch_size=section.batch_size,
        learning_rates={"learning_rate": rate, "prior_learning_rate": prior_rate},
        tx=make_tx(
            networks_schedule=rate,
            prior_schedule=prior_rate,
            adam_epsilon=options.adam_epsilon,
            max_grad_norm=options.max_grad_norm,
            skip_not_finite=run.config.doctor.not_finite == "skip",
        ),
        has_clusters=name != "pretrain",
        can_refill=can_refill,
        begin=lambda state, x: begin(run, name, state, x),
        extra_arrays=dict(extra_arrays or {}),
    )


def _replace_prior(state: TrainState, prior: GMMPrior) -> TrainState:
    return state.replace(params={**state.params, "prior": prior})


def _continue_from_state(run: Run, name: str, state: TrainState, x: np.ndarray) -> TrainState:
    """Returns the state unchanged."""
    return state


def _with_method_prior(start: Callable[[GMMPrior], GMMPrior], begin: BeginStage) -> BeginStage:
    """Wraps a start function so that the prior is converted to the method's initial prior."""

    def begin_with_method_prior(run: Run, name: str, state: TrainState, x: np.ndarray) -> TrainState | None:
        begun = begin(run, name, state, x)
        return None if begun is None else _replace_prior(begun, start(begun.params["prior"]))

    return begin_with_method_prior


def _make_targets(run: Run, targets: Callable[[np.ndarray, GMMPrior], np.ndarray]) -> MakeArray:
    """Returns the function (state, x) that computes a method's targets from the embedding."""
    embed = make_embed(run.model, run.config.evaluate.batch_size)

    def make_array(state: TrainState, x: np.ndarray) -> np.ndarray:
        return targets(embed(state, x)[0], state.params["prior"])

    return make_array


def _fit_scaling(run: Run, name: str, state: TrainState, x: np.ndarray) -> TrainState:
    """Returns the state with the scaling of the training rows, and with a small constant variance of q(z|x)."""
    shape = state.scaling.shift.shape
    shift, scale = (
        jnp.broadcast_to(jnp.asarray(part, jnp.float32), shape) for part in SCALINGS[run.config.data.scaling](x)
    )
    encoder = with_constant_log_var(state.params["encoder"], run.config.init.log_var)
    return state.replace(
        scaling=Scaling(shift, scale),
        params={**state.params, "encoder": encoder},
    )


def _load_pretrained(run: Run, name: str, state: TrainState, x: np.ndarray) -> TrainState:
    """Returns the state with the networks and the scaling of another run's autoencoder, for any number of clusters."""
    # `saved_model.check_autoencoder` has checked that its network and likelihood are those of this run's own config.
    other = load_autoencoder(read_run(Path(run.config.pretrain.workdir), allow_import=True))
    return state.replace(scaling=other.scaling, params={**other.params, "prior": state.params["prior"]})


def _start_from_clusters(run: Run, name: str, state: TrainState, x: np.ndarray) -> TrainState | None:
    """Finds starting clusters in the embedding, and returns the state with the prior fitted to them.

    Returns None if a guide stage would train towards the same clusters as the one before.
    """
    if name == finding_names(run)[0]:
        save_autoencoder(run, state)
        processes.on_first_process(lambda: write_representatives(run, x), f"equal rows of {name}")
    sample = clustered_row_indices(run)
    embed = make_embed(run.model, run.config.evaluate.batch_size)
    z_mean, z_log_var = embed(state, x[sample])
    processes.on_first_process(
        lambda: _write_starting_clusters(run, name, state, x, z_mean, embed), f"clusters of {name}"
    )
    clusters = starting_clusters.read(run, name)
    if _round_is_redundant(run, name, clusters):
        return None
    memberships = clusters.memberships * count_equal_rows(run)[:, None]  # the prior's weights are shares of all rows
    return _replace_prior(state, prior_from_memberships(z_mean, np.exp(z_log_var), memberships))


def _write_starting_clusters(
    run: Run, name: str, state: TrainState, x: np.ndarray, z_mean: np.ndarray, embed: Embed
) -> None:
    """Finds the starting clusters of a stage and writes them to the run's folder.

    Args:
      run: settings, folder and model.
      name: of the stage.
      state: its encoder gives the embedding.
      x: [N, D], the rows to cluster, as stored.
      z_mean: [M, J], the embedding of the rows that clusters are found on.
      embed: computes the embedding of further rows.
    """
    names = finding_names(run)
    before = names[: names.index(name)]
    clusters = starting_clusters.find_starting_clusters(
        run,
        z_mean,
        np.asarray(state.scaling(jnp.asarray(x[clustered_row_indices(run)]))),
        load_input_graphs(run, state.scaling, x),
        starting_clusters.read_last(run, before[-1]) if before else None,
        load_input_neighbors(run, state.scaling, x),
    )
    starting_clusters.write(run, name, clusters)
    if len(z_mean) < run.num_rows and not _round_is_redundant(run, name, clusters):
        starting_clusters.extend_to_all_rows(run, name, z_mean, lambda rows: embed(state, x[rows])[0])


def _round_is_redundant(run: Run, name: str, clusters: StartingClusters) -> bool:
    """Returns whether a guide stage would train towards the same clusters as the one before."""
    return bool(clusters.unchanged) and name in guide_names(run)
