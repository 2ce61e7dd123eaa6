"""Files that a run keeps between stages are made again if what they depend on changes, as with --resume=force."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from helpers.runs import stop_after, tiny

from vade_jax.commands.train import train
from vade_jax.data.scaling import Scaling
from vade_jax.runs import starting_clusters, workdir
from vade_jax.runs.basis import basis, is_of
from vade_jax.runs.input_graphs import clustered_row_indices, load_input_graphs, load_input_neighbors
from vade_jax.runs.run import make_run
from vade_jax.runs.starting_clusters import StartingClusters, memberships, read_last, read_with_rows, write

X = np.random.default_rng(0).normal(size=(300, 16)).astype(np.float32)
GRAPH = {"init__method": "manifold", "model__num_clusters": 3, "init__neighbor_share": 0.1}
CHANGES = [
    {"init__neighbor_share": 0.3},
    {"model__num_clusters": 5},
    {"init__max_rows": 200},
    {"init__soft_neighbors": 30},
    {"init__method": "gmm"},
    {"augment__max_shift": 0.2},
    {"augment__max_shift": 0.2, "init__method": "gmm"},
]


def run_of(folder, **changes):
    description = {"num_rows": 300, "num_features": 16, "image_shape": (4, 4, 1)}
    return make_run(tiny(**GRAPH | changes), folder, description)


def scaled_by(*factors):
    scale = np.ones((1, 16), np.float32)
    scale[0, : len(factors)] = factors
    return Scaling(jnp.zeros((1, 16)), jnp.asarray(scale))


def graphs(run, scaling):
    """The input graphs, as dense arrays, and the neighbour lists."""
    return [graph.toarray() for graph in load_input_graphs(run, scaling, X)], load_input_neighbors(run, scaling, X)


def assert_equal_graphs(one, other):
    assert len(one[0]) == len(other[0])
    for left, right in zip(one[0], other[0], strict=True):
        np.testing.assert_array_equal(left, right)
    assert (one[1] is None) == (other[1] is None)
    if one[1] is not None:
        np.testing.assert_array_equal(one[1].indices, other[1].indices)


@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_graphs_are_made_again_with_other_settings(tmp_path, changes):
    (tmp_path / "fresh").mkdir()
    graphs(run_of(tmp_path), scaled_by(1))
    kept = graphs(run_of(tmp_path, **changes), scaled_by(1))
    assert_equal_graphs(kept, graphs(run_of(tmp_path / "fresh", **changes), scaled_by(1)))


def test_graphs_are_made_again_with_another_scaling(tmp_path):
    (tmp_path / "fresh").mkdir()
    graphs(run_of(tmp_path), scaled_by(1))
    kept = graphs(run_of(tmp_path), scaled_by(1, 50))
    assert_equal_graphs(kept, graphs(run_of(tmp_path / "fresh"), scaled_by(1, 50)))


def test_graphs_are_kept_with_the_same_settings_and_files_of_older_versions_too(tmp_path):
    run = run_of(tmp_path)
    first = graphs(run, scaled_by(1))
    written = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(written) == 2
    assert_equal_graphs(graphs(run, scaled_by(1)), first)
    for path in written:
        with np.load(path) as arrays:
            old = {name: arrays[name] for name in arrays if name != "basis"}
        np.savez(path, **old)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert_equal_graphs(graphs(run, scaled_by(1)), first)
    assert written == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}


def found_on(num_rows):
    hard = np.eye(3, dtype=np.float32)[np.arange(num_rows) % 3]
    nothing = np.array(0.0)
    return StartingClusters(hard, nothing, nothing, nothing, np.array(False))


def test_later_stages_read_the_resolution_that_the_first_chose(tmp_path):
    run = run_of(tmp_path)
    write(run, "guide1", found_on(300)._replace(resolution=np.array(0.25)))
    assert read_last(run, "guide1").resolution == 0.25
    path = tmp_path / "initialization_guide1.npz"
    with np.load(path) as arrays:
        older = {name: arrays[name] for name in arrays if name != "resolution"}
    np.savez(path, **older)
    assert read_last(run, "guide1").resolution == 1


def test_memberships_of_an_earlier_attempt_on_fewer_rows_are_not_used(tmp_path):
    fewer = run_of(tmp_path, init__max_rows=100)
    write(fewer, "guide1", found_on(100))
    embeddings = X[clustered_row_indices(fewer)]
    starting_clusters.extend_to_all_rows(fewer, "guide1", embeddings, lambda rows: X[rows])
    assert memberships(fewer, "guide1").shape == (300, 3)
    all_rows = run_of(tmp_path)
    write(all_rows, "guide1", found_on(300))
    np.testing.assert_array_equal(memberships(all_rows, "guide1"), found_on(300).memberships)


@pytest.mark.parametrize("changes", [{"init__max_rows": 100}, {"init__components": 1}, {"init__neighbor_share": 0.2}])
def test_clusters_found_with_other_settings_are_not_compared_with(tmp_path, changes):
    write(run_of(tmp_path), "guide1", found_on(300))
    assert read_last(run_of(tmp_path), "guide1") is not None
    assert read_last(run_of(tmp_path, **changes), "guide1") is None
    assert len(read_with_rows(run_of(tmp_path, **changes), "guide1")[1]) == 300


def test_a_basis_tells_settings_shapes_types_and_values_apart():
    array = np.arange(6)
    bases = {
        basis({"k": 1}, array),
        basis({"k": 2}, array),
        basis({"k": 1}, array.reshape(2, 3)),
        basis({"k": 1}, array.astype(np.float64)),
        basis({"k": 1}, array + 1),
        basis({"k": 1}),
    }
    assert len(bases) == 6
    assert is_of({"basis": np.array("a")}, "a")
    assert not is_of({"basis": np.array("a")}, "b")
    assert is_of({}, "b")


def test_a_run_forced_to_other_rows_scores_its_clusters_on_their_own_rows(tmp_path, monkeypatch):
    """The cluster stage has begun with clusters of 800 rows, and watches 100 rows."""
    changes = {"init__max_rows": 800, "doctor__watch_rows": 100}
    with monkeypatch.context() as patch:
        stop_after(4, patch, lambda: train(tiny(**changes), tmp_path))
    with np.load(tmp_path / "initialization_cluster.npz") as found:
        assert len(found["rows"]) == 800
    undisturbed = train(tiny(**changes), tmp_path)
    assert all(accuracy is not None for accuracy in undisturbed["accuracy_by_epoch"][3:])
    config = tiny(**changes | {"init__max_rows": 300, "train__num_epochs": 4})
    config.seed = 5  # other rows are watched
    forced = train(config, tmp_path, force=True)
    assert forced["rounds"][0]["accuracy"] == undisturbed["rounds"][0]["accuracy"]
    assert forced["accuracy_by_epoch"][:6] == [None] * 6
    assert forced["accuracy_by_epoch"][6] is not None


def test_rows_that_differ_in_their_offset_only_are_other_rows(tmp_path):
    settings = tiny().to_dict()
    rows = {"num_rows": 3, "num_features": 2, "digest": "a", "fingerprint": "b", "offset": [0.0, 1e9]}
    workdir.claim(tmp_path, settings, rows)
    assert workdir.mismatch(tmp_path, settings, rows) is None
    for offset in ([0.0, 2e9], None):
        error = workdir.mismatch(tmp_path, settings, rows | {"offset": offset})
        assert "rows whose large columns have other values" in str(error)
    older = {name: value for name, value in rows.items() if name != "offset"}
    (tmp_path / "data.json").write_text(json.dumps(older))
    assert workdir.mismatch(tmp_path, settings, rows) is None
