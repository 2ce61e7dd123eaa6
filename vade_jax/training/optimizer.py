"""The optimizer, and the schedules of learning rates."""

from typing import Protocol

import optax

from vade_jax.training.train_state import TrainState

_NO_LIMIT = 2**31 - 1


class ScheduleFactory(Protocol):
    """Makes a schedule from the options of `make_schedule`; a factory ignores the options that it does not need."""

    def __call__(
        self, *, learning_rate: float, final_fraction: float, decay_rate: float, decay_steps: int, num_steps: int
    ) -> optax.Schedule:
        """The learning rate as a function of the step. Stages ask for a learning_rate of 1 and multiply by theirs."""
        ...


def _constant(*, learning_rate: float, **_: float) -> optax.Schedule:
    return optax.constant_schedule(learning_rate)


def _cosine(*, learning_rate: float, final_fraction: float, num_steps: int, **_: float) -> optax.Schedule:
    return optax.cosine_decay_schedule(learning_rate, num_steps, final_fraction)


def _staircase(
    *, learning_rate: float, final_fraction: float, decay_rate: float, decay_steps: int, **_: float
) -> optax.Schedule:
    end_value = final_fraction * learning_rate
    return optax.exponential_decay(learning_rate, decay_steps, decay_rate, staircase=True, end_value=end_value)


SCHEDULES: dict[str, ScheduleFactory] = {"constant": _constant, "cosine": _cosine, "staircase": _staircase}


def make_schedule(
    schedule: str,
    *,
    learning_rate: float,
    final_fraction: float,
    decay_rate: float,
    decay_steps: int,
    num_steps: int,
) -> optax.Schedule:
    """The learning rate as a function of the step.

    Args:
      schedule: a key of SCHEDULES. 'constant'; 'cosine' falls to final_fraction * learning_rate at num_steps;
        'staircase' is multiplied by decay_rate every decay_steps steps, down to final_fraction * learning_rate.
      learning_rate: at step 0.
      final_fraction: in [0, 1].
      decay_rate: for 'staircase', in (0, 1].
      decay_steps: for 'staircase', at least 1.
      num_steps: number of steps of the stage, at least 1.

    Returns:
      The schedule, step -> learning rate.
    """
    return SCHEDULES[schedule](
        learning_rate=learning_rate,
        final_fraction=final_fraction,
        decay_rate=decay_rate,
        decay_steps=decay_steps,
        num_steps=num_steps,
    )


def make_tx(
    schedule: optax.Schedule,
    adam_epsilon: float,
    max_grad_norm: float,
    skip_not_finite: bool = False,
) -> optax.GradientTransformation:
    """Adam, after clipping by the global norm.

    Args:
      schedule: step -> learning rate, or its share of the rates that a call of the epoch gets.
      adam_epsilon: Adam's epsilon.
      max_grad_norm: gradients of a larger norm are scaled down to it; 0 for no clipping.
      skip_not_finite: whether a step whose gradient is not finite changes nothing; if not, it makes the parameters NaN.

    Returns:
      The transformation, for any parameters.
    """
    clip = optax.clip_by_global_norm(max_grad_norm) if max_grad_norm else optax.identity()
    tx = optax.chain(clip, optax.adam(schedule, eps=adam_epsilon))
    return optax.apply_if_finite(tx, max_consecutive_errors=_NO_LIMIT) if skip_not_finite else tx


def skipped_steps(state: TrainState) -> int:
    """The number of steps of the stage that were skipped so far; 0 if `make_tx` got skip_not_finite=False."""
    return int(optax.tree_utils.tree_get(state.opt_state, "total_notfinite", default=0))
