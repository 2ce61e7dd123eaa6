"""The stages of a run, from the config: what each minimises, for how long, with which optimizer, and from where."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import optax

from vade_jax import data, initialization, results
from vade_jax.evaluation import embed
from vade_jax.model import init_params
from vade_jax.networks import with_constant_log_var
from vade_jax.objectives import Objective, negative_elbo, reconstruction
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
      begin: (state, x [N, D] as stored) -> the state to start from.
    """

    name: str
    objective: Objective
    num_epochs: int
    batch_size: int
    learning_rates: dict[str, optax.Schedule]
    tx: optax.GradientTransformation
    begin: Callable[[TrainState, np.ndarray], TrainState]


def make_stages(run: Run) -> list[Stage]:
    """The stages in their order. The paper's: an autoencoder, then the ELBO from a mixture on its embedding."""
    config, model = run.config, run.model
    warmup_steps = config.train.kl_warmup_epochs * (run.num_rows // config.train.batch_size)
    kl_weight = optax.linear_schedule(0.0, 1.0, warmup_steps) if warmup_steps else optax.constant_schedule(1.0)
    elbo = negative_elbo(model, config.train.estimator, config.train.num_samples, kl_weight)
    return [
        _stage(run, "pretrain", reconstruction(model), config.pretrain, 0.0, begin=_scale),
        _stage(run, "cluster", elbo, config.train, config.train.prior_learning_rate, begin=_initialize),
    ]


def _stage(run, name, objective, section, prior_learning_rate, begin):
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

    networks, prior = schedule(section.learning_rate), schedule(prior_learning_rate)
    return Stage(
        name,
        objective,
        section.num_epochs,
        section.batch_size,
        {"learning_rate": networks, "prior_learning_rate": prior},
        make_tx(networks, prior, options.adam_epsilon, options.max_grad_norm),
        lambda state, x: begin(run, state, x),
    )


def _scale(run, state, x):
    """The scaling that the training rows ask for."""
    shift, scale = data.SCALINGS[run.config.data.scaling](x)
    shape = state.scaling.shift.shape
    return state.replace(scaling=Scaling(jnp.broadcast_to(shift, shape), jnp.broadcast_to(scale, shape)))


def _initialize(run, state, x):
    """The prior from the embeddings, and an encoder whose q(z|x) has a small constant variance."""
    config = run.config
    embeddings = embed(run.model, state, x, min(config.evaluate.batch_size, len(x)))
    chosen = initialization.METHODS[config.init.method](
        embeddings, config.model.num_clusters, config.seed, config.init.num_restarts, config.init.covariance
    )
    np.savez(run.folder / results.INITIALIZATION, cluster=chosen.clusters, scores=chosen.scores)
    encoder = with_constant_log_var(state.params["encoder"], config.init.log_var)
    return state.replace(params={**state.params, "encoder": encoder, "prior": chosen.prior})


def initial_state(run: Run) -> TrainState:
    """The state before the first stage, in its final shapes; the scaling is filled in from the rows."""
    sizes = run.config.model
    params = init_params(run.key(Use.PARAMS), run.model, run.num_features, sizes.num_clusters, sizes.latent_dim)
    unscaled = Scaling(jnp.zeros((1, run.num_features)), jnp.ones((1, run.num_features)))
    state = TrainState(jnp.zeros((), jnp.int32), params, None, run.key(Use.STAGES), unscaled)
    return replicate(start_stage(state, make_stages(run)[0].tx, state.key))
