"""Signals interrupt at once, or after the epoch in training, and always within the grace period."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from vade_jax.system import signals
from vade_jax.system.signals import Interrupted, defer_signals, handle_signals, pending_signal


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signal_interrupts_at_once(number, status):
    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match=r"run the same command again to resume") as raised, handle_signals():
        os.kill(os.getpid(), number)
    assert raised.value.status == status
    assert signal.getsignal(number) == before


def test_deferred_signal_is_pending():
    with handle_signals():
        assert pending_signal() == 0
        with defer_signals():
            os.kill(os.getpid(), signal.SIGTERM)
            assert pending_signal() == signal.SIGTERM
    assert pending_signal() == 0


def test_handled_signal_does_not_end_the_process(monkeypatch):
    monkeypatch.setattr(signals, "_GRACE", 0.1)
    monkeypatch.setattr(os, "_exit", lambda status: pytest.fail("exited"))
    with pytest.raises(Interrupted), handle_signals():
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.3)


def test_other_signals_end_no_run(monkeypatch):
    monkeypatch.setattr(signals, "_GRACE", 0.1)
    monkeypatch.setattr(os, "_exit", lambda status: pytest.fail("exited"))
    seen = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    try:
        with handle_signals():
            os.kill(os.getpid(), signal.SIGUSR1)
            time.sleep(0.3)
            assert pending_signal() == 0
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen == [signal.SIGUSR1]


def test_a_thread_that_defers_signals_does_not_defer_those_of_the_main_thread():
    deferred, ended = threading.Event(), threading.Event()

    def defer():
        with defer_signals():
            deferred.set()
            ended.wait()

    thread = threading.Thread(target=defer)
    thread.start()
    deferred.wait()
    try:
        with pytest.raises(Interrupted), handle_signals():
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        ended.set()
        thread.join()


def test_the_grace_period_is_five_seconds():
    assert signals._GRACE == 5.0


@pytest.mark.parametrize("second_signal", [False, True])
def test_busy_process_ends_after_the_grace_period_or_a_second_signal(second_signal):
    program = """
import time
from vade_jax.system import signals
signals._GRACE = 2.0
with signals.handle_signals(), signals.defer_signals():
    print("ready", flush=True)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        time.sleep(0.1)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    started = time.monotonic()
    if second_signal:
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stderr == "error: SIGINT: run the same command again to resume\n"
    assert (time.monotonic() - started < 1.5) == second_signal


def test_exit_after_grace_neither_waits_for_threads_nor_shows_their_errors():
    program = """
import sys, threading, time, warnings
from vade_jax.system import signals
signals._GRACE = 0.5
threading.Thread(target=time.sleep, args=(60,)).start()
signals.exit_after_grace(143)
async def wait(): pass
wait()  # Python warns of it
threading.Thread(target=lambda: 1 / 0).start()
sys.exit(143)
"""
    command = [sys.executable, "-c", program]
    process = subprocess.run(command, cwd=Path(__file__).parents[2], timeout=30, check=False, stderr=subprocess.PIPE)
    assert (process.returncode, process.stderr) == (143, b"")
