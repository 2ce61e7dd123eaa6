"""SIGTERM and SIGINT: a run that trains saves where it is and leaves; at any other moment it leaves at once."""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_GRACE = 5.0  # seconds that an epoch may go on for


class Interrupted(KeyboardInterrupt):
    """A signal asked the program to leave.

    Attributes:
      status: that the program ends with, 143 for SIGTERM and 130 for SIGINT.
    """

    def __init__(self, number: int):
        """Takes the signal's number."""
        self.status = 128 + number
        super().__init__(f"{signal.Signals(number).name}: the same command goes on from where this one stopped")


_deferring = 0
_requested: list[int] = []


def pending_signal() -> int:
    """The number of a signal that came while it was deferred; 0 for none."""
    return _requested[0] if _requested else 0


@contextmanager
def defer_signals() -> Iterator[None]:
    """A context that a signal does not break into: what runs in it asks whether one was `requested`."""
    global _deferring
    _deferring += 1
    try:
        yield
    finally:
        _deferring -= 1


def _note(number: int, frame: FrameType | None) -> None:
    _requested.append(number)
    if not _deferring:
        raise Interrupted(number)


@contextmanager
def handle_signals() -> Iterator[None]:
    """A context, of the main thread, in which signals interrupt; one that does not end in time ends the process.

    A device call cannot be broken off, and no Python runs in the main thread meanwhile: a thread of its own hears of
    the signal, and ends the process where an epoch, or a compilation, takes longer than the seconds of grace. What was
    done since the last checkpoint is done again by the next process.
    """
    hears, tells = socket.socketpair()
    tells.setblocking(False)
    before = {number: signal.signal(number, _note) for number in _SIGNALS}
    told_before = signal.set_wakeup_fd(tells.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_leave_in_time, args=(hears,), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(told_before)
        for number, handler in before.items():
            signal.signal(number, handler)
        tells.close()
        _requested.clear()


def exit_after_grace(status: int) -> None:
    """Ends the process with the status in some seconds, if it has not ended: a library's thread may wait longer."""
    timer = threading.Timer(_GRACE, os._exit, (status,))
    timer.daemon = True
    timer.start()


def _leave_in_time(hears: socket.socket) -> None:
    """Ends the process some seconds after a signal, or at a second one; returns where the other end is closed."""
    with hears:
        if not (heard := hears.recv(1)):
            return
        hears.settimeout(_GRACE)
        with contextlib.suppress(TimeoutError):
            if not hears.recv(1):
                return
    print(f"error: {Interrupted(heard[0])}", file=sys.stderr, flush=True)
    os._exit(128 + heard[0])
