"""Cures of a diagnosed collapse: refill empty clusters, roll back, or end the run."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from vade_jax.core.mixture_prior import GMMPrior
from vade_jax.runs.checkpoints import Checkpoints
from vade_jax.runs.early_stopping import HeldOutLoss
from vade_jax.runs.metrics_log import Tracker
from vade_jax.runs.progress import Progress
from vade_jax.runs.run import Run
from vade_jax.runs.stages import Stage
from vade_jax.runs.states_in_memory import StatesInMemory
from vade_jax.runs.watched_rows import Watch, WatchedPosterior
from vade_jax.system import processes
from vade_jax.system.console import print_line
from vade_jax.system.devices import replicate
from vade_jax.system.errors import DivergedError
from vade_jax.training.collapse import Diagnosis, Signs, empty_clusters
from vade_jax.training.refill import refill_empty_clusters
from vade_jax.training.train_state import TrainState

# Gets the metrics of an epoch, as in metrics.jsonl; if it returns True, training ends after this epoch.
EpochCallback = Callable[[dict[str, Any]], object]

SKIP = "skip"
_RETREAT_FACTOR = 0.2  # multiplies the learning rates after a rollback
_REMEDY = (
    "Lower the learning rates (--config.optimizer.rate_factor=0.1) or clip the gradients "
    "(--config.optimizer.max_grad_norm=1000), in another workdir."
)


class RunContext(NamedTuple):
    """What every stage of a run works with.

    Attributes:
      run: settings, folder and model.
      x: [N, D], the rows to cluster, as stored.
      watch: of the watched rows.
      held_out: computes the loss of the held-out rows.
      tracker: writes the metrics.
      checkpoints: the training checkpoints.
      callbacks: what is called after each epoch.
    """

    run: Run
    x: np.ndarray
    watch: Watch
    held_out: HeldOutLoss
    tracker: Tracker
    checkpoints: Checkpoints | StatesInMemory
    callbacks: Sequence[EpochCallback] = ()


class Observation(NamedTuple):
    """What the watched rows show after an epoch.

    Attributes:
      posterior: of the watched rows.
      signs: computed from the posterior.
    """

    posterior: WatchedPosterior
    signs: Signs


class EpochOutcome(NamedTuple):
    """Where a run continues after an epoch was checked.

    Attributes:
      state: after a cure, if there was one.
      progress: that belongs to the state.
      is_saved: whether the checkpoints already hold this state, because of a rollback.
    """

    state: TrainState
    progress: Progress
    is_saved: bool


def apply_cure(
    context: RunContext,
    stage: Stage,
    diagnosis: Diagnosis,
    state: TrainState,
    progress: Progress,
    observation: Observation | None,
    bar: tqdm,
) -> EpochOutcome:
    """Refills empty clusters, rolls back, or leaves the state as it is.

    Args:
      context: of the run.
      stage: in which the collapse was diagnosed.
      diagnosis: the collapse.
      state: after the epoch.
      progress: after the epoch.
      observation: after the epoch; None if the stage has no clusters.
      bar: the stage's progress bar.

    Returns:
      The state and progress to continue from.

    Raises:
      DivergedError: the collapse has no cure, or the stage has used up its cures.
    """
    if context.run.config.doctor.max_cures == 0 and diagnosis.name != "not_finite":
        return EpochOutcome(state, _report_once(progress, diagnosis), is_saved=False)
    earlier_cures = _cures_of_stage(progress)
    if diagnosis.name == "empty_clusters" and "none" in earlier_cures:
        return EpochOutcome(state, progress, is_saved=False)  # refilling did not raise the bound in this stage
    if len(earlier_cures) < context.run.config.doctor.max_cures:
        prior = _try_refill(context.run, diagnosis, state, observation) if stage.can_refill else None
        if prior is not None:
            progress = record_treatment(progress, diagnosis, "refill")
            refilled = replicate(state.replace(params={**state.params, "prior": prior}))
            return EpochOutcome(refilled, progress, is_saved=False)
        if diagnosis.name != "empty_clusters":
            return _roll_back(context, state, record_treatment(progress, diagnosis, "retreat"), bar)
    progress = record_treatment(progress, diagnosis, "none")
    if diagnosis.name == "empty_clusters":
        return EpochOutcome(state, progress, is_saved=False)
    raise DivergedError(
        f"{diagnosis.name} in epoch {progress.epoch} of stage '{progress.stage}': {diagnosis.detail}, after "
        f"{len(earlier_cures)} cures. The last checkpoint is intact. {_REMEDY}",
        progress.treatments,
    )


def _report_once(progress: Progress, diagnosis: Diagnosis) -> Progress:
    """Records a diagnosis that is not treated, if it is the first of its kind in the stage."""
    known = {(treatment["stage"], treatment["diagnosis"]) for treatment in progress.treatments}
    return progress if (progress.stage, diagnosis.name) in known else record_treatment(progress, diagnosis, "none")


def _cures_of_stage(progress: Progress) -> list[str]:
    """Returns the cures applied in the current stage; skipped steps do not count."""
    return [
        treatment["cure"]
        for treatment in progress.treatments
        if treatment["stage"] == progress.stage and treatment["cure"] != SKIP
    ]


def _try_refill(run: Run, diagnosis: Diagnosis, state: TrainState, observation: Observation | None) -> GMMPrior | None:
    """Returns the prior with its empty clusters refilled; None if that is no cure or does not raise the bound."""
    if observation is None:
        return None
    posterior, signs = observation
    if diagnosis.name == "empty_clusters":
        empty = empty_clusters(signs)
    elif diagnosis.name in ("one_cluster", "uniform_responsibilities"):
        empty = np.argsort(-signs.occupancy, kind="stable")[1:]
    else:
        return None
    prior, gain = refill_empty_clusters(
        state.params["prior"], posterior.z_mean, posterior.z_var, empty, run.config.seed
    )
    # By process 0 alone: other processes could find another gain, by rounding.
    return processes.of_first(prior) if processes.decided_by_first("refill" if gain > 0 else "") else None


def _roll_back(context: RunContext, state: TrainState, progress: Progress, bar: tqdm) -> EpochOutcome:
    """Returns the last scheduled checkpoint, with lower learning rates; saves it with these."""
    restored = context.checkpoints.restore(state, scheduled=True)
    assert restored is not None  # every stage begins with a scheduled checkpoint
    good_state, good_progress = restored
    good_state = replicate(good_state.replace(rate_factor=_RETREAT_FACTOR * state.rate_factor))
    good_progress = good_progress._replace(seconds=progress.seconds, treatments=progress.treatments)
    context.tracker.rewind(good_progress.total_epochs, good_progress.epoch, bar)
    context.checkpoints.save(good_state, good_progress)
    return EpochOutcome(good_state, good_progress, is_saved=True)


def record_treatment(progress: Progress, diagnosis: Diagnosis, cure: str) -> Progress:
    """Prints a diagnosis and its cure, and returns the progress with them added."""
    line = f"{progress.stage}, epoch {progress.epoch}: {diagnosis.name} ({diagnosis.detail}); cure: {cure}"
    print_line(line)
    return progress.add_treatment(diagnosis.name, diagnosis.detail, cure)
