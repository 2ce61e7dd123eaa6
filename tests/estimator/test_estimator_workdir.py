"""Estimators in folders: the command line reads them and is read, saved models load, a fit resumes or replaces."""

import jax
import numpy as np
import pytest
from helpers.estimators import FAST, QUICK, X, fast
from helpers.runs import stop_after
from sklearn.base import clone

from vade_jax import VaDE
from vade_jax.commands.predict import predict
from vade_jax.commands.train import train
from vade_jax.configs import table
from vade_jax.system.errors import InputError


def test_the_command_line_gives_the_same_clusters(fitted, tmp_path):
    np.save(tmp_path / "x.npy", X)
    config = table.get_config()
    config.data.path = str(tmp_path / "x.npy")
    config.model.update(num_clusters=3, latent_dim=3, hidden=(16,))
    for name, value in FAST.items():
        section, field = name.split(".")
        config[section][field] = value
    results = train(config, tmp_path / "run")
    with np.load(tmp_path / "run" / "assignments.npz") as answer:
        np.testing.assert_array_equal(answer["cluster"], fitted.labels_)
    assert results["elbo"] == fitted.results_["elbo"]
    loaded = VaDE.load(tmp_path / "run")
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    assert loaded.get_params()["settings"].items() >= FAST.items()


def test_a_saved_model_loads_here_and_on_the_command_line(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    assert not [path for path in (tmp_path / "model").rglob("*") if path.suffix in (".pkl", ".pickle")]
    loaded = VaDE.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.labels_, fitted.labels_)
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    np.testing.assert_array_equal(loaded.score_samples(X), fitted.score_samples(X))
    assert loaded.results_ == fitted.results_
    np.save(tmp_path / "x.npy", X)
    path = predict(tmp_path / "model", str(tmp_path / "x.npy"), str(tmp_path / "out.npz"))
    with np.load(path) as answer:
        np.testing.assert_array_equal(answer["cluster"], fitted.labels_)
        assert answer["outlier"].mean() < 0.1


def test_images_with_a_workdir(tmp_path):
    images = (np.random.default_rng(0).random((40, 36)) * 255).astype(np.uint8)
    settings = {**FAST, "pretrain.num_epochs": 1, "report": False}
    model = VaDE(n_clusters=2, hidden=(16,), image_shape=(6, 6, 1), settings=settings, workdir=tmp_path / "run")
    model.fit(images)
    assert (tmp_path / "run" / "samples.png").exists()
    assert model.results_["versions"]
    np.testing.assert_array_equal(VaDE.load(tmp_path / "run").predict(images), model.labels_)
    again = clone(model).fit(images)  # resumes the fit, which has ended
    np.testing.assert_array_equal(again.labels_, model.labels_)


def test_a_fit_in_a_workdir_replaces_a_fit_that_has_ended_and_no_other_file(tmp_path):
    folder = tmp_path / "run"
    first = fast(workdir=folder).set_params(settings=QUICK).fit(X)
    (folder / "notes.txt").write_text("mine")
    other_rows = clone(first).fit(X[::-1])
    fresh = clone(first).set_params(workdir=None).fit(X[::-1])
    jax.tree.map(np.testing.assert_array_equal, other_rows._params, fresh._params)
    other_settings = clone(first).set_params(random_state=1).fit(X[::-1])
    assert VaDE.load(folder).random_state == 1
    fresh = clone(other_settings).set_params(workdir=None).fit(X[::-1])
    jax.tree.map(np.testing.assert_array_equal, other_settings._params, fresh._params)
    assert (folder / "notes.txt").read_text() == "mine"


def test_a_fit_does_not_replace_runs_of_others(fitted, tmp_path):
    fitted.save(tmp_path / "saved")
    with pytest.raises(InputError, match=r"^workdir: got .*saved with a run of other settings: .*train.num_epochs"):
        fast(workdir=tmp_path / "saved").set_params(settings=QUICK).fit(X)
    np.testing.assert_array_equal(VaDE.load(tmp_path / "saved").labels_, fitted.labels_)


def test_an_interrupted_fit_resumes_and_is_not_replaced(tmp_path, monkeypatch):
    model = fast(workdir=tmp_path / "run").set_params(settings={**QUICK, "pretrain.num_epochs": 3})
    stop_after(1, monkeypatch, lambda: model.fit(X))
    with pytest.raises(InputError, match=r"^workdir: got .* an interrupted fit of other rows or settings, expected"):
        clone(model).fit(X[:100])
    resumed = model.fit(X)
    jax.tree.map(np.testing.assert_array_equal, resumed._params, clone(model).set_params(workdir=None).fit(X)._params)


def test_the_home_folder_can_be_written_as_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    model = fast(workdir="~/run").set_params(settings=QUICK).fit(X)
    model.save("~/saved")
    assert {"run", "saved"} <= {path.name for path in tmp_path.iterdir()}
    np.testing.assert_array_equal(VaDE.load("~/saved").labels_, VaDE.load("~/run").labels_)
