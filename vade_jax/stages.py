"""The stages of a run, from the config: what each minimises, for how long, with which optimizer, and from where."""

import json
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from vade_jax import hosts, initialization, rounds, workdir
from vade_jax.checkpoints import BEGINNING, Checkpoints
from vade_jax.errors import InputError
from vade_jax.evaluation import make_embed
from vade_jax.networks import with_constant_log_var
from vade_jax.objectives import CLUSTERING, PRETRAINING, Objective, guided_negative_elbo, seeing_moved
from vade_jax.optimizer import make_schedule, make_tx
from vade_jax.run import Run, initial_state, read_run
from vade_jax.saved_model import LAST_STAGE
from vade_jax.scalings import SCALINGS
from vade_jax.train_state import Scaling, TrainState

_AUTOENCODER = "autoencoder"
_OF_NETWORKS = ("network", "hidden", "latent_dim", "likelihood", "min_log_var")  # of the section model


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
    guides = [_held_stage(run, name, config.guide) for name in _guide_names(run)]
    aligns = [_held_stage(run, name, config.align) for name in _align_names(run)]
    return [
        _stage(
            run,
            "pretrain",
            PRETRAINING[config.pretrain.objective](model, _kl_weight(run, config.pretrain)),
            config.pretrain,
            begin=_take_autoencoder if config.pretrain.workdir else _prepare,
        ),
        *guides,
        *aligns,
        _stage(
            run,
            LAST_STAGE,
            objective,
            config.train,
            begin=_start(method.start, _keep if guides or aligns else _initialize),
            rows={"targets": _targets(run, method.targets)} if method.targets else {},
            can_refill=not method.targets,
        ),
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
    return [*_guide_names(run), *_align_names(run)] or [LAST_STAGE]


def _steps_per_epoch(run, section):
    return run.num_rows // section.batch_size


def _kl_weight(run, section):
    if not section.kl_warmup_epochs:
        return optax.constant_schedule(1.0)
    return optax.linear_schedule(0.0, 1.0, section.kl_warmup_epochs * _steps_per_epoch(run, section))


def _held_stage(run, name, section):
    objective = guided_negative_elbo(run.model, section.num_samples, section.kl_c_weight)
    rows = {"memberships": lambda state, x: rounds.memberships(run, name)}
    return _stage(run, name, objective, section, begin=_initialize, rows=rows)


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

    if move := run.move:
        objective = seeing_moved(objective, move)
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


def _keep(run, name, state, x):
    return state


def _start(start, begin):
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


def _prepare(run, name, state, x):
    """The scaling that the training rows ask for, and an encoder whose q(z|x) has a small constant variance."""
    shift, scale = SCALINGS[run.config.data.scaling](x)
    shape = state.scaling.shift.shape
    encoder = with_constant_log_var(state.params["encoder"], run.config.init.log_var)
    return state.replace(
        scaling=Scaling(jnp.broadcast_to(shift, shape), jnp.broadcast_to(scale, shape)),
        params={**state.params, "encoder": encoder},
    )


def _take_autoencoder(run, name, state, x):
    """The networks of another run's autoencoder, with its scaling; it may have had another number of clusters."""
    other = autoencoder(read_run(Path(run.config.pretrain.workdir)))
    return state.replace(scaling=other.scaling, params={**other.params, "prior": state.params["prior"]})


def _initialize(run, name, state, x):
    """The prior that holds the clusters found in the embeddings; None where a round would guide to the last ones."""
    names = _finding_names(run)
    before = names[: names.index(name)]
    if not before:
        _keep_autoencoder(run, state)
    sample = rounds.sample(run)
    embed = make_embed(run.model, min(run.config.evaluate.batch_size, len(sample)))
    z_mean, z_log_var = embed(state, x[sample])

    def find():
        graphs = rounds.input_graphs(run, state.scaling, x)
        last = rounds.read(run, before[-1]) if before else None
        found = rounds.find(run, z_mean, graphs, last, rounds.input_neighbors(run, state.scaling, x))
        rounds.write(run, name, found)
        if len(sample) < run.num_rows and not _adds_nothing(run, name, found):
            rounds.spread(run, name, z_mean, lambda rows: embed(state, x[rows])[0])

    hosts.first_does(find, f"clusters of {name}")
    found = rounds.read(run, name)
    if _adds_nothing(run, name, found):
        return None
    prior = initialization.prior_from_memberships(z_mean, np.exp(z_log_var), found.memberships)
    return state.replace(params={**state.params, "prior": prior})


def _adds_nothing(run, name, found):
    """Whether a round would guide to the clusters of the one before."""
    return found.settled and name in _guide_names(run)


def _keep_autoencoder(run, state):
    with _autoencoder(run) as checkpoints:
        checkpoints.save(state.replace(opt_state=None), BEGINNING)


def autoencoder(run: Run) -> TrainState:
    """The state, without an optimizer, that the first clusters were found with: no clusters have shaped its embedding.

    Raises:
      InputError: the run's folder has none.
    """
    with _autoencoder(run) as checkpoints:
        restored = checkpoints.restore(initial_state(run))
    if restored is None:
        raise InputError(
            "workdir",
            f"{run.folder} holds no autoencoder",
            "this mode needs the one that the run began with",
            "Train it anew in another workdir.",
        )
    return restored[0]


def check_autoencoder(config: ConfigDict, description: Mapping[str, Any]) -> None:
    """Raises an InputError where `pretrain.workdir` names no run whose autoencoder suits this one.

    Args:
      config: of a run to be made.
      description: of its rows, as `run.make_run` takes it.
    """
    if not config.pretrain.workdir:
        return
    folder = workdir.chosen(Path(config.pretrain.workdir))
    came = _unsuited(folder, config, description) if (folder / _AUTOENCODER).is_dir() else "no autoencoder"
    if not came:
        return
    raise InputError(
        "config.pretrain.workdir",
        f"{folder} holds {came}",
        "it must be a run with these networks on these rows that went beyond its autoencoder",
        "Name another one, or set --config.pretrain.workdir= to train an autoencoder.",
    )


def _unsuited(folder, config, description):
    """Why the autoencoder in the folder does not suit the run, in words; '' where it does."""
    model = read_run(folder).config.model
    for name in _OF_NETWORKS:
        theirs, ours = json.dumps(model[name]), json.dumps(config.model[name])  # a tuple there is a list in a file
        if theirs != ours:
            return f"one of model.{name} = {theirs}, not {ours}"
    return "" if workdir.read(folder)[1].get("fingerprint") == description["fingerprint"] else "one of other rows"


def _autoencoder(run):
    return Checkpoints(run.folder / _AUTOENCODER, keep=1)
