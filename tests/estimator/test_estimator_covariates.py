"""Covariates and weights of rows that an estimator takes, as values or as columns of X."""

import pickle

import jax
import numpy as np
import pandas as pd
import pytest
from helpers.estimators import QUICK, X, fast
from sklearn import config_context
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from vade_jax import VaDE
from vade_jax.data.covariates import KnownCovariates
from vade_jax.estimator.given_covariates import (
    covariates_of_new_rows,
    covariates_to_train_on,
    stored_covariates,
    without_columns,
)
from vade_jax.system.errors import InputError

BATCH = np.array(["one", "two"])[np.random.default_rng(0).integers(0, 2, len(X))]
AGE = np.random.default_rng(1).normal(50, 10, len(X))
BESIDE = pd.DataFrame({"batch": BATCH, "age": AGE})
FEATURES = pd.DataFrame(X + 8 * (BATCH == "two")[:, None], columns=list("abcd"))
TABLE = FEATURES.assign(batch=BATCH, age=AGE)


def quick(**changes):
    return fast().set_params(settings={**QUICK, **changes})


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """A model whose covariates are columns of its frame, and its folder."""
    folder = tmp_path_factory.mktemp("covariates") / "run"
    model = quick().set_params(workdir=folder).fit(TABLE, covariates=["batch", "age"])
    return model, folder


def test_columns_that_are_covariates_are_no_features(named):
    model, _ = named
    assert model.feature_names_in_.tolist() == list("abcd")
    assert model._description["covariates"]["levels"] == [["one", "two"], []]
    assert model.cluster_centers_.shape == (3, 4)
    np.testing.assert_array_equal(model.predict(TABLE), model.labels_)


@pytest.mark.parametrize("ask", ["predict", "predict_proba", "responsibilities", "transform", "score_samples", "score"])
def test_every_answer_takes_covariates_in_any_form(named, ask):
    model, _ = named
    expected = getattr(model, ask)(TABLE)
    values = BESIDE.to_numpy(object)
    for given in (BESIDE[["age", "batch"]].set_index(BESIDE.index[::-1]), values, values.tolist()):
        np.testing.assert_array_equal(getattr(model, ask)(FEATURES, covariates=given), expected)
    np.testing.assert_array_equal(getattr(model, ask)(TABLE, covariates=("age", "batch")), expected)


def test_the_batch_changes_what_is_said_of_a_row(named):
    model, _ = named
    other = model.score_samples(TABLE.assign(batch="one"))
    assert (model.score_samples(TABLE) == other).tolist() == (BATCH == "one").tolist()


def test_a_fit_to_values_is_that_to_columns(named):
    model, _ = named
    again = quick().fit(FEATURES, covariates=BESIDE)
    jax.tree.map(np.testing.assert_array_equal, again._params, model._params)
    by_settings = quick(**{"data.covariates": ("batch", "age")}).fit(TABLE)
    np.testing.assert_array_equal(by_settings.predict(TABLE), model.labels_)
    np.testing.assert_array_equal(quick().fit_transform(TABLE, covariates=["batch", "age"]), model.transform(TABLE))


def test_a_loaded_or_saved_model_still_needs_them(named, tmp_path):
    model, folder = named
    model.save(tmp_path / "saved")
    for same in (VaDE.load(folder), VaDE.load(tmp_path / "saved"), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(same.predict_proba(TABLE), model.predict_proba(TABLE))
        with pytest.raises(InputError, match=r"^covariates: got None, expected the covariates of .* batch, age\. Give"):
            same.predict(FEATURES)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["batch"], "covariates: got 'age', expected a column of covariates, which has batch"),
        (BATCH, r"covariates: got shape \(240, 1\), expected 240 rows of batch, age"),
        (BESIDE[:3], r"covariates: got shape \(3, 2\), expected 240 rows"),
        (BESIDE.assign(age="old"), "covariates: got age, a column of covariates with values such as 'old'"),
        (["lot"], "covariates: got 'lot', expected a column of X, which has a, b"),
    ],
)
def test_wrong_covariates_are_one_line(named, given, words):
    model, _ = named
    with pytest.raises(InputError, match=f"^{words}") as caught:
        model.predict(TABLE, covariates=given)
    assert "config." not in str(caught.value)


def test_what_cannot_be_covariates_is_refused():
    with pytest.raises(InputError, match=r"^covariates: got 'batch', expected values for each row, since X has no"):
        fast().fit(X, covariates="batch")
    with pytest.raises(InputError, match=r"^covariates: got ndarray of shape \(2, 2, 2\), expected an array"):
        covariates_to_train_on(np.ones((2, 2, 2)), X, 2)
    with pytest.raises(InputError, match=r"^covariates: got DataFrame, expected None, since the model was fitted with"):
        covariates_of_new_rows(BESIDE, X, len(X), KnownCovariates())
    assert covariates_of_new_rows(None, TABLE, len(X), KnownCovariates()) is None


def test_unnamed_values_get_names_and_others_keep_theirs():
    assert covariates_to_train_on(np.ones((3, 2)), X, 3).names == ("covariate_0", "covariate_1")
    assert covariates_to_train_on(np.ones(3), X, 3).names == ("covariate_0",)
    assert covariates_to_train_on(pd.Series([1, 2], name="lot"), X, 2).names == ("lot",)
    assert covariates_to_train_on("batch=category", TABLE, len(X)).levels == (("one", "two"),)
    assert [*without_columns(TABLE, "batch=category", "age")] == list("abcd")


def test_samples_have_the_covariates_that_are_asked_for(named):
    model, _ = named
    means = [model.sample(200, mean=True, covariates={"batch": batch, "age": 50})[0] for batch in ("one", "two")]
    frame = pd.DataFrame({"age": [50.0] * 200, "batch": ["two"] * 200})
    np.testing.assert_array_equal(model.sample(200, mean=True, covariates=frame)[0], means[1])
    assert (means[0] != means[1]).all()
    drawn, _ = model.sample(200, mean=True)
    assert all((drawn != of_batch).any() for of_batch in means)
    with pytest.raises(
        InputError, match=r"^covariates: got 'lot=3', expected one of the model's covariates, batch, age"
    ):
        model.sample(covariates={"lot": 3})
    known = KnownCovariates(("batch",), (("one", "two"),))
    np.testing.assert_array_equal(stored_covariates(np.array(["two", "one"]), 2, known), [[1], [0]])


def test_gaps_are_imputed_beside_covariates(named):
    model, _ = named
    pd.testing.assert_frame_equal(model.impute(TABLE), TABLE)
    gaps = TABLE.assign(c=TABLE["c"].where(np.arange(len(X)) % 7 > 0))
    filled = quick().fit(gaps, covariates="batch").impute(gaps)
    assert [*filled] == [*gaps]
    assert not filled.isna().any().any()


def test_the_number_of_clusters_is_chosen_with_covariates():
    few = {"select_k.max_clusters": 2, "select_k.num_splits": 2, "select_k.max_rows": 60}
    model = quick(**few).set_params(n_clusters="auto").fit(TABLE, covariates=["batch", "age"])
    assert model.n_clusters_ in (1, 2)


def test_cells_have_covariates_in_obs():
    anndata = pytest.importorskip("anndata")
    cells = anndata.AnnData(np.float32(FEATURES), BESIDE.set_index(BESIDE.index.astype(str)))
    model = quick().fit(cells, covariates="batch")
    np.testing.assert_array_equal(model.predict(cells), model.labels_)
    np.testing.assert_array_equal(model.predict(cells, covariates=BATCH[:, None]), model.labels_)
    np.testing.assert_array_equal(cells.obsm["X_vade"], model.transform(cells))
    del cells.obs["batch"]
    with pytest.raises(InputError, match=r"^covariates: got None, expected the covariates of the training rows, batch"):
        model.predict(cells)


WEIGHTS = np.random.default_rng(2).integers(0, 4, len(X)).astype(np.float64)


def test_weights_change_the_fit_and_equal_ones_do_not():
    plain, equal, weighted = (quick().fit(X, sample_weight=w) for w in (None, np.full(len(X), 2.5), WEIGHTS))
    jax.tree.map(np.testing.assert_array_equal, equal._params, plain._params)
    shares = np.bincount(weighted.labels_, WEIGHTS, 3) / WEIGHTS.sum()
    np.testing.assert_allclose(weighted.weights_, shares, atol=0.05)
    assert (weighted.weights_ != plain.weights_).any()
    frame = pd.DataFrame(X, columns=list("abcd")).assign(often=WEIGHTS)
    by_column = quick(**{"data.weights": "often"}).fit(frame)
    jax.tree.map(np.testing.assert_array_equal, by_column._params, weighted._params)
    np.testing.assert_array_equal(by_column.predict(frame), weighted.labels_)


@pytest.mark.parametrize(
    ("weights", "got"),
    [([1.0], r"weights of shape \(1,\)"), (-WEIGHTS, "-"), (["a"] * 240, r"values that are no numbers \(")],
)
def test_wrong_weights_are_one_line(weights, got):
    with pytest.raises(InputError, match=rf"^sample_weight: got {got}.*, expected a finite number >= 0 for each row"):
        fast().fit(X, sample_weight=weights)


def test_scikit_learn_routes_weights_and_covariates():
    with config_context(enable_metadata_routing=True):
        model = quick().set_fit_request(sample_weight=True, covariates=True).set_predict_request(covariates=True)
        pipeline = make_pipeline(FunctionTransformer(), model)
        pipeline.fit(X, sample_weight=WEIGHTS, covariates=BATCH)
        answer = pipeline.predict(X, covariates=BATCH)
    np.testing.assert_array_equal(answer, pipeline[-1].labels_)
