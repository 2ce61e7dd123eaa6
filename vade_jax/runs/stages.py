"""The stages of a run: the loss, the optimizer, the number of epochs and the start of each, from the config."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, ParamSpec, TypeVar, cast

import numpy as np
import optax
from ml_collections import ConfigDict

from vade_jax.core.mixture_prior import GMMPrior
from vade_jax.inference.answers import make_embed
from vade_jax.runs import starting_clusters
from vade_jax.runs.row_weights import row_weights
from vade_jax.runs.run import Run
from vade_jax.runs.saved_model import LAST_STAGE
from vade_jax.runs.stage_starts import (
    BeginStage,
    continue_from_state,
    fit_scaling,
    load_pretrained,
    start_from_clusters,
    with_method_prior,
)
from vade_jax.runs.starting_clusters import align_names, guide_names
from vade_jax.training.objectives import (
    CLUSTERING,
    PRETRAINING,
    WEIGHTS,
    Objective,
    Weight,
    guided_negative_elbo,
    with_augmented_input,
)
from vade_jax.training.optimizer import make_schedule, make_tx
from vade_jax.training.train_state import TrainState

_KEPT_OBJECTS = 64
_RATE, _PRIOR_RATE = "learning_rate", "prior_learning_rate"
_P = ParamSpec("_P")
_T = TypeVar("_T")

MakeArray = Callable[[TrainState, np.ndarray], np.ndarray]  # (state before an epoch, x) -> [N, K], float32


class Stage(NamedTuple):
    """A part of training with its own objective and optimizer.

    Attributes:
      name: used in logs and checkpoints.
      objective: the loss that is minimised.
      num_epochs: number of epochs.
      num_passes: how often an epoch goes through the rows.
      steps_per_epoch: number of updates.
      batch_size: B.
      learning_rates: 'learning_rate' and 'prior_learning_rate', at the first step, without the state's rate factor.
      schedule: step -> factor on the learning rates.
      tx: the optimizer, with that schedule.
      has_clusters: whether the prior has clusters that can collapse.
      can_refill: whether the loss is the bound, so that empty clusters can be refilled.
      begin: (state after the stage before, x [N, D] as stored) -> the state to start from; None to skip the stage.
      extra_arrays: name -> function that makes a further input [N, K] of the batches, [N] for WEIGHTS, every epoch.
    """

    name: str
    objective: Objective
    num_epochs: int
    num_passes: int
    steps_per_epoch: int
    batch_size: int
    learning_rates: dict[str, float]
    schedule: optax.Schedule
    tx: optax.GradientTransformation
    has_clusters: bool
    can_refill: bool
    begin: Callable[[TrainState, np.ndarray], TrainState | None]
    extra_arrays: dict[str, MakeArray]

    @property
    def num_steps(self) -> int:
        """The number of updates of the whole stage."""
        return self.num_epochs * self.steps_per_epoch

    @property
    def rates(self) -> dict[str, float]:
        """The learning rates of the parts of the parameters, for the epoch."""
        networks, prior = (self.learning_rates[name] for name in (_RATE, _PRIOR_RATE))
        return {"encoder": networks, "decoder": networks, "prior": prior}


def make_stages(run: Run) -> list[Stage]:
    """Returns the stages in the order in which they are trained.

    These are pretrain, the guide stages, align and cluster. Each guide stage and align begin with finding starting
    clusters in the embedding. Without guide stages and align, the cluster stage starts from clusters found in the
    autoencoder's embedding, as in the paper (arXiv:1611.05148, Sec. 4.2).
    """
    config, model = run.config, run.model
    method = CLUSTERING[config.train.objective]
    weight = _kl_weight(run, config.train)
    objective = _once(method.objective, model, config.train.estimator, config.train.num_samples, weight)
    guides = [_guided_stage(run, name, config.guide) for name in guide_names(run)]
    aligns = [_guided_stage(run, name, config.align) for name in align_names(run)]
    begin: BeginStage = continue_from_state if guides or aligns else start_from_clusters
    return [
        _make_stage(
            run,
            "pretrain",
            _once(PRETRAINING[config.pretrain.objective], model, _kl_weight(run, config.pretrain)),
            config.pretrain,
            begin=load_pretrained if config.pretrain.workdir else fit_scaling,
        ),
        *guides,
        *aligns,
        _make_stage(
            run,
            LAST_STAGE,
            objective,
            config.train,
            begin=with_method_prior(method.start, begin),
            extra_arrays={"targets": _make_targets(run, method.targets)} if method.has_targets else {},
            can_refill=not method.has_targets,
        ),
    ]


def _once(make: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Returns make(*args, **kwargs), the same object for the same arguments.

    So a stage of a later run with the same settings has the same objective and optimizer, and its compiled epoch.
    """
    return cast(_T, _made(make, *args, **cast(dict[str, Any], kwargs)))


@functools.lru_cache(maxsize=_KEPT_OBJECTS, typed=True)
def _made(make: Callable[..., object], *args: object, **kwargs: object) -> object:
    return make(*args, **kwargs)


def _steps_per_epoch(run: Run, section: ConfigDict) -> int:
    return run.num_passes(section) * (run.num_rows // section.batch_size)


def _kl_weight(run: Run, section: ConfigDict) -> Weight:
    """Returns the weight of the KL term at a step: it rises from 0 to 1 over the section's warm-up."""
    if not section.kl_warmup_epochs:
        return _once(optax.constant_schedule, 1.0)
    return _once(optax.linear_schedule, 0.0, 1.0, section.kl_warmup_epochs * _steps_per_epoch(run, section))


def _guided_stage(run: Run, name: str, section: ConfigDict) -> Stage:
    """Returns a stage that trains with q(c|x) fixed to the starting clusters: guide or align."""
    objective = _once(guided_negative_elbo, run.model, section.num_samples, section.kl_c_weight)
    # A large array is compared with its digest once, and not in every epoch.
    memberships = functools.cache(functools.partial(starting_clusters.memberships, run, name))
    arrays: dict[str, MakeArray] = {"memberships": lambda state, x: memberships()}
    return _make_stage(run, name, objective, section, begin=start_from_clusters, extra_arrays=arrays)


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
    # With a first rate of 1 it is a factor. The rates themselves are no part of the program, which serves any of them.
    schedule = _once(
        make_schedule,
        options.schedule,
        learning_rate=1.0,
        final_fraction=options.final_fraction,
        decay_rate=options.decay_rate,
        decay_steps=options.decay_epochs * steps_per_epoch,
        num_steps=max(1, epochs * steps_per_epoch),
    )
    arrays = dict(extra_arrays or {})
    if run.weighted:
        weights = functools.cache(functools.partial(_weights, run))
        arrays[WEIGHTS] = lambda state, x: weights()
    if augmentation := run.encoder_augmentation:
        objective = _once(with_augmented_input, objective, augmentation)
    return Stage(
        name=name,
        objective=objective,
        num_epochs=epochs,
        num_passes=run.num_passes(section),
        steps_per_epoch=steps_per_epoch,
        batch_size=section.batch_size,
        learning_rates={name: section[name] for name in (_RATE, _PRIOR_RATE)},
        schedule=schedule,
        tx=_once(
            make_tx,
            schedule=schedule,
            adam_epsilon=options.adam_epsilon,
            max_grad_norm=options.max_grad_norm,
            skip_not_finite=run.config.doctor.not_finite == "skip",
        ),
        has_clusters=name != "pretrain",
        can_refill=can_refill,
        begin=lambda state, x: begin(run, name, state, x),
        extra_arrays=arrays,
    )


def _weights(run: Run) -> np.ndarray:
    weights = row_weights(run)
    assert weights is not None  # the run is weighted
    return weights


def _make_targets(run: Run, targets: Callable[[np.ndarray, GMMPrior], np.ndarray]) -> MakeArray:
    """Returns the function (state, x) that computes a method's targets from the embedding."""
    embed = make_embed(run.model, run.config.evaluate.batch_size)

    def make_array(state: TrainState, x: np.ndarray) -> np.ndarray:
        return targets(embed(state, x)[0], state.params["prior"])

    return make_array
