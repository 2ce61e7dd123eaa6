"""A run whose guided rounds find starting clusters again."""

import numpy as np
import pytest
from helpers.runs import assert_same_bits, params_of, stop_after, tiny

from vade_jax.commands.load_rows import read_rows
from vade_jax.commands.train import train
from vade_jax.data import sources
from vade_jax.data.dataset import Source
from vade_jax.initialization import best_of_layouts, modularity, neighbor_graphs
from vade_jax.runs import saved_model, starting_clusters
from vade_jax.runs.input_graphs import load_input_neighbors
from vade_jax.runs.metrics_log import read_metrics


@pytest.fixture
def finished(digits_run):
    return digits_run


GUIDED = {
    "model__hidden": (64,),
    "pretrain__num_epochs": 8,
    "pretrain__learning_rate": 3e-3,
    "init__method": "manifold",
    "init__num_layouts": 1,
    "guide__num_rounds": 2,
    "align__num_epochs": 2,
    "checkpoint__every_epochs": 1,
}


def train_guided(folder, **changes):
    """Trains with the embedding in place of its UMAP layout. UMAP takes ten seconds to compile in each process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(best_of_layouts, "umap_layout", lambda embeddings, *_: embeddings)
        return train(tiny(**GUIDED | changes), folder)


@pytest.fixture(scope="module")
def guided(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guided") / "run"
    return folder, train_guided(folder)


@pytest.mark.parametrize("recipe", ["finished", "guided"])
@pytest.mark.parametrize("labels", ["none", "poisoned"])
def test_labels_do_not_affect_training(request, tmp_path, monkeypatch, recipe, labels):
    folder, results = request.getfixturevalue(recipe)
    rows = sources.load("digits").splits["train"]
    other = None if labels == "none" else np.random.default_rng(0).integers(0, 3, len(rows.labels))
    monkeypatch.setattr(sources, "SOURCES", {"digits": lambda *_: Source({"train": rows._replace(labels=other)})})
    without = train_guided(tmp_path / "run") if recipe == "guided" else train(tiny(), tmp_path / "run")
    assert_same_bits(params_of(tmp_path / "run"), params_of(folder))
    with np.load(folder / "assignments.npz") as first, np.load(tmp_path / "run" / "assignments.npz") as second:
        np.testing.assert_array_equal(first["responsibilities"], second["responsibilities"])
    assert without["elbo"] == results["elbo"]
    assert without["treatments"] == results["treatments"]
    assert (without["accuracy"] is None) == (labels == "none")
    assert without["accuracy"] != results["accuracy"]


def test_resumed_guide_stage_keeps_its_starting_clusters(guided, tmp_path, monkeypatch):
    folder, results = guided
    stages = [record["stage"] for record in read_metrics(folder / "metrics.jsonl")]
    assert list(dict.fromkeys(stages)) == ["pretrain", "guide1", "guide2", "align", "cluster"]
    assert len(results["rounds"]) == 3
    assert results["rounds"][0]["accuracy"] > 0.5
    stop_after(12, monkeypatch, lambda: train_guided(tmp_path))
    kept = (tmp_path / "initialization_guide2.npz").stat().st_mtime_ns
    train_guided(tmp_path)
    assert (tmp_path / "initialization_guide2.npz").stat().st_mtime_ns == kept
    assert_same_bits(params_of(tmp_path), params_of(folder))


def test_modularity_is_computed_on_the_graph_of_the_inputs(guided):
    folder, results = guided
    inputs = sources.load("digits").splits["train"].x / 16.0
    graph = neighbor_graphs.sampled_graph(
        inputs.astype(np.float32), neighbor_graphs.num_neighbors(1797, 10, 0.05), 2000, seed=0
    )
    for file, found in zip(("guide1", "guide2", "align"), results["rounds"], strict=True):
        with np.load(folder / f"initialization_{file}.npz") as arrays:
            clusters = arrays["memberships"].argmax(axis=1)
        assert found["modularity"] == pytest.approx(modularity.modularity(graph, clusters), abs=1e-3)
    held = [found["modularity"] for found in results["rounds"]]
    assert held == sorted(held)
    with np.load(folder / "assignments.npz") as answer:
        assert results["input_modularity"] == pytest.approx(modularity.modularity(graph, answer["cluster"]), abs=1e-3)


def test_starting_clusters_can_use_the_neighbours_of_the_inputs(guided, tmp_path):
    folder, _ = guided
    train_guided(tmp_path, init__neighbors="both", init__part_rows=20, guide__num_rounds=0)
    memberships = []
    for place, stage in ((folder, "guide1"), (tmp_path, "align")):  # both found clusters in the same embedding
        with np.load(place / f"initialization_{stage}.npz") as arrays:
            memberships.append(arrays["memberships"])
    assert not np.allclose(*memberships)
    run, state, _ = saved_model.restore(tmp_path)
    rows = read_rows(run).x
    file = tmp_path / "input_neighbors.npz"
    kept = file.read_bytes()
    distances, neighbors = load_input_neighbors(run, state.scaling, rows)
    inputs = rows.astype(np.float32) / 16.0
    count = neighbor_graphs.num_neighbors(1797, 10, 0.05)
    expected, _ = neighbor_graphs.nearest_neighbors(inputs, inputs, count, np.arange(1797))
    np.testing.assert_allclose(distances, expected, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(inputs[neighbors] - inputs[:, None], axis=-1), expected, rtol=1e-5)
    file.write_bytes(kept[:100])
    again = load_input_neighbors(run, state.scaling, rows)
    np.testing.assert_array_equal(again, (distances, neighbors))
    assert file.stat().st_size == len(kept)


def test_rounds_end_when_new_clusters_are_no_better(guided, tmp_path, monkeypatch):
    """The clusters of the first round are kept if those of the second round have a lower modularity."""
    _, results = guided
    modularities = iter([0.5, 0.4])  # of the first two rounds; no clusters are found a third time
    monkeypatch.setattr(starting_clusters, "mean_modularity", lambda graphs, clusters, resolution: next(modularities))
    ended = train_guided(tmp_path, guide__num_epochs=1)
    records = read_metrics(tmp_path / "metrics.jsonl")
    assert list(dict.fromkeys(record["stage"] for record in records)) == ["pretrain", "guide1", "align", "cluster"]
    assert [record["total_epochs"] for record in records] == list(range(1, 15))
    first, second, aligned = ended["rounds"]
    assert first["accuracy"] == second["accuracy"] == aligned["accuracy"] == results["rounds"][0]["accuracy"]
    assert [found["modularity"] for found in ended["rounds"]] == [0.5] * 3
    assert [found["found_modularity"] for found in ended["rounds"]] == [0.5, 0.4, 0.4]
    assert len(ended["accuracy_by_epoch"]) == 14


def test_accuracy_by_epoch_uses_the_watched_rows(guided):
    _, results = guided
    by_epoch = results["accuracy_by_epoch"]
    assert by_epoch[:8] == [None] * 8  # an autoencoder has no clusters
    assert all(0 < accuracy <= 1 for accuracy in by_epoch[8:])
    assert by_epoch[-1] == pytest.approx(results["accuracy"], abs=1e-6)  # all 1,797 rows are watched
