"""A fork of a process that has used JAX is refused: it would hang."""

import os

import pytest

from vade_jax.system import forks
from vade_jax.system.errors import InputError


def test_the_process_that_used_jax_first_may_use_it_again(monkeypatch):
    monkeypatch.setattr(forks, "_first_user", None)
    forks.check_not_forked()
    forks.check_not_forked()


def test_a_fork_of_it_may_not(monkeypatch):
    monkeypatch.setattr(forks, "_first_user", os.getppid())
    with pytest.raises(InputError, match=r"^process: got a fork of a process that has used JAX, .*'spawn'.*'loky'"):
        forks.check_not_forked()
