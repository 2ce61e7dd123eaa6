"""What a run reports while it trains: metrics.jsonl, TensorBoard events and a progress bar for each stage."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm

from vade_jax.runs import tensorboard_events
from vade_jax.system import console
from vade_jax.system.atomic_files import atomic_write, exists
from vade_jax.system.errors import damaged_file_errors

METRICS = "metrics.jsonl"


class Tracker:
    """Writes one record per epoch to metrics.jsonl, and advances the stage's progress bar.

    With tensorboardX it also writes TensorBoard's events.
    """

    def __init__(self, workdir: Path, total_epochs: int, quiet: bool = False):
        """Opens the files, and drops records of epochs after total_epochs, because the run does these epochs again.

        The TensorBoard events are rewritten from the records that remain.

        Args:
          workdir: an existing folder.
          total_epochs: number of epochs that the run has done.
          quiet: whether no progress bars are shown.
        """
        self._workdir = workdir
        self._quiet = quiet
        self._last: dict[str, Any] = {}  # the record of the last epoch of the stage
        self._open(total_epochs)

    def _open(self, total_epochs: int) -> None:
        path = self._workdir / METRICS
        kept = [record for record in read_metrics(path) if record["total_epochs"] <= total_epochs]
        write_metrics(path, kept)
        with ExitStack() as files:
            self._file = files.enter_context(path.open("a"))
            self._events = None
            if tensorboard_events.INSTALLED:
                events = tensorboard_events.EventFile(self._workdir / "tensorboard", kept)
                self._events = files.enter_context(closing(events))
            self._files = files.pop_all()

    def rewind(self, total_epochs: int, num_epochs: int, bar: tqdm) -> None:
        """Drops the records of epochs after total_epochs, and sets the bar back to num_epochs of the stage."""
        self._files.close()
        self._open(total_epochs)
        bar.n = num_epochs
        bar.refresh()

    @contextmanager
    def stage(self, name: str, num_epochs: int, start: int) -> Iterator[tqdm]:
        """Yields a progress bar over the stage's epochs. Prints a line at the end where bars are not shown."""
        started, self._last = time.perf_counter(), {}
        with console.progress_bar(total=num_epochs, initial=start, desc=name, unit="epoch", disable=self._quiet) as bar:
            yield bar
        if self._last and console.shows_lines():
            done, loss, seconds = self._last["epoch"], self._last["loss"], time.perf_counter() - started
            console.print_line(f"{name}: {done} of {num_epochs} epochs, loss {loss:.2f}, {seconds:.0f} s")

    def log(self, record: dict[str, Any], bar: tqdm) -> None:
        """Writes an epoch's record, and shows its loss.

        Args:
          record: 'stage', 'epoch', 'total_epochs', 'step' and numbers by name.
          bar: the stage's progress bar.
        """
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()
        self._last = record
        if self._events is not None:
            self._events.log(record)
        bar.set_postfix(loss=f"{record['loss']:.2f}", refresh=False)
        bar.update()

    def __enter__(self) -> "Tracker":
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()


def write_metrics(path: Path, records: Sequence[dict[str, Any]]) -> None:
    """Writes records as a metrics.jsonl, a line for each."""
    with atomic_write(path) as partial:
        partial.write_text("".join(json.dumps(record) + "\n" for record in records))


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Returns the records of a metrics.jsonl, up to the first damaged line; [] if there is no file."""
    with damaged_file_errors(path):
        lines = path.read_text(errors="replace").splitlines() if exists(path) else []
    records = []
    for line in lines:
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            break
        if not isinstance(record, dict) or not {"stage", "total_epochs"} <= record.keys():
            break
        records.append(record)
    return records
