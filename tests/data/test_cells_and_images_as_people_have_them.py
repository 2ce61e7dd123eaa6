"""Cells and images as people have them: read right, or refused in one line that names every problem."""

import anndata
import numpy as np
import pandas as pd
import pytest
from helpers.table_files import assert_one_line, read
from PIL import Image
from scipy.sparse import csc_matrix, csr_matrix

from vade_jax.data import single_cells
from vade_jax.data.dataset import ExpectedColumns
from vade_jax.data.single_cells import log_normalized
from vade_jax.data.variable_genes import most_variable_genes
from vade_jax.system.errors import InputError

COUNTS = np.random.default_rng(0).poisson(1.0, (6, 4)).astype(np.float32)
FRACTIONS = COUNTS + 0.25


def cells(x=FRACTIONS, **parts):
    def write(path):
        index = pd.DataFrame(index=[f"cell {number}" for number in range(6)])
        adata = anndata.AnnData(x, obs=index, var=pd.DataFrame(index=list("abcd")))
        for name in ("layers", "obsm"):
            for key, values in parts.get(name, {}).items():
                getattr(adata, name)[key] = values
        if "raw" in parts:
            adata.raw = anndata.AnnData(parts["raw"], obs=index, var=pd.DataFrame(index=list("wxyz")))
        adata.write_h5ad(path)

    return write


FRAME = pd.DataFrame({"u": range(6), "v": range(6)}, index=[f"cell {number}" for number in range(6)])
# name -> how it is written, the settings, the names and the rows that are read
CELLS = {
    "plain.h5ad": (cells(), {}, "abcd", FRACTIONS),
    "csc.h5ad": (cells(csc_matrix(FRACTIONS)), {}, "abcd", FRACTIONS),
    "counts.h5ad": (cells(COUNTS), {}, "abcd", log_normalized(COUNTS)),
    "layer.h5ad": (cells(layers={"raw": csc_matrix(COUNTS)}), {"layer": "raw"}, "abcd", log_normalized(COUNTS)),
    "layer_alone.h5ad": (cells(None, layers={"raw": COUNTS}), {"layer": "raw"}, "abcd", log_normalized(COUNTS)),
    "raw.h5ad": (cells(raw=csr_matrix(COUNTS)), {"raw": True}, "wxyz", log_normalized(COUNTS)),
    "obsm.h5ad": (cells(obsm={"X_pca": COUNTS[:, :2]}), {"obsm": "X_pca"}, ("X_pca_0", "X_pca_1"), COUNTS[:, :2]),
    "frame.h5ad": (cells(None, obsm={"two": FRAME}), {"obsm": "two"}, "uv", FRAME.to_numpy()),
}
BAD_CELLS = {
    "no_x.h5ad": (cells(None, layers={"raw": COUNTS}), {}, "without X, which has layers raw, expected X, or a setting"),
    "no_layer.h5ad": (
        cells(),
        {"layer": "raw"},
        "config.data.layer: got 'raw', expected a name of layer in .* has none",
    ),
    "no_raw.h5ad": (cells(), {"raw": True}, "config.data.raw: got True for .* without raw"),
    "two.h5ad": (cells(), {"raw": True, "layer": "x"}, "config.data.raw: got a value beside data.layer"),
    "layer.csv": (
        lambda path: path.write_text("a,b\n1,2\n"),
        {"layer": "x"},
        "config.data.layer: got 'x', expected no value for .* not an .h5ad",
    ),
}


@pytest.mark.parametrize("name", CELLS)
def test_cells_of_every_kind_are_read(tmp_path, capsys, name):
    write, options, names, rows = CELLS[name]
    write(tmp_path / name)
    found = read(tmp_path / name, **options)
    assert found.names == tuple(names)
    np.testing.assert_allclose(found.x, rows, rtol=1e-6)
    assert capsys.readouterr().out.count("\n") == 1
    model = ExpectedColumns(found.names[::-1])
    again = read(tmp_path / name, **options, expected=model, prepared=found.preparation)
    np.testing.assert_array_equal(again.x, found.x[:, ::-1])


@pytest.mark.parametrize("name", BAD_CELLS)
def test_cells_that_are_not_there_are_named(tmp_path, name):
    write, options, words = BAD_CELLS[name]
    write(tmp_path / name)
    with pytest.raises(InputError) as error:
        read(tmp_path / name, **options)
    assert_one_line(error, "", words)


def test_of_many_genes_the_most_variable_ones_are_selected(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(single_cells, "_MANY_GENES", 29)
    monkeypatch.setattr(single_cells, "_NUM_VARIABLE", 7)
    counts = np.random.default_rng(1).negative_binomial(1, 0.3, (50, 30))
    x = log_normalized(counts)
    wanted = most_variable_genes([x], 7)
    assert len(wanted) < 15
    for name, values in {"counts.h5ad": counts, "log.h5ad": x.astype(np.float32)}.items():
        path = tmp_path / name
        anndata.AnnData(values, var=pd.DataFrame(index=[f"g{gene}" for gene in range(30)])).write_h5ad(path)
        found = read(path)
        assert found.names == tuple(f"g{gene}" for gene in wanted)
        np.testing.assert_allclose(found.x, x[:, wanted], rtol=1e-5)
        assert f"the {len(wanted)} most variable genes of 30" in capsys.readouterr().out
        assert len(read(path, columns=tuple(f"g{gene}" for gene in range(30))).names) == 30  # of an older run
        assert read(path, columns=("g3", "g1")).names == ("g1", "g3")
    anndata.AnnData(x - 1, var=pd.DataFrame(index=[f"g{gene}" for gene in range(30)])).write_h5ad(tmp_path / "z.h5ad")
    assert len(read(tmp_path / "z.h5ad").names) == 30


def images(folder, *damaged):
    for name in ("a/1.png", "a/2.png", "b/3.png", "b/4.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((3, 2, 3), int(name[-5]), np.uint8)).save(folder / name)
    for name in damaged:
        (folder / name).write_bytes((folder / name).read_bytes()[:50])


def test_damaged_images_are_left_out_by_name_when_asked(tmp_path, capsys):
    images(tmp_path, "a/1.png", "b/4.png")
    found = read(tmp_path, skip_damaged=True, label_column="folder")
    assert found.ids.tolist() == ["a/2.png", "b/3.png"]
    assert found.x[:, 0].tolist() == [2, 3]
    assert found.labels.tolist() == [0, 1]
    assert capsys.readouterr().out.endswith("2 damaged images are left out: a/1.png, b/4.png\n")


def test_damaged_images_are_named_in_one_line(tmp_path):
    images(tmp_path, "a/1.png", "b/4.png")
    words = r"with 2 problems: \(1\) .*1.png, which cannot be read .*, \(2\) .*4.png, .*skip_damaged=true"
    with pytest.raises(InputError) as error:
        read(tmp_path)
    assert_one_line(error, tmp_path, words)
    images(tmp_path, "a/1.png", "a/2.png", "b/3.png", "b/4.png")
    with pytest.raises(InputError) as error:
        read(tmp_path, skip_damaged=True)
    assert_one_line(error, tmp_path, "with 4 problems")
