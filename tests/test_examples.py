"""The examples run and give good clusters."""

import re
import runpy
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

pytestmark = pytest.mark.usefixtures("own_registries", "as_in_a_program")
EXAMPLES = Path(__file__).parent.parent / "examples"
QUICK = {
    "pretrain.num_epochs": 10,
    "guide.num_epochs": 3,
    "align.num_epochs": 1,
    "train.num_epochs": 1,
    "optimizer.min_steps": 0,
    "optimizer.schedule": "constant",
    "init.method": "gmm",
    "evaluate.bound_rows": 20,
    "evaluate.bound_samples": 2,
    "report": False,
}


def example(name):
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))


@pytest.mark.usefixtures("optimized")
def test_own_decoder():
    bounds, purity = example("own_decoder")["main"]()
    assert np.isfinite(bounds).all()
    assert purity[bounds.argmax()] > 0.95


ONE_STAGE = {"guide.num_rounds": 0, "align.num_epochs": 0}


def test_own_network():
    assert example("own_network")["main"](**QUICK | ONE_STAGE | {"pretrain.num_epochs": 4}) > 0.2


def test_own_likelihood_draws_student_t():
    likelihood = example("own_likelihood")["StudentT"](-6.0)
    location, raw_log_var = jnp.full((20_000, 2), 3.0), jnp.zeros((20_000, 2))
    x = np.asarray(likelihood.sample(jax.random.key(0), location, raw_log_var), np.float64)
    scale = np.exp((-6 + np.log1p(np.exp(6.0))) / 2)
    assert stats.kstest(x.ravel(), stats.t(5, 3, scale).cdf).pvalue > 1e-3


@pytest.mark.parametrize("name", ["own_likelihood", "own_scaling", "own_data_source"])
def test_own_likelihood_scaling_and_data_source(name):
    assert example(name)["main"](**QUICK | ONE_STAGE | {"pretrain.num_epochs": 100}) > 0.3


def test_single_cells(tmp_path):
    anndata = pytest.importorskip("anndata")
    source = Path(__file__).parent.parent.parent / "shared" / "data" / "sc_worm_neuron.npz"
    if not source.exists():
        pytest.skip(f"no {source}")
    from scipy.sparse import csr_matrix

    with np.load(source) as parts:
        counts = csr_matrix((parts["data"], parts["indices"], parts["indptr"]), shape=parts["shape"])[:600]
    anndata.AnnData(counts.astype(np.float32)).write_h5ad(tmp_path / "cells.h5ad")
    cells = example("single_cells")["main"](tmp_path / "cells.h5ad", 4, **QUICK)
    assert cells.obs["cluster"].nunique() <= 4
    assert cells.obsm["X_vade"].shape == (600, 10)
    np.testing.assert_allclose(cells.obsm["vade_probabilities"].sum(axis=1), 1, rtol=1e-5)


def test_table_with_gaps():
    pd = pytest.importorskip("pandas")
    namespace = example("table_with_gaps")
    table, filled = namespace["wines_with_gaps"](), namespace["main"](**QUICK | {"pretrain.num_epochs": 4})
    assert table.isna().to_numpy().any(axis=0).all()
    assert not filled.isna().to_numpy().any()
    observed = table["color_intensity"].notna()
    pd.testing.assert_series_equal(filled["color_intensity"][observed], table["color_intensity"][observed])
    assert set(filled["color_intensity"]) == {"pale", "medium", "deep"}


def test_images(tmp_path, capsys):
    images = example("images")
    images["write_digits"](tmp_path, 300)
    model = images["main"](tmp_path, 4, **QUICK | ONE_STAGE | {"model.network": "mlp", "pretrain.num_epochs": 4})
    assert model.image_shape == (8, 8, 1)
    assert model.labels_.shape == (300,)
    assert re.search(r"^[0-3] \['0\d\d\d\.png'", capsys.readouterr().out, re.MULTILINE)
    assert (tmp_path / "drawn.jpg").exists()


@pytest.mark.filterwarnings("ignore")  # scanpy's own
def test_cells_in_scanpy(tmp_path):
    pytest.importorskip("scanpy")
    import anndata

    counts = np.random.default_rng(0).poisson(1.0, (120, 60)).astype(np.float32)
    anndata.AnnData(counts).write_h5ad(tmp_path / "cells.h5ad")
    cells = example("cells_in_scanpy")["main"](tmp_path / "cells.h5ad", 3, **QUICK)
    assert cells.obs["cluster"].nunique() <= 3
    assert cells.obsm["X_vade"].shape == (120, 10)
    assert cells.obsm["X_umap"].shape == (120, 2)
    assert "rank_genes_groups" in cells.uns


@pytest.mark.slow
@pytest.mark.usefixtures("optimized")
def test_table(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["table.py"])
    runpy.run_path(str(EXAMPLES / "table.py"), run_name="__main__")
    assert "same clusters after loading: True" in capsys.readouterr().out
