"""Predictions of a trained run: outliers, and log p(x) if it is asked for."""

import json

import numpy as np
import pytest
from helpers.runs import tiny

from vade_jax.commands.predict import predict
from vade_jax.commands.train import train
from vade_jax.data import sources
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


def test_outliers_are_below_the_quantile_of_the_scored_rows(trained, tmp_path):
    digits = sources.load("digits").splits["train"].x
    noise = np.random.default_rng(0).integers(0, 17, (50, 64)).astype(np.uint8)
    answer = predicted(trained, tmp_path, np.concatenate([digits, noise]), outlier_share=0.05)
    assert answer["outlier"][1797:].mean() > 0.9
    scored = np.sort(np.load(trained / "log_likelihoods.npy"))
    assert len(scored) == 1797
    np.testing.assert_array_equal(answer["outlier"], answer["log_likelihood"] < np.quantile(scored, 0.05))
    assert answer["outlier"][:1797].mean() == pytest.approx(0.05, abs=0.02)  # draws differ from those of the scores
    assert not predicted(trained, tmp_path, digits, outlier_share=0.0)["outlier"].mean() > 0.01


def test_log_likelihood_is_optional(trained, tmp_path):
    digits = sources.load("digits").splits["train"].x
    assert predicted(trained, tmp_path, digits, with_log_likelihood=False).keys() == {"cluster", "responsibilities"}


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
