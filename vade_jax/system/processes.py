"""Several processes that train one run, on one host or on several.

Every process trains the same run on its own devices. Process 0 also finds the clusters, writes the files and computes
the scores.
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
_HEARTBEAT = 30  # seconds without a sign of life after which a process counts as dead


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
    """Waits until every process has reached the barrier of this name."""
    if is_distributed():
        multihost_utils.sync_global_devices(name)


def on_first_process(task: Callable[[], Any], name: str) -> None:
    """Runs a task on process 0 while the others wait. Its results must be in files, where all can read them."""
    if is_first():
        task()
    barrier(name)


def max_over_processes(value: int) -> int:
    """The maximum of the processes' values."""
    return int(np.max(multihost_utils.process_allgather(np.int32(value)))) if is_distributed() else value


@contextmanager
def writable_folder(folder: Path) -> Iterator[Path]:
    """Yields the folder on process 0, and a temporary folder on the others, whose files are not needed."""
    if is_first():
        yield folder
        return
    with tempfile.TemporaryDirectory() as scratch:
        yield Path(scratch)
