"""SIGTERM and SIGINT: training saves a checkpoint and then exits; any other code exits at once."""

import contextlib
import os
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_GRACE = 5.0  # seconds until the process is ended by force


class Interrupted(KeyboardInterrupt):
    """A signal asked the program to exit.

    Attributes:
      status: the exit status of the program: 143 for SIGTERM, 130 for SIGINT.
    """

    def __init__(self, number: int):
        """Makes the message for a signal number."""
        self.status = 128 + number
        super().__init__(f"{signal.Signals(number).name}: run the same command again to resume")


_deferring = threading.local()  # depth: of the contexts that the thread is in; signals interrupt the main thread
_received: list[int] = []


def pending_signal() -> int:
    """The number of the signal that was received while deferred; 0 for none."""
    return _received[0] if _received else 0


@contextmanager
def defer_signals() -> Iterator[None]:
    """A context that signals do not interrupt; the code in it checks `pending_signal` itself."""
    _deferring.depth = _depth() + 1
    try:
        yield
    finally:
        _deferring.depth -= 1


def _depth() -> int:
    """In how many contexts of `defer_signals` the calling thread is."""
    return getattr(_deferring, "depth", 0)


def _handle(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    if not _depth():
        raise Interrupted(number)


@contextmanager
def handle_signals() -> Iterator[None]:
    """A context in which signals raise Interrupted; for the main thread.

    A device call cannot be interrupted, and the main thread runs no Python during it. So a second thread also receives
    the signal. It ends the process if an epoch or a compilation takes longer than the grace period. The next process
    then repeats the work since the last checkpoint.
    """
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    previous_handlers = {number: signal.signal(number, _handle) for number in _SIGNALS}
    previous_fd = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_exit_if_slow, args=(receiver,), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(previous_fd)
        for number, handler in previous_handlers.items():
            signal.signal(number, handler)
        sender.close()
        _received.clear()


def exit_after_grace(status: int) -> None:
    """Ends the process with this status after the grace period, without more words on the screen.

    The threads of libraries may keep it alive after an error, and report errors that follow from it.
    """
    sys.excepthook = sys.unraisablehook = threading.excepthook = _show_nothing
    warnings.simplefilter("ignore")
    timer = threading.Timer(_GRACE, os._exit, (status,))
    timer.daemon = True
    timer.start()


def _show_nothing(*_: object) -> None:
    pass


def _exit_if_slow(receiver: socket.socket) -> None:
    """Ends the process after the grace period or at a second signal; returns if the sender is closed before."""
    with receiver:
        if not (number := _next_signal(receiver)):
            return
        deadline = time.monotonic() + _GRACE
        with contextlib.suppress(TimeoutError):
            if not _next_signal(receiver, deadline):
                return
    print(f"error: {Interrupted(number)}", file=sys.stderr, flush=True)
    os._exit(128 + number)


def _next_signal(receiver: socket.socket, deadline: float | None = None) -> int:
    """The number of the next signal that ends a run; others are passed over. 0 if the sender is closed.

    Raises:
      TimeoutError: there is none until the deadline, by `time.monotonic`; None waits without end.
    """
    while True:
        receiver.settimeout(None if deadline is None else max(1e-3, deadline - time.monotonic()))
        received = receiver.recv(1)
        if not received or received[0] in _SIGNALS:
            return received[0] if received else 0
