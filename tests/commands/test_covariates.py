"""Every mode on rows with covariates, which are no features and move no clusters."""

import json

import numpy as np
import pandas as pd
import pytest
from helpers.runs import tiny
from sklearn.datasets import make_blobs

from vade_jax import VaDE
from vade_jax.commands.evaluate import evaluate
from vade_jax.commands.generate import generate
from vade_jax.commands.load_rows import reload_rows
from vade_jax.commands.predict import predict
from vade_jax.commands.select_k import select_k
from vade_jax.commands.train import train
from vade_jax.reports import results
from vade_jax.runs.filled_inputs import searched_rows
from vade_jax.runs.saved_model import restore
from vade_jax.system.errors import InputError

X, KINDS = make_blobs([60, 60, 60], n_features=4, cluster_std=0.5, random_state=0)
BATCH = np.random.default_rng(0).integers(0, 2, len(X))
TABLE = pd.DataFrame(X + 8 * BATCH[:, None], columns=list("abcd")).assign(
    kind=KINDS, batch=np.array(["one", "two"])[BATCH], age=np.random.default_rng(1).normal(50, 10, len(X))
)
COVARIATES = ("batch", "age")


def config_of(path, **changes):
    fields = {
        "data__name": "file",
        "data__path": str(path),
        "data__label_column": "kind",
        "data__covariates": COVARIATES,
    }
    fields |= {"data__scaling": "standardize", "model__likelihood": "gaussian_shared", "model__num_clusters": 3}
    return tiny(**{**fields, "pretrain__num_epochs": 1, "train__num_epochs": 1, **changes})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a table and the run that was trained on it."""
    folder = tmp_path_factory.mktemp("covariates")
    TABLE.to_csv(folder / "x.csv", index=False)
    train(config_of(folder / "x.csv"), folder / "run")
    return folder


def test_the_run_keeps_their_names_and_levels(trained):
    description = json.loads((trained / "run" / "data.json").read_text())
    assert (description["names"], description["num_features"]) == (list("abcd"), 4)
    assert description["covariates"]["names"] == ["batch", "age"]
    assert description["covariates"]["levels"] == [["one", "two"], []]
    run, state, _ = restore(trained / "run")
    assert run.model.covariates.num_levels == (2, 0)
    shift, scale = (np.asarray(part)[0, 4:] for part in (state.scaling.shift, state.scaling.scale))
    np.testing.assert_allclose(shift, [0, TABLE["age"].mean()], rtol=1e-5)
    np.testing.assert_allclose(1 / scale, [1, TABLE["age"].std(ddof=0)], rtol=1e-5)


def test_neighbours_are_searched_for_without_the_batch(trained):
    run, state, _ = restore(trained / "run")
    rows, _ = reload_rows(run)
    searched = searched_rows(run, state.scaling, rows.inputs)
    assert searched.shape == (len(X), 4)
    first, second = (searched[batch == BATCH].mean(0) for batch in (0, 1))
    np.testing.assert_allclose(first, second, atol=1e-5)


def test_evaluate_and_select_k_read_the_rows_again(trained):
    before = json.loads((trained / "run" / "results.json").read_text())
    after = evaluate(trained / "run", path=str(trained / "x.csv"))
    assert {**before, "seconds": 0} == {**after, "seconds": 0}
    scores = after["covariates"]["batch"]
    assert 0 <= scores["information"] < scores["entropy"] <= np.log(2)
    (line,) = [line for line in results.summary(after).splitlines() if line.startswith("information on batch ")]
    assert line.endswith(f" {scores['information']:.3f} of {scores['entropy']:.3f} nats")
    options = {"min_clusters": 1, "max_clusters": 2, "num_splits": 2, "max_rows": 100}
    assert select_k(trained / "run", options)["num_clusters"] in (1, 2)


def predicted(trained, frame, name):
    frame.to_csv(trained / name, index=False)
    return pd.read_csv(predict(trained / "run", str(trained / name), str(trained / f"predicted {name}")))


def test_new_rows_are_seen_with_their_covariates_in_any_order(trained):
    known = predicted(trained, TABLE, "same.csv")
    np.testing.assert_array_equal(known, predicted(trained, TABLE.iloc[:, ::-1], "turned.csv"))
    other = predicted(trained, TABLE.assign(batch="one"), "other.csv")
    np.testing.assert_array_equal(known[BATCH == 0], other[BATCH == 0])
    assert (known["log_likelihood"] != other["log_likelihood"])[BATCH == 1].all()


def test_the_estimator_loads_the_run_and_asks_for_covariates(trained):
    model = VaDE.load(trained / "run")
    with np.load(trained / "run" / "assignments.npz") as assignments:
        np.testing.assert_array_equal(model.predict(TABLE), assignments["cluster"])
    with pytest.raises(InputError, match=r"^covariates: got None, expected the covariates of the training rows, batch"):
        model.predict(TABLE[list("abcd")])


def test_levels_that_training_did_not_have_are_answered_with_a_warning(trained):
    with pytest.warns(
        UserWarning, match=r"unknown.csv with three in the column batch, .* mean of its levels .rows: 180"
    ):
        unknown = predicted(trained, TABLE.assign(batch="three"), "unknown.csv")
    assert np.isfinite(unknown["log_likelihood"]).all()


def test_new_rows_without_a_covariate_are_refused(trained):
    with pytest.raises(
        InputError, match=r"got 'batch', expected a column of .*lacking.csv, which has a, b, c, d, kind, age"
    ):
        predicted(trained, TABLE.drop(columns="batch"), "lacking.csv")


def test_generated_rows_have_the_covariates_of_training_rows_or_given_ones(trained):
    drawn = pd.read_csv(generate(trained / "run", str(trained / "drawn.csv"), num_samples=400))
    assert list(drawn) == ["cluster", "batch", "age", "a", "b", "c", "d"]
    assert abs((drawn["batch"] == "two").mean() - BATCH.mean()) < 0.1
    assert set(np.float32(drawn["age"])) <= set(np.float32(TABLE["age"]))
    given = pd.read_csv(generate(trained / "run", str(trained / "given.csv"), covariates=("batch=two", "age=50")))
    assert (set(given["batch"]), set(given["age"])) == ({"two"}, {50})
    line = generate(trained / "run", str(trained / "line.npz"), between_rows=(0, 1), covariates=("batch=two",))
    with np.load(line) as arrays:
        np.testing.assert_array_equal(arrays["covariates"][:, 0], 1)
        assert np.isnan(arrays["covariates"][:, 1]).all()
        assert np.isfinite(arrays["x"]).all()


def test_a_run_is_not_resumed_with_other_covariates(trained):
    with pytest.raises(InputError, match=r"with a run of other settings: data.covariates"):
        train(config_of(trained / "x.csv", data__covariates=("batch",)), trained / "run")
    TABLE.assign(batch=TABLE["batch"].str.upper()).to_csv(trained / "renamed.csv", index=False)
    with pytest.raises(InputError, match="with a run of other rows: here are rows of other covariates"):
        train(config_of(trained / "renamed.csv"), trained / "run")


def test_arrays_and_images_have_no_covariates(tmp_path):
    np.save(tmp_path / "x.npy", X)
    with pytest.raises(
        InputError, match=r"^config.data.covariates: got \('batch', 'age'\), expected no covariates, since"
    ):
        train(config_of(tmp_path / "x.npy", data__label_column=""), tmp_path / "run")


def test_rows_with_gaps_and_categories_can_have_covariates(tmp_path):
    frame = TABLE.assign(a=TABLE["a"].where(np.arange(len(X)) % 5 > 0), colour=np.array(["red", "blue"])[KINDS % 2])
    frame.loc[:9, "batch"] = None
    frame.to_parquet(tmp_path / "x.parquet")
    changes = {"data__scaling": "auto", "model__likelihood": "auto", "init__method": "communities"}
    content = train(config_of(tmp_path / "x.parquet", **changes), tmp_path / "run")
    assert np.isfinite(content["elbo"])
    run, state, _ = restore(tmp_path / "run")
    rows, _ = reload_rows(run)
    assert np.isnan(rows.inputs[:10, -2]).all()
    assert np.isfinite(searched_rows(run, state.scaling, rows.inputs)).all()


def test_cells_are_clustered_and_predicted_with_columns_of_obs(tmp_path):
    anndata = pytest.importorskip("anndata")
    index = [f"cell {number}" for number in range(len(X))]
    cells = anndata.AnnData(np.float32(TABLE[list("abcd")]), obs=TABLE[["kind", "batch"]].set_index(pd.Index(index)))
    cells.write_h5ad(tmp_path / "x.h5ad")
    config = config_of(tmp_path / "x.h5ad", data__covariates=("batch",))
    config.report = True
    train(config, tmp_path / "run")
    assert "batch" in (tmp_path / "run" / "report" / "index.html").read_text()
    cells.obs["batch"] = pd.Categorical(cells.obs["batch"])
    cells[:, ::-1].write_h5ad(tmp_path / "new.h5ad")
    predicted = anndata.read_h5ad(predict(tmp_path / "run", str(tmp_path / "new.h5ad"), str(tmp_path / "out.h5ad")))
    assert predicted.obsm["X_vade"].shape == (len(X), 3)
    with np.load(tmp_path / "run" / "assignments.npz") as trained:
        np.testing.assert_array_equal(predicted.obs["vade_cluster"].astype(int), trained["cluster"])
    assert predicted.obs["batch"].tolist() == TABLE["batch"].tolist()
