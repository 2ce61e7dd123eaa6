"""Cells: counts are normalized, other values are not, and a printed line says so."""

import json
import warnings
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from helpers.runs import tiny
from scipy import sparse

from vade_jax.commands.predict import predict
from vade_jax.commands.train import train
from vade_jax.data import file_formats
from vade_jax.data.dataset import ExpectedColumns, Preparation, ReadOptions, make_dataset
from vade_jax.data.single_cells import log_normalized
from vade_jax.system import large_arrays
from vade_jax.system.errors import InputError

COUNTS = np.random.default_rng(0).poisson(1.0, (7, 5))
COUNTS[3] = 0
FRACTIONS = COUNTS + 0.5 * (COUNTS == 1)
BINARY = (COUNTS > 0).astype(np.float32)
MARKED = {"highly_variable": [True, False, True, True, False]}
WORMS = Path(__file__).parents[3] / "shared" / "data" / "sc_worm_neuron.npz"


def write(path, x, var=None, names="abcde", **obs):
    index = [f"cell {number}" for number in range(x.shape[0])]
    var = pd.DataFrame(var, index=list(names))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about repeated names
        anndata.AnnData(x, obs=pd.DataFrame(obs, index=index), var=var).write_h5ad(path)
    return str(path)


def test_log_normalized_matches_values_by_hand():
    counts = np.array([[1, 3, 0], [0, 0, 0], [2, 2, 4]])
    expected = np.log([[2501, 7501, 1], [1, 1, 1], [2501, 2501, 5001]])
    np.testing.assert_allclose(log_normalized(counts), expected)


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array])
@pytest.mark.parametrize("dtype", [np.int32, np.float32, np.uint8])
def test_counts_in_any_format_are_normalized(tmp_path, monkeypatch, capsys, kind, dtype):
    monkeypatch.setattr(large_arrays, "_VALUES_PER_SLICE", 10)
    path = write(tmp_path / "x.h5ad", kind(COUNTS.astype(dtype)), MARKED)
    rows = file_formats.read(path)["train"]
    np.testing.assert_allclose(rows.x, log_normalized(COUNTS)[:, [0, 2, 3]], rtol=1e-6)
    assert rows.x.dtype == np.float32
    assert rows.names == ("a", "c", "d")
    assert rows.ids.tolist() == [f"cell {number}" for number in range(7)]
    assert rows.labels is None
    assert capsys.readouterr().out == (
        f"{path}: counts of 7 cells, each scaled to a total of 10,000, then log(1 + x); 3 highly variable genes of 5\n"
    )


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("x", [FRACTIONS, COUNTS - 2.0])
def test_other_values_are_not_changed(tmp_path, capsys, kind, x):
    path = write(tmp_path / "x.h5ad", kind(x))
    np.testing.assert_allclose(file_formats.read(path)["train"].x, x, rtol=1e-6)
    assert capsys.readouterr().out == f"{path}: 7 cells, whose values are not counts and were not changed; 5 genes\n"


def test_binary_values_are_not_changed(tmp_path, capsys):
    path = write(tmp_path / "x.h5ad", BINARY)
    np.testing.assert_array_equal(file_formats.read(path)["train"].x, BINARY)
    assert "7 cells, whose values are 0 and 1 and were not changed" in capsys.readouterr().out


def test_the_setting_decides_whether_cells_are_normalized(tmp_path):
    counts = write(tmp_path / "counts.h5ad", COUNTS)
    fractions = write(tmp_path / "fractions.h5ad", FRACTIONS)
    negative = write(tmp_path / "negative.h5ad", FRACTIONS - 2)
    for path, normalize, x in (
        (counts, "none", COUNTS),
        (counts, "counts", log_normalized(COUNTS)),
        (fractions, "counts", log_normalized(FRACTIONS)),
        (fractions, "auto", FRACTIONS),
        (negative, "none", FRACTIONS - 2),
    ):
        read = file_formats.read(path, ReadOptions(normalize=normalize))["train"]
        np.testing.assert_allclose(read.x, x, rtol=1e-6)
    with pytest.raises(InputError, match=r"config.data.normalize: got 'counts' for .*negative.h5ad with negative or"):
        file_formats.read(negative, ReadOptions(normalize="counts"))


def options_after(rows, **changes):
    """How to read cells for a model that was trained on these rows, whose description is written and read."""
    prepared = Preparation.of_description(json.loads(json.dumps(rows.preparation.describe())))
    return ReadOptions(expected=ExpectedColumns(rows.names), prepared=prepared, **changes)


@pytest.mark.parametrize(
    ("trained", "asked", "normalize", "words"),
    [
        (COUNTS, COUNTS[:3], "auto", None),
        (COUNTS, BINARY, "auto", None),
        (COUNTS, FRACTIONS, "auto", "with values that are not integers, expected counts, as in the training cells"),
        (FRACTIONS, FRACTIONS[:3], "auto", None),
        (FRACTIONS, 0 * FRACTIONS, "auto", None),
        (FRACTIONS, COUNTS, "auto", "with counts, expected values that are not counts, as in"),
        (BINARY, BINARY[:3], "auto", None),
        (BINARY, COUNTS, "auto", "with counts, expected only 0 and 1, as in"),
        (FRACTIONS, COUNTS, "counts", None),
        (FRACTIONS, FRACTIONS - 2, "counts", "with negative or missing values, expected numbers >= 0, as in"),
        (COUNTS, FRACTIONS - 2, "none", None),
    ],
)
def test_new_cells_are_normalized_as_the_training_cells_or_refused(tmp_path, trained, asked, normalize, words):
    rows = file_formats.read(write(tmp_path / "x.h5ad", trained), ReadOptions(normalize=normalize))["train"]
    path = write(tmp_path / "new.h5ad", asked)
    if words:
        with pytest.raises(InputError, match=f"config.data.path: got .*new.h5ad {words}"):
            file_formats.read(path, options_after(rows))
        return
    scaled = normalize == "counts" or (normalize == "auto" and trained is COUNTS)
    read = file_formats.read(path, options_after(rows))["train"]
    np.testing.assert_allclose(read.x, log_normalized(asked) if scaled else asked, rtol=1e-6)


def test_totals_are_over_the_genes_of_the_training_cells(tmp_path):
    rows = file_formats.read(write(tmp_path / "x.h5ad", COUNTS, MARKED))["train"]
    options = options_after(rows)
    more = np.column_stack([COUNTS[:, ::-1], 1000 + COUNTS[:, 0]])
    np.testing.assert_array_equal(
        file_formats.read(write(tmp_path / "more.h5ad", more, names="edcbaz"), options)["train"].x, rows.x
    )
    selected = write(tmp_path / "selected.h5ad", COUNTS[:, [0, 2, 3]], names="acd")  # adata[:, highly_variable]
    with pytest.raises(
        InputError,
        match=r"without 2 of the 5 genes over which training summed the counts of a cell: b, e, expected all of them",
    ):
        file_formats.read(selected, options)
    unscaled = file_formats.read(write(tmp_path / "y.h5ad", FRACTIONS, MARKED))["train"]
    read = file_formats.read(
        write(tmp_path / "few.h5ad", FRACTIONS[:, [3, 0, 2]], names="dac"), options_after(unscaled)
    )
    np.testing.assert_array_equal(read["train"].x, unscaled.x)


def test_a_gene_that_stands_twice_is_refused(tmp_path):
    rows = file_formats.read(write(tmp_path / "x.h5ad", COUNTS, MARKED))["train"]
    for names, words in (("abada", "several columns called a"), ("abbcd", "without 1 of the 5 genes")):
        with pytest.raises(InputError, match=words):
            file_formats.read(write(tmp_path / "twice.h5ad", COUNTS, names=names), options_after(rows))
    six = np.column_stack([COUNTS, COUNTS[:, 1]])
    with pytest.raises(InputError, match="several columns called b"):
        file_formats.read(write(tmp_path / "twice.h5ad", six, names="abcdeb"), options_after(rows))
    with pytest.raises(InputError, match="several columns called a"):
        file_formats.read(write(tmp_path / "marked.h5ad", COUNTS, MARKED, names="abcda"))
    # one that is not selected may stand twice in the training cells, and in these cells when they are asked for
    twice = write(tmp_path / "twice.h5ad", COUNTS, MARKED, names="abcdb")
    rows = file_formats.read(twice)["train"]
    np.testing.assert_array_equal(file_formats.read(twice, options_after(rows))["train"].x, rows.x)


def test_a_model_of_an_older_version_or_of_other_files_reads_cells(tmp_path):
    binary, counts = write(tmp_path / "binary.h5ad", BINARY), write(tmp_path / "counts.h5ad", COUNTS)
    older = ReadOptions(expected=ExpectedColumns(tuple("abcde")), prepared=Preparation.of_description({}))
    np.testing.assert_allclose(file_formats.read(binary, older)["train"].x, log_normalized(BINARY), rtol=1e-6)
    of_table = make_dataset(COUNTS, None, "x", tuple("abcde"))
    np.testing.assert_array_equal(file_formats.read(counts, options_after(of_table))["train"].x, COUNTS)


def test_missing_ids_of_obs_are_blank(tmp_path):
    path = write(tmp_path / "x.h5ad", COUNTS, who=pd.Categorical(["0", None, "NA", "0", "1", "2", "3"]))
    assert file_formats.read(path, ReadOptions("", "who"))["train"].ids.tolist() == ["0", "", "NA", "0", "1", "2", "3"]


def test_labels_and_ids_are_columns_of_obs(tmp_path):
    kinds = ["x", "y", "x", "z", "x", "y", "z"]
    path = write(tmp_path / "x.h5ad", COUNTS, kind=pd.Categorical(kinds), who=list("tuvwxyz"), batch=range(7))
    rows = file_formats.read(path, ReadOptions("kind", "who"))["train"]
    assert rows.labels.tolist() == [0, 1, 0, 2, 0, 1, 2]
    assert rows.ids.tolist() == list("tuvwxyz")
    assert file_formats.read(path, ReadOptions("batch"))["train"].labels.tolist() == list(range(7))


def test_trained_model_gets_its_genes_whichever_are_marked(tmp_path, capsys):
    path = write(tmp_path / "x.h5ad", COUNTS, MARKED)
    rows = file_formats.read(path, ReadOptions("kind", expected=ExpectedColumns(("e", "a"))))["train"]
    np.testing.assert_allclose(rows.x, log_normalized(COUNTS)[:, [4, 0]], rtol=1e-6)
    assert rows.names == ("e", "a")
    printed = capsys.readouterr().out
    assert "3 columns that the model does not know are left out: b, c, d\n" in printed
    assert printed.endswith("log(1 + x); 2 genes of the model\n")
    with pytest.raises(
        InputError,
        match=r"config.data.path: got rows of .* without the columns z, expected all of the model's 2 columns",
    ):
        file_formats.read(path, ReadOptions(expected=ExpectedColumns(("a", "z"))))


def test_selected_genes_with_the_same_name_are_rejected(tmp_path):
    path = write(tmp_path / "x.h5ad", COUNTS, names="abcdb")
    with pytest.raises(InputError, match=r"several columns called b, .*var_names_make_unique"):
        file_formats.read(path)
    path = write(tmp_path / "x.h5ad", COUNTS, MARKED, names="abcdb")
    assert file_formats.read(path)["train"].names == ("a", "c", "d")


def test_highly_variable_genes_are_selected(tmp_path):
    path = write(tmp_path / "x.h5ad", COUNTS, {"highly_variable": pd.array([True, None, False, True, None], "boolean")})
    assert file_formats.read(path)["train"].names == ("a", "d")
    path = write(tmp_path / "x.h5ad", COUNTS, {"highly_variable": ["yes", "no", "no", "no", "no"]})
    assert len(file_formats.read(path)["train"].names) == 5
    path = write(tmp_path / "x.h5ad", COUNTS, {"highly_variable": [False] * 5})
    with pytest.raises(InputError, match=r"config.data.path: got .* marks none of 5 genes as highly_variable"):
        file_formats.read(path)


def test_missing_anndata_error_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "anndata", None)
    with pytest.raises(
        InputError,
        match=r"needs anndata, expected .* anndata installed. Run: pip install 'vade-jax\[singlecell\]'",
    ):
        file_formats.read(str(tmp_path / "x.h5ad"))


def test_worm_neurons_are_clustered_and_predicted_with_their_names(tmp_path):
    if not WORMS.exists():
        pytest.skip(f"no {WORMS}")
    with np.load(WORMS) as parts:
        x = sparse.csr_matrix((parts["data"], parts["indices"].astype(np.int32), parts["indptr"]), parts["shape"])
        kinds = parts["y"].astype(str)
    often = np.argsort(-x.getnnz(axis=0))[:300]
    genes = [f"gene {number}" for number in range(x.shape[1])]
    marked = pd.DataFrame({"highly_variable": np.isin(np.arange(x.shape[1]), often)}, index=genes)
    obs = pd.DataFrame({"kind": pd.Categorical(kinds)}, index=[f"cell {number}" for number in range(x.shape[0])])
    anndata.AnnData(x, obs=obs, var=marked).write_h5ad(tmp_path / "worm.h5ad")
    config = tiny(
        data__name="file",
        data__path=str(tmp_path / "worm.h5ad"),
        data__label_column="kind",
        data__scaling="rescale",
        model__likelihood="gaussian_shared",
        train__num_epochs=1,
    )
    results = train(config, tmp_path / "run")
    assert results["scored_rows"] == 4186
    assert 0 < results["accuracy"] < 1
    anndata.AnnData(x[:50, np.sort(often)], var=marked.iloc[np.sort(often)]).write_h5ad(tmp_path / "few.h5ad")
    with pytest.raises(InputError, match="genes over which training summed the counts"):
        predict(tmp_path / "run", str(tmp_path / "few.h5ad"), str(tmp_path / "out.npz"))
    few = anndata.AnnData(x[:50, ::-1], obs=obs[:50][[]], var=marked[::-1][[]])  # other order, no marks, no labels
    few.write_h5ad(tmp_path / "few.h5ad")
    path = predict(tmp_path / "run", str(tmp_path / "few.h5ad"), str(tmp_path / "out.npz"))
    with np.load(path) as answer, np.load(tmp_path / "run" / "assignments.npz") as assigned:
        np.testing.assert_array_equal(answer["cluster"], assigned["cluster"][:50])
        assert answer["id"][:2].tolist() == ["cell 0", "cell 1"]
