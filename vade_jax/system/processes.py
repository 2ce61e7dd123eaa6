"""Several processes that train one run, on one host or on several.

Every process trains the same run on its own devices. Process 0 also finds the clusters, writes the files and computes
the scores.
"""

import itertools
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax._src import distributed  # not public, but nothing else knows which processes are missing at a barrier
from jax.experimental import multihost_utils

from vade_jax.system.console import print_line
from vade_jax.system.errors import InputError

AUTO = "auto"
_HEARTBEAT = 30  # seconds without a sign of life after which a process counts as dead
_STALL = 60  # seconds at a barrier after which the processes that are missing are printed, at first
_TEXT_BYTES = 1000  # one length, so that one program is compiled
_barrier_numbers = itertools.count()  # every process comes to the same barriers in the same order


def initialize_distributed(coordinator: str, num_processes: int, process_id: int) -> None:
    """Connects this process to the others of the run. Call it before any computation.

    Args:
      coordinator: 'HOST:PORT' where process 0 listens. With 'auto' JAX detects the cluster: SLURM, Open MPI, a TPU pod
        slice or a Kubernetes job.
      num_processes: the number of processes; ignored for 'auto'.
      process_id: the number of this process, from 0; ignored for 'auto'.

    Raises:
      InputError: the processes cannot be connected.
    """
    address, count, number = (None, None, None) if coordinator == AUTO else (coordinator, num_processes, process_id)
    try:
        jax.distributed.initialize(address, count, number, heartbeat_timeout_seconds=_HEARTBEAT)
    except (RuntimeError, ValueError) as error:
        raise InputError(
            "coordinator",
            f"{coordinator!r}, which failed ({error})",
            "HOST:PORT of process 0, or 'auto' on a cluster that JAX detects",
            "Start every process with the same --coordinator and --num_processes, and each with its own --process_id.",
        ) from error
    multihost_utils.sync_global_devices("joined")  # connects the devices: later a process may come 30 seconds too late
    if is_first():
        print_line(
            f"{jax.process_count()} processes, {jax.device_count()} devices. If a process stops, the others stop "
            "within a minute; run the same commands again to resume."
        )


def is_first() -> bool:
    """Whether this is process 0, which writes the files."""
    return jax.process_index() == 0


def is_distributed() -> bool:
    """Whether several processes train the run."""
    return jax.process_count() > 1


def barrier(name: str) -> None:
    """Waits until every process has reached the barrier of this name. After a minute it prints which have not."""
    if not is_distributed():
        return
    number, seconds = next(_barrier_numbers), _STALL
    for attempt in itertools.count():
        missing = _missing_at_barrier(f"{name}/{number}/{attempt}", seconds)
        if not missing:
            return
        print(f"waiting at '{name}' for {_named(missing)}, {seconds} seconds more", file=sys.stderr, flush=True)
        seconds *= 2


def _missing_at_barrier(identity: str, seconds: int) -> list[str]:
    """Waits at a barrier that fails for every process after some seconds; returns the processes that did not come.

    A process that comes later fails at it at once, and goes on to the next attempt, where the others are.
    """
    client = distributed.global_state.client
    assert client is not None  # there are several processes
    try:
        client.wait_at_barrier(identity, 1000 * seconds)
    except jax.errors.JaxRuntimeError as error:
        _, timed_out, names = str(error).partition("timed out task names:")
        if not timed_out:
            raise
        return re.findall(r"^\d+$", names, re.MULTILINE) or ["?"]
    return []


def _named(processes: list[str]) -> str:
    """The numbers of processes in words."""
    return f"process{'es' if len(processes) > 1 else ''} {', '.join(processes)}"


def on_first_process(task: Callable[[], Any], name: str) -> None:
    """Runs a task on process 0 while the others wait. Its results must be in files, where all can read them."""
    if is_first():
        task()
    barrier(name)


def max_over_processes(value: int) -> int:
    """The maximum of the processes' values."""
    if not is_distributed():
        return value
    barrier("epoch")
    return int(np.max(multihost_utils.process_allgather(np.int32(value))))


def decided_by_first(text: str) -> str:
    """The text of process 0, on every process; its first 1,000 bytes.

    What is decided by numbers that processes compute by themselves could differ by their rounding.
    """
    if not is_distributed():
        return text
    encoded = np.zeros(_TEXT_BYTES, np.uint8)
    content = np.frombuffer(text.encode()[:_TEXT_BYTES], np.uint8)
    encoded[: len(content)] = content
    return bytes(np.asarray(of_first(encoded))).rstrip(b"\0").decode(errors="ignore")


def of_first(arrays: Any) -> Any:
    """The arrays of process 0 in a pytree, on every process, as NumPy arrays if there are several."""
    return multihost_utils.broadcast_one_to_all(arrays) if is_distributed() else arrays


@contextmanager
def writable_folder(folder: Path) -> Iterator[Path]:
    """Yields the folder on process 0, and a temporary folder on the others, whose files are not needed."""
    if is_first():
        yield folder
        return
    with tempfile.TemporaryDirectory() as scratch:
        yield Path(scratch)
