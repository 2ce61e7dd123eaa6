"""An estimator of rows with gaps and of frames with columns of several types."""

import numpy as np
import pandas as pd
import pytest
from helpers.estimators import FAST, LABELS, QUICK, X, fast
from sklearn.metrics import adjusted_rand_score
from sklearn.utils import get_tags

from vade_jax import VaDE
from vade_jax.system.errors import InputError

KINDS = np.array(["dog", "cat", "owl"])


def mixed_frame():
    """Rows of three clusters: numbers, text, truth values and counts, with gaps of every sort."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(X[:, :3].copy(), columns=["a", "b", "c"])
    frame["animal"] = pd.Categorical(KINDS[LABELS])
    frame["place"] = np.where(LABELS == 1, "river", "hill").astype(object)
    frame["wild"] = pd.array(LABELS == 2, "boolean")
    frame["young"] = pd.array(rng.poisson(1 + 2 * LABELS), "Int64")
    for number, name in enumerate(frame):
        frame.loc[rng.random(len(X)) < 0.1 + 0.01 * number, name] = None
    return frame


FRAME = mixed_frame()


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixed") / "run"
    settings = {**FAST, "report": False}
    return VaDE(3, latent_dim=3, hidden=(16,), settings=settings, workdir=folder).fit(FRAME), folder


def test_a_frame_of_several_types_with_gaps_is_clustered(mixed):
    model, folder = mixed
    assert adjusted_rand_score(LABELS, model.labels_) > 0.9
    np.testing.assert_array_equal(model.predict(FRAME), model.labels_)
    assert np.isfinite(model.predict_proba(FRAME)).all()
    assert np.isfinite(model.score_samples(FRAME)).all()
    assert model._settings["model"]["likelihood"] == "by_columns"
    assert [kind for kind, _ in model._description["columns"]][3:6] == ["category", "category", "binary"]
    assert model._description["levels"][3:5] == [["cat", "dog", "owl"], ["hill", "river"]]
    loaded = VaDE.load(folder)
    np.testing.assert_array_equal(loaded.predict_proba(FRAME), model.predict_proba(FRAME))


def test_gaps_are_imputed_in_the_types_of_the_frame(mixed):
    model, _ = mixed
    filled = model.impute(FRAME)
    assert not filled.isna().any().any()
    assert list(filled) == list(FRAME)
    for name in FRAME:
        known = FRAME[name].notna()
        assert (filled[name][known] == FRAME[name][known]).all()
    missing = FRAME["animal"].isna()
    assert filled["animal"].dtype == FRAME["animal"].dtype
    assert (filled["animal"][missing] == KINDS[LABELS[missing]]).mean() > 0.8
    missing = FRAME["wild"].isna()
    assert (filled["wild"][missing].astype(bool) == (LABELS[missing] == 2)).mean() > 0.8
    missing = FRAME["a"].isna()
    error = filled["a"][missing] - X[missing, 0]
    assert np.sqrt((error**2).mean()) < 0.5 * X[:, 0].std()
    drawn, _ = model.sample(50)
    assert set(drawn[:, 3]) <= {*KINDS}


def test_a_level_that_training_did_not_have_becomes_a_gap_with_a_warning(mixed):
    model, _ = mixed
    new = FRAME[:4].assign(animal=pd.Categorical(["yak", "dog", "cat", "owl"]))
    with pytest.warns(UserWarning, match="X with yak in the column animal, which no training row has"):
        answer = model.predict_proba(new)
    np.testing.assert_allclose(answer[:1], model.predict_proba(new.assign(animal=[None, "dog", "cat", "owl"]))[:1])
    with pytest.raises(InputError, match=r"^X: got X with text in the column a, such as tall, expected numbers in it"):
        model.predict(new.assign(a=["tall", "1", "2", "3"]))


def test_an_array_with_gaps_is_clustered_and_imputed():
    x = X.copy()
    x[np.random.default_rng(0).random(x.shape) < 0.1] = np.nan
    model = fast().fit(x)
    assert adjusted_rand_score(LABELS, model.labels_) > 0.9
    np.testing.assert_array_equal(model.predict(x), model.labels_)
    filled, missing = model.impute(x), np.isnan(x)
    np.testing.assert_array_equal(filled[~missing], x[~missing])
    error = np.sqrt(np.mean((filled - X)[missing] ** 2 / X.var(axis=0)[np.where(missing)[1]]))
    assert error < 0.6
    assert get_tags(model).input_tags.allow_nan
    nothing = model.predict_proba(np.full((1, 4), np.nan))
    np.testing.assert_allclose(nothing.sum(), 1, rtol=1e-5)
    with pytest.raises(ValueError, match="infinity"):
        model.predict(np.where(missing, np.inf, X))


def test_a_model_of_complete_rows_refuses_gaps_in_one_line(fitted):
    x = X.copy()
    x[3, 1] = x[7, 0] = np.nan
    expected = r"^X: got X with 2 gaps \(the first in row 3, column 1\), expected rows without gaps, as the model was"
    for ask in (fitted.predict, fitted.score_samples, fitted.impute):
        with pytest.raises(InputError, match=expected) as caught:
            ask(x)
        assert "\n" not in str(caught.value)
    np.testing.assert_array_equal(fitted.impute(X), X)


def test_the_types_of_columns_can_be_given():
    x = np.c_[X, LABELS * 3 + 1]
    model = fast(column_types={4: "category"}).set_params(settings=QUICK).fit(x)
    assert model._description["levels"] == [[], [], [], [], ["1", "4", "7"]]
    drawn, _ = model.sample(20)
    assert set(drawn[:, 4]) <= {"1", "4", "7"}
    assert len(model.predict(x[:5])) == 5
    with pytest.raises(InputError, match=r"^column_types: got '9=category', expected a column of the rows: 0"):
        fast(column_types={9: "category"}).fit(x)
    with pytest.raises(
        InputError, match=r"^column_types: got '0=integer', expected|^column_types: got \('0=integer',\)"
    ):
        fast(column_types={0: "integer"}).fit(x)
    with pytest.raises(InputError, match=r"got 0=count, a column of numbers .*, expected a column of integers >= 0"):
        fast(column_types={0: "count"}).fit(x)


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ([f"n{i}" for i in range(240)], r"^X: got the column 'extra' with 240 different texts, such as n0, expected"),
        (pd.to_datetime(["2020-01-01"] * 240), "^X: got the column 'extra' of dtype datetime64"),
        ([{"a": 1}] * 240, r"^X: got \"\{'a': 1\}\" in the column 'extra', expected numbers or text"),
    ],
)
def test_columns_that_are_no_features_are_named(column, words):
    with pytest.raises(InputError, match=words):
        fast().fit(pd.DataFrame(X).assign(extra=column).rename(columns=str))
