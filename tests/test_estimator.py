"""The scikit-learn estimator: same clusters as the command line, scikit-learn's conventions, save and load."""

import pickle
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest
from helpers.programs import num_programs
from helpers.runs import stop_after
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import vade_jax
from configs import table
from vade_jax import VaDE
from vade_jax.commands.generate import generate
from vade_jax.commands.predict import predict
from vade_jax.commands.train import train
from vade_jax.system.errors import InputError

FAST = {
    "pretrain.num_epochs": 20,
    "train.num_epochs": 2,
    "init.method": "gmm",
    "init.num_restarts": 1,
    "guide.num_rounds": 0,
    "align.num_epochs": 0,
    "optimizer.min_steps": 0,
    "optimizer.schedule": "constant",  # so that any number of epochs is the same program, which is compiled once
    "checkpoint.every_epochs": 20,
    "evaluate.bound_samples": 5,
    **{f"{stage}.batch_size": 16 for stage in ("pretrain", "guide", "align", "train")},
}
X, LABELS = make_blobs([60, 80, 100], n_features=4, cluster_std=0.5, random_state=0)


def fast(**changes):
    return VaDE(n_clusters=3, latent_dim=3, hidden=(16,), settings=FAST, **changes)


@pytest.fixture(scope="module")
def fitted():
    return fast().fit(X)


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


def test_column_names_are_checked():
    frame = pd.DataFrame(X, columns=list("abcd"))
    named = fast().fit(frame)
    assert named.feature_names_in_.tolist() == list("abcd")
    with pytest.raises(ValueError, match="feature names should match"):
        named.predict(frame[["b", "a", "c", "d"]])


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


QUICK = {**FAST, "pretrain.num_epochs": 1, "train.num_epochs": 0, "report": False}


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


def test_rows_outside_the_training_range_are_answered_with_a_warning():
    pipeline = make_pipeline(MinMaxScaler(), fast().set_params(settings=QUICK)).fit(X[:160])
    model, scaled = pipeline[-1], pipeline[0].transform(X[160:])
    outside = int(((scaled < 0) | (scaled > 1)).any(axis=1).sum())
    assert 0 < outside < 80
    with pytest.warns(UserWarning, match=rf"^{outside} of 80 rows \(.*%\) have values outside the range") as caught:
        answer = pipeline.predict_proba(X[160:])
    assert len(caught) == 1
    np.testing.assert_array_equal(answer, model.predict_proba(np.clip(scaled, 0, 1)))
    with pytest.warns(UserWarning, match="outside the range"):
        assert np.isfinite(pipeline.score(X[160:]))
    model.predict(scaled.clip(0, 1))  # no warning, which would be an error here


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_clusters": 500}, "config.model.num_clusters: got 500, expected at most the number of rows, 240"),
        ({"n_clusters": 0}, "config.model.num_clusters: got 0, expected"),
        ({"likelihood": "poisson"}, "config.model.likelihood: got 'poisson', expected"),
        (
            {"settings": {"train.num_epoch": 1}},
            "config.train.num_epoch: got an unknown field, .* config.train.num_epochs",
        ),
        ({"image_shape": (3, 3, 1)}, r"image_shape: got \(3, 3, 1\), expected a shape whose product is 4"),
    ],
)
def test_an_input_error_names_the_parameter(changes, words):
    with pytest.raises(InputError, match=words):
        fast().set_params(**changes).fit(X)


UNITS, CENTRES = np.array([5, 0.01, 1, 0.05]), np.array([1.7e9, 4.5e6, 1e8, 6.1e6])
FAR = CENTRES + X * UNITS


@pytest.fixture(scope="module")
def far(tmp_path_factory):
    """A model of rows whose values are large compared with their range, and its folder."""
    folder = tmp_path_factory.mktemp("far") / "run"
    model = VaDE(n_clusters=3, latent_dim=3, hidden=(16,), settings={**FAST, "report": False}, workdir=folder)
    return model.fit(pd.DataFrame(FAR, columns=["time", "x", "count", "y"])), folder


def test_large_values_are_clustered_like_centred_ones(far):
    model, folder = far
    frame = pd.DataFrame(FAR, columns=model.feature_names_in_)
    assert adjusted_rand_score(LABELS, model.labels_) == 1.0
    np.testing.assert_array_equal(model.predict(frame), model.labels_)
    assert [model.predict(frame[row : row + 1])[0] for row in (0, 100)] == model.labels_[[0, 100]].tolist()
    drawn, clusters = model.sample(300)
    assert drawn.dtype == np.float64
    for cluster in range(3):
        mean = FAR[model.labels_ == cluster].mean(axis=0)
        np.testing.assert_array_less(np.abs(drawn[clusters == cluster].mean(axis=0) - mean) / UNITS, 1.5)
    loaded = VaDE.load(folder)
    np.testing.assert_array_equal(loaded.predict(frame), model.labels_)
    np.testing.assert_array_equal(loaded.sample(5)[0], model.sample(5)[0])


def test_the_command_line_reads_and_writes_large_values(far, tmp_path):
    model, folder = far
    frame = pd.DataFrame(FAR, columns=model.feature_names_in_)
    frame[100:101].to_csv(tmp_path / "one.csv", index=False)
    path = predict(folder, str(tmp_path / "one.csv"), str(tmp_path / "out.csv"), with_log_likelihood=False)
    assert pd.read_csv(path)["cluster"].tolist() == [model.labels_[100]]
    generated = pd.read_csv(generate(folder, str(tmp_path / "drawn.csv"), num_samples=50))
    centred = (generated[frame.columns].mean() - CENTRES) / UNITS
    np.testing.assert_array_less(np.abs(centred), 30)


def test_a_model_of_an_older_version_has_no_offset(fitted):
    older = pickle.loads(pickle.dumps(fitted))
    older._description = {name: value for name, value in older._description.items() if name not in ("offset", "cells")}
    np.testing.assert_array_equal(older.predict(X), fitted.labels_)
    np.testing.assert_array_equal(older.sample(3)[0], fitted.sample(3)[0])


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (pd.Categorical(list("xyz")), "X: got the column 'kind' of dtype category, which holds 'x', expected numbers"),
        (
            pd.to_datetime(["2020-01-01"] * 3),
            r"X: got the column 'kind' of dtype datetime64.*, which holds '2020-01-01",
        ),
    ],
)
def test_columns_of_categories_and_dates_are_named(column, words):
    with pytest.raises(InputError, match=words):
        fast().fit(pd.DataFrame({"a": [1.0, 2.0, 3.0], "kind": column}))


def test_integers_that_float64_cannot_hold_are_named():
    with pytest.raises(InputError, match=r"^X: got a number that cannot be read \(int too large to convert to float\)"):
        fast().fit([[1, 2], [3, 10**400]])


def test_categories_that_are_numbers_are_numbers():
    frame = pd.DataFrame({"a": pd.Categorical([1, 2, 4]), "b": pd.Categorical([1.5, 2, 3])})
    assert fast()._array(frame, ensure_min_samples=2).tolist() == [[1, 1.5], [2, 2], [4, 3]]


def test_an_extreme_row_is_named():
    x = X.copy()
    x[17] = 1e30
    with pytest.raises(InputError, match=r"extreme values 1e\+30 in row 17, column 0"):
        fast().fit(x)


def test_output_is_shown_only_if_verbose(capfd):
    fast().fit(X)
    shown = capfd.readouterr()
    assert (shown.out, shown.err) == ("", "")
    fast(verbose=True).fit(X)
    shown = capfd.readouterr()
    assert "config.model.likelihood = gaussian_shared" in shown.out
    assert "pretrain: 100%" in shown.err


EXPECTED_FAILURES = {
    "check_methods_sample_order_invariance": "the draws of score_samples depend on a row's position",
    "check_methods_subset_invariance": "as above, and float32 rounding depends on the batch size",
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
    assert Path(vade_jax.VaDE.__module__.replace(".", "/")).name == "estimator"
    with pytest.raises(AttributeError, match="no attribute 'VaDEE'"):
        vade_jax.VaDEE  # noqa: B018
