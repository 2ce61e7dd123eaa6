"""A run of a table writes assignments.csv; cells get their clusters in a copy of their .h5ad."""

import anndata
import numpy as np
import pandas as pd
import pytest
from helpers.runs import contents, tiny
from scipy.sparse import csr_matrix
from sklearn.datasets import make_blobs

from vade_jax.commands.evaluate import evaluate
from vade_jax.commands.predict import predict
from vade_jax.commands.train import train
from vade_jax.system.errors import InputError

X, KINDS = make_blobs([40, 50, 60], n_features=4, cluster_std=0.5, random_state=0)
SETTINGS = {
    "data__name": "file",
    "data__scaling": "standardize",
    "model__likelihood": "gaussian_shared",
    "model__num_clusters": 3,
    "checkpoint__every_epochs": 20,
}


def frame():
    return pd.DataFrame(X, columns=list("abcd"))


def run(folder, path, **changes):
    return train(tiny(**SETTINGS | changes, data__path=str(path)), folder / "run")


def test_a_table_with_all_that_is_left_out_is_trained_evaluated_and_predicted(tmp_path):
    table = frame().assign(who=[f"u{n}" for n in range(150)], when="2021-12-01", unit="kg")
    (tmp_path / "x.csv").write_bytes(table.to_csv(index=False, sep=";", decimal=",").encode("utf-16"))
    with pytest.warns(UserWarning, match="2 columns are left out: when .dates; .*, unit .one value"):
        run(tmp_path, tmp_path / "x.csv", data__id_column="who")
    assigned = pd.read_csv(tmp_path / "run" / "assignments.csv")
    assert list(assigned) == ["id", "cluster", "probability", "outlier"]
    assert assigned["id"].tolist() == table["who"].tolist()
    with np.load(tmp_path / "run" / "assignments.npz") as arrays:
        np.testing.assert_array_equal(assigned["cluster"], arrays["cluster"])
        np.testing.assert_allclose(assigned["probability"], arrays["probabilities"].max(axis=1), rtol=1e-5)
    table.assign(note="x").to_csv(tmp_path / "new.csv", index=False)  # separated and marked in another way
    answer = pd.read_csv(predict(tmp_path / "run", str(tmp_path / "new.csv"), str(tmp_path / "out.csv")))
    pd.testing.assert_frame_equal(answer[["id", "cluster", "outlier"]], assigned[["id", "cluster", "outlier"]])
    before = contents(tmp_path / "run")
    with pytest.warns(UserWarning, match="2 columns are left out"):
        evaluate(tmp_path / "run")
    assert before[tmp_path / "run" / "assignments.csv"] == (tmp_path / "run" / "assignments.csv").read_bytes()


def test_outliers_among_many_rows_are_those_among_few(tmp_path, monkeypatch):
    table = frame()
    table.iloc[::50] += 30
    table.to_csv(tmp_path / "x.csv", index=False)
    run(tmp_path, tmp_path / "x.csv")
    few = pd.read_csv(tmp_path / "run" / "assignments.csv")
    assert few["outlier"][::50].all()
    assert few["outlier"].sum() < 10
    monkeypatch.setattr("vade_jax.commands.predict._FEW_ROWS", 100)
    evaluate(tmp_path / "run")
    many = pd.read_csv(tmp_path / "run" / "assignments.csv")
    assert (many["outlier"] != few["outlier"]).sum() <= 1


def test_a_parquet_gets_a_parquet_and_other_rows_get_none(tmp_path):
    frame().to_parquet(tmp_path / "x.parquet")
    run(tmp_path, tmp_path / "x.parquet")
    assigned = pd.read_parquet(tmp_path / "run" / "assignments.parquet")
    assert assigned["row"].tolist() == list(range(150))
    assert not (tmp_path / "run" / "assignments.csv").exists()
    np.save(tmp_path / "x.npy", X)
    (tmp_path / "other").mkdir()
    run(tmp_path / "other", tmp_path / "x.npy")
    assert not list((tmp_path / "other" / "run").glob("assignments.[cp]*"))


def test_a_table_with_gaps_and_text_is_clustered(tmp_path):
    table = frame().assign(kind=np.where(KINDS > 0, "x", "y"))
    table.loc[3:32, "b"] = None
    table.to_csv(tmp_path / "x.csv", index=False)
    run(tmp_path, tmp_path / "x.csv", model__likelihood="auto", data__scaling="auto")
    table.to_csv(tmp_path / "new.csv", index=False)
    answer = pd.read_csv(predict(tmp_path / "run", str(tmp_path / "new.csv"), str(tmp_path / "out.csv")))
    assigned = pd.read_csv(tmp_path / "run" / "assignments.csv")
    assert answer["cluster"].tolist() == assigned["cluster"].tolist()
    assert np.isfinite(answer["log_likelihood"]).all()


def test_new_rows_with_gaps_are_refused_by_a_model_of_complete_rows(tmp_path):
    frame().to_csv(tmp_path / "x.csv", index=False)
    run(tmp_path, tmp_path / "x.csv")
    (tmp_path / "new.csv").write_text("a,b,c,d\n1,2,?,\n1,2,3,4\n")
    with pytest.raises(InputError, match=r"2 gaps .the first in row 0, column c.*, expected rows without gaps"):
        predict(tmp_path / "run", str(tmp_path / "new.csv"), str(tmp_path / "out.csv"))


def test_cells_get_their_clusters_in_a_copy_of_their_file(tmp_path):
    obs = pd.DataFrame({"cluster": ["mine"] * 150}, index=[f"cell {number}" for number in range(150)])
    cells = anndata.AnnData(csr_matrix(X - X.min() + 0.5), obs=obs, var=pd.DataFrame(index=list("abcd")))
    cells.uns["note"] = "kept"
    cells.write_h5ad(tmp_path / "x.h5ad")
    run(tmp_path, tmp_path / "x.h5ad")
    for path, output in (("", "out.h5ad"), (str(tmp_path / "out.h5ad"), "out.h5ad")):
        annotated = anndata.read_h5ad(
            predict(tmp_path / "run", path, str(tmp_path / output), with_responsibilities=True)
        )
        assert annotated.obs["cluster"].tolist() == ["mine"] * 150
        with np.load(tmp_path / "run" / "assignments.npz") as arrays:
            assert annotated.obs["vade_cluster"].tolist() == [str(cluster) for cluster in arrays["cluster"]]
            np.testing.assert_allclose(annotated.obsm["vade_probabilities"], arrays["probabilities"], atol=1e-5)
        assert str(annotated.obs["vade_cluster"].dtype) == "category"
        largest = annotated.obsm["vade_probabilities"].max(axis=1)
        np.testing.assert_array_equal(annotated.obs["vade_probability"], largest)
        assert annotated.obs["vade_outlier"].dtype == bool
        assert annotated.obsm["X_vade"].shape == (150, 3)
        assert annotated.obsm["vade_responsibilities"].shape == (150, 3)
        np.testing.assert_array_equal(annotated.X.toarray(), cells.X.toarray())
        assert annotated.uns["note"] == "kept"
        assert [*annotated.obs] == ["cluster", "vade_cluster", "vade_probability", "vade_outlier"]
    frame().to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(
        InputError, match=r"config.predict.output: .* a file that ends in one of .csv, .parquet, .npz, in"
    ):
        predict(tmp_path / "run", str(tmp_path / "new.csv"), str(tmp_path / "out.h5ad"))
