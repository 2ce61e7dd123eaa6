"""Runs of one config that differ in seeds and learning rates, trained in turn or side by side."""

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
from vade_jax.system import console, processes
from vade_jax.system.devices import replicate
from vade_jax.system.errors import DivergedError
from vade_jax.system.precision import matmul_precision
from vade_jax.system.signals import Interrupted
from vade_jax.training.data_feed import Feed
from vade_jax.training.epoch import EpochProgram, make_epoch, make_epoch_of_runs
from vade_jax.training.train_state import TrainState

_MIB = 2**20
Outcome = tuple[TrainState, Progress] | DivergedError


def train_runs(runs: Sequence[Run], x: np.ndarray, side_by_side: bool | None = None) -> Iterator[tuple[Run, Outcome]]:
    """Trains runs that differ in their seeds and learning rates alone. Reads no label.

    Side by side, the epochs of all runs are one device call, with the runs as one more axis of every array. That fills
    a GPU that one run leaves idle. On a CPU, which one run fills, on rows that are streamed, and where several
    processes train together, the runs are taken in turn.

    Args:
      runs: at least one.
      x: [N, D], the rows to cluster, as stored.
      side_by_side: None for what suits the device.

    Yields:
      Each run with its state and progress, or with what it failed of, as soon as it ends.
    """
    options = runs[0].config.data
    feed = Feed(x, options.max_resident_mib * _MIB, options.shard_mib * _MIB)
    if side_by_side is None:
        side_by_side = jax.default_backend() != "cpu"
    possible = feed.resident and len(runs) > 1 and not processes.is_distributed()
    return (_side_by_side if side_by_side and possible else _sequentially)(runs, x, feed)


def _sequentially(runs, x, feed):
    with _Programs(runs[0], feed) as programs:  # runs share what was compiled
        for number, run in enumerate(runs):
            if len(runs) > 1:
                console.print_line(f"{run.folder.name} ({number + 1} of {len(runs)})")
            asks = _with_outcome(train_run(run, x))
            answer = None
            while isinstance(ask := asks.send(answer), EpochRequest):
                epoch = programs.epoch(ask.stage, ask.state)
                answer = feed.train(epoch, ask.state, ask.rows, ask.stage.batch_size)
            if isinstance(ask, Interrupted):
                raise ask
            yield run, ask


class _Programs:
    """The epochs of stages. Those of later stages are compiled while the first one that is asked for trains."""

    def __init__(self, run: Run, feed: Feed):
        self._stages = make_stages(run)
        self._products = functools.partial(matmul_precision, run.config.precision)
        self._feed = feed
        self._programs: dict[str, Callable[[], EpochProgram]] = {}  # by stage; each waits until it is compiled
        self._pool = ThreadPoolExecutor(max_workers=1)

    def __enter__(self) -> "_Programs":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def epoch(self, stage: Stage, state: TrainState) -> EpochProgram:
        """The stage's epoch, for a state like this."""
        if stage.name not in self._programs:
            program = make_epoch(stage.objective, stage.tx, stage.batch_size)  # is compiled by its first call
            self._programs[stage.name] = lambda: program
            names = [other.name for other in self._stages]
            shapes = jax.eval_shape(lambda tree: tree, state)  # the state itself may be gone by then
            ahead = self._feed.resident and not processes.is_distributed()  # pmap cannot do it for several processes
            for later in self._stages[names.index(stage.name) + 1 :] if ahead else ():
                if later.num_epochs and later.name not in self._programs:
                    self._programs[later.name] = self._pool.submit(self._compile, later, shapes).result
        return self._programs[stage.name]()

    def _compile(self, stage, shapes):
        x, num_clusters = self._feed.x, shapes.params["prior"].means.shape[0]
        program = make_epoch(stage.objective, stage.tx, stage.batch_size)
        with self._products():
            of_clusters = jax.ShapeDtypeStruct((len(x), num_clusters), np.float32)
            program.compile(shapes, {"x": x, **dict.fromkeys(stage.rows, of_clusters)})
        return program


def _side_by_side(runs, x, feed):
    names = [stage.name for stage in make_stages(runs[0])]
    epochs: dict[str, Callable] = {}
    courses = [_with_outcome(train_run(run, x, quiet=True)) for run in runs]
    asked: dict[int, EpochRequest] = {}
    answers: dict[int, Any] = dict.fromkeys(range(len(runs)))
    interrupted: Interrupted | None = None  # of the runs that trained an epoch together, each saves before all leave
    with console.progress_bar(desc=f"{len(runs)} runs", unit="epoch") as bar:
        while True:
            for number, answer in answers.items():
                ask = courses[number].send(answer)
                if isinstance(ask, EpochRequest):
                    asked[number] = ask
                elif isinstance(ask, Interrupted):
                    interrupted = ask
                else:
                    yield runs[number], ask
            if interrupted:
                raise interrupted
            if not asked:
                return
            # The stage that is least advanced: the others wait, so that all runs go through each stage together.
            name = min((ask.stage.name for ask in asked.values()), key=names.index)
            group = [number for number, ask in asked.items() if ask.stage.name == name]
            if name not in epochs:
                stage = asked[group[0]].stage
                epochs[name] = make_epoch_of_runs(stage.objective, stage.tx, stage.batch_size, len(runs))
            states, rows = zip(*((ask.state, ask.rows) for ask in map(asked.pop, group)), strict=True)
            answers = dict(zip(group, epochs[name](states, feed.x, replicate(rows)), strict=True))
            bar.set_postfix(stage=name, refresh=False)
            bar.update()


def _with_outcome(steps: TrainingSteps) -> Generator[EpochRequest | Outcome | Interrupted]:
    """The course's epochs, and its outcome as the last one."""
    try:
        outcome: Outcome | Interrupted = yield from steps
    except (DivergedError, Interrupted) as error:
        outcome = error
    yield outcome
