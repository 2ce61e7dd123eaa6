"""Equal rows are clustered as one row: the same seed gives the same bits, and equal rows get equal clusters."""

import numpy as np
import pytest
from helpers.command_line import CommandLine
from helpers.runs import assert_same_bits, params_of, stop_after, tiny
from scipy.sparse import csr_matrix
from sklearn.datasets import make_blobs

from vade_jax.commands.train import train
from vade_jax.core.mixture_prior import log_prob_c
from vade_jax.data.dataset import Dataset, Source
from vade_jax.initialization import best_of_layouts
from vade_jax.initialization.methods import METHODS
from vade_jax.runs import input_graphs, saved_model, starting_clusters
from vade_jax.runs.input_graphs import clustered_row_indices, count_equal_rows, representatives, write_representatives
from vade_jax.runs.run import make_run

X = make_blobs(240, centers=3, n_features=4, random_state=0)[0].astype(np.float32)
BLANK = np.arange(240) < 144
STAGES = ("pretrain", "guide", "align", "train")
GUIDED = {
    "model__num_clusters": 3,
    "model__likelihood": "gaussian_shared",
    "data__scaling": "standardize",
    "init__method": "manifold",
    "init__num_layouts": 1,
    "guide__num_rounds": 1,
    "align__num_epochs": 1,
}


def with_blanks():
    return np.where(BLANK[:, None], np.float32(0), X)


def train_rows(folder, x, **changes):
    """Trains with the embedding in place of its UMAP layout. UMAP takes ten seconds to compile in each process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(best_of_layouts, "umap_layout", lambda embeddings, *_: embeddings)
        return train(tiny(**GUIDED | changes), folder, Source({"train": Dataset(x, None, None)}))


def run_of(folder, num_rows, **changes):
    description = {"num_rows": num_rows, "num_features": 4, "image_shape": None}
    return make_run(tiny(**GUIDED | changes), folder, description)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("equal") / "run"
    train_rows(folder, with_blanks())
    return folder


def test_equal_rows_are_clustered_as_one(trained):
    run, _, _ = saved_model.restore(trained)
    np.testing.assert_array_equal(clustered_row_indices(run), [0, *range(144, 240)])
    np.testing.assert_array_equal(count_equal_rows(run), [144, *[1] * 96])
    for stage in ("guide1", "align"):
        assert starting_clusters.read(run, stage).memberships.shape == (97, 3)
        memberships = starting_clusters.memberships(run, stage)
        assert memberships.shape == (240, 3)
        np.testing.assert_allclose(memberships.sum(axis=1), 1, rtol=1e-5)
        assert (memberships[BLANK] == memberships[0]).all()
    with np.load(trained / "assignments.npz") as answer:
        assert len(set(answer["cluster"][BLANK])) == 1


def test_same_seed_gives_the_same_bits(trained, tmp_path):
    train_rows(tmp_path, with_blanks())
    assert_same_bits(params_of(tmp_path), params_of(trained))


def test_prior_starts_with_the_shares_of_all_rows(tmp_path):
    train_rows(tmp_path, with_blanks(), guide__num_rounds=0, align__num_epochs=0, train__num_epochs=0)
    run, state, _ = saved_model.restore(tmp_path)
    shares = starting_clusters.memberships(run, "cluster").mean(axis=0)
    np.testing.assert_allclose(np.exp(log_prob_c(state.params["prior"])), shares, rtol=1e-5)
    assert shares.max() > 0.6


def test_resumed_run_gives_the_same_bits(trained, tmp_path, monkeypatch):
    stop_after(4, monkeypatch, lambda: train_rows(tmp_path, with_blanks()))
    train_rows(tmp_path, with_blanks())
    assert_same_bits(params_of(tmp_path), params_of(trained))


def test_run_of_an_older_version_still_counts_each_row(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(input_graphs, "first_equal_rows", lambda x: np.arange(len(x)))
        stop_after(4, monkeypatch, lambda: train_rows(tmp_path, with_blanks()))
    results = train_rows(tmp_path, with_blanks())
    assert len(results["rounds"]) == 2
    run, _, _ = saved_model.restore(tmp_path)
    assert len(clustered_row_indices(run)) == len(starting_clusters.read(run, "align").memberships) == 240


def test_without_equal_rows_all_rows_or_a_sample_are_clustered(tmp_path):
    run = run_of(tmp_path, 240)
    write_representatives(run, X)
    assert not list(tmp_path.iterdir())
    np.testing.assert_array_equal(clustered_row_indices(run), np.arange(240))
    np.testing.assert_array_equal(representatives(run), np.arange(240))
    expected = np.sort(np.random.default_rng(0).choice(240, 50, replace=False))
    np.testing.assert_array_equal(clustered_row_indices(run_of(tmp_path, 240, init__max_rows=50)), expected)


def test_sample_has_distinct_rows_and_the_others_follow_them(tmp_path):
    """Of 60 groups of four equal rows, 40 are clustered. Noise in the embeddings must not separate equal rows."""
    rng = np.random.default_rng(0)
    x = np.tile(X[:60], (4, 1))
    run = run_of(tmp_path, 240, init__max_rows=40)
    write_representatives(run, x)
    clustered = clustered_row_indices(run)
    assert len(clustered) == len(np.unique(x[clustered], axis=0)) == 40
    np.testing.assert_array_equal(count_equal_rows(run), [4.0] * 40)
    embeddings = x + rng.normal(scale=0.1, size=x.shape).astype(np.float32)
    found = rng.dirichlet(np.ones(3), 40).astype(np.float32)
    nothing = np.array(0.0)
    starting_clusters.write(run, "guide1", starting_clusters.StartingClusters(found, *[nothing] * 3, np.array(False)))
    starting_clusters.extend_to_all_rows(run, "guide1", embeddings[clustered], lambda rows: embeddings[rows])
    memberships = starting_clusters.memberships(run, "guide1")
    np.testing.assert_array_equal(memberships[clustered], found)
    for again in (60, 120, 180):
        np.testing.assert_array_equal(memberships[again : again + 60], memberships[:60])


@pytest.mark.parametrize("method", sorted(METHODS))
def test_fewer_distinct_rows_than_clusters(method, tmp_path):
    """Each distinct row is a cluster, and the other clusters are empty."""
    run = run_of(tmp_path, 240, init__method=method, model__num_clusters=5)
    write_representatives(run, np.repeat(X[:3], 80, axis=0))
    graph = csr_matrix(1.0 - np.eye(3))
    starting_clusters.write(run, "align", starting_clusters.find_starting_clusters(run, X[:3], X[:3], [graph], None))
    starting_clusters.extend_to_all_rows(run, "align", X[:3], lambda rows: np.repeat(X[:3], 80, axis=0)[rows])
    memberships = starting_clusters.memberships(run, "align")
    np.testing.assert_array_equal(memberships, np.eye(5)[np.repeat([0, 1, 2], 80)])


@pytest.mark.slow
def test_layouts_are_the_same_in_two_processes(tmp_path):
    """144 rows are equal, and the 96 others are equally far from each other."""
    np.save(tmp_path / "x.npy", np.concatenate([np.zeros((144, 96)), np.eye(96)]).astype(np.float32))
    settings = {"data.name": "file", "data.path": tmp_path / "x.npy", "model.num_clusters": 3, "model.hidden": "(16,)"}
    settings |= {f"{stage}.batch_size": 32 for stage in STAGES}
    settings |= {f"{stage}.num_epochs": 2 for stage in STAGES} | {"optimizer.min_steps": 0, "report": False}
    flags = ["--config=configs/base.py", *(f"--config.{name}={value}" for name, value in settings.items())]
    answers = []
    for name in "ab":
        run_main = CommandLine()  # a new process
        finished = run_main(*flags, f"--workdir={tmp_path / name}")
        run_main.close()
        assert finished.returncode == 0, finished.stderr
        with np.load(tmp_path / name / "assignments.npz") as answer:
            answers.append(answer["responsibilities"])
    np.testing.assert_array_equal(*answers)
    assert (answers[0][:144].argmax(axis=1) == answers[0][0].argmax()).all()
