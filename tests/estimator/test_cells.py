"""An AnnData as rows: read like its .h5ad, and written back for scanpy."""

import anndata
import numpy as np
import pandas as pd
import pytest
from helpers.estimators import FAST, QUICK, fast
from scipy import sparse

from vade_jax import VaDE
from vade_jax.commands.train import train
from vade_jax.configs import table
from vade_jax.data.single_cells import log_normalized
from vade_jax.system.errors import InputError

GENES = [f"gene {number}" for number in range(8)]
TYPES = np.random.default_rng(0).integers(0, 3, 150)
RATES = np.where(np.arange(8) // 2 == np.arange(3)[:, None], 60, 3)[TYPES]
COUNTS = np.random.default_rng(1).poisson(RATES)


def make_cells(x=COUNTS, **layers):
    obs = pd.DataFrame({"cluster": ["mine"] * len(x)}, index=[f"cell {number}" for number in range(len(x))])
    return anndata.AnnData(sparse.csr_matrix(x.astype(np.float32)), obs, pd.DataFrame(index=GENES), layers=layers)


@pytest.fixture(scope="module")
def clustered():
    """A fitted estimator and its cells."""
    cells = make_cells()
    return fast().fit(cells), cells


def test_cells_are_annotated(clustered):
    model, cells = clustered
    assert cells.obs["cluster"].tolist() == ["mine"] * 150
    assert cells.obs["vade_cluster"].dtype == "category"
    assert cells.obs["vade_cluster"].astype(int).tolist() == model.labels_.tolist()
    np.testing.assert_array_equal(cells.obsm["X_vade"], model.transform(cells))
    probabilities = model.predict_proba(cells)
    np.testing.assert_array_equal(cells.obsm["vade_probabilities"], probabilities)
    np.testing.assert_array_equal(cells.obs["vade_probability"], probabilities.max(axis=1))
    assert cells.obs["vade_outlier"].dtype == bool
    assert cells.obs["vade_outlier"].mean() < 0.1
    assert (sparse.csr_matrix(COUNTS) != cells.X).nnz == 0
    assert model.feature_names_in_.tolist() == GENES


def test_cells_are_read_as_the_command_line_reads_them(clustered, tmp_path, monkeypatch):
    model, cells = clustered
    make_cells().write_h5ad(tmp_path / "cells.h5ad")
    config = table.get_config()
    config.data.path = str(tmp_path / "cells.h5ad")
    config.model.update(num_clusters=3, latent_dim=3, hidden=(16,))
    for name, value in (FAST | {"report": False}).items():
        section, _, field = name.rpartition(".")
        (config[section] if section else config)[field] = value
    train(config, tmp_path / "run")
    loaded = VaDE.load(tmp_path / "run")
    np.testing.assert_array_equal(loaded.labels_, model.labels_)
    np.testing.assert_array_equal(loaded.predict_proba(cells), model.predict_proba(cells))
    model.save(tmp_path / "saved")
    np.testing.assert_array_equal(VaDE.load(tmp_path / "saved").predict(cells), model.labels_)


def test_new_cells_have_the_genes_and_the_sums_of_training(clustered):
    model, _ = clustered
    new = make_cells(COUNTS[:20])
    expected = model.predict_proba(new)
    shuffled = new[:, GENES[::-1]].copy()
    np.testing.assert_allclose(model.predict_proba(shuffled), expected, rtol=1e-5)
    normalized = pd.DataFrame(log_normalized(COUNTS[:20]), columns=GENES)
    np.testing.assert_allclose(model.predict_proba(normalized), expected, rtol=1e-4)
    with pytest.raises(InputError, match=r"^X: got .*without"):
        model.predict(new[:, :5])
    with pytest.raises(InputError, match=r"^X: got X with .* not integers"):
        model.predict(make_cells(COUNTS + 0.5))


def test_a_layer_is_read_for_new_cells_too():
    cells = make_cells(np.zeros_like(COUNTS), counts=sparse.csr_matrix(COUNTS))
    model = fast().set_params(settings=QUICK).fit(cells, layer="counts")
    np.testing.assert_array_equal(model.predict(cells), model.labels_)
    assert cells.obsm["X_vade"].std() > 0
    with pytest.raises(InputError, match=r"^settings\['data.layer'\]: got 'raw', expected a name of layer in X"):
        fast().fit(cells, layer="raw")
    with pytest.raises(InputError, match=r"^layer: got 'counts' for rows of ndarray, expected None"):
        fast().fit(COUNTS, layer="counts")


def test_cells_without_x_say_what_can_be_read():
    cells = anndata.AnnData(obs=make_cells().obs, obsm={"X_pca": COUNTS[:, :3] - 5.0})
    with pytest.raises(InputError, match=r"^X: got X without X, which has obsm X_pca.*settings={'data.layer': NAME}"):
        fast().fit(cells)
    model = fast().set_params(settings=QUICK | {"data.obsm": "X_pca"}).fit(cells)
    assert model.feature_names_in_.tolist() == ["X_pca_0", "X_pca_1", "X_pca_2"]


def test_a_refit_replaces_the_annotations(clustered):
    _, cells = clustered
    copied = cells.copy()
    model = fast(random_state=1).set_params(settings=QUICK, n_clusters=2).fit(copied)
    assert [*copied.obs] == ["cluster", "vade_cluster", "vade_probability", "vade_outlier"]
    assert copied.obs["vade_cluster"].astype(int).tolist() == model.labels_.tolist()
    assert copied.obsm["vade_probabilities"].shape == (150, 2)
