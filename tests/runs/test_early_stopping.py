"""A stage ends when the loss of held-out rows no longer falls, and its best epoch counts."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.runs import assert_same_bits, tiny
from sklearn.datasets import load_wine

from benchmarks.run_difference import difference
from vade_jax.commands.train import train
from vade_jax.data.dataset import make_dataset
from vade_jax.data.scaling import Scaling
from vade_jax.data.sources import Source
from vade_jax.runs.early_stopping import _mean_loss
from vade_jax.runs.metrics_log import Tracker, read_metrics
from vade_jax.runs.progress import BEGINNING
from vade_jax.runs.run import read_run
from vade_jax.runs.saved_model import load_autoencoder
from vade_jax.training.objectives import WEIGHTS
from vade_jax.training.train_state import TrainState

ROWS = Source({"train": make_dataset(load_wine().data, None, "wine")})


_EPOCHS, _PATIENCE = 200, 40


def wine(**changes):
    config = tiny(
        data__name="file",
        data__scaling="standardize",
        model__likelihood="gaussian_shared",
        model__num_clusters=3,
        model__hidden=(32, 32),
        optimizer__early_stopping="on",
        pretrain__num_epochs=_EPOCHS,
        pretrain__learning_rate=2e-2,
        guide__num_rounds=1,
    )
    for name, value in changes.items():
        section, field = name.split("__")
        config[section][field] = value
    return config


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    folder = tmp_path_factory.mktemp("early") / "run"
    train(wine(), folder, ROWS)
    return folder


def held_out_losses(folder, stage):
    return [record["held_out_loss"] for record in read_metrics(folder / "metrics.jsonl") if record["stage"] == stage]


def test_a_stage_ends_when_it_has_fallen_behind_for_a_fifth_of_its_epochs(stopped):
    losses = held_out_losses(stopped, "pretrain")
    assert np.argmin(losses) + 1 + _PATIENCE <= len(losses) < _EPOCHS


def test_its_best_epoch_counts(stopped, tmp_path):
    """With a constant rate, a stage of just so many epochs has the same parameters."""
    best = int(np.argmin(held_out_losses(stopped, "pretrain"))) + 1
    train(wine(pretrain__num_epochs=best, optimizer__early_stopping="off"), tmp_path / "best", ROWS)
    expected, found = (load_autoencoder(read_run(folder)).params for folder in (tmp_path / "best", stopped))
    assert_same_bits(found["encoder"], expected["encoder"])
    assert_same_bits(found["decoder"], expected["decoder"])


@pytest.mark.parametrize("before_the_end", [0, _PATIENCE])
def test_a_run_that_is_cut_off_ends_like_an_undisturbed_one(stopped, tmp_path, monkeypatch, before_the_end):
    """Also if it is cut off after the best epoch, and if it is cut off in the epoch after which the stage ends."""
    cut, real = len(held_out_losses(stopped, "pretrain")) - before_the_end, Tracker.log

    def log_then_stop(self, record, bar):
        real(self, record, bar)
        if record["total_epochs"] == cut:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Tracker, "log", log_then_stop)
        with pytest.raises(KeyboardInterrupt):
            train(wine(checkpoint__every_epochs=1), tmp_path / "cut", ROWS)
    train(wine(checkpoint__every_epochs=1), tmp_path / "cut", ROWS)
    assert difference(stopped, tmp_path / "cut") == "same"


def test_runs_side_by_side_end_early_each_by_itself(tmp_path):
    config = wine()
    config.num_runs = 2
    train(config, tmp_path, ROWS)
    for seed in (0, 1):
        losses = held_out_losses(tmp_path / f"seed{seed}", "pretrain")
        assert np.argmin(losses) + 1 + _PATIENCE <= len(losses) < _EPOCHS


def test_the_loss_of_moving_targets_ends_no_stage(tmp_path):
    train(wine(train__objective="dec", guide__num_rounds=0, pretrain__num_epochs=2), tmp_path, ROWS)
    records = read_metrics(tmp_path / "metrics.jsonl")
    assert [record["stage"] for record in records if "held_out_loss" not in record] == ["cluster"] * 3


@pytest.mark.parametrize(
    ("losses", "num_epochs", "over"),
    [
        ([], 3, False),
        ([3.0, 2.0], 10, False),
        ([2.0] + [3.0] * 5, 10, False),
        ([2.0] + [3.0] * 6, 10, True),
        ([2.0] + [3.0] * 6, 40, False),
        ([2.0] + [3.0] * 8, 40, True),
        ([2.0] * 7, 10, False),
        ([2.0] + [2.4] * 7, 10, False),
        ([2.0] + [3.0] * 5 + [2.4], 10, False),
        ([2.0] + [3.0] * 5 + [math.nan], 10, True),
        ([math.nan] + [math.inf] * 8, 10, False),
        ([math.inf, 2.0] + [math.nan] * 6, 10, True),
    ],
)
def test_when_a_stage_is_over(losses, num_epochs, over):
    progress = BEGINNING._replace(epoch=len(losses), held_out_losses=losses, held_out_error=0.5)
    assert progress.is_over(num_epochs) == over
    assert progress._replace(epoch=num_epochs).is_over(num_epochs)


@pytest.mark.parametrize(
    ("losses", "behind"),
    [([], False), ([2.0], False), ([2.0, 2.4], False), ([2.0, 2.6], True), ([2.0, math.nan], True)],
)
def test_when_the_best_epoch_counts(losses, behind):
    assert BEGINNING._replace(held_out_losses=losses, held_out_error=0.5).is_behind_best == behind


@pytest.mark.parametrize("weights", [None, np.array([1.0, 0, 3, 2], np.float32)], ids=["equal", "weighted"])
def test_the_mean_loss_and_its_standard_error(weights):
    x = np.array([[1.0], [2.0], [4.0], [9.0]], np.float32)
    state = TrainState.create(
        {"a": jnp.float32(2)}, jax.random.key(0), Scaling(jnp.zeros((1, 1)), jnp.full((1, 1), 0.5))
    )

    def objective(params, batch, keys, step):
        return params["a"] * batch["x"][:, 0] + step.astype(np.float32), {}

    batch = {"x": x} if weights is None else {"x": x, WEIGHTS: weights}
    mean, error = _mean_loss(objective)(state, batch, jax.random.split(jax.random.key(0), 4), np.int32(3))
    shares = np.ones(4) / 4 if weights is None else weights / weights.sum()
    expected = shares @ (x[:, 0] + 3)
    np.testing.assert_allclose(mean, expected, rtol=1e-6)
    np.testing.assert_allclose(error, np.sqrt(np.sum((shares * (x[:, 0] + 3 - expected)) ** 2)), rtol=1e-6)
