"""Trains one run through its stages: checks every epoch, cures a collapse, saves checkpoints and resumes from them."""

import time
from collections.abc import Generator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from vade_jax.runs.checkpoints import Checkpoints
from vade_jax.runs.early_stopping import HeldOutLoss
from vade_jax.runs.metrics_log import Tracker
from vade_jax.runs.progress import BEGINNING, Progress
from vade_jax.runs.run import KeyUse, Run, epochs_between_checkpoints, initial_state
from vade_jax.runs.saved_model import save_model
from vade_jax.runs.stages import Stage, make_stages
from vade_jax.runs.states_in_memory import StatesInMemory
from vade_jax.runs.treatment import (
    SKIP,
    EpochCallback,
    EpochOutcome,
    Observation,
    RunContext,
    apply_cure,
    record_treatment,
)
from vade_jax.runs.watched_rows import Watch
from vade_jax.runs.workdir import CHECKPOINTS
from vade_jax.system import processes, signals
from vade_jax.system.devices import replicate
from vade_jax.system.errors import InputError
from vade_jax.training.collapse import (
    Diagnosis,
    Signs,
    compute_signs,
    diagnose_losses,
    diagnose_non_finite,
    diagnose_signs,
)
from vade_jax.training.epoch import NOT_FINITE, is_finite
from vade_jax.training.objectives import Metrics
from vade_jax.training.optimizer import skipped_steps
from vade_jax.training.train_state import TrainState, end_stage, start_stage

_SKIPPED = "skipped_steps"


class EpochRequest(NamedTuple):
    """An epoch that a run asks its caller to train.

    Attributes:
      stage: the stage that it belongs to.
      state: before the epoch; the caller may donate it.
      extra_arrays: name -> [N, ...] on the host, further inputs of the objective's batches.
    """

    stage: Stage
    state: TrainState
    extra_arrays: dict[str, np.ndarray]


# Yields a request for each epoch, is sent the state after that epoch and its mean metrics, and returns the final state
# and progress.
TrainingSteps = Generator[EpochRequest, tuple[TrainState, Metrics], tuple[TrainState, Progress]]


def train_run(run: Run, x: np.ndarray, quiet: bool = False, callbacks: Sequence[EpochCallback] = ()) -> TrainingSteps:
    """Trains a run through its stages, from the latest checkpoint on. Reads no label.

    The caller trains each epoch that the generator yields, so several runs can share a device call; see
    `train_many_runs.train_runs`.

    Args:
      run: settings, folder and model.
      x: [N, D], the rows to cluster, as stored.
      quiet: whether no progress bars are shown.
      callbacks: called after each epoch; each can end training.

    Returns:
      A generator of epoch requests; see `TrainingSteps`.

    Raises:
      DivergedError: training collapsed or its loss diverged, and no cure helped.
      InputError: the settings have other stages than those that the run has begun.
      Interrupted: a signal arrived during training; the state is saved.
    """
    stages = make_stages(run)
    names = [stage.name for stage in stages]
    state = initial_state(run)
    state = replicate(start_stage(state, stages[0].tx, state.key))
    with processes.writable_folder(run.folder) as written, _opened_checkpoints(run) as checkpoints:
        state, progress = checkpoints.restore(state) or (state, BEGINNING)
        progress = _with_stages(progress, names)
        watch = Watch(run._replace(folder=written), x, progress.total_epochs, _num_epochs_left(stages, progress))
        with Tracker(written, progress.total_epochs, quiet) as tracker:
            context = RunContext(run, x, watch, HeldOutLoss(run, x), tracker, checkpoints, callbacks)
            for number, stage in enumerate(stages):
                ended = progress.stage == stage.name and progress.is_over(stage.num_epochs)
                if ended or progress.stage in names[number + 1 :]:
                    continue
                if progress.stage != stage.name:
                    begun, progress = _begin_stage(context, number, stage, state, progress)
                    if begun is None:
                        continue
                    state = begun
                state, progress = yield from _run_stage(context, stage, state, progress)
    state = end_stage(state, progress.is_behind_best)
    save_model(run, state, progress)
    return state, progress


def _opened_checkpoints(run: Run) -> Checkpoints | StatesInMemory:
    """Returns the checkpoints in the run's folder, or in memory if none are to be kept there."""
    keep = run.config.checkpoint.keep
    return Checkpoints(run.folder / CHECKPOINTS, keep, exclusive=True) if keep else StatesInMemory()


def _with_stages(progress: Progress, names: list[str]) -> Progress:
    """Returns the progress with the names of its stages, which older checkpoints lack.

    Args:
      progress: of the run.
      names: of the stages that the settings have.

    Raises:
      InputError: the settings have other stages than those that the run has begun.
    """
    if progress.stage == BEGINNING.stage:
        return progress
    expected = names[: names.index(progress.stage) + 1] if progress.stage in names else []
    begun = list(progress.stages) or expected or [progress.stage]
    if begun != expected:
        raise InputError(
            "resume",
            f"'force' with settings that have the stages {', '.join(names)}",
            f"settings that keep the stages that the run has begun: {', '.join(begun)}",
            "Set config.guide.num_rounds and config.align.num_epochs as they were, or name another workdir.",
        )
    return progress._replace(stages=begun)


def _num_epochs_left(stages: Sequence[Stage], progress: Progress) -> int:
    """Returns how many epochs a run still trains, at most."""
    current = [stage for stage in stages if stage.name == progress.stage]
    later = stages[len(progress.stages) :]
    return sum(max(0, stage.num_epochs - progress.epoch) for stage in current) + sum(s.num_epochs for s in later)


def _begin_stage(
    context: RunContext, number: int, stage: Stage, state: TrainState, progress: Progress
) -> tuple[TrainState | None, Progress]:
    """Returns and saves the state and progress before the stage's first epoch; (None, progress) to skip the stage."""
    started = time.perf_counter()
    begun = stage.begin(end_stage(state, progress.is_behind_best), context.x)
    progress = progress.add_seconds("initialize", time.perf_counter() - started)
    if begun is None:
        return None, progress.leave_out(stage.name)
    key = jax.random.fold_in(context.run.key(KeyUse.STAGES), number)
    state = replicate(start_stage(begun, stage.tx, key, context.run.config.optimizer.rate_factor))
    progress = progress.next_stage(stage.name)
    context.checkpoints.save(state, progress)
    return state, progress


def _run_stage(context: RunContext, stage: Stage, state: TrainState, progress: Progress) -> TrainingSteps:
    """Trains the stage's remaining epochs, with checkpoints on schedule, at the end and at a signal."""
    every = epochs_between_checkpoints(context.run.config.checkpoint.every_epochs, stage.steps_per_epoch)
    with context.tracker.stage(stage.name, stage.num_epochs, progress.epoch) as bar:
        while not (progress.is_over(stage.num_epochs) or progress.stopped):
            with signals.defer_signals():
                state, progress, record = yield from _run_epoch(stage, state, progress, context)
                state, progress, is_saved = _inspect_epoch(context, stage, state, progress, record, bar)
                progress = progress._replace(stopped=_stops(context.callbacks, record))
                scheduled = progress.epoch % every == 0 or progress.is_over(stage.num_epochs)
                number = processes.max_over_processes(signals.pending_signal())
                if progress.stopped or ((scheduled or number) and not is_saved):
                    context.checkpoints.save(state, progress, scheduled)
            if number:
                raise signals.Interrupted(number)
    return state, progress


def _stops(callbacks: Sequence[EpochCallback], record: dict[str, Any]) -> bool:
    """Calls every callback with a copy of an epoch's record, and returns whether one of them ends training."""
    answers = [callback(dict(record)) for callback in callbacks]
    stops = any(isinstance(answer, bool | np.bool_) and answer for answer in answers)
    return bool(processes.decided_by_first("stop" if stops else "")) if callbacks else False


def _inspect_epoch(
    context: RunContext, stage: Stage, state: TrainState, progress: Progress, record: dict[str, Any], bar: tqdm
) -> EpochOutcome:
    """Checks an epoch, logs its record, and applies a cure if something is wrong."""
    observation = _observe(context.watch, state) if stage.has_clusters else None
    _log_epoch(context, record, observation, bar)
    if skipped := record[_SKIPPED]:
        progress = record_treatment(progress, Diagnosis("not_finite", f"the gradient of {skipped} steps"), SKIP)
    diagnosis = _decided_by_first(_diagnose(context.run, state, progress, record, observation))
    if not diagnosis:
        return EpochOutcome(state, progress, is_saved=False)
    return apply_cure(context, stage, diagnosis, state, progress, observation, bar)


def _decided_by_first(diagnosis: Diagnosis | None) -> Diagnosis | None:
    """Returns the diagnosis of process 0, so that all processes apply the same cure."""
    name, _, detail = processes.decided_by_first("\n".join(diagnosis) if diagnosis else "").partition("\n")
    return Diagnosis(name, detail) if name else None


def _observe(watch: Watch, state: TrainState) -> Observation:
    """Returns the posterior of the watched rows and its signs."""
    posterior = watch.posterior(state)
    return Observation(posterior, compute_signs(posterior.responsibilities, posterior.z_mean, posterior.z_var))


def _log_epoch(context: RunContext, record: dict[str, Any], observation: Observation | None, bar: tqdm) -> None:
    """Adds the signs to the epoch's record and logs it; writes the watched rows' clusters."""
    if observation:
        signs = observation.signs
        record |= _describe(signs, context.watch.record(record["total_epochs"], signs.clusters))
    context.tracker.log(record, bar)


def _diagnose(
    run: Run, state: TrainState, progress: Progress, record: dict[str, Any], observation: Observation | None
) -> Diagnosis | None:
    """Returns the worst collapse that the losses, the parameters or the signs show; None if there is none."""
    allowed = run.config.doctor.not_finite == "skip"
    return (
        diagnose_losses(progress.losses, run.num_features)
        or diagnose_non_finite(0.0 if allowed else record[NOT_FINITE], bool(is_finite(state.replace(best=None))))
        or (diagnose_signs(observation.signs) if observation else None)
    )


def _run_epoch(
    stage: Stage, state: TrainState, progress: Progress, context: RunContext
) -> Generator[EpochRequest, tuple[TrainState, Metrics], tuple[TrainState, Progress, dict[str, Any]]]:
    """Requests one epoch; returns the state and progress after it, and its record of metrics."""
    started = time.perf_counter()
    extra_arrays = {name: make_array(state, context.x) for name, make_array in stage.extra_arrays.items()}
    step, skipped = int(state.step), skipped_steps(state)
    factor = float(state.rate_factor) * float(stage.schedule(step))
    rates = {name: factor * rate for name, rate in stage.learning_rates.items()}
    best = state.best  # the epoch's program has no part for it
    state, metrics = yield EpochRequest(stage, state.replace(best=None), extra_arrays)
    means = {name: float(value) for name, value in metrics.items()}
    seconds = time.perf_counter() - started
    progress = progress.next_epoch(means["loss"], seconds)
    state, progress = context.held_out.note(stage, state.replace(best=best), progress, extra_arrays)
    record = {
        "stage": stage.name,
        "epoch": progress.epoch,
        "total_epochs": progress.total_epochs,
        "step": int(state.step),
        **means,
        **rates,
        **({"held_out_loss": progress.held_out_losses[-1]} if progress.held_out_losses else {}),
        "samples_per_second": (int(state.step) - step) * stage.batch_size / seconds,
        _SKIPPED: skipped_steps(state) - skipped,
    }
    return state, progress, record


def _describe(signs: Signs, changed: float) -> dict[str, float]:
    """Returns the metrics of the watched rows."""
    return {
        "effective_clusters": signs.effective_clusters,
        "smallest_cluster": float(signs.occupancy.min()),
        "active_units": signs.active_units,
        "confidence": signs.confidence,
        "changed": changed,
    }
