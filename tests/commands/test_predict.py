"""Predictions of a trained run: outliers, and log p(x) if it is asked for."""

import json

import numpy as np
import pytest
from helpers.runs import tiny

from vade_jax.commands.predict import predict
from vade_jax.commands.train import train
from vade_jax.data import sources
from vade_jax.inference.calibration import calibrated
from vade_jax.inference.outliers import outlier_threshold
from vade_jax.runs.saved_model import restore
from vade_jax.system.errors import InputError


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    train(tiny(evaluate__bound_rows=0), folder)
    return folder


def predicted(folder, tmp_path, x, **options):
    np.save(tmp_path / "x.npy", x)
    with np.load(predict(folder, str(tmp_path / "x.npy"), str(tmp_path / "out.npz"), **options)) as answer:
        return dict(answer)


def test_outliers_are_as_rare_as_asked_and_noise_is_found(trained, tmp_path):
    digits = sources.load("digits").splits["train"].x
    noise = np.random.default_rng(0).integers(0, 17, (50, 64)).astype(np.uint8)
    answer = predicted(trained, tmp_path, np.concatenate([digits, noise]), outlier_share=0.05)
    assert answer["outlier"][1797:].mean() > 0.9
    held_out = np.load(trained / "log_likelihoods.npy")
    assert len(held_out) == 180
    np.testing.assert_array_equal(answer["outlier"], answer["log_likelihood"] < outlier_threshold(held_out, 0.05))
    rows = restore(trained)[0].held_out_rows
    assert answer["outlier"][rows].mean() == pytest.approx(0.05, abs=0.02)  # draws differ from those of the scores
    assert not predicted(trained, tmp_path, digits, outlier_share=0.0)["outlier"].mean() > 0.01


def test_log_likelihood_is_optional(trained, tmp_path):
    digits = sources.load("digits").splits["train"].x
    assert predicted(trained, tmp_path, digits, with_log_likelihood=False).keys() == {"cluster", "probabilities"}


def test_probabilities_are_calibrated_and_the_models_own_are_written_if_asked_for(trained, tmp_path):
    temperature = 3.0
    results = json.loads((trained / "results.json").read_text())
    (trained / "results.json").write_text(json.dumps({**results, "temperature": temperature}))
    answer = predicted(
        trained,
        tmp_path,
        sources.load("digits").splits["train"].x,
        with_log_likelihood=False,
        with_responsibilities=True,
    )
    with np.load(trained / "assignments.npz") as assignments:
        np.testing.assert_allclose(answer["responsibilities"], assignments["responsibilities"], atol=1e-5)
    np.testing.assert_array_equal(answer["probabilities"], calibrated(answer["responsibilities"], temperature))
    assert answer["probabilities"].max(axis=1).mean() < answer["responsibilities"].max(axis=1).mean()


def test_brighter_images_than_any_in_training_are_answered_and_counted(trained, tmp_path, capsys):
    digits = sources.load("digits").splits["train"].x[:300]
    bright = digits.copy()
    bright[:3, 20] = 200
    answer = predicted(trained, tmp_path, bright)
    assert capsys.readouterr().out == (
        f"{tmp_path / 'x.npy'}: 3 of 300 rows (1.0%) have values outside the range of the training rows. The "
        "likelihood 'bernoulli' needs values in this range, so they are clipped to it.\n"
    )
    clipped = predicted(trained, tmp_path, bright.clip(0, 16))
    assert capsys.readouterr().out == ""
    for name in ("cluster", "probabilities", "log_likelihood"):
        np.testing.assert_array_equal(answer[name], clipped[name])


def test_missing_log_likelihoods_are_an_error_with_a_remedy(trained, tmp_path):
    kept = (trained / "log_likelihoods.npy").rename(tmp_path / "kept.npy")
    with pytest.raises(InputError, match=r"workdir: got .* without log_likelihoods.npy, .*Run --mode=evaluate"):
        predict(trained, "", str(tmp_path / "out.npz"))
    kept.rename(trained / "log_likelihoods.npy")
    assert not (tmp_path / "out.npz").exists()


def test_best_of_several_runs_predicts(tmp_path):
    config = tiny(pretrain__num_epochs=1, train__num_epochs=1)
    config.num_runs = 2
    results = train(config, tmp_path / "run")
    path = predict(tmp_path / "run", "", "", with_log_likelihood=False)
    assert path == tmp_path / "run" / results["run"] / "predictions.npz"
    best = json.loads((tmp_path / "run" / results["run"] / "results.json").read_text())
    with np.load(path) as answer:
        assert np.bincount(answer["cluster"], minlength=10).tolist() == best["occupancy"]


def test_far_rows_are_outliers_with_probabilities_that_sum_to_1(trained, tmp_path):
    digits = sources.load("digits").splits["train"].x[:60].astype(np.float64)
    far = np.concatenate([digits * 1e3, digits * -1e20, digits + 1e30 * np.eye(64)[:60]])
    answer = predicted(trained, tmp_path, far)
    np.testing.assert_allclose(answer["probabilities"].sum(axis=1), 1, atol=1e-5)
    assert answer["outlier"].all()
    assert not np.isnan(answer["log_likelihood"]).any()
    assert predicted(trained, tmp_path, far, outlier_share=0.0)["outlier"].all()


@pytest.mark.parametrize("value", [1e39, -1e39, np.nan, np.inf])
def test_values_that_float32_cannot_hold_are_refused_in_one_line(trained, tmp_path, value):
    x = np.zeros((2, 64))
    x[1, 5] = value
    with pytest.raises(InputError, match=r"row 1, column 5") as error:
        predicted(trained, tmp_path, x)
    assert "\n" not in str(error.value)
