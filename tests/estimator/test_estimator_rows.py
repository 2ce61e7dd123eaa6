"""Rows that an estimator takes: names of columns, values outside the range or far from 0, and what it refuses."""

import pickle

import numpy as np
import pandas as pd
import pytest
from helpers.estimators import FAST, LABELS, QUICK, X, fast
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from vade_jax import VaDE
from vade_jax.commands.generate import generate
from vade_jax.commands.predict import predict
from vade_jax.system.errors import InputError

FRAME = pd.DataFrame(X, columns=list("abcd"))


@pytest.fixture(scope="module")
def named():
    return fast().set_params(settings=QUICK).fit(FRAME)


def test_columns_are_matched_by_their_names(named, capsys):
    assert named.feature_names_in_.tolist() == list("abcd")
    other = FRAME[["b", "d", "a", "c"]].assign(extra="text")
    for ask in (named.predict_proba, named.transform, named.score_samples):
        np.testing.assert_array_equal(ask(other), ask(FRAME))
    assert capsys.readouterr().out == ""
    gone = other.assign(a=X[:, 0]).drop(columns=["d", "b"])
    with pytest.raises(InputError, match=r"^X: got rows of X without the columns b, d, expected all of the model's 4"):
        named.predict(gone)
    with pytest.raises(InputError, match=r"^X: got X with several columns called a, expected"):
        named.predict(pd.concat([FRAME, FRAME[["a"]]], axis=1))


def test_gaps_are_filled_in_columns_of_any_order():
    frame = FRAME.copy()
    frame.loc[::7, "c"] = np.nan
    model = fast().set_params(settings=QUICK).fit(frame)
    other = frame[["c", "d", "b", "a"]].assign(extra="text")
    filled = model.impute(other)
    assert list(filled) == list(other)
    pd.testing.assert_frame_equal(filled[list("abcd")], model.impute(frame))
    assert not filled.isna().any().any()


def test_transform_gives_a_frame_if_it_is_asked_for(named):
    pandas_too = pickle.loads(pickle.dumps(named)).set_output(transform="pandas")
    answer = pandas_too.transform(FRAME[10:13])
    assert list(answer) == ["vade0", "vade1", "vade2"]
    assert answer.index.tolist() == [10, 11, 12]
    np.testing.assert_array_equal(answer, named.transform(FRAME[10:13]))
    assert isinstance(pandas_too.predict_proba(FRAME[:2]), np.ndarray)  # as in scikit-learn


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
        ({"n_clusters": 500}, "n_clusters: got 500, expected at most the number of rows, 240"),
        ({"n_clusters": 0}, "n_clusters: got 0, expected an integer >= 1. Set n_clusters=VALUE."),
        ({"n_clusters": "some"}, "n_clusters: got 'some', expected an integer >= 1, or 'auto'"),
        ({"latent_dim": 0.5}, "latent_dim: got 0.5, expected"),
        ({"hidden": (0,)}, "hidden: got"),
        ({"network": "transformer"}, "network: got 'transformer', expected"),
        ({"likelihood": "laplace"}, "likelihood: got 'laplace', expected"),
        (
            {"likelihood": "bernoulli", "scaling": "none"},
            "likelihood: got 'bernoulli' .* Set scaling='range', or likel",
        ),
        ({"scaling": "log"}, "scaling: got 'log', expected"),
        ({"random_state": -1}, "random_state: got -1, expected"),
        ({"max_epochs": 0}, "max_epochs: got 0, expected an integer >= 1, or None"),
        ({"callbacks": print}, "callbacks: got .*, expected a list of functions"),
        (
            {"settings": {"train.num_epoch": 1}},
            r"settings\['train.num_epoch'\]: got an unknown field, .* settings\['train.num_epochs'\]",
        ),
        ({"settings": "fast"}, "settings: got 'fast', expected a dict of settings, or None"),
        ({"settings": {"train": 1}}, r"settings\['train'\]: got an unknown field"),
        (
            {"settings": {"train": {"num_epochs": -1}}},
            r"settings\['train.num_epochs'\]: got -1, .* Set settings={'train.n",
        ),
        ({"settings": {"augment.max_shift": 0.1}}, r"settings\['augment.max_shift'\]: got .* Set settings={'augment.m"),
        ({"image_shape": (3, 3, 1)}, r"image_shape: got \(3, 3, 1\), expected a shape whose product is 4"),
    ],
)
def test_an_input_error_names_the_parameter(changes, words):
    with pytest.raises(InputError, match=f"^{words}") as caught:
        fast().set_params(**changes).fit(X)
    assert "config." not in str(caught.value)


def test_an_input_error_names_the_rows():
    for rows, words in ((np.ones((5, 2)), "X: got 5 equal rows, expected rows that differ"),):
        with pytest.raises(InputError, match=f"^{words}"):
            fast().fit(rows)


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


def test_integers_that_float64_cannot_hold_are_named():
    with pytest.raises(InputError, match=r"^X: got a number that cannot be read \(int too large to convert to float\)"):
        fast().fit([[1, 2], [3, 10**400]])


def test_categories_that_are_numbers_are_numbers():
    frame = pd.DataFrame({"a": pd.Categorical([1, 2, 4]), "b": pd.Categorical([1.5, 2, 3])})
    assert fast()._rows(frame).x.tolist() == [[1, 1.5], [2, 2], [4, 3]]


def test_an_extreme_row_is_named():
    x = X.copy()
    x[17] = 1e30
    with pytest.raises(InputError, match=r"^X: got .*extreme values 1e\+30 in row 17, column 0"):
        fast().fit(x)
