"""The stages of a run, from the config: what each minimises, for how long, with which optimizer, and from where."""

import types
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import optax

from vade_jax.core import fit_prior
from vade_jax.data.scaling import SCALINGS, Scaling
from vade_jax.inference.answers import make_embed
from vade_jax.networks.encoders_decoders import with_constant_log_var
from vade_jax.runs import starting_clusters
from vade_jax.runs.run import Run, read_run
from vade_jax.runs.saved_model import LAST_STAGE, autoencoder, save_autoencoder
from vade_jax.runs.starting_clusters import align_names, finding_names, guide_names
from vade_jax.system import processes
from vade_jax.training.objectives import CLUSTERING, PRETRAINING, Objective, guided_negative_elbo, with_augmented_input
from vade_jax.training.optimizer import make_schedule, make_tx
from vade_jax.training.train_state import TrainState


class Stage(NamedTuple):
    """A part of the training with one objective and one optimizer.

    Attributes:
      name: as it is logged and checkpointed.
      objective: what it minimises.
      num_epochs: how long.
      batch_size: B.
      learning_rates: name -> schedule, 'learning_rate' and 'prior_learning_rate', before the state's factor on both.
      tx: the optimizer.
      has_clusters: whether its prior holds clusters that can collapse.
      can_refill: whether it trains the bound, by which an empty cluster can be refilled.
      begin: (state, x [N, D] as stored) -> the state to start from, or None where the stage has nothing to add; what
        else it finds is left in the run's folder.
      rows: name -> function (state before an epoch, x) of a further array [N, K], float32, for the epoch's batches.
    """

    name: str
    objective: Objective
    num_epochs: int
    batch_size: int
    learning_rates: dict[str, optax.Schedule]
    tx: optax.GradientTransformation
    has_clusters: bool
    can_refill: bool
    begin: Callable[[TrainState, np.ndarray], TrainState | None]
    rows: dict[str, Callable[[TrainState, np.ndarray], np.ndarray]]


def make_stages(run: Run) -> list[Stage]:
    """The stages in their order.

    An autoencoder; rounds of finding clusters in the embedding and guiding the model to hold them; one more finding,
    and a stage that brings the model's own clusters up to them; then the ELBO, free. With neither rounds nor that stage
    the ELBO starts from clusters found in the autoencoder's embedding: the paper's recipe.
    """
    config, model = run.config, run.model
    method = CLUSTERING[config.train.objective]
    weight = _kl_weight(run, config.train)
    objective = method.objective(model, config.train.estimator, config.train.num_samples, weight)
    guides = [_guided_stage(run, name, config.guide) for name in guide_names(run)]
    aligns = [_guided_stage(run, name, config.align) for name in align_names(run)]
    return [
        _stage(
            run,
            "pretrain",
            PRETRAINING[config.pretrain.objective](model, _kl_weight(run, config.pretrain)),
            config.pretrain,
            begin=_load_pretrained if config.pretrain.workdir else _fit_scaling,
        ),
        *guides,
        *aligns,
        _stage(
            run,
            LAST_STAGE,
            objective,
            config.train,
            begin=_with_method_prior(method.start, _continue_from_state if guides or aligns else _start_from_clusters),
            rows={"targets": _targets(run, method.targets)} if method.targets else {},
            can_refill=not method.targets,
        ),
    ]


def _steps_per_epoch(run, section):
    return run.num_rows // section.batch_size


def _kl_weight(run, section):
    if not section.kl_warmup_epochs:
        return optax.constant_schedule(1.0)
    return optax.linear_schedule(0.0, 1.0, section.kl_warmup_epochs * _steps_per_epoch(run, section))


def _guided_stage(run, name, section):
    objective = guided_negative_elbo(run.model, section.num_samples, section.kl_c_weight)
    rows = {"memberships": lambda state, x: starting_clusters.memberships(run, name)}
    return _stage(run, name, objective, section, begin=_start_from_clusters, rows=rows)


def _stage(run, name, objective, section, begin, rows=types.MappingProxyType({}), can_refill=True):
    options = run.config.optimizer
    steps_per_epoch = _steps_per_epoch(run, section)
    epochs = run.num_epochs(section)

    def schedule(rate: float) -> optax.Schedule:
        return make_schedule(
            options.schedule,
            rate,
            options.final_fraction,
            options.decay_rate,
            options.decay_epochs * steps_per_epoch,
            max(1, epochs * steps_per_epoch),
        )

    if augmentation := run.augmentation:
        objective = with_augmented_input(objective, augmentation)
    rate, prior_rate = schedule(section.learning_rate), schedule(section.prior_learning_rate)
    return Stage(
        name,
        objective,
        epochs,
        section.batch_size,
        {"learning_rate": rate, "prior_learning_rate": prior_rate},
        make_tx(
            rate,
            prior_rate,
            options.adam_epsilon,
            options.max_grad_norm,
            skip_not_finite=run.config.doctor.not_finite == "skip",
        ),
        name != "pretrain",
        can_refill,
        lambda state, x: begin(run, name, state, x),
        dict(rows),
    )


def _continue_from_state(run, name, state, x):
    return state


def _with_method_prior(start, begin):
    """A begin whose clusters are held in the way that a method starts from."""

    def begin_so(run, name, state, x):
        state = begin(run, name, state, x)
        return state.replace(params={**state.params, "prior": start(state.params["prior"])})

    return begin_so


def _targets(run, targets):
    """The function (state, x) that gives a method its targets."""
    embed = make_embed(run.model, run.config.evaluate.batch_size)

    def of_state(state, x):
        return targets(embed(state, x)[0], state.params["prior"])

    return of_state


def _fit_scaling(run, name, state, x):
    """The scaling that the training rows ask for, and an encoder whose q(z|x) has a small constant variance."""
    shift, scale = SCALINGS[run.config.data.scaling](x)
    shape = state.scaling.shift.shape
    encoder = with_constant_log_var(state.params["encoder"], run.config.init.log_var)
    return state.replace(
        scaling=Scaling(jnp.broadcast_to(shift, shape), jnp.broadcast_to(scale, shape)),
        params={**state.params, "encoder": encoder},
    )


def _load_pretrained(run, name, state, x):
    """The networks of another run's autoencoder, with its scaling; it may have had another number of clusters."""
    other = autoencoder(read_run(Path(run.config.pretrain.workdir)))
    return state.replace(scaling=other.scaling, params={**other.params, "prior": state.params["prior"]})


def _start_from_clusters(run, name, state, x):
    """The prior that holds the clusters found in the embeddings; None where a round would guide to the last ones."""
    names = finding_names(run)
    before = names[: names.index(name)]
    if not before:
        save_autoencoder(run, state)
    sample = starting_clusters.clustered_row_indices(run)
    embed = make_embed(run.model, min(run.config.evaluate.batch_size, len(sample)))
    z_mean, z_log_var = embed(state, x[sample])

    def find():
        graphs = starting_clusters.input_graphs(run, state.scaling, x)
        last = starting_clusters.read(run, before[-1]) if before else None
        found = starting_clusters.find_starting_clusters(
            run, z_mean, graphs, last, starting_clusters.input_neighbors(run, state.scaling, x)
        )
        starting_clusters.write(run, name, found)
        if len(sample) < run.num_rows and not _round_is_redundant(run, name, found):
            starting_clusters.extend_to_all_rows(run, name, z_mean, lambda rows: embed(state, x[rows])[0])

    processes.on_first_process(find, f"clusters of {name}")
    found = starting_clusters.read(run, name)
    if _round_is_redundant(run, name, found):
        return None
    prior = fit_prior.prior_from_memberships(z_mean, np.exp(z_log_var), found.memberships)
    return state.replace(params={**state.params, "prior": prior})


def _round_is_redundant(run, name, found):
    """Whether a round would guide to the clusters of the one before."""
    return found.unchanged and name in guide_names(run)
