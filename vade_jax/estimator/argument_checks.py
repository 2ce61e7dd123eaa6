"""Checks of arguments of the estimator that are no settings."""

from collections.abc import Sequence
from typing import Any

from vade_jax.data.annotated_cells import is_cells
from vade_jax.runs.treatment import EpochCallback
from vade_jax.system.errors import InputError


def checked_callbacks(callbacks: Sequence[EpochCallback] | None) -> Sequence[EpochCallback]:
    """Returns the callbacks; raises an InputError if they are no sequence of functions."""
    if callbacks is None:
        return ()
    if not isinstance(callbacks, Sequence) or not all(map(callable, callbacks)):
        raise InputError("callbacks", repr(callbacks), "a list of functions", "Write callbacks=[function].")
    return callbacks


def checked_layer(layer: str, X: Any) -> str:
    """Returns the layer; raises an InputError if X is no AnnData."""
    if not is_cells(X):
        raise InputError("layer", f"{layer!r} for rows of {type(X).__name__}", "None, or an AnnData", "Leave it out.")
    return layer
