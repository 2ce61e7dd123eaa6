"""A run through its stages, watched, mended where it goes wrong, and resumed where it stopped."""

import time
from collections.abc import Generator
from typing import NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from vade_jax import hosts, interruption
from vade_jax.checkpoints import BEGINNING, Checkpoints, Progress
from vade_jax.devices import replicate
from vade_jax.errors import DivergedError
from vade_jax.health import (
    Diagnosis,
    Signs,
    diagnose_losses,
    diagnose_numbers,
    diagnose_signs,
    empty_clusters,
    read_signs,
)
from vade_jax.moves import refill
from vade_jax.objectives import Metrics
from vade_jax.optimizer import skipped_steps
from vade_jax.progress import say
from vade_jax.run import Run, Use, initial_state
from vade_jax.saved_model import save_model
from vade_jax.stages import Stage, make_stages
from vade_jax.tracking import Tracker
from vade_jax.train_state import TrainState, start_stage
from vade_jax.training import NOT_FINITE, is_finite
from vade_jax.watch import View, Watch

_SKIPPED = "skipped_steps"
_SKIP = "skip"
_RETREAT_FACTOR = 0.2  # on the learning rates of a stage that goes on from its last good state
_REMEDY = (
    "Set --config.optimizer.rate_factor=0.1, for lower learning rates, or --config.optimizer.max_grad_norm=1000, in "
    "another workdir."
)


class _Tools(NamedTuple):
    """What every stage of a run works with."""

    run: Run
    x: np.ndarray
    watch: Watch
    tracker: Tracker
    checkpoints: Checkpoints


class Epoch(NamedTuple):
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
Course = Generator[Epoch, tuple[TrainState, Metrics], tuple[TrainState, Progress]]


def course(run: Run, x: np.ndarray, quiet: bool = False) -> Course:
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
        hosts.own(run.folder) as written,
        Checkpoints(folder, run.config.checkpoint.keep, alone=True) as checkpoints,
    ):
        watch = Watch(run._replace(folder=written), x, sum(stage.num_epochs for stage in stages))
        state, progress = checkpoints.restore(state) or (state, BEGINNING)
        with Tracker(written, progress.total_epochs, quiet) as tracker:
            tools = _Tools(run, x, watch, tracker, checkpoints)
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
                    key = jax.random.fold_in(run.key(Use.STAGES), number)
                    state = replicate(start_stage(begun, stage.tx, key, run.config.optimizer.rate_factor))
                    progress = progress.next_stage(stage.name)
                    checkpoints.save(state, progress)
                state, progress = yield from _through_stage(tools, stage, state, progress)
    save_model(run, state, progress)
    return state, progress


def _through_stage(tools, stage, state, progress):
    """The state after the stage's remaining epochs; saved on the way and at the end, where it is sound."""
    every = tools.run.config.checkpoint.every_epochs
    with tools.tracker.stage(stage.name, stage.num_epochs, progress.epoch) as bar:
        while progress.epoch < stage.num_epochs:
            with interruption.deferred():
                state, progress, record = yield from _through_epoch(stage, state, progress, tools.x)
                state, progress, saved = _watched(tools, stage, state, progress, record, bar)
                due = progress.epoch in (*range(0, stage.num_epochs, every), stage.num_epochs)
                number = hosts.largest(interruption.requested())
                if (due or number) and not saved:
                    tools.checkpoints.save(state, progress, due)
            if number:
                raise interruption.Interrupted(number)
    return state, progress


def _watched(tools, stage, state, progress, record, bar):
    """The state and progress after an epoch was looked at, logged, and mended if need be; whether that saved them."""
    view = tools.watch.view(state) if stage.has_clusters else None
    signs = read_signs(view.responsibilities, view.z_mean, view.z_var) if view else None
    if signs:
        record |= _describe(signs, tools.watch.put_down(progress.total_epochs, signs.clusters))
    tools.tracker.log(record, bar)
    if skipped := record[_SKIPPED]:
        progress = _note(progress, Diagnosis("not_finite", f"the gradient of {skipped} steps"), _SKIP)
    allowed = tools.run.config.doctor.not_finite == "skip"
    diagnosis = (
        diagnose_losses(progress.losses, tools.run.num_features)
        or diagnose_numbers(0.0 if allowed else record[NOT_FINITE], bool(is_finite(state)))
        or (signs and diagnose_signs(signs))
    )
    if not diagnosis:
        return state, progress, False
    return _treat(tools, stage, diagnosis, state, progress, signs, view, bar)


def _through_epoch(stage: Stage, state, progress, x):
    """The state and progress after one more epoch, and its record."""
    started = time.perf_counter()
    rows = {name: of_state(state, x) for name, of_state in stage.rows.items()}
    step, factor, skipped = int(state.step), float(state.rate_factor), skipped_steps(state)
    rates = {name: factor * float(rate(step)) for name, rate in stage.learning_rates.items()}
    state, metrics = yield Epoch(stage, state, rows)
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


def _treat(
    tools: _Tools,
    stage: Stage,
    diagnosis: Diagnosis,
    state,
    progress: Progress,
    signs: Signs | None,
    view: View | None,
    bar: tqdm,
):
    """The state and progress after the cure of a diagnosis, and whether they are those of an earlier epoch."""
    before = [
        treatment
        for treatment in progress.treatments
        if treatment["stage"] == progress.stage and treatment["cure"] != _SKIP
    ]
    if diagnosis.name == "empty_clusters" and any(treatment["cure"] == "none" for treatment in before):
        return state, progress, False  # known in this stage, and the bound would rather have it so
    if len(before) < tools.run.config.doctor.max_cures:
        prior = _refilled(tools.run, diagnosis, state, signs, view) if stage.can_refill else None
        if prior is not None:
            progress = _note(progress, diagnosis, "refill")
            return replicate(state.replace(params={**state.params, "prior": prior})), progress, False
        if diagnosis.name != "empty_clusters":
            return *_retreat(tools, state, _note(progress, diagnosis, "retreat"), bar), True
    progress = _note(progress, diagnosis, "none")
    if diagnosis.name == "empty_clusters":
        return state, progress, False
    raise DivergedError(
        f"{diagnosis.name} in epoch {progress.epoch} of stage '{progress.stage}': {diagnosis.detail}, after "
        f"{len(before)} cures; the last checkpoint is whole. {_REMEDY}",
        progress.treatments,
    )


def _refilled(run, diagnosis, state, signs, view):
    """The prior with its empty clusters refilled, or None where that is no cure or does not raise the bound."""
    if diagnosis.name == "empty_clusters":
        empty = empty_clusters(signs)
    elif diagnosis.name in ("one_cluster", "uniform_responsibilities"):
        empty = np.argsort(-signs.occupancy, kind="stable")[1:]
    else:
        return None
    prior, gain = refill(state.params["prior"], view.z_mean, view.z_var, empty, run.config.seed)
    return prior if gain > 0 else None


def _retreat(tools, state, progress, bar):
    """The last state that was saved, and its progress, with lower learning rates from there on."""
    good, then = tools.checkpoints.restore(state, due=True)
    good = replicate(good.replace(rate_factor=_RETREAT_FACTOR * state.rate_factor))
    then = then._replace(seconds=progress.seconds, treatments=progress.treatments)
    tools.tracker.rewind(then.total_epochs, then.epoch, bar)
    tools.checkpoints.save(good, then)
    return good, then


def _note(progress, diagnosis, cure):
    line = f"{progress.stage}, epoch {progress.epoch}: {diagnosis.name} ({diagnosis.detail}); cure: {cure}"
    say(line)
    return progress.treated(diagnosis.name, diagnosis.detail, cure)
