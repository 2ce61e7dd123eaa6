"""Trains runs of one config that differ in seeds and learning rates, one after another or side by side."""

import contextlib
import functools
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np

from vade_jax.runs.progress import Progress
from vade_jax.runs.run import Run
from vade_jax.runs.stages import Stage, make_stages
from vade_jax.runs.train_one_run import EpochRequest, TrainingSteps, train_run
from vade_jax.runs.treatment import EpochCallback
from vade_jax.system import console, processes
from vade_jax.system.devices import replicate
from vade_jax.system.errors import DivergedError
from vade_jax.system.precision import matmul_precision
from vade_jax.system.signals import Interrupted
from vade_jax.training.data_feed import Feed
from vade_jax.training.epoch import EpochProgram, make_epoch, make_epoch_of_runs
from vade_jax.training.objectives import WEIGHTS, Batch, Metrics
from vade_jax.training.train_state import TrainState

_MIB = 2**20
# (states, x, each run's extra arrays, learning rates) -> each run's state after the epoch and its metrics
EpochOfRuns = Callable[[Sequence[TrainState], jax.Array, Sequence[Batch], Any], list[tuple[TrainState, Metrics]]]
Outcome = tuple[TrainState, Progress] | DivergedError


def train_runs(
    runs: Sequence[Run],
    x: np.ndarray,
    side_by_side: bool | None = None,
    callbacks: Sequence[EpochCallback] = (),
) -> Iterator[tuple[Run, Outcome]]:
    """Trains runs that differ only in their seeds and learning rates. Reads no label.

    Side by side, the epochs of all runs are one device call, and every array has the runs as an additional axis. This
    keeps a GPU busy that one run does not fill. The runs are trained one after another on a CPU by default, and always
    if the rows and every run's extra arrays are more than `data.max_resident_mib`, or if several processes train
    together.

    Args:
      runs: at least one.
      x: [N, D], the rows to cluster, as stored.
      side_by_side: whether to train side by side if possible; None for True except on a CPU.
      callbacks: called after each epoch of each run, see `train_one_run.train_run`.

    Yields:
      Each run with its state and progress, or with the DivergedError that ended it, as soon as it ends.
    """
    options = runs[0].config.data
    max_resident, extra_bytes = options.max_resident_mib * _MIB, _extra_bytes(runs[0], len(x))
    feed = Feed(x, max_resident, options.shard_mib * _MIB, runs[0].held_out_rows, extra_bytes)
    if side_by_side is None:
        side_by_side = jax.default_backend() != "cpu"
    all_fit = x.nbytes + len(runs) * extra_bytes <= max_resident
    possible = all_fit and len(runs) > 1 and not processes.is_distributed()
    return (_side_by_side if side_by_side and possible else _sequentially)(runs, x, feed, callbacks)


def _extra_bytes(run: Run, num_rows: int) -> int:
    """Returns the bytes of the extra arrays [N, K] that the devices hold beside x in a stage of the run, at most."""
    most = max(len(stage.extra_arrays) for stage in make_stages(run))
    return most * num_rows * run.config.model.num_clusters * np.dtype(np.float32).itemsize


def _sequentially(
    runs: Sequence[Run], x: np.ndarray, feed: Feed, callbacks: Sequence[EpochCallback]
) -> Iterator[tuple[Run, Outcome]]:
    with _Programs(runs[0], feed) as programs:  # all runs share the compiled programs
        for number, run in enumerate(runs):
            if len(runs) > 1:
                console.print_line(f"{run.folder.name} ({number + 1} of {len(runs)})")
            answer = None
            # Closed now if an epoch raises: at the exit of the interpreter the checkpoints can no longer be closed.
            with contextlib.closing(_with_outcome(train_run(run, x, callbacks=callbacks))) as steps:
                while isinstance(step := steps.send(answer), EpochRequest):
                    epoch = functools.partial(programs.epoch(step.stage, step.state), rates=step.stage.rates)
                    answer = feed.train(
                        epoch, step.state, step.extra_arrays, step.stage.batch_size, step.stage.num_passes
                    )
            if isinstance(step, Interrupted):
                raise step
            yield run, step


class _Programs:
    """The compiled epochs of the stages. Later stages are compiled while the first requested one trains."""

    def __init__(self, run: Run, feed: Feed):
        self._stages = make_stages(run)
        self._precision = functools.partial(matmul_precision, run.config.precision)
        self._feed = feed
        self._compiled: dict[EpochProgram, Callable[[], None]] = {}  # a call waits until the program is compiled
        self._pool = ThreadPoolExecutor(max_workers=1)

    def __enter__(self) -> "_Programs":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def epoch(self, stage: Stage, state: TrainState) -> EpochProgram:
        """Returns the stage's epoch, for a state of these shapes."""
        program = self._make_epoch(stage)
        if program not in self._compiled:
            self._compiled[program] = lambda: None  # by its first call
            names = [other.name for other in self._stages]
            shapes = jax.eval_shape(lambda tree: tree, state)  # the state itself may be donated by then
            # pmap cannot compile ahead if there are several processes
            can_compile_ahead = self._feed.resident and not processes.is_distributed()
            for later in self._stages[names.index(stage.name) + 1 :] if can_compile_ahead else ():
                ahead = self._make_epoch(later)
                if later.num_epochs and ahead not in self._compiled:
                    self._compiled[ahead] = self._pool.submit(self._compile, later, ahead, shapes).result
        self._compiled[program]()
        return program

    def _make_epoch(self, stage: Stage) -> EpochProgram:
        num_passes = stage.num_passes if self._feed.resident else 1  # a program has one shard of streamed rows
        return make_epoch(stage.objective, stage.tx, stage.batch_size, num_passes)

    def _compile(self, stage: Stage, program: EpochProgram, shapes: TrainState) -> None:
        """Compiles the stage's epoch for a state of these shapes."""
        x, num_clusters = self._feed.x, shapes.params["prior"].means.shape[0]
        with self._precision():
            extra_shapes = {
                name: (len(x),) if name == WEIGHTS else (len(x), num_clusters) for name in stage.extra_arrays
            }
            extra_arrays = {name: jax.ShapeDtypeStruct(shape, np.float32) for name, shape in extra_shapes.items()}
            program.compile(shapes, {"x": x, **extra_arrays}, stage.rates)


def _side_by_side(
    runs: Sequence[Run], x: np.ndarray, feed: Feed, callbacks: Sequence[EpochCallback]
) -> Iterator[tuple[Run, Outcome]]:
    names = [stage.name for stage in make_stages(runs[0])]
    epochs: dict[str, EpochOfRuns] = {}
    requests: dict[int, EpochRequest] = {}
    answers: dict[int, Any] = dict.fromkeys(range(len(runs)))
    interrupted: Interrupted | None = None  # raised only after every run of the last epoch has saved its state
    with contextlib.ExitStack() as started, console.progress_bar(desc=f"{len(runs)} runs", unit="epoch") as bar:
        steps_of_runs = [
            started.enter_context(contextlib.closing(_with_outcome(train_run(run, x, True, callbacks)))) for run in runs
        ]
        while True:
            for number, answer in answers.items():
                step = steps_of_runs[number].send(answer)
                if isinstance(step, EpochRequest):
                    requests[number] = step
                elif isinstance(step, Interrupted):
                    interrupted = step
                else:
                    yield runs[number], step
            if interrupted:
                raise interrupted
            if not requests:
                return
            # The earliest requested stage is trained; runs in later stages wait, so all runs share each stage's calls.
            name = min((request.stage.name for request in requests.values()), key=names.index)
            group = [number for number, request in requests.items() if request.stage.name == name]
            stage = requests[group[0]].stage
            if name not in epochs:
                epochs[name] = make_epoch_of_runs(
                    stage.objective, stage.tx, stage.batch_size, len(runs), stage.num_passes
                )
            states, extra_arrays = zip(
                *((request.state, request.extra_arrays) for request in map(requests.pop, group)), strict=True
            )
            own_arrays = replicate([*map(feed.trained_rows, extra_arrays)])
            answers = dict(zip(group, epochs[name](states, feed.x, own_arrays, stage.rates), strict=True))
            bar.set_postfix(stage=name, refresh=False)
            bar.update()


def _with_outcome(steps: TrainingSteps) -> Generator[EpochRequest | Outcome | Interrupted, Any, None]:
    """Yields the epoch requests of a run, and then its outcome."""
    try:
        outcome: Outcome | Interrupted = yield from steps
    except (DivergedError, Interrupted) as error:
        outcome = error
    yield outcome
