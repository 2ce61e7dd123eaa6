"""A run knows its rows: they are found again, put in order, or refused before anything is overwritten."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from helpers.runs import contents, tiny
from sklearn.datasets import make_blobs

from vade_jax.commands.evaluate import evaluate
from vade_jax.commands.generate import generate
from vade_jax.commands.load_rows import identify, load_rows, reload_rows
from vade_jax.commands.predict import predict
from vade_jax.commands.select_k import select_k
from vade_jax.commands.train import _describe, train
from vade_jax.data import sources
from vade_jax.data.dataset import Dataset, Source, make_dataset
from vade_jax.runs import workdir
from vade_jax.runs.run import read_run
from vade_jax.system.errors import InputError

X, KINDS = make_blobs([40, 50, 60], n_features=4, cluster_std=0.5, random_state=0)
TABLE = pd.DataFrame(X, columns=list("abcd")).assign(kind=KINDS)
STANDARDIZED = {"data__scaling": "standardize", "model__likelihood": "gaussian_shared"}
ONE_EPOCH = {"model__num_clusters": 3, "pretrain__num_epochs": 1, "train__num_epochs": 1, "evaluate__bound_rows": 10}


def table_config(path, **changes):
    fields = {"data__name": "file", "data__path": str(path), "data__label_column": "kind", **STANDARDIZED, **changes}
    return tiny(**ONE_EPOCH, **fields)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a table and the run that was trained on it, started there with relative paths."""
    folder = tmp_path_factory.mktemp("trained")
    TABLE.to_csv(folder / "x.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        train(table_config("x.csv"), Path("run"))
    return folder


def without_seconds(results):
    return {**results, "seconds": None}


RANGE = {"min_clusters": 1, "max_clusters": 2, "num_splits": 2, "max_rows": 150}
READERS = {
    "evaluate": lambda run, path: evaluate(run, path),
    "select_k": lambda run, path: select_k(run, RANGE, path),
    "generate": lambda run, path: generate(run, between_rows=(0, 1), path=path),
    "resume": lambda run, path: train(table_config(path), run),
}
CHANGED = {
    "other values": (TABLE.assign(b=TABLE["b"] + 1), "with rows of other values or in another order"),
    "another order of rows": (TABLE.iloc[::-1], "with rows of other values or in another order"),
    "fewer rows": (TABLE.iloc[:90], "90 rows instead of 150"),
    "a row more": (pd.concat([TABLE, TABLE.iloc[:1]]), "151 rows instead of 150"),
    "a column less": (TABLE.drop(columns="c"), "without the columns c"),
}


@pytest.mark.parametrize("change", CHANGED)
@pytest.mark.parametrize("reader", READERS)
def test_changed_rows_are_refused_in_one_line_and_nothing_is_written(trained, tmp_path, reader, change):
    table, words = CHANGED[change]
    table.to_csv(tmp_path / "changed.csv", index=False)
    before = contents(trained)
    with pytest.raises(InputError) as caught:
        READERS[reader](trained / "run", str(tmp_path / "changed.csv"))
    message = str(caught.value)
    if reader == "resume":
        assert message.startswith("workdir: got ")
        words = "3 columns instead of 4" if change == "a column less" else words.removeprefix("with ")
    else:
        assert message.startswith("config.data.path: got ")
    assert words in message
    assert "\n" not in message
    assert contents(trained) == before


def test_columns_in_another_order_are_put_in_order(trained, tmp_path):
    run = shutil.copytree(trained / "run", tmp_path / "run")
    TABLE[["c", "kind", "a", "d", "b"]].assign(more=1.0).to_csv(tmp_path / "more.csv", index=False)
    TABLE[["c", "kind", "a", "d", "b"]].to_csv(tmp_path / "swapped.csv", index=False)
    expected = without_seconds(json.loads((run / "results.json").read_text()))
    assert without_seconds(evaluate(run, str(tmp_path / "swapped.csv"))) == expected
    assert without_seconds(evaluate(run, str(tmp_path / "more.csv"))) == expected
    epochs = (run / "metrics.jsonl").read_text()
    assert without_seconds(train(table_config(tmp_path / "swapped.csv"), run)) == expected
    assert (run / "metrics.jsonl").read_text() == epochs
    assert workdir.read(run)[1]["names"] == ["a", "b", "c", "d"]
    with np.load(predict(run)) as answer, np.load(run / "assignments.npz") as assigned:
        np.testing.assert_array_equal(answer["cluster"], assigned["cluster"])


def test_a_run_finds_its_rows_from_another_folder(trained, tmp_path, monkeypatch):
    run = shutil.copytree(trained / "run", tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    description = workdir.read(run)[1]
    assert description["path"] == str(trained / "x.csv")
    assert workdir.read(run)[0]["data"]["path"] == "x.csv"
    assert len(reload_rows(read_run(run))[0].x) == 150
    train(table_config("x.csv"), run)  # the command that started it
    assert workdir.read(run)[1] == description


def test_rows_that_have_moved_are_found_where_the_user_says(trained, tmp_path):
    run = trained / "run"
    moved = (trained / "x.csv").rename(tmp_path / "moved.csv")
    before = contents(run)
    try:
        for reader in ("evaluate", "select_k", "generate"):
            with pytest.raises(InputError, match=rf"^config.data.path: got {trained}/x.csv, which is not there"):
                READERS[reader](run, "")
        with pytest.raises(InputError, match=r"Say where they are now: --config\.data\.path=FILE\.$"):
            predict(run)
        assert contents(run) == before
        assert len(reload_rows(read_run(run), str(moved))[0].x) == 150
    finally:
        moved.rename(trained / "x.csv")


def test_a_run_of_an_older_version_still_opens(trained, tmp_path, monkeypatch):
    run = shutil.copytree(trained / "run", tmp_path / "run")
    description = workdir.read(run)[1]
    for name in ("path", "dir", "digest", "test", "owner"):
        del description[name]
    (run / "data.json").write_text(json.dumps(description))
    monkeypatch.chdir(trained)
    train_rows, test_rows = reload_rows(read_run(run))
    assert test_rows is None
    np.testing.assert_array_equal(train_rows.x, X.astype(np.float32))
    TABLE.assign(b=0.5).to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(InputError, match="other values"):
        reload_rows(read_run(run), str(tmp_path / "other.csv"))


def test_one_changed_value_of_many_rows_is_noticed():
    x = np.zeros((5000, 3), np.float32)
    known = identify(Dataset(x, None, None))
    x[2, 1] = 1e-30
    found = identify(Dataset(x, None, None))
    assert found["fingerprint"] == known["fingerprint"]  # it is of a thousand rows
    assert workdir.differing_rows(known, found) == "rows of other values or in another order"
    del known["digest"]
    assert workdir.differing_rows(known, found) == ""
    assert workdir.differing_rows({}, found) == ""


def start(config, folder, source=None):
    """Writes what a run writes before it trains, and returns the run."""
    workdir.claim(folder, config.to_dict(), _describe(load_rows(config, folder, source)))
    return read_run(folder)


def test_rows_of_the_test_split_are_checked_too(tmp_path):
    parts = {"x_train": X[:100], "y_train": KINDS[:100], "x_test": X[100:], "y_test": KINDS[100:]}
    np.savez(tmp_path / "x.npz", **parts)
    fields = {"data__label_column": "", "data__train_split": "train"}
    config = table_config(tmp_path / "x.npz", data__test_split="test", **fields)
    run = start(config, tmp_path / "run")
    assert [len(rows.x) for rows in reload_rows(run)] == [100, 50]
    np.savez(tmp_path / "x.npz", **{**parts, "x_test": X[100:] + 1})
    before = contents(tmp_path / "run")
    with pytest.raises(InputError, match=r"x\.npz, split 'test', with rows of other values .* was scored on\. Restore"):
        reload_rows(run)
    with pytest.raises(InputError, match=r"^workdir: got .* other rows"):
        train(config, tmp_path / "run")
    assert contents(tmp_path / "run") == before
    unscored = table_config(tmp_path / "x.npz", **fields)
    description = _describe(load_rows(unscored, tmp_path / "run"))
    assert "test_split" in str(workdir.mismatch(tmp_path / "run", unscored.to_dict(), description))
    assert workdir.mismatch(tmp_path / "run", unscored.to_dict(), description, other_settings=True) is None


def test_columns_in_another_order_keep_their_offsets(tmp_path):
    large = TABLE.assign(b=TABLE["b"] + 1.7e9, d=TABLE["d"] + 6e6)
    large.to_csv(tmp_path / "x.csv", index=False)
    run = start(table_config(tmp_path / "x.csv"), tmp_path / "run")
    rows, _ = reload_rows(run)
    assert rows.offset is not None
    large[["d", "kind", "c", "b", "a"]].to_csv(tmp_path / "swapped.csv", index=False)
    swapped, _ = reload_rows(run, str(tmp_path / "swapped.csv"))
    np.testing.assert_array_equal(swapped.x, rows.x)
    np.testing.assert_array_equal(swapped.offset, rows.offset)
    large.assign(b=large["b"] + 1000).to_csv(tmp_path / "moved.csv", index=False)
    with pytest.raises(InputError, match="with rows of other values"):
        reload_rows(run, str(tmp_path / "moved.csv"))


def test_a_data_set_by_name_must_return_the_same_rows(tmp_path, own_registries):
    rows = [X]

    def load_blobs(path, data_dir, cache_dir, options):
        return Source({"train": make_dataset(rows[-1], KINDS, "blobs")})

    sources.register_data_source("blobs", load_blobs)
    run = start(table_config("", data__name="blobs", data__label_column=""), tmp_path / "run")
    np.testing.assert_array_equal(reload_rows(run)[0].labels, KINDS)
    rows.append(X + 1)
    with pytest.raises(InputError, match=r"got blobs with rows of other values .*, expected the rows that the run "):
        reload_rows(run)


def test_rows_that_were_passed_in_python_are_found_where_the_user_says(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (40, 4, 4), dtype=np.uint8)
    config = tiny(data__name="file", data__scaling="range", **ONE_EPOCH)
    run = start(config, tmp_path / "run", Source({"train": make_dataset(images, None, "X")}))
    with pytest.raises(InputError, match=r"^config\.data\.path: got no path, since its rows came from Python"):
        reload_rows(run)
    np.save(tmp_path / "x.npy", images.reshape(40, 16))
    rows, _ = reload_rows(run, str(tmp_path / "x.npy"))
    assert rows.image_shape == (4, 4, 1)
    np.testing.assert_array_equal(rows.x, images.reshape(40, 16))
