"""The optimizer: Adam for the networks and for the prior, and the courses of their learning rates."""

from collections.abc import Callable

import optax

from vade_jax.training.train_state import TrainState

_EVER = 2**31 - 1


def make_schedule(
    schedule: str, learning_rate: float, final_fraction: float, decay_rate: float, decay_steps: int, num_steps: int
) -> optax.Schedule:
    """The learning rate at a step.

    Args:
      schedule: a key of SCHEDULES: 'constant'; 'cosine', down to final_fraction of its start over num_steps;
        'staircase', times decay_rate every decay_steps steps, not below final_fraction of its start.
      learning_rate: at step 0.
      final_fraction: in [0, 1].
      decay_rate: of 'staircase', in (0, 1].
      decay_steps: of 'staircase', at least 1.
      num_steps: of the stage, at least 1.

    Returns:
      step -> learning rate.
    """
    return SCHEDULES[schedule](learning_rate, final_fraction, decay_rate, decay_steps, num_steps)


SCHEDULES: dict[str, Callable[[float, float, float, int, int], optax.Schedule]] = {
    "constant": lambda rate, final, decay, decay_steps, steps: optax.constant_schedule(rate),
    "cosine": lambda rate, final, decay, decay_steps, steps: optax.cosine_decay_schedule(rate, steps, final),
    "staircase": lambda rate, final, decay, decay_steps, steps: optax.exponential_decay(
        rate, decay_steps, decay, staircase=True, end_value=final * rate
    ),
}


def make_tx(
    networks_schedule: optax.Schedule,
    prior_schedule: optax.Schedule,
    adam_epsilon: float,
    max_grad_norm: float,
    skip_not_finite: bool = False,
) -> optax.GradientTransformation:
    """Adam for the networks and for the prior, each with its own learning rate, after clipping by the global norm.

    Args:
      networks_schedule: learning rate of encoder and decoder at a step.
      prior_schedule: learning rate of the prior at a step.
      adam_epsilon: Adam's epsilon.
      max_grad_norm: gradients of a larger norm are scaled down to it; 0 for no clipping.
      skip_not_finite: whether a gradient that is not finite changes nothing; else it spoils the parameters.

    Returns:
      The transformation, for params {'encoder', 'decoder', 'prior'}.
    """
    adam = optax.partition(
        {
            "networks": optax.adam(networks_schedule, eps=adam_epsilon),
            "prior": optax.adam(prior_schedule, eps=adam_epsilon),
        },
        {"encoder": "networks", "decoder": "networks", "prior": "prior"},
    )
    clip = optax.clip_by_global_norm(max_grad_norm) if max_grad_norm else optax.identity()
    tx = optax.chain(clip, adam)
    return optax.apply_if_finite(tx, max_consecutive_errors=_EVER) if skip_not_finite else tx


def skipped_steps(state: TrainState) -> int:
    """How many steps of the stage changed nothing so far, where `make_tx` was told to skip_not_finite."""
    return int(optax.tree_utils.tree_get(state.opt_state, "total_notfinite", default=0))
