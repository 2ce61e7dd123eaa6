"""The stages of a run, from the config: what each minimises, for how long, with which optimizer, and from where."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import optax

from vade_jax import data, initialization
from vade_jax.evaluation import embed
from vade_jax.model import init_params
from vade_jax.networks import with_constant_log_var
from vade_jax.objectives import Objective, guided_negative_elbo, negative_elbo, reconstruction
from vade_jax.run import Run, Use
from vade_jax.train_state import Scaling, TrainState, start_stage
from vade_jax.training import make_schedule, make_tx, replicate


class Stage(NamedTuple):
    """A part of the training with one objective and one optimizer.

    Attributes:
      name: as it is logged and checkpointed.
      objective: what it minimises.
      num_epochs: how long.
      batch_size: B.
      learning_rates: name -> schedule, 'learning_rate' and 'prior_learning_rate'.
      tx: the optimizer.
      begin: (state, x [N, D] as stored) -> the state to start from; what else it finds is left in the run's folder.
      rows: () -> further arrays [N, ...] for the objective's batches, read from there, by a resumed run too.
    """

    name: str
    objective: Objective
    num_epochs: int
    batch_size: int
    learning_rates: dict[str, optax.Schedule]
    tx: optax.GradientTransformation
    begin: Callable[[TrainState, np.ndarray], TrainState]
    rows: Callable[[], dict[str, np.ndarray]]


def make_stages(run: Run) -> list[Stage]:
    """The stages in their order.

    An autoencoder; rounds of finding clusters in the embedding and guiding the model to hold them; then the ELBO, free.
    With no round the ELBO starts from clusters found in the autoencoder's embedding: the paper's recipe.
    """
    config, model = run.config, run.model
    warmup_steps = config.train.kl_warmup_epochs * (run.num_rows // config.train.batch_size)
    kl_weight = optax.linear_schedule(0.0, 1.0, warmup_steps) if warmup_steps else optax.constant_schedule(1.0)
    elbo = negative_elbo(model, config.train.estimator, config.train.num_samples, kl_weight)
    guided = guided_negative_elbo(model, config.guide.num_samples)
    rounds = [
        _stage(run, name, guided, config.guide, begin=_initialize, rows=_memberships) for name in _round_names(run)
    ]
    return [
        _stage(run, "pretrain", reconstruction(model), config.pretrain, begin=_prepare),
        *rounds,
        _stage(run, "cluster", elbo, config.train, begin=_keep if rounds else _initialize),
    ]


def initialization_paths(run: Run) -> list[Path]:
    """The files of the clusters that stages began with, in their order: memberships [N, K] and the restarts' scores."""
    return [_initialization_path(run, name) for name in _round_names(run) or ["cluster"]]


def _round_names(run):
    return [f"guide{number}" for number in range(1, run.config.guide.num_rounds + 1)]


def _stage(run, name, objective, section, begin, rows=lambda run, name: {}):
    options = run.config.optimizer
    steps_per_epoch = run.num_rows // section.batch_size

    def schedule(rate: float) -> optax.Schedule:
        return make_schedule(
            options.schedule,
            rate,
            options.final_fraction,
            options.decay_rate,
            options.decay_epochs * steps_per_epoch,
            max(1, section.num_epochs * steps_per_epoch),
        )

    networks, prior = schedule(section.learning_rate), schedule(section.prior_learning_rate)
    return Stage(
        name,
        objective,
        section.num_epochs,
        section.batch_size,
        {"learning_rate": networks, "prior_learning_rate": prior},
        make_tx(networks, prior, options.adam_epsilon, options.max_grad_norm),
        lambda state, x: begin(run, name, state, x),
        lambda: rows(run, name),
    )


def _keep(run, name, state, x):
    return state


def _prepare(run, name, state, x):
    """The scaling that the training rows ask for, and an encoder whose q(z|x) has a small constant variance."""
    shift, scale = data.SCALINGS[run.config.data.scaling](x)
    shape = state.scaling.shift.shape
    encoder = with_constant_log_var(state.params["encoder"], run.config.init.log_var)
    return state.replace(
        scaling=Scaling(jnp.broadcast_to(shift, shape), jnp.broadcast_to(scale, shape)),
        params={**state.params, "encoder": encoder},
    )


def _initialize(run, name, state, x):
    """The prior that holds the clusters found in the embeddings."""
    config = run.config
    z_mean, z_log_var = embed(run.model, state, x, min(config.evaluate.batch_size, len(x)))
    options = initialization.Options(
        config.model.num_clusters,
        config.seed,
        config.init.num_restarts,
        config.init.covariance,
        config.init.num_neighbors,
        config.init.max_rows,
    )
    clustering = initialization.METHODS[config.init.method](z_mean, options)
    memberships = clustering.memberships.astype(np.float32)
    np.savez(_initialization_path(run, name), memberships=memberships, scores=clustering.scores)
    prior = initialization.prior_from_memberships(z_mean, np.exp(z_log_var), memberships)
    return state.replace(params={**state.params, "prior": prior})


def _initialization_path(run, name):
    return run.folder / f"initialization_{name}.npz"


def _memberships(run, name):
    with np.load(_initialization_path(run, name)) as arrays:
        return {"memberships": arrays["memberships"]}


def initial_state(run: Run) -> TrainState:
    """The state before the first stage, in its final shapes; the scaling is filled in from the rows."""
    sizes = run.config.model
    params = init_params(run.key(Use.PARAMS), run.model, run.num_features, sizes.num_clusters, sizes.latent_dim)
    unscaled = Scaling(jnp.zeros((1, run.num_features)), jnp.ones((1, run.num_features)))
    state = TrainState(jnp.zeros((), jnp.int32), params, None, run.key(Use.STAGES), unscaled)
    return replicate(start_stage(state, make_stages(run)[0].tx, state.key))
