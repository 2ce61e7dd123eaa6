"""A run's TensorBoard events. They are written if tensorboardX is installed: the extra tensorboard."""

import math
import socket
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vade_jax.system.process_wide import undone_import_effects

try:
    with undone_import_effects():
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.record_writer import RecordWriter
        from tensorboardX.summary import scalar
    INSTALLED = True
except ImportError:
    INSTALLED = False

_SECONDS_UNTIL_SHOWN = 10.0  # from an event to when it is in its file


class EventFile:
    """The file of events in a folder, which replaces the earlier ones there."""

    def __init__(self, folder: Path, records: Iterable[dict[str, Any]]):
        """Creates the file, and writes the events of the records that there are already."""
        for events in folder.glob("events.out.tfevents.*"):
            events.unlink()  # its last event may be incomplete, or of an epoch that is done again
        folder.mkdir(exist_ok=True)
        # SummaryWriter writes in a thread. On a full disk that ends unseen, and the run waits for it without end.
        self._file = RecordWriter(str(folder / f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}"))
        self._flushed_at = time.monotonic()
        try:
            self._write(Event(file_version="brain.Event:2"))
            for record in records:
                self._plot(record)
        except BaseException:
            self.close()
            raise

    def log(self, record: dict[str, Any]) -> None:
        """Writes an event for each finite number of an epoch's record."""
        self._plot(record)
        if time.monotonic() > self._flushed_at + _SECONDS_UNTIL_SHOWN:
            self._file.flush()
            self._flushed_at = time.monotonic()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _plot(self, record: dict[str, Any]) -> None:
        for name, value in record.items():
            if name not in ("stage", "epoch", "total_epochs", "step") and math.isfinite(value):
                summary = scalar(f"{record['stage']}/{name}", value)
                self._write(Event(step=record["total_epochs"], summary=summary))

    def _write(self, event: "Event") -> None:
        event.wall_time = time.time()
        self._file.write(event.SerializeToString())
