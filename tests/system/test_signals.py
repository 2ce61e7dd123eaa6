"""Signals: at once outside of training, after the epoch within it, and in any case within seconds."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vade_jax.system import signals
from vade_jax.system.signals import Interrupted, defer_signals, handle_signals, pending_signal


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_interrupts_at_once(number, status):
    before = signal.getsignal(number)
    with pytest.raises(Interrupted, match=r"the same command goes on") as raised, handle_signals():
        os.kill(os.getpid(), number)
    assert raised.value.status == status
    assert signal.getsignal(number) == before


def test_what_defers_it_asks_for_it():
    with handle_signals():
        assert pending_signal() == 0
        with defer_signals():
            os.kill(os.getpid(), signal.SIGTERM)
            assert pending_signal() == signal.SIGTERM
    assert pending_signal() == 0


def test_the_process_goes_on_where_the_signal_was_answered(monkeypatch):
    monkeypatch.setattr(signals, "_GRACE", 0.1)
    monkeypatch.setattr(os, "_exit", lambda status: pytest.fail("left"))
    with pytest.raises(Interrupted), handle_signals():
        os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.3)


@pytest.mark.parametrize("again", [False, True])
def test_a_process_that_cannot_answer_is_left_all_the_same(again):
    program = """
import time
from vade_jax import interruption
interruption._GRACE = 2.0
with interruption.obeyed(), interruption.deferred():
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
    if again:
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said == "error: SIGINT: the same command goes on from where this one stopped\n"
    assert (time.monotonic() - started < 1.5) == again


def test_a_thread_that_waits_does_not_hold_the_end_up():
    program = """
import sys, threading, time
from vade_jax import interruption
interruption._GRACE = 0.5
threading.Thread(target=time.sleep, args=(60,)).start()
interruption.leave_soon(143)
sys.exit(143)
"""
    process = subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[2], timeout=30, check=False)
    assert process.returncode == 143
