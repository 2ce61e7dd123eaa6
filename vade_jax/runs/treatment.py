"""What is done about a diagnosis: refill empty clusters, roll back, or end the run."""

from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from vade_jax.runs.checkpoints import Checkpoints
from vade_jax.runs.metrics_log import Tracker
from vade_jax.runs.progress import Progress
from vade_jax.runs.run import Run
from vade_jax.runs.stages import Stage
from vade_jax.runs.watched_rows import Watch, WatchedPosterior
from vade_jax.system.console import print_line
from vade_jax.system.devices import replicate
from vade_jax.system.errors import DivergedError
from vade_jax.training.collapse import Diagnosis, Signs, empty_clusters
from vade_jax.training.refill import refill_empty_clusters

SKIP = "skip"
_RETREAT_FACTOR = 0.2  # on the learning rates of a stage that goes on from its last good state
_REMEDY = (
    "Set --config.optimizer.rate_factor=0.1, for lower learning rates, or --config.optimizer.max_grad_norm=1000, in "
    "another workdir."
)


class RunContext(NamedTuple):
    """What every stage of a run works with."""

    run: Run
    x: np.ndarray
    watch: Watch
    tracker: Tracker
    checkpoints: Checkpoints


def apply_cure(
    tools: RunContext,
    stage: Stage,
    diagnosis: Diagnosis,
    state,
    progress: Progress,
    signs: Signs | None,
    view: WatchedPosterior | None,
    bar: tqdm,
):
    """The state and progress after the cure of a diagnosis, and whether they are those of an earlier epoch."""
    before = [
        treatment
        for treatment in progress.treatments
        if treatment["stage"] == progress.stage and treatment["cure"] != SKIP
    ]
    if diagnosis.name == "empty_clusters" and any(treatment["cure"] == "none" for treatment in before):
        return state, progress, False  # known in this stage, and the bound would rather have it so
    if len(before) < tools.run.config.doctor.max_cures:
        prior = _try_refill(tools.run, diagnosis, state, signs, view) if stage.can_refill else None
        if prior is not None:
            progress = record_treatment(progress, diagnosis, "refill")
            return replicate(state.replace(params={**state.params, "prior": prior})), progress, False
        if diagnosis.name != "empty_clusters":
            return *_roll_back(tools, state, record_treatment(progress, diagnosis, "retreat"), bar), True
    progress = record_treatment(progress, diagnosis, "none")
    if diagnosis.name == "empty_clusters":
        return state, progress, False
    raise DivergedError(
        f"{diagnosis.name} in epoch {progress.epoch} of stage '{progress.stage}': {diagnosis.detail}, after "
        f"{len(before)} cures; the last checkpoint is whole. {_REMEDY}",
        progress.treatments,
    )


def _try_refill(run, diagnosis, state, signs, view):
    """The prior with its empty clusters refilled, or None where that is no cure or does not raise the bound."""
    if diagnosis.name == "empty_clusters":
        empty = empty_clusters(signs)
    elif diagnosis.name in ("one_cluster", "uniform_responsibilities"):
        empty = np.argsort(-signs.occupancy, kind="stable")[1:]
    else:
        return None
    prior, gain = refill_empty_clusters(state.params["prior"], view.z_mean, view.z_var, empty, run.config.seed)
    return prior if gain > 0 else None


def _roll_back(tools, state, progress, bar):
    """The last state that was saved, and its progress, with lower learning rates from there on."""
    good, then = tools.checkpoints.restore(state, scheduled=True)
    good = replicate(good.replace(rate_factor=_RETREAT_FACTOR * state.rate_factor))
    then = then._replace(seconds=progress.seconds, treatments=progress.treatments)
    tools.tracker.rewind(then.total_epochs, then.epoch, bar)
    tools.checkpoints.save(good, then)
    return good, then


def record_treatment(progress: Progress, diagnosis: Diagnosis, cure: str) -> Progress:
    """Prints a diagnosis and its cure, and adds them to the progress."""
    line = f"{progress.stage}, epoch {progress.epoch}: {diagnosis.name} ({diagnosis.detail}); cure: {cure}"
    print_line(line)
    return progress.treated(diagnosis.name, diagnosis.detail, cure)
