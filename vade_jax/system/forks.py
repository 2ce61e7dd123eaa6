"""Refuses to work in a forked process, in which JAX would wait forever: a fork does not copy JAX's threads."""

import os

from vade_jax.system.errors import InputError

_first_user: int | None = None  # the process in which JAX was used first, or a parent of this one


def check_not_forked() -> None:
    """Checks that this process is no fork of one in which JAX was used; call it before JAX is used.

    Raises:
      InputError: it is such a fork.
    """
    global _first_user
    if _first_user is None:
        _first_user = os.getpid()
    if _first_user != os.getpid():
        raise InputError(
            "process",
            "a fork of a process that has used JAX, in which JAX would hang",
            "a process that was started by itself",
            "Use multiprocessing.get_context('spawn'), or joblib's backend 'loky', its default.",
        )
