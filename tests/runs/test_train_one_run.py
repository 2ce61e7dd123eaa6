"""Every provoked collapse is diagnosed, cured and recorded, or ends the run if no cure helps."""

import json
import os
import signal

import jax.numpy as jnp
import numpy as np
import pytest
from helpers.collapses import break_loss_once, scaled
from helpers.runs import assert_same_bits, params_of, tiny, training_template

from benchmarks.run_difference import difference
from vade_jax.commands.train import train
from vade_jax.initialization import methods
from vade_jax.initialization.methods import Clustering
from vade_jax.networks.encoders_decoders import with_constant_log_var
from vade_jax.runs import stage_starts
from vade_jax.runs.checkpoints import Checkpoints
from vade_jax.runs.metrics_log import Tracker, read_metrics
from vade_jax.runs.progress import BEGINNING
from vade_jax.runs.run import read_run
from vade_jax.runs.train_one_run import _with_stages
from vade_jax.system import signals
from vade_jax.system.errors import DivergedError, InputError
from vade_jax.training import objectives
from vade_jax.training.epoch import is_finite


@pytest.mark.parametrize(("value", "name"), [(float("nan"), "not_finite"), (1e6, "exploding_loss")])
def test_a_diverged_loss_rolls_back_and_lowers_the_learning_rate(tmp_path, monkeypatch, value, name):
    break_loss_once(monkeypatch, value, "cluster", 3)
    results = train(tiny(checkpoint__every_epochs=2), tmp_path)
    (treatment,) = results["treatments"]
    assert (treatment["stage"], treatment["epoch"]) == ("cluster", 3)
    assert (treatment["diagnosis"], treatment["cure"]) == (name, "retreat")
    records = read_metrics(tmp_path / "metrics.jsonl")
    assert [record["total_epochs"] for record in records] == [1, 2, 3, 4, 5, 6]
    assert all(np.isfinite(record["loss"]) for record in records)
    rates = [record["learning_rate"] for record in records]
    assert rates[5] < 0.25 * rates[4]
    assert np.isfinite(results["elbo"])


def test_a_run_stopped_after_a_rollback_resumes_to_the_same_result(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        break_loss_once(patch, float("nan"), "cluster", 3)
        train(tiny(checkpoint__every_epochs=2), tmp_path / "uninterrupted")
    real = Tracker.log

    def log_then_stop(self, record, bar):
        real(self, record, bar)
        if record["total_epochs"] == 6 and record["learning_rate"] < 5e-4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        break_loss_once(patch, float("nan"), "cluster", 3)
        patch.setattr(Tracker, "log", log_then_stop)
        with pytest.raises(KeyboardInterrupt):
            train(tiny(checkpoint__every_epochs=2), tmp_path / "stopped")
    results = train(tiny(checkpoint__every_epochs=2), tmp_path / "stopped")
    assert [treatment["cure"] for treatment in results["treatments"]] == ["retreat"]
    assert_same_bits(params_of(tmp_path / "stopped"), params_of(tmp_path / "uninterrupted"))


def noting_checkpoints(monkeypatch):
    """A list of the stage, the epoch and whether it is scheduled, of every training checkpoint that is saved."""
    saved, save = [], Checkpoints.save

    def note_and_save(self, state, progress, scheduled=True):
        if state.opt_state is not None:  # a training checkpoint
            saved.append((progress.stage, progress.epoch, scheduled))
        save(self, state, progress, scheduled)

    monkeypatch.setattr(Checkpoints, "save", note_and_save)
    return saved


def stop_by_signal(monkeypatch, total_epochs):
    """Sends this process SIGTERM when that epoch is logged."""
    monkeypatch.setattr(signals, "_GRACE", 600.0)  # a busy machine must not end the tests
    real = Tracker.log

    def log_then_signal(self, record, bar):
        real(self, record, bar)
        if record["total_epochs"] == total_epochs:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Tracker, "log", log_then_signal)


@pytest.fixture(scope="module")
def signalled(tmp_path_factory):
    """A run that SIGTERM stopped in its first epoch and that was resumed, and the checkpoints before and after."""
    folder = tmp_path_factory.mktemp("signalled") / "run"
    with pytest.MonkeyPatch.context() as patch:
        before = noting_checkpoints(patch)
        stop_by_signal(patch, 1)
        with pytest.raises(signals.Interrupted, match="SIGTERM"), signals.handle_signals():
            train(tiny(), folder)
    with pytest.MonkeyPatch.context() as patch:
        after = noting_checkpoints(patch)
        train(tiny(), folder)
    return folder, before, after


def test_a_signal_saves_after_the_current_epoch(signalled):
    assert signalled[1] == [("pretrain", 0, True), ("pretrain", 1, False)]


def test_checkpoints_are_saved_every_so_many_epochs_and_at_the_end_of_each_stage(signalled):
    epochs = [("pretrain", 2), ("pretrain", 3), ("cluster", 0), ("cluster", 2), ("cluster", 3)]
    assert signalled[2] == [(stage, epoch, True) for stage, epoch in epochs]


def test_a_run_that_a_signal_stopped_ends_like_an_undisturbed_one(signalled, digits_run):
    assert difference(digits_run[0], signalled[0]) == "same"


PLAN = ["pretrain", "guide1", "guide2", "cluster"]


@pytest.mark.parametrize(
    ("begun", "names", "is_allowed"),
    [
        ([], ["pretrain", "cluster"], True),
        (PLAN[:1], ["pretrain", "cluster"], True),
        (PLAN[:2], ["pretrain", "guide1", "align", "cluster"], True),
        (PLAN[:3], ["pretrain", "guide1", "guide2", "guide3", "cluster"], True),
        (PLAN[:3], ["pretrain", "guide1", "cluster"], False),
        (PLAN, PLAN, True),
        (PLAN, ["pretrain", "guide1", "cluster"], False),
        (PLAN, ["pretrain", "guide1", "guide2", "guide3", "cluster"], False),
        (PLAN, ["pretrain", "guide1", "guide2", "align", "cluster"], False),
    ],
)
def test_settings_must_keep_the_stages_that_a_run_has_begun(begun, names, is_allowed):
    progress = BEGINNING
    for name in begun:
        progress = progress.next_stage(name)
    if is_allowed:
        assert _with_stages(progress, names).stages == begun
    else:
        with pytest.raises(
            InputError, match=rf"^resume: .* {', '.join(names)}, expected .* begun: {', '.join(begun)}\."
        ):
            _with_stages(progress, names)


def test_checkpoints_of_older_versions_have_the_stages_of_the_settings():
    old = BEGINNING._replace(stage="guide2", stages=())
    assert _with_stages(old, PLAN).stages == PLAN[:3]
    with pytest.raises(InputError, match="begun: guide2"):
        _with_stages(old, ["pretrain", "cluster"])


def start_from(monkeypatch, memberships):
    """Makes clustering return a function of a mixture's memberships."""
    gmm = methods.METHODS["gmm"]

    def method(embeddings, options):
        return Clustering(memberships(gmm(embeddings, options).memberships), [0.0])

    monkeypatch.setitem(methods.METHODS, "gmm", method)


def join_two(memberships):
    joined = memberships.copy()
    joined[:, 0] += joined[:, 1]
    joined[:, 1] = 0
    return joined


SOUND = {
    "model__hidden": (64,),
    "model__latent_dim": 5,
    "pretrain__num_epochs": 20,
    "train__num_epochs": 2,
    "checkpoint__every_epochs": 10,
}


@pytest.mark.parametrize(
    ("memberships", "name"),
    [
        (join_two, "empty_clusters"),
        (lambda memberships: np.eye(10)[np.zeros(len(memberships), int)], "one_cluster"),
        (lambda memberships: np.full_like(memberships, 0.1), "uniform_responsibilities"),
    ],
)
def test_collapsed_clusters_are_refilled(tmp_path, monkeypatch, memberships, name):
    start_from(monkeypatch, memberships)
    results = train(tiny(**SOUND, train__estimator="optimal"), tmp_path)
    first = results["treatments"][0]
    assert (first["stage"], first["epoch"], first["diagnosis"], first["cure"]) == ("cluster", 1, name, "refill")
    assert min(results["occupancy"]) > 10
    assert results["accuracy"] > 0.4


def test_an_empty_cluster_stays_if_refilling_does_not_raise_the_bound(tmp_path, monkeypatch):
    start_from(monkeypatch, join_two)
    monkeypatch.setattr("vade_jax.runs.treatment.refill_empty_clusters", lambda prior, *_: (prior, 0.0))
    saved = noting_checkpoints(monkeypatch)
    results = train(tiny(**SOUND | {"checkpoint__every_epochs": 1}), tmp_path)
    (treatment,) = results["treatments"]
    assert (treatment["diagnosis"], treatment["cure"]) == ("empty_clusters", "none")
    assert np.isfinite(results["elbo"])
    assert [epoch for stage, epoch, _ in saved if stage == "cluster"] == [0, 1, 2]


def test_an_inactive_latent_space_ends_the_run(tmp_path, monkeypatch, capsys):
    def asleep(encoder, log_var):
        params = with_constant_log_var(encoder, log_var)["params"]
        return {"params": {**params, "z_mean": scaled(params["z_mean"], 0)}}

    monkeypatch.setattr(stage_starts, "with_constant_log_var", asleep)
    config = tiny(pretrain__num_epochs=0, train__learning_rate=1e-9, doctor__max_cures=1)
    with pytest.raises(
        DivergedError, match=r"^inactive_latent in epoch 1 of stage 'cluster': no latent .* after 1 cures"
    ):
        train(config, tmp_path)
    left = json.loads((tmp_path / "results.json").read_text())
    assert [treatment["cure"] for treatment in left["treatments"]] == ["retreat", "none"]
    assert "cluster, epoch 1: inactive_latent" in capsys.readouterr().out


def test_a_collapse_is_only_reported_if_no_cure_is_allowed(tmp_path, monkeypatch):
    start_from(monkeypatch, join_two)
    results = train(tiny(**SOUND | {"doctor__max_cures": 0}), tmp_path)
    (treatment,) = results["treatments"]  # once, though the cluster stays empty
    assert (treatment["diagnosis"], treatment["cure"]) == ("empty_clusters", "none")
    assert results["occupancy"].count(0) >= 1


def test_numbers_that_are_not_finite_end_a_run_without_cures(tmp_path, monkeypatch):
    break_gradients(monkeypatch, every=1797 // 64 - 1)
    with pytest.raises(DivergedError, match="not_finite in epoch 1 of stage 'pretrain'"):
        train(tiny(pretrain__num_epochs=1, doctor__max_cures=0), tmp_path)


def break_gradients(monkeypatch, every):
    """Makes the autoencoder's loss have a gradient that is not finite in every n-th step; its value stays finite."""
    real = objectives.PRETRAINING["autoencoder"]

    def make(model, kl_weight):
        objective = real(model, kl_weight)

        def broken(params, batch, keys, step):
            loss, metrics = objective(params, batch, keys, step)
            is_broken = step % every == 1
            root = jnp.sqrt(jnp.where(is_broken, 0.0 * params["prior"].logits[0], 1.0))
            return loss + jnp.where(is_broken, root, 0.0), metrics

        return broken

    monkeypatch.setitem(objectives.PRETRAINING, "autoencoder", make)


def test_gradients_that_are_not_finite_are_skipped_and_counted(tmp_path, monkeypatch):
    break_gradients(monkeypatch, every=10)
    results = train(tiny(doctor__not_finite="skip", optimizer__schedule="cosine"), tmp_path)
    records = read_metrics(tmp_path / "metrics.jsonl")
    steps = 1797 // 64
    skipped = [record["skipped_steps"] for record in records]
    assert skipped == [sum(step % 10 == 1 for step in range(n * steps, (n + 1) * steps)) for n in range(3)] + [0] * 3
    told = [(treatment["epoch"], treatment["detail"], treatment["cure"]) for treatment in results["treatments"]]
    assert told == [(n + 1, f"the gradient of {skipped[n]} steps", "skip") for n in range(3)]
    assert np.isfinite(results["elbo"])


def test_parameters_that_are_not_finite_are_never_saved(tmp_path, monkeypatch):
    """The epoch's loss is finite; only the gradient of its last step is not."""
    break_gradients(monkeypatch, every=1797 // 64 - 1)
    with pytest.raises(DivergedError, match="not_finite in epoch 1 of stage 'pretrain'"):
        train(tiny(pretrain__num_epochs=1, doctor__max_cures=1), tmp_path)
    with Checkpoints(tmp_path / "checkpoints", 9) as checkpoints:
        run = read_run(tmp_path)
        for number in checkpoints.steps():
            assert bool(is_finite(checkpoints.restore(training_template(run), number)[0]))
