"""The stages of a run, from the config: what each minimises, for how long, with which optimizer, and from where."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import optax

from vade_jax import initialization, rounds
from vade_jax.checkpoints import BEGINNING, Checkpoints
from vade_jax.errors import InputError
from vade_jax.evaluation import make_embed
from vade_jax.model import init_params
from vade_jax.networks import with_constant_log_var
from vade_jax.objectives import Objective, guided_negative_elbo, negative_elbo, reconstruction
from vade_jax.run import Run, Use
from vade_jax.scalings import SCALINGS
from vade_jax.train_state import Scaling, TrainState, start_stage
from vade_jax.training import make_schedule, make_tx, replicate


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
      begin: (state, x [N, D] as stored) -> the state to start from, or None where the stage has nothing to add; what
        else it finds is left in the run's folder.
      rows: () -> further arrays for the objective's batches, read from there, by a resumed run too.
      widths: of these arrays by name: [N, width], float32.
    """

    name: str
    objective: Objective
    num_epochs: int
    batch_size: int
    learning_rates: dict[str, optax.Schedule]
    tx: optax.GradientTransformation
    has_clusters: bool
    begin: Callable[[TrainState, np.ndarray], TrainState | None]
    rows: Callable[[], dict[str, np.ndarray]]
    widths: dict[str, int]


def make_stages(run: Run) -> list[Stage]:
    """The stages in their order.

    An autoencoder; rounds of finding clusters in the embedding and guiding the model to hold them; one more finding,
    and a stage that brings the model's own clusters up to them; then the ELBO, free. With neither rounds nor that stage
    the ELBO starts from clusters found in the autoencoder's embedding: the paper's recipe.
    """
    config, model = run.config, run.model
    kl_weight = optax.constant_schedule(1.0)
    if config.train.kl_warmup_epochs:
        kl_weight = optax.linear_schedule(0.0, 1.0, config.train.kl_warmup_epochs * _steps_per_epoch(run, config.train))
    elbo = negative_elbo(model, config.train.estimator, config.train.num_samples, kl_weight)
    guided = guided_negative_elbo(model, config.guide.num_samples)
    aligned = guided_negative_elbo(model, config.align.num_samples, config.align.kl_c_weight)
    guides = [_stage(run, name, guided, config.guide, begin=_initialize, held=True) for name in _guide_names(run)]
    aligns = [_stage(run, name, aligned, config.align, begin=_initialize, held=True) for name in _align_names(run)]
    return [
        _stage(run, "pretrain", reconstruction(model), config.pretrain, begin=_prepare, has_clusters=False),
        *guides,
        *aligns,
        _stage(run, "cluster", elbo, config.train, begin=_keep if guides or aligns else _initialize),
    ]


def initialization_paths(run: Run) -> list[Path]:
    """The files of the clusters that stages began with, in their order; see `rounds`."""
    return [rounds.path(run, name) for name in _finding_names(run)]


def _guide_names(run):
    return [f"guide{number}" for number in range(1, run.config.guide.num_rounds + 1)]


def _align_names(run):
    return ["align"] if run.config.align.num_epochs else []


def _finding_names(run):
    """The stages that begin with clusters found in the embeddings, in their order."""
    return [*_guide_names(run), *_align_names(run)] or ["cluster"]


def num_epochs(asked: int, batch_size: int, num_rows: int, min_steps: int) -> int:
    """The epochs of a stage: as many as asked for, or as min_steps steps take; none where none are asked for.

    Args:
      asked: the stage's own number.
      batch_size: B, at most N.
      num_rows: N.
      min_steps: `optimizer.min_steps`.
    """
    return max(asked, math.ceil(min_steps / (num_rows // batch_size))) if asked else 0


def _steps_per_epoch(run, section):
    return run.num_rows // section.batch_size


def _stage(run, name, objective, section, begin, held=False, has_clusters=True):
    options = run.config.optimizer
    steps_per_epoch = _steps_per_epoch(run, section)
    epochs = num_epochs(section.num_epochs, section.batch_size, run.num_rows, options.min_steps)

    def schedule(rate: float) -> optax.Schedule:
        return make_schedule(
            options.schedule,
            rate,
            options.final_fraction,
            options.decay_rate,
            options.decay_epochs * steps_per_epoch,
            max(1, epochs * steps_per_epoch),
        )

    rate, prior_rate = schedule(section.learning_rate), schedule(section.prior_learning_rate)
    return Stage(
        name,
        objective,
        epochs,
        section.batch_size,
        {"learning_rate": rate, "prior_learning_rate": prior_rate},
        make_tx(rate, prior_rate, options.adam_epsilon, options.max_grad_norm),
        has_clusters,
        lambda state, x: begin(run, name, state, x),
        lambda: {"memberships": rounds.memberships(run, name)} if held else {},
        {"memberships": run.config.model.num_clusters} if held else {},
    )


def _keep(run, name, state, x):
    return state


def _prepare(run, name, state, x):
    """The scaling that the training rows ask for, and an encoder whose q(z|x) has a small constant variance."""
    shift, scale = SCALINGS[run.config.data.scaling](x)
    shape = state.scaling.shift.shape
    encoder = with_constant_log_var(state.params["encoder"], run.config.init.log_var)
    return state.replace(
        scaling=Scaling(jnp.broadcast_to(shift, shape), jnp.broadcast_to(scale, shape)),
        params={**state.params, "encoder": encoder},
    )


def _initialize(run, name, state, x):
    """The prior that holds the clusters found in the embeddings; None where a round would guide to the last ones."""
    names = _finding_names(run)
    before = names[: names.index(name)]
    if not before:
        _keep_autoencoder(run, state)
    sample = rounds.sample(run)
    embed = make_embed(run.model, min(run.config.evaluate.batch_size, len(sample)))
    z_mean, z_log_var = embed(state, x[sample])
    graph = rounds.input_graph(run, state.scaling, x)
    found = rounds.find(run, z_mean, graph, rounds.read(run, before[-1]) if before else None)
    rounds.write(run, name, found)
    if found.settled and name in _guide_names(run):
        return None
    if len(sample) < run.num_rows:
        rounds.spread(run, name, z_mean, lambda rows: embed(state, x[rows])[0])
    prior = initialization.prior_from_memberships(z_mean, np.exp(z_log_var), found.memberships)
    return state.replace(params={**state.params, "prior": prior})


def _keep_autoencoder(run, state):
    with _autoencoder(run) as checkpoints:
        checkpoints.save(state.replace(opt_state=None), BEGINNING)


def autoencoder(run: Run) -> TrainState:
    """The state, without an optimizer, that the first clusters were found with: no clusters have shaped its embedding.

    Raises:
      InputError: the run's folder has none.
    """
    with _autoencoder(run) as checkpoints:
        restored = checkpoints.restore(initial_state(run).replace(opt_state=None))
    if restored is None:
        raise InputError(
            "workdir",
            f"{run.folder} holds no autoencoder",
            "this mode needs the one that the run began with",
            "Train it anew in another workdir.",
        )
    return restored[0]


def _autoencoder(run):
    return Checkpoints(run.folder / "autoencoder", keep=1)


def initial_state(run: Run) -> TrainState:
    """The state before the first stage, in its final shapes; the scaling is filled in from the rows."""
    sizes = run.config.model
    params = init_params(run.key(Use.PARAMS), run.model, run.num_features, sizes.num_clusters, sizes.latent_dim)
    unscaled = Scaling(jnp.zeros((1, run.num_features)), jnp.ones((1, run.num_features)))
    state = TrainState.create(params, run.key(Use.STAGES), unscaled)
    return replicate(start_stage(state, make_stages(run)[0].tx, state.key))
