"""A run of rows with gaps and categories: it resumes to the same bits, and every mode reads it."""

import shutil

import jax
import numpy as np
import pandas as pd
import pytest
from helpers.runs import assert_same_bits, contents, params_of, stop_after, tiny
from sklearn.datasets import make_blobs

from vade_jax.commands.evaluate import evaluate
from vade_jax.commands.generate import generate
from vade_jax.commands.predict import predict
from vade_jax.commands.select_k import select_k
from vade_jax.commands.train import train
from vade_jax.runs.run import read_run
from vade_jax.system.errors import InputError
from vade_jax.training.augmentation import in_turn, random_gaps

X, LABELS = make_blobs([60, 70, 80], n_features=4, cluster_std=0.5, random_state=0)
GAPS = np.where(np.random.default_rng(1).random(X.shape) < 0.2, np.nan, X)
GAPS = np.column_stack([GAPS, LABELS + 5])
GAPS[::9, 4] = np.nan


def config_of(path):
    config = tiny(
        data__name="file",
        data__path=str(path),
        data__scaling="auto",
        data__columns=("4=category",),
        model__likelihood="auto",
        model__num_clusters=3,
        init__method="communities",
        init__soft_neighbors=20,
        guide__num_rounds=1,
        align__num_epochs=2,
    )
    for stage in ("pretrain", "guide", "align", "train"):
        config[stage].batch_size = 16
    config.report = True
    return config


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gaps")
    np.savez(folder / "x.npz", x=GAPS, y=LABELS)
    return folder, train(config_of(folder / "x.npz"), folder / "run")


def test_rows_with_gaps_are_clustered(trained):
    folder, results = trained
    assert results["accuracy"] > 0.8
    run = read_run(folder / "run")
    assert [kind for kind, _ in run.columns] == ["number"] * 4 + ["category"]
    assert run.model.likelihood.takes_gaps
    filled = np.load(folder / "run" / "filled_inputs.npy")
    assert np.isfinite(filled).all()
    assert set(np.unique(filled[:, 4])) <= {0, 1, 2}
    page = (folder / "run" / "report" / "index.html").read_text()
    assert "column 4 = 5" in page
    assert evaluate(folder / "run")["elbo"] == results["elbo"]


def test_a_run_with_gaps_resumes_to_the_same_bits(trained, tmp_path, monkeypatch):
    folder, _ = trained
    config = config_of(folder / "x.npz")
    config.report = False
    stop_after(5, monkeypatch, lambda: train(config, tmp_path / "run"))
    (tmp_path / "run" / "filled_inputs.npy").unlink(missing_ok=True)
    train(config, tmp_path / "run")
    assert_same_bits(params_of(tmp_path / "run"), params_of(folder / "run"))


def test_other_modes_read_a_run_with_gaps(trained, tmp_path):
    folder, _ = trained
    np.save(tmp_path / "new.npy", np.column_stack([X[:20], LABELS[:20] + 5]))
    found = pd.read_csv(predict(folder / "run", str(tmp_path / "new.npy"), str(tmp_path / "out.csv")))
    assert np.isfinite(found["log_likelihood"]).all()
    drawn = pd.read_csv(generate(folder / "run", str(tmp_path / "drawn.csv"), num_samples=30))
    assert set(drawn["column_4"]) <= {5, 6, 7}
    assert not drawn.isna().any().any()
    copy = shutil.copytree(folder / "run", tmp_path / "copy")
    content = select_k(copy, {"min_clusters": 2, "max_clusters": 4, "num_splits": 2})
    assert content["num_clusters"] in (2, 3, 4)


def test_a_run_of_complete_rows_refuses_files_with_gaps(digits_run, tmp_path):
    folder, _ = digits_run
    rows = np.ones((3, 8, 8), np.float32)
    rows[1, 0, 2] = np.nan
    np.save(tmp_path / "new.npy", rows)
    before = contents(folder)
    with pytest.raises(InputError, match=r"got .*new.npy with 1 gaps \(the first in row 1, column 2\), expected"):
        predict(folder, str(tmp_path / "new.npy"), str(tmp_path / "out.csv"))
    assert contents(folder) == before


def test_hiding_leaves_the_share_of_the_entries_that_is_asked_for():
    row = jax.numpy.where(jax.numpy.arange(5000) < 1000, jax.numpy.nan, 1.0)
    hidden = random_gaps(jax.random.key(0), row, 0.25)
    assert np.isnan(hidden[:1000]).all()
    assert abs(np.isnan(hidden[1000:]).mean() - 0.25) < 0.03
    both = in_turn(lambda key, row: 2 * row, lambda key, row: row + 1)
    np.testing.assert_array_equal(both(jax.random.key(0), row[1000:]), np.full(4000, 3))
