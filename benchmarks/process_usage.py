"""Runs a command in a separate process and measures it: wall seconds, CPU seconds and peak memory.

Linux counts the memory of the process that starts a command towards the command's peak. A benchmark is large, because
it imports JAX. So this file is also a small program that imports little and starts the command in its place.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def run(command: Sequence[str], folder: Path, limit_s: float) -> tuple[dict[str, Any], str]:
    """Runs a command and waits for it.

    Args:
      command: the program and its arguments.
      folder: the working directory.
      limit_s: it is killed after this many seconds.

    Returns:
      'wall_s', 'cpu_s' (user and system, of the process and its children) and 'peak_mib' (resident memory of the
      largest of these processes), and 'failure' if the exit status is not 0; and what it wrote to its standard output.
    """
    launcher = [sys.executable, "-I", "-S", __file__, str(limit_s), *command]
    answer = subprocess.run(launcher, cwd=folder, capture_output=True, check=True)
    output, _, last = answer.stdout.decode().rstrip("\n").rpartition("\n")
    usage = json.loads(last)
    status, timed_out = usage.pop("status"), usage.pop("timed_out")
    if timed_out:
        usage["failure"] = f"killed after {limit_s:g} s"
    elif status:
        usage["failure"] = _failure(status, answer.stderr.decode(errors="replace"))
    return usage, output


def _failure(status: int, errors: str) -> str:
    """Why a process ended: the signal, the last line of its errors that is no progress bar, or its exit status."""
    if status < 0:
        return f"ended by {signal.Signals(-status).name}"
    lines = [line for line in errors.split("\n") if line.strip() and "\r" not in line]
    return lines[-1].strip() if lines else f"exit status {status}"


def _launch(limit_s: float, command: list[str]) -> dict[str, float]:
    """Runs a command as a child of this process.

    Returns:
      What `run` returns of it, with 'status', the exit status or minus the signal that ended it, and 'timed_out'.
    """
    started = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ)
    timed_out = threading.Event()

    def kill() -> None:
        timed_out.set()
        os.kill(pid, signal.SIGKILL)

    alarm = threading.Timer(limit_s, kill)
    alarm.start()
    _, status, used = os.wait4(pid, 0)
    alarm.cancel()
    return {
        "status": os.waitstatus_to_exitcode(status),
        "timed_out": timed_out.is_set(),
        "wall_s": round(time.perf_counter() - started, 3),
        "cpu_s": round(used.ru_utime + used.ru_stime, 3),
        "peak_mib": round(used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10), 1),
    }


if __name__ == "__main__":
    print("\n" + json.dumps(_launch(float(sys.argv[1]), sys.argv[2:])))
