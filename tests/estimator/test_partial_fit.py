"""Training that goes on with new rows: the same clusters, other parameters, results of the new rows."""

import pickle

import jax
import numpy as np
import pandas as pd
import pytest
from helpers.estimators import LABELS, QUICK, X, fast
from sklearn.metrics import adjusted_rand_score

from vade_jax import VaDE
from vade_jax.inference.outliers import outlier_threshold
from vade_jax.system.errors import InputError

NEW = X + np.random.default_rng(0).normal(0, 0.1, X.shape)


@pytest.fixture(scope="module")
def continued(fitted):
    """The shared estimator after more training on shifted rows, which leaves the fixture as it was."""
    return pickle.loads(pickle.dumps(fitted)).partial_fit(NEW[:150], sample_weight=np.ones(150))


def test_clusters_keep_their_numbers_and_parameters_move(fitted, continued):
    assert continued.labels_.shape == (150,)
    assert adjusted_rand_score(LABELS[:150], continued.labels_) > 0.9
    assert (continued.predict(X) == fitted.predict(X)).mean() > 0.95
    assert (continued.means_ != fitted.means_).any()
    assert continued.n_clusters_ == 3
    jax.tree.map(np.testing.assert_array_equal, continued._scaling, fitted._scaling)


def test_results_are_of_the_new_rows_and_the_history_goes_on(fitted, continued):
    assert continued.n_iter_ == fitted.n_iter_ + 2
    assert continued.history_["stage"].tolist() == [*fitted.history_["stage"], "cluster", "cluster"]
    assert sum(continued.results_["occupancy"]) == continued.summary()["size"].sum() == 150
    assert continued.results_["elbo"] != fitted.results_["elbo"]
    assert outlier_threshold(continued._log_likelihoods, 0.1) != outlier_threshold(fitted._log_likelihoods, 0.1)


def test_the_new_rows_are_as_certain_on_average_as_before(fitted):
    unsure = pickle.loads(pickle.dumps(fitted))
    unsure.results_["temperature"] = 30.0
    expected = unsure.predict_proba(NEW).max(axis=1).mean()
    assert 0.4 < expected < 0.999
    np.testing.assert_allclose(unsure.partial_fit(NEW).predict_proba(NEW).max(axis=1).mean(), expected, atol=1e-3)


def test_it_is_saved_loaded_and_goes_on_again(continued, tmp_path):
    continued.save(tmp_path / "saved")
    loaded = VaDE.load(tmp_path / "saved")
    np.testing.assert_array_equal(loaded.predict_proba(X), continued.predict_proba(X))
    assert loaded.get_params()["settings"]["train.num_epochs"] == 2
    assert loaded.get_params()["settings"]["guide.num_rounds"] == 0
    again = loaded.set_params(max_epochs=1).partial_fit(NEW[100:110])
    assert again.n_iter_ == continued.n_iter_ + 1


def test_it_fits_first_and_keeps_the_fit_in_its_workdir(tmp_path):
    model = fast(workdir=tmp_path / "run").set_params(settings=QUICK | {"train.num_epochs": 1})
    model.partial_fit(X)
    jax.tree.map(np.testing.assert_array_equal, VaDE.load(tmp_path / "run")._params, model._params)
    before = model._params
    model.partial_fit(NEW)
    jax.tree.map(np.testing.assert_array_equal, VaDE.load(tmp_path / "run")._params, before)


def test_a_cluster_that_the_new_rows_lack_gets_no_rows_of_others(fitted):
    model = pickle.loads(pickle.dumps(fitted)).partial_fit(NEW[LABELS > 0])
    assert (model.predict(X) == fitted.predict(X)).mean() > 0.9
    missing = fitted.labels_[LABELS == 0][0]
    assert model.weights_[missing] < fitted.weights_[missing]
    assert not [treatment for treatment in model.results_["treatments"] if treatment["cure"] != "none"]


def test_rows_that_cannot_be_used_change_nothing(continued):
    before = continued._params
    with pytest.raises(
        InputError, match=r"^X: got 2 rows, some of them equal, expected at least 3, the number of clust"
    ):
        continued.partial_fit(X[:2])
    with pytest.raises(InputError, match=r"^sample_weight: got weights of shape"):
        continued.partial_fit(X, sample_weight=[1.0])
    with pytest.raises(ValueError, match="X has 2 features, but VaDE is expecting 4"):
        continued.partial_fit(X[:, :2])
    assert continued._params is before
    assert continued.predict(X[:3]).shape == (3,)


def test_rows_outside_the_range_of_the_likelihood_are_refused():
    model = fast(likelihood="bernoulli", scaling="range").set_params(settings=QUICK).fit(X)
    with pytest.raises(InputError, match=r"^X: got 240 of 240 rows \(100.0%\) outside the range of the training rows"):
        model.partial_fit(X + 100)


def test_frames_with_gaps_text_and_covariates_go_on():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(X, columns=list("abcd")).assign(kind=np.array(["x", "y", "z"])[LABELS])
    frame = frame.assign(a=frame["a"].where(rng.random(len(X)) > 0.1), batch=rng.integers(0, 2, len(X)))
    model = fast().set_params(settings=QUICK | {"train.num_epochs": 1}).fit(frame, covariates="batch")
    known = model._description["covariates"]
    model.partial_fit(frame[:120].dropna())
    assert model._description["covariates"] == known
    assert np.isfinite(model.predict_proba(frame)).all()
    assert not model.impute(frame).isna().any().any()


def test_cells_go_on_and_are_annotated():
    anndata = pytest.importorskip("anndata")
    cells = anndata.AnnData(np.float32(X))
    model = fast().set_params(settings=QUICK | {"train.num_epochs": 1}).fit(cells)
    new = anndata.AnnData(np.float32(NEW))
    model.partial_fit(new)
    assert new.obs["vade_cluster"].astype(int).tolist() == model.labels_.tolist()
