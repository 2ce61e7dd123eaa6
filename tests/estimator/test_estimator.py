"""The scikit-learn estimator: same clusters as the command line, scikit-learn's conventions, save and load."""

import logging
import os
import pickle
import re

import jax
import numpy as np
import pytest
from helpers.estimators import FAST, LABELS, QUICK, X, fast
from helpers.programs import num_programs
from sklearn.base import clone
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

import vade_jax
from vade_jax import VaDE
from vade_jax.system.errors import InputError


def test_no_program_is_compiled_or_kept_for_another_prediction(fitted):
    def ask(rows):
        fitted.predict_proba(rows), fitted.transform(rows), fitted.score_samples(rows), fitted.sample(len(rows))

    ask(X[:1]), ask(X[:8])
    before = num_programs()
    for start in range(4):
        ask(X[start : start + 1]), ask(X[start : start + 5 + start])
    assert num_programs() == before


def test_no_program_is_kept_for_another_fit():
    fast().fit(X).predict(X)
    before = num_programs()
    fast(random_state=1).fit(X).predict(X)
    assert num_programs() == before


def test_a_pickle_has_nothing_that_is_on_a_device(fitted):
    fitted.predict(X)
    assert not [leaf for leaf in jax.tree.leaves(fitted.__getstate__()) if isinstance(leaf, jax.Array)]
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))


def test_fit_sets_the_attributes(fitted):
    assert adjusted_rand_score(LABELS, fitted.labels_) > 0.95
    assert fitted.n_features_in_ == 4
    np.testing.assert_allclose(fitted.weights_.sum(), 1, rtol=1e-6)
    assert fitted.means_.shape == fitted.covariances_.shape == (3, 3)
    assert (fitted.covariances_ > 0).all()
    assert fitted.results_["occupancy"] == np.bincount(fitted.labels_, minlength=3).tolist()


def test_predictions_agree_with_the_fit(fitted):
    np.testing.assert_array_equal(fitted.predict(X), fitted.labels_)
    probabilities = fitted.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), fitted.labels_)
    assert fitted.transform(X).shape == (240, 3)
    assert fitted.get_feature_names_out().tolist() == ["vade0", "vade1", "vade2"]
    assert fitted.score(X) == pytest.approx(fitted.score_samples(X).mean(), rel=1e-5)
    assert fitted.score_samples(X + 30).max() < fitted.score_samples(X).min()


def test_samples_lie_near_their_clusters_in_the_units_of_the_rows(fitted):
    x, clusters = fitted.sample(300)
    again, _ = fitted.sample(300)
    np.testing.assert_array_equal(x, again)
    centres = np.stack([X[fitted.labels_ == c].mean(axis=0) for c in range(3)])
    drawn = np.stack([x[clusters == c].mean(axis=0) for c in range(3)])
    distances = np.linalg.norm(drawn[:, None] - centres, axis=-1)
    assert distances.argmin(axis=1).tolist() == [0, 1, 2]


def test_samples_are_draws_of_x_around_the_means_of_the_same_z(fitted):
    (x, clusters), (means, same_clusters) = fitted.sample(5000), fitted.sample(5000, mean=True)
    np.testing.assert_array_equal(clusters, same_clusters)
    assert np.abs(np.bincount(clusters) / 5000 - fitted.weights_).max() < 0.03
    noise = x - means
    assert (np.abs(noise.mean(axis=0)) < 5 * noise.std(axis=0) / 5000**0.5).all()
    assert (noise.std(axis=0) > 0.01 * X.std(axis=0)).all()
    assert x.shape == means.shape == (5000, 4)


@pytest.mark.parametrize("count", [0, -3])
def test_the_number_of_samples_is_positive(fitted, count):
    with pytest.raises(InputError, match=rf"^n_samples: got {count}, expected an integer >= 1"):
        fitted.sample(count)


def test_pickle_and_clone(fitted):
    copied = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(copied.predict_proba(X), fitted.predict_proba(X))
    assert not hasattr(clone(fitted), "labels_")
    jax.tree.map(np.testing.assert_array_equal, clone(fitted).fit(X)._params, fitted._params)


def test_y_is_ignored(fitted):
    np.testing.assert_array_equal(fast().fit(X, LABELS % 2).labels_, fitted.labels_)


def test_pipeline():
    pipeline = make_pipeline(FunctionTransformer(np.negative), fast())
    assert adjusted_rand_score(LABELS, pipeline.fit_predict(X)) > 0.95
    assert pipeline.predict(X[:5]).shape == (5,)


@pytest.mark.slow
def test_grid_search():
    search = GridSearchCV(fast(), {"n_clusters": [1, 3]}, cv=2).fit(X)
    assert search.best_params_ == {"n_clusters": 3}
    assert search.predict_proba(X).shape == (240, 3)


def test_output_is_shown_only_if_verbose(capfd):
    fast().fit(X)
    shown = capfd.readouterr()
    assert (shown.out, shown.err) == ("", "")
    fast(verbose=True).fit(X)
    shown = capfd.readouterr()
    assert "config.model.likelihood = gaussian_shared" in shown.out
    assert "pretrain: 100%" in shown.err


def test_a_log_file_gets_a_line_for_each_stage(capfd):
    fast(verbose=2).fit(X)
    shown = capfd.readouterr()
    assert shown.err == ""
    assert re.search(r"^pretrain: 20 of 20 epochs, loss [-\d.]+, \d+ s\ncluster: 2 of 2 epochs, loss", shown.out, re.M)
    with pytest.raises(InputError, match=r"^verbose: got 3, expected 0, 1 or 2\."):
        fast(verbose=3).fit(X)


def test_a_silent_fit_logs_nothing(caplog, tmp_path):
    caplog.set_level(logging.INFO)
    model = fast(workdir=tmp_path / "run").set_params(settings=QUICK).fit(X)
    model.save(tmp_path / "model")
    VaDE.load(tmp_path / "model").predict(X)
    assert [record.getMessage() for record in caplog.records if not record.name.startswith("jax")] == []


EXPECTED_FAILURES = {
    "check_dataframe_column_names_consistency": "columns of a frame are matched by their names",
    "check_methods_sample_order_invariance": "the draws of score_samples depend on a row's position",
    "check_methods_subset_invariance": "as above, and float32 rounding depends on the batch size",
    "check_sample_weight_equivalence_on_dense_data": "batches are drawn by number of rows: left-out rows change them",
}


@pytest.mark.slow
@parametrize_with_checks(
    [fast(random_state=0).set_params(settings=FAST | {"pretrain.num_epochs": 2})],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES,
)
def test_scikit_learn_estimator_checks(estimator, check):
    check(estimator)


def test_the_package_imports_the_estimator_on_demand():
    assert "VaDE" in vade_jax.__all__
    assert vade_jax.VaDE.__module__.startswith("vade_jax.estimator")
    with pytest.raises(AttributeError, match="no attribute 'VaDEE'"):
        vade_jax.VaDEE  # noqa: B018


def test_a_forked_process_is_refused_and_not_left_hanging(fitted, monkeypatch):
    monkeypatch.setattr("vade_jax.system.forks._first_user", os.getppid())
    for ask in (fast().fit, fitted.predict):
        with pytest.raises(InputError, match=r"^process: got a fork"):
            ask(X)
