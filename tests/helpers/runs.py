"""Small runs, and comparisons of their results."""

import jax
import numpy as np
import pytest

from vade_jax.configs import base
from vade_jax.runs import saved_model
from vade_jax.runs.metrics_log import Tracker
from vade_jax.runs.run import initial_state
from vade_jax.runs.stages import make_stages
from vade_jax.system.devices import replicate
from vade_jax.training.train_state import start_stage


def tiny(**changes):
    config = base.get_config()
    config.report = False
    config.model.update(hidden=(16,), latent_dim=3)
    config.pretrain.update(num_epochs=3, batch_size=64)
    config.init.method = "gmm"
    config.init.soft_neighbors = 0
    config.guide.update(num_rounds=0, num_epochs=3, batch_size=64)
    config.align.update(num_epochs=0, batch_size=64)
    config.train.update(num_epochs=3, batch_size=64, learning_rate=1e-3, estimator="sample")
    # A constant rate, so that stages of any number of epochs are the same program, which is compiled once.
    config.optimizer.update(min_steps=0, schedule="constant", early_stopping="off")
    config.init.num_restarts = 2
    config.evaluate.update(bound_samples=5, bound_rows=50)
    config.checkpoint.every_epochs = 2
    for name, value in changes.items():
        section, field = name.split("__")
        config[section][field] = value
    return config


def fields(**changes):
    """The settings as nested sections, with changes by section__field."""
    nested = base.get_config().to_dict()
    nested["model"]["hidden"] = (16,)
    nested["optimizer"]["early_stopping"] = "off"
    nested["init"]["method"] = "manifold"
    for name, value in changes.items():
        section, _, field = name.rpartition("__")
        (nested[section] if section else nested)[field] = value
    return nested


def params_of(folder):
    _, state, _ = saved_model.restore(folder)
    return jax.tree.map(np.asarray, state.params)


def training_template(run):
    """A state of the structure that training checkpoints have, with an optimizer."""
    state = initial_state(run)
    return replicate(start_stage(state, make_stages(run)[0].tx, state.key))


def contents(folder):
    """The bytes of every file in a folder and below, by path, without locks."""
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file() and path.name != ".lock"}


def assert_same_bits(left, right):
    jax.tree.map(np.testing.assert_array_equal, left, right)


def stop_after(total_epochs, monkeypatch, run):
    """Calls run, and interrupts it after it has logged epoch total_epochs + 1."""
    real = Tracker.log

    def log_then_stop(self, record, bar):
        real(self, record, bar)
        if record["total_epochs"] == total_epochs + 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Tracker, "log", log_then_stop)
        with pytest.raises(KeyboardInterrupt):
            run()
