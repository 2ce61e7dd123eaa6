"""A run through its stages, watched, mended where it goes wrong, and resumed where it stopped."""

import time
from collections.abc import Generator
from typing import NamedTuple

import jax
import numpy as np

from vade_jax.runs.checkpoints import Checkpoints
from vade_jax.runs.metrics_log import Tracker
from vade_jax.runs.progress import BEGINNING, Progress
from vade_jax.runs.run import KeyUse, Run, initial_state
from vade_jax.runs.saved_model import save_model
from vade_jax.runs.stages import Stage, make_stages
from vade_jax.runs.treatment import SKIP, RunContext, apply_cure, record_treatment
from vade_jax.runs.watched_rows import Watch
from vade_jax.system import processes, signals
from vade_jax.system.devices import replicate
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
from vade_jax.training.train_state import TrainState, start_stage

_SKIPPED = "skipped_steps"


class EpochRequest(NamedTuple):
    """An epoch that a run asks for.

    Attributes:
      stage: the stage it belongs to.
      state: before it; whoever trains it may donate it.
      rows: name -> [N, ...] on the host, what the run adds to the data for the objective's batches.
    """

    stage: Stage
    state: TrainState
    rows: dict[str, np.ndarray]


# Yields the epochs that a run asks for, takes the state after each and its mean metrics, and returns the state after
# every stage and the progress made.
TrainingSteps = Generator[EpochRequest, tuple[TrainState, Metrics], tuple[TrainState, Progress]]


def train_run(run: Run, x: np.ndarray, quiet: bool = False) -> TrainingSteps:
    """A run through its stages, from the latest checkpoint on. Reads no label.

    Who trains its epochs, and beside which other runs, is left to the caller; see `sweep.fit`.

    Args:
      run: settings, folder and model.
      x: [N, D], the rows to cluster, as stored.
      quiet: whether it shows no progress bars.

    Returns:
      The course.

    Raises:
      DivergedError: training collapsed or its loss ran away, and no cure helped.
      Interrupted: a signal came while it trained; the state is saved.
    """
    stages = make_stages(run)
    names = [stage.name for stage in stages]
    state = initial_state(run)
    state = replicate(start_stage(state, stages[0].tx, state.key))
    folder = run.folder / "checkpoints"
    with (
        processes.writable_folder(run.folder) as written,
        Checkpoints(folder, run.config.checkpoint.keep, exclusive=True) as checkpoints,
    ):
        watch = Watch(run._replace(folder=written), x, sum(stage.num_epochs for stage in stages))
        state, progress = checkpoints.restore(state) or (state, BEGINNING)
        with Tracker(written, progress.total_epochs, quiet) as tracker:
            tools = RunContext(run, x, watch, tracker, checkpoints)
            for number, stage in enumerate(stages):
                ended = (progress.stage, progress.epoch) == (stage.name, stage.num_epochs)
                if ended or progress.stage in names[number + 1 :]:
                    continue
                if progress.stage != stage.name:
                    started = time.perf_counter()
                    begun = stage.begin(state, x)
                    progress = progress.spent("initialize", time.perf_counter() - started)
                    if begun is None:
                        continue
                    key = jax.random.fold_in(run.key(KeyUse.STAGES), number)
                    state = replicate(start_stage(begun, stage.tx, key, run.config.optimizer.rate_factor))
                    progress = progress.next_stage(stage.name)
                    checkpoints.save(state, progress)
                state, progress = yield from _run_stage(tools, stage, state, progress)
    save_model(run, state, progress)
    return state, progress


def _run_stage(tools, stage, state, progress):
    """The state after the stage's remaining epochs; saved on the way and at the end, where it is sound."""
    every = tools.run.config.checkpoint.every_epochs
    with tools.tracker.stage(stage.name, stage.num_epochs, progress.epoch) as bar:
        while progress.epoch < stage.num_epochs:
            with signals.defer_signals():
                state, progress, record = yield from _run_epoch(stage, state, progress, tools.x)
                state, progress, saved = _inspect_epoch(tools, stage, state, progress, record, bar)
                scheduled = progress.epoch in (*range(0, stage.num_epochs, every), stage.num_epochs)
                number = processes.max_over_processes(signals.pending_signal())
                if (scheduled or number) and not saved:
                    tools.checkpoints.save(state, progress, scheduled)
            if number:
                raise signals.Interrupted(number)
    return state, progress


def _inspect_epoch(tools, stage, state, progress, record, bar):
    """The state and progress after an epoch was looked at, logged, and mended if need be; whether that saved them."""
    view = tools.watch.view(state) if stage.has_clusters else None
    signs = compute_signs(view.responsibilities, view.z_mean, view.z_var) if view else None
    if signs:
        record |= _describe(signs, tools.watch.record(progress.total_epochs, signs.clusters))
    tools.tracker.log(record, bar)
    if skipped := record[_SKIPPED]:
        progress = record_treatment(progress, Diagnosis("not_finite", f"the gradient of {skipped} steps"), SKIP)
    allowed = tools.run.config.doctor.not_finite == "skip"
    diagnosis = (
        diagnose_losses(progress.losses, tools.run.num_features)
        or diagnose_non_finite(0.0 if allowed else record[NOT_FINITE], bool(is_finite(state)))
        or (signs and diagnose_signs(signs))
    )
    if not diagnosis:
        return state, progress, False
    return apply_cure(tools, stage, diagnosis, state, progress, signs, view, bar)


def _run_epoch(stage: Stage, state, progress, x):
    """The state and progress after one more epoch, and its record."""
    started = time.perf_counter()
    rows = {name: of_state(state, x) for name, of_state in stage.rows.items()}
    step, factor, skipped = int(state.step), float(state.rate_factor), skipped_steps(state)
    rates = {name: factor * float(rate(step)) for name, rate in stage.learning_rates.items()}
    state, metrics = yield EpochRequest(stage, state, rows)
    means = {name: float(value) for name, value in metrics.items()}
    seconds = time.perf_counter() - started
    progress = progress.next_epoch(means["loss"], seconds)
    record = {
        "stage": stage.name,
        "epoch": progress.epoch,
        "total_epochs": progress.total_epochs,
        "step": int(state.step),
        **means,
        **rates,
        "samples_per_second": (int(state.step) - step) * stage.batch_size / seconds,
        _SKIPPED: skipped_steps(state) - skipped,
    }
    return state, progress, record


def _describe(signs: Signs, changed: float):
    return {
        "effective_clusters": signs.effective_clusters,
        "smallest_cluster": float(signs.occupancy.min()),
        "active_units": signs.active_units,
        "confidence": signs.confidence,
        "changed": changed,
    }
