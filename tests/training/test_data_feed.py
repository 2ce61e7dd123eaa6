"""Epochs over rows that are resident on the devices or streamed to them in shards."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers.runs import assert_same_bits, params_of, stop_after, tiny
from sklearn.datasets import make_blobs

from vade_jax.commands.predict import predict
from vade_jax.commands.train import train
from vade_jax.data import sources
from vade_jax.data.scaling import Scaling
from vade_jax.initialization import best_of_layouts, neighbor_graphs
from vade_jax.reports.label_scores import clustering_accuracy
from vade_jax.runs import saved_model, starting_clusters
from vade_jax.runs.input_graphs import clustered_row_indices
from vade_jax.runs.run import make_run
from vade_jax.system.devices import replicate
from vade_jax.training import data_feed as feed_module
from vade_jax.training.data_feed import Feed
from vade_jax.training.epoch import make_epoch
from vade_jax.training.train_state import TrainState, start_stage

NUM_ROWS, BATCH = 50, 4
BIT = np.exp2(np.arange(NUM_ROWS) % 20).astype(np.float32)  # a row's contribution to an epoch's mean loss
X = np.arange(NUM_ROWS, dtype=np.uint8)[:, None]


@pytest.fixture(autouse=True, scope="module")
def _small_blocks():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feed_module, "_BLOCK", 2)
        yield


def start():
    scaling = Scaling(jnp.zeros((1, 1)), jnp.ones((1, 1)))
    state = TrainState.create({"mean": jnp.zeros(())}, jax.random.key(0), scaling)
    return replicate(start_stage(state, optax.sgd(0.1), state.key))


def epoch_of(loss):
    return make_epoch(lambda params, batch, keys, step: (loss(params, batch), {}), optax.sgd(0.1), BATCH)


def shard_bytes(num_rows):
    return num_rows * (X[:1].nbytes + BIT[:1].nbytes)


def test_shards_have_complete_batches_and_each_row_once(tmp_path):
    np.save(tmp_path / "x.npy", X)
    feed = Feed(np.load(tmp_path / "x.npy", mmap_mode="r"), 10, shard_bytes(18))
    counts, first = zip(*feed._shards({"x": X, "bit": BIT}, BATCH, 0), strict=True)
    again, other = ([shard for _, shard in feed._shards({"x": X, "bit": BIT}, BATCH, seed)] for seed in (0, 1))
    assert not feed.resident
    assert [len(shard["x"]) for shard in first] == list(counts) == [16, 16, 16, 2]
    assert sorted(row for shard in first for row in shard["x"][:, 0]) == list(range(NUM_ROWS))
    for shard in first:
        np.testing.assert_array_equal(shard["bit"], BIT[shard["x"][:, 0]])
    jax.tree.map(np.testing.assert_array_equal, list(first), again)
    assert sum(row % 2 for row in first[0]["x"][:, 0]) == 8  # a block of neighbours stays together
    assert not np.array_equal(first[0]["x"], other[0]["x"])


@pytest.mark.parametrize("max_resident", [0, 2**20])
def test_each_process_reads_its_part_of_the_rows(monkeypatch, max_resident):
    parts = {0: [], 1: []}
    monkeypatch.setattr(jax, "device_count", lambda: 2 * jax.local_device_count())
    for process, read in parts.items():
        monkeypatch.setattr(jax, "process_index", lambda process=process: process)
        monkeypatch.setattr(feed_module, "gather_rows", lambda part, num_rows, read=read: read.append(part))
        feed = Feed(X, max_resident, shard_bytes(18))
        if not feed.resident:
            read += [shard["x"] for _, shard in feed._shards({"x": X}, BATCH, 0)]
    first, second = (np.concatenate(read)[:, 0] for read in parts.values())
    assert sorted([*first, *second]) == list(range(NUM_ROWS))
    assert abs(len(first) - len(second)) <= 2 * len(parts[0])  # of each shard, by the padding of its last device


@pytest.mark.parametrize("shard_rows", [None, 18])
def test_held_out_rows_are_not_trained_on(shard_rows):
    held_out = np.array([0, 7, 48, 49])

    def loss(params, batch):
        return batch["bit"] + 0 * params["mean"]

    read = []
    epoch = epoch_of(loss)
    feed = Feed(X, 0 if shard_rows else 2**20, shard_bytes(shard_rows or 1), held_out)

    def recording(state, data):
        read.append(np.asarray(data["x"])[:, 0])
        np.testing.assert_array_equal(np.asarray(data["bit"]), BIT[read[-1]])  # the arrays stay in step with x
        return epoch(state, data)

    feed.train(recording, start(), {"bit": BIT}, BATCH)
    rows = np.concatenate(read)
    assert not set(rows) & set(held_out)
    if not shard_rows:  # a streamed epoch leaves out a shard that fills no batch
        assert set(rows) == set(range(NUM_ROWS)) - set(held_out)


@pytest.mark.parametrize(("extra_bytes", "resident"), [(0, True), (100, True), (101, False)])
def test_rows_are_resident_if_the_devices_can_also_hold_the_extra_arrays(extra_bytes, resident):
    assert Feed(X, X.nbytes + 100, 1, extra_bytes=extra_bytes).resident == resident


def test_a_streamed_epoch_of_several_passes_reads_the_rows_in_new_orders():
    read = []
    epoch = epoch_of(lambda params, batch: batch["bit"] + 0 * params["mean"])

    def recording(state, data):
        read.append(np.asarray(data["x"])[:, 0])
        return epoch(state, data)

    state, _ = Feed(X, 0, shard_bytes(NUM_ROWS)).train(recording, start(), {"bit": BIT}, BATCH, num_passes=2)
    assert int(state.step) == 2 * (NUM_ROWS // BATCH)
    assert [len(rows) for rows in read] == [len(read[0])] * 2
    assert not np.array_equal(*read)


@pytest.mark.parametrize("size", [4, 18, 50])
def test_a_streamed_epoch_has_the_steps_and_means_of_a_resident_one(size):
    def loss(params, batch):
        return batch["bit"] + 0 * params["mean"]

    epoch = epoch_of(loss)
    whole, shards = Feed(X, 2**20, 1), Feed(X, 0, shard_bytes(size))
    state, means = whole.train(epoch, start(), {"bit": BIT}, BATCH)
    streamed, streamed_means = shards.train(epoch, start(), {"bit": BIT}, BATCH)
    assert int(streamed.step) == int(state.step) == NUM_ROWS // BATCH
    # two of the 50 rows are left out of an epoch
    for mean in (means["loss"], streamed_means["loss"]):
        missing = BIT.sum() - float(mean) * 48
        assert any(np.isclose(missing, a + b) for i, a in enumerate(BIT) for b in BIT[:i])


def test_shards_train_on_every_row():
    """The least-squares fit of one number is the mean of the rows, resident or streamed."""
    epoch = epoch_of(lambda params, batch: (batch["x"][:, 0] - params["mean"]) ** 2)
    for feed in (Feed(X, 2**20, 1), Feed(X, 0, shard_bytes(18))):
        state, means = start(), []
        for _ in range(20):
            state, _ = feed.train(epoch, state, {}, BATCH)
            means.append(float(state.params["mean"]))
        assert np.mean(means[5:]) == pytest.approx(X.mean(), abs=2)


def test_streamed_epochs_compile_once(compilations):
    epoch = epoch_of(lambda params, batch: (batch["x"][:, 0] - params["mean"]) ** 2)
    feed, state = Feed(X, 0, shard_bytes(18)), start()
    state, _ = feed.train(epoch, state, {}, BATCH)
    compilations.clear()
    for _ in range(3):
        state, _ = feed.train(epoch, state, {}, BATCH)
    assert not compilations


STREAMED = {
    "model__hidden": (64,),
    "data__max_resident_mib": 0,
    "data__shard_mib": 0.03,
    "init__max_rows": 800,
    "pretrain__num_epochs": 10,
    "guide__num_rounds": 1,
    "align__num_epochs": 1,
    "checkpoint__every_epochs": 5,
}


@pytest.fixture(scope="module")
def streamed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("streamed")
    digits = sources.load("digits").splits["train"]
    np.save(folder / "x.npy", digits.x.reshape(-1, *digits.image_shape))
    changes = {**STREAMED, "data__name": "file", "data__path": str(folder / "x.npy")}
    return changes, folder / "run", train(tiny(**changes), folder / "run"), digits.labels


def test_a_streamed_run_trains_every_stage(streamed):
    _, folder, results, labels = streamed
    run, _, _ = saved_model.restore(folder)
    sample = clustered_row_indices(run)
    memberships = np.load(folder / "memberships_guide1.npy")
    with np.load(folder / "initialization_guide1.npz") as found:
        np.testing.assert_array_equal(memberships[sample], found["memberships"])
    assert len(sample) == 800
    assert memberships.shape == (1797, 10)
    np.testing.assert_allclose(memberships.sum(axis=1), 1, atol=1e-5)
    others = np.setdiff1d(np.arange(1797), sample)
    found, spread = (clustering_accuracy(labels[rows], memberships[rows].argmax(axis=1)) for rows in (sample, others))
    assert spread == pytest.approx(found, abs=0.1)
    with np.load(folder / "assignments.npz") as answer:
        assert clustering_accuracy(labels, answer["cluster"]) > 0.3
    assert np.isfinite(results["elbo"])


def test_rows_outside_the_sample_get_their_neighbours_clusters(tmp_path, monkeypatch):
    monkeypatch.setattr(best_of_layouts, "umap_layout", lambda embeddings, *_: embeddings)  # takes seconds to compile
    centres = np.array([[-8.0, 0.0], [0.0, 6.0], [8.0, 0.0]])
    embeddings, labels = make_blobs([100, 200, 300], centers=centres, cluster_std=[0.5, 1.0, 2.0], random_state=0)
    config = tiny(init__max_rows=150, init__method="manifold", model__num_clusters=3)
    run = make_run(config, tmp_path, {"num_rows": 600, "num_features": 2, "image_shape": None})
    sample = clustered_row_indices(run)
    inputs = neighbor_graphs.sampled_graph(embeddings[sample], 10, 150, seed=0)
    rows = embeddings[sample]
    clusters = starting_clusters.find_starting_clusters(run, rows, rows, [inputs], None)
    starting_clusters.write(run, "guide1", clusters)
    starting_clusters.extend_to_all_rows(run, "guide1", embeddings[sample], lambda rows: embeddings[rows])
    memberships = starting_clusters.memberships(run, "guide1")
    assert memberships.shape == (600, 3)
    assert clustering_accuracy(labels, memberships.argmax(axis=1)) > 0.98


def test_a_resumed_streamed_run_is_bit_identical(streamed, tmp_path, monkeypatch):
    changes, folder, _, _ = streamed
    stop_after(11, monkeypatch, lambda: train(tiny(**changes), tmp_path))
    train(tiny(**changes), tmp_path)
    assert_same_bits(params_of(tmp_path), params_of(folder))


def test_a_streamed_run_predicts_its_assignments(streamed, tmp_path):
    changes, folder, _, _ = streamed
    path = predict(folder, changes["data__path"], str(tmp_path / "out.npz"))
    with np.load(path) as answer, np.load(folder / "assignments.npz") as assigned:
        np.testing.assert_array_equal(answer["cluster"], assigned["cluster"])
