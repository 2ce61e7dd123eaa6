"""A run from end to end: its files, that it resumes, and that labels do not affect it."""

import json
import shutil

import jax
import numpy as np
import pytest
from helpers.runs import assert_same_bits, contents, params_of, stop_after, tiny, training_template

from vade_jax.commands import evaluate as evaluate_command
from vade_jax.commands.evaluate import evaluate
from vade_jax.commands.predict import predict
from vade_jax.commands.train import train
from vade_jax.configs import digits
from vade_jax.data import sources
from vade_jax.runs import train_many_runs, workdir
from vade_jax.runs.checkpoints import Checkpoints
from vade_jax.runs.metrics_log import read_metrics
from vade_jax.runs.run import make_run
from vade_jax.system.errors import DivergedError, InputError


@pytest.fixture
def finished(digits_run):
    return digits_run


def test_run_writes_its_results(finished):
    folder, results = finished
    assert json.loads((folder / "results.json").read_text()) == results
    assert json.loads((folder / "config.json").read_text())["model"]["latent_dim"] == 3
    assert (folder / "samples.png").stat().st_size > 1000
    assert list((folder / "tensorboard").iterdir())
    with np.load(folder / "assignments.npz") as answer:
        for name in ("probabilities", "responsibilities"):
            assert answer[name].shape == (1797, 10)
            np.testing.assert_allclose(answer[name].sum(axis=1), 1, rtol=1e-5)
            np.testing.assert_array_equal(answer["cluster"], answer[name].argmax(axis=1))
        assert results["occupancy"] == np.bincount(answer["cluster"], minlength=10).tolist()
    assert results["scored_rows"] == sum(results["occupancy"]) == 1797
    assert 0 < results["input_modularity"] < 1
    assert 0.2 < results["accuracy"] <= 1
    assert 0.2 < results["initialization"]["accuracy"] <= 1
    assert len(results["initialization"]["restart_scores"]) == 2
    assert len(results["rounds"]) == 1
    five = ("log_px_given_z", "log_pz_given_c", "log_pc", "entropy_z", "entropy_c")
    np.testing.assert_allclose(results["elbo"], sum(results[name] for name in five), rtol=1e-5)
    assert results["elbo"] < results["log_likelihood"] < 0
    assert set(results["seconds"]) == {
        "load",
        "pretrain",
        "initialize",
        "cluster",
        "evaluate",
        "total",
        "compile",
    }
    assert results["device"] == {"platform": "cpu", "kind": "cpu", "count": 2}
    assert results["versions"]["jax"] == jax.__version__


def test_metrics_have_a_line_per_epoch_with_every_term(finished):
    folder, _ = finished
    records = read_metrics(folder / "metrics.jsonl")
    assert [(record["stage"], record["epoch"]) for record in records] == [
        (stage, epoch) for stage in ("pretrain", "cluster") for epoch in (1, 2, 3)
    ]
    terms = {"loss", "elbo", "log_px_given_z", "log_pz_given_c", "log_pc", "entropy_z", "entropy_c"}
    assert terms | {"learning_rate", "prior_learning_rate", "samples_per_second"} <= records[-1].keys()
    losses = [record["loss"] for record in records]
    assert losses[2] < losses[0]
    assert losses[5] < losses[3]
    assert [record["step"] for record in records] == [28, 56, 84] * 2


@pytest.mark.parametrize("epochs_before", [1, 3, 5])  # before the first checkpoint, between the stages, in the second
def test_resumed_run_ends_with_the_same_parameters(finished, tmp_path, monkeypatch, epochs_before):
    folder, results = finished
    stop_after(epochs_before, monkeypatch, lambda: train(tiny(), tmp_path / "run"))
    resumed = train(tiny(), tmp_path / "run")
    assert_same_bits(params_of(tmp_path / "run"), params_of(folder))
    assert resumed["elbo"] == results["elbo"]
    records = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert [record["total_epochs"] for record in records] == [1, 2, 3, 4, 5, 6]


def test_stages_have_at_least_min_steps(tmp_path):
    config = tiny(optimizer__min_steps=100, train__num_epochs=1)
    train(config, tmp_path)
    records = read_metrics(tmp_path / "metrics.jsonl")
    # a pass has 28 steps; 4 are needed
    assert [(record["stage"], record["step"]) for record in records] == [
        *(("pretrain", step) for step in (28, 56, 84, 112)),
        ("cluster", 112),
    ]


def test_a_finished_run_says_so_and_returns_its_results(finished, monkeypatch, capfd):
    folder, results = finished
    monkeypatch.setattr(train_many_runs, "make_epoch", lambda *_: pytest.fail("trained"))
    monkeypatch.setattr(evaluate_command, "evaluate_state", lambda *_, **__: pytest.fail("evaluated"))
    before = contents(folder)
    assert train(tiny(), folder) == results
    assert f"{folder} has the results of this command" in capfd.readouterr().out
    assert contents(folder) == before


@pytest.mark.parametrize("lost", ["results.json", "assignments.npz", "damaged results", "other results"])
def test_results_of_a_finished_run_are_made_again_without_training(finished, monkeypatch, tmp_path, lost):
    folder, results = tmp_path / "run", finished[1]
    shutil.copytree(finished[0], folder)
    path = folder / "results.json"
    if lost == "damaged results":
        path.write_text("{")
    elif lost == "other results":  # of settings that were forced on the run after it had ended
        path.write_text(json.dumps(results | {"basis": "of other settings", "accuracy": 0.0}))
    else:
        (folder / lost).unlink()
    monkeypatch.setattr(train_many_runs, "make_epoch", lambda *_: lambda *_: pytest.fail("trained"))
    monkeypatch.setattr(Checkpoints, "save", lambda *_: pytest.fail("saved"))
    again = train(tiny(), folder)
    assert {**again, "seconds": None} == {**results, "seconds": None}
    assert json.loads(path.read_text()) == again


def test_a_finished_run_is_evaluated_again_with_other_settings_of_the_evaluation(finished, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished[0], folder)
    again = train(tiny(evaluate__bound_rows=7), folder)
    assert again["log_likelihood_rows"] == 7
    assert train(tiny(evaluate__bound_rows=7), folder) == again


def test_workdir_of_another_config_is_refused_with_the_differing_fields(finished):
    folder, _ = finished
    before = (folder / "config.json").read_text()
    config = tiny(train__estimator="mean")
    config.seed = 1
    with pytest.raises(InputError, match=r"workdir: .* seed \(0 there, 1 here\), train.estimator \(sample there, mean"):
        train(config, folder)
    assert (folder / "config.json").read_text() == before


def test_evaluate_repeats_the_results_without_training(finished):
    folder, results = finished
    again = evaluate(folder)
    assert {**again, "seconds": None} == {**results, "seconds": None}


def test_predictions_of_training_rows_are_their_assignments(finished, tmp_path):
    folder, _ = finished
    np.save(tmp_path / "x.npy", sources.load("digits").splits["train"].x[:301])
    path = predict(folder, str(tmp_path / "x.npy"), str(tmp_path / "out.npz"))
    with np.load(path) as answer, np.load(folder / "assignments.npz") as training:
        np.testing.assert_array_equal(answer["cluster"], training["cluster"][:301])
        np.testing.assert_allclose(answer["probabilities"], training["probabilities"][:301], atol=1e-5)
        assert answer["log_likelihood"].shape == (301,)
    with np.load(predict(folder, "", "")) as answer:
        assert answer["cluster"].shape == (1797,)


@pytest.mark.parametrize(
    ("array", "output", "words"),
    [
        (np.zeros((3, 63), np.uint8), "out.npz", "config.data.path: got rows of .* with 63 columns, .* model's 64"),
        (np.zeros((3, 64), np.uint8), "out.txt", "config.predict.output: got .*out.txt'"),
        (np.zeros((3, 64), np.uint8), "gone/out.npz", "config.predict.output: .*existing folder"),
    ],
)
def test_unsuitable_rows_and_outputs_are_not_predicted(finished, tmp_path, array, output, words):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(InputError, match=words):
        predict(finished[0], str(tmp_path / "x.npy"), str(tmp_path / output))
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]


def test_evaluate_and_predict_need_a_trained_run(tmp_path):
    with pytest.raises(InputError, match=r"workdir: .* without a run"):
        evaluate(tmp_path)
    with pytest.raises(InputError, match=r"workdir: .* without a run"):
        predict(tmp_path, "", "")


def test_test_split_is_scored_and_not_trained_on(tmp_path):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 403)
    x = rng.normal(size=(403, 5)) + 6 * np.eye(3, 5)[labels] + [0, 0, 1.7e9, 0, 0]
    np.savez(tmp_path / "x.npz", x_train=x[:300], y_train=labels[:300], x_test=x[300:], y_test=labels[300:])
    config = tiny(
        data__name="file",
        data__path=str(tmp_path / "x.npz"),
        data__train_split="train",
        data__test_split="test",
        data__scaling="standardize",
        model__likelihood="gaussian",
        model__num_clusters=3,
        train__estimator="optimal",
        train__kl_warmup_epochs=1,
        pretrain__num_epochs=20,
        train__num_epochs=10,
        optimizer__max_grad_norm=100.0,
        checkpoint__every_epochs=20,
    )
    results = train(config, tmp_path / "run")
    assert (results["scored_on"], results["scored_rows"]) == ("test", 103)
    assert results["accuracy"] > 0.9
    with np.load(tmp_path / "run" / "assignments.npz") as answer:
        assert answer["cluster"].shape == (300,)
        assert answer["test_cluster"].shape == (103,)
    assert not (tmp_path / "run" / "samples.png").exists()


def test_convolutional_network_trains(tmp_path):
    changes = {"data__train_split": "train[:128]", "pretrain__num_epochs": 1, "train__num_epochs": 1}
    results = train(tiny(model__network="conv", **changes), tmp_path)
    assert np.isfinite(results["elbo"])


def test_run_without_cluster_epochs_has_results(tmp_path):
    results = train(tiny(train__num_epochs=0), tmp_path)
    assert np.isfinite(results["elbo"])
    assert "cluster" not in results["seconds"]
    assert [record["stage"] for record in read_metrics(tmp_path / "metrics.jsonl")] == ["pretrain"] * 3


def test_loss_that_stays_not_finite_ends_the_run_and_saves_only_finite_states(tmp_path):
    config = tiny(model__likelihood="gaussian", pretrain__learning_rate=1e30)
    with pytest.raises(DivergedError, match=r"^not_finite in epoch 1 of stage 'pretrain': the loss .*after 3 cures"):
        train(config, tmp_path)
    left = json.loads((tmp_path / "results.json").read_text())
    assert left["failure"].startswith("not_finite")
    assert [treatment["cure"] for treatment in left["treatments"]] == ["retreat"] * 3 + ["none"]
    _, description = workdir.read(tmp_path)
    with Checkpoints(tmp_path / "checkpoints", 2) as checkpoints:
        state, progress = checkpoints.restore(training_template(make_run(config, tmp_path, description)))
    assert (progress.stage, progress.epoch) == ("pretrain", 0)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.params))


@pytest.mark.parametrize(
    "change", [{"model__num_clusters": 5000}, {"data__scaling": "none"}, {"data__test_split": "x"}]
)
def test_bad_input_writes_nothing(tmp_path, change):
    with pytest.raises(InputError):
        train(tiny(**change), tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_workdir_that_is_a_file_or_inside_one_is_refused(tmp_path):
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(InputError, match=r"^workdir: "):
            train(tiny(), folder)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.slow
@pytest.mark.usefixtures("optimized")
def test_digits_config_clusters_the_digits(tmp_path):
    results = train(digits.get_config(), tmp_path)
    assert results["accuracy"] > 0.7  # the README has the mean over seeds
    assert results["elbo"] > -25


def test_mnist_trains_from_prepared_data(tfds_dir, tmp_path):
    config = tiny(
        data__name="mnist",
        data__dir=tfds_dir,
        data__train_split="test[:3000]",
        model__hidden=(64,),
        train__num_epochs=1,
    )
    results = train(config, tmp_path)
    assert results["scored_rows"] == 3000
    assert results["accuracy"] > 0.3
