"""Collapses that tests provoke."""

import jax
import numpy as np

from vade_jax.runs import train_one_run
from vade_jax.runs.train_one_run import _run_epoch


def break_loss_once(monkeypatch, value, stage, epoch):
    """Makes one epoch of a stage report this loss and NaN parameters, the first time that it is trained."""
    real, made = _run_epoch, []

    def through_epoch(at, state, progress, rows):
        state, then, record = yield from real(at, state, progress, rows)
        if at.name == stage and then.epoch == epoch and not made:
            made.append(True)
            state = state.replace(params={**state.params, "encoder": scaled(state.params["encoder"], np.nan)})
            record, then = {**record, "loss": value}, then._replace(losses=[*then.losses[:-1], value])
        return state, then, record

    monkeypatch.setattr(train_one_run, "_run_epoch", through_epoch)


def scaled(tree, factor):
    return jax.tree.map(lambda leaf: leaf * np.float32(factor), tree)
