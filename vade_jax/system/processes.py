"""Processes that train one run together, on one host or on several: who writes, and where they wait for each other.

Every process goes through the same run with its own devices; process 0 finds clusters, writes and scores.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from vade_jax.system.console import print_line
from vade_jax.system.errors import InputError

AUTO = "auto"
_HEARTBEAT = 30  # seconds after which a process that is silent is given up


def initialize_distributed(coordinator: str, num_processes: int, process_id: int) -> None:
    """Makes this process one of several; to be called before any computation.

    Args:
      coordinator: 'HOST:PORT' where process 0 listens, or 'auto' for what JAX finds out itself: under SLURM, Open MPI,
        on a TPU pod slice, in a Kubernetes job.
      num_processes: of the run; not read for 'auto'.
      process_id: of this one, from 0; not read for 'auto'.

    Raises:
      InputError: they cannot be joined.
    """
    address, count, number = (None, None, None) if coordinator == AUTO else (coordinator, num_processes, process_id)
    try:
        jax.distributed.initialize(address, count, number, heartbeat_timeout_seconds=_HEARTBEAT)
    except (RuntimeError, ValueError) as error:
        raise InputError(
            "coordinator",
            f"{coordinator!r}: {error}",
            "it must be HOST:PORT of process 0, or 'auto' where JAX knows the cluster",
            "Start every process with the same --coordinator and --num_processes, and each with its own --process_id.",
        ) from error
    if is_first():
        print_line(
            f"{jax.process_count()} processes, {jax.device_count()} devices; where a process ends, the others end "
            "within a minute, and the same commands go on"
        )


def is_first() -> bool:
    """Whether this is the process that writes."""
    return jax.process_index() == 0


def is_distributed() -> bool:
    """Whether there are more processes than this one."""
    return jax.process_count() > 1


def barrier(place: str) -> None:
    """Waits until every process is at the same place."""
    if is_distributed():
        multihost_utils.sync_global_devices(place)


def on_first_process(work: Callable[[], Any], place: str) -> None:
    """Work whose outcome is in files: process 0 does it, and the others wait until it is done."""
    if is_first():
        work()
    barrier(place)


def max_over_processes(value: int) -> int:
    """The largest of a number that each process has."""
    return int(np.max(multihost_utils.process_allgather(np.int32(value)))) if is_distributed() else value


@contextmanager
def writable_folder(folder: Path) -> Iterator[Path]:
    """The folder for process 0; for the others one that nobody reads, and that goes with the context."""
    if is_first():
        yield folder
        return
    with tempfile.TemporaryDirectory() as scratch:
        yield Path(scratch)
