"""The recommended number of clusters: exact scores of small cases, the rule, and a mixture with a known number."""

import json

import numpy as np
import pytest
from helpers.runs import stop_after, tiny

from vade_jax.commands.select_k import select_k
from vade_jax.commands.train import train
from vade_jax.data import sources
from vade_jax.data.dataset import Source, make_dataset
from vade_jax.initialization.mixture_sizes import MixtureScores
from vade_jax.initialization.number_of_clusters import KScores, prediction_strength, recommend
from vade_jax.reports.number_of_clusters import summary
from vade_jax.system.errors import InputError

RANGE = {"min_clusters": 1, "max_clusters": 5, "num_splits": 2, "max_rows": 10_000}


def mixture(sizes, num_features=20, seed=0):
    """Rows of unit Gaussians with centres about nine apart, and their components."""
    rng = np.random.default_rng(seed)
    components = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    directions = rng.normal(size=(len(sizes), num_features))
    centres = 6.4 * directions / np.linalg.norm(directions, axis=1, keepdims=True)
    return (centres[components] + rng.normal(size=(len(components), num_features))).astype(np.float32), components


def train_on(folder, rows, monkeypatch, seed=0, **changes):
    digits = {"digits": lambda *_: Source({"train": make_dataset(*rows, "rows")})}
    monkeypatch.setattr(sources, "SOURCES", {**sources.SOURCES, **digits})
    config = tiny(data__scaling="standardize", model__likelihood="gaussian_shared", **changes)
    config.seed = seed
    train(config, folder)
    return folder


THREE = mixture([160, 120, 80])
TRAINED = {
    "model__hidden": (64,),
    "model__latent_dim": 5,
    "pretrain__num_epochs": 40,
    "pretrain__learning_rate": 3e-3,
    "pretrain__batch_size": 32,
    "checkpoint__every_epochs": 40,
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("num_clusters") / "run"
        train_on(folder, THREE, patch, **TRAINED, train__num_epochs=0)
        yield folder, select_k(folder, RANGE)


def scores_of(stability, modularity):
    splits = np.array([-0.01, 0.01])
    return KScores(np.zeros((2, 3)), stability + splits, np.zeros(2), modularity + splits * modularity, np.ones((2, 1)))


@pytest.mark.parametrize(
    ("clusters", "predicted", "strength"),
    [
        ([0, 0, 1, 1, 1], [1, 1, 0, 0, 0], 1.0),
        ([0, 0, 1, 1, 1], [1, 1, 0, 0, 1], 1 / 3),  # one of the three pairs of cluster 1 stays together
        ([0, 0, 0, 0, 1, 1], [0, 0, 1, 1, 2, 2], 1 / 3),  # two of the six pairs of cluster 0 stay together
        ([0, 0, 0, 1], [2, 2, 2, 2], 1.0),  # a cluster of one row has no pairs
        ([0, 1], [0, 0], 1.0),
        ([0, 0], [0, 1], 0.0),
    ],
)
def test_prediction_strength_of_small_cases(clusters, predicted, strength):
    assert prediction_strength(np.array(clusters), np.array(predicted)) == pytest.approx(strength)


def test_highest_modularity_of_the_stable_numbers_is_recommended():
    found = {1: scores_of(1, 0), 2: scores_of(0.9, 0.4), 3: scores_of(0.86, 0.6), 4: scores_of(0.8, 0.9)}
    answer = recommend(found, None)
    assert answer[:3] == (3, 2, "modularity")
    assert answer.margin == pytest.approx(0.2)
    assert answer.standard_error == pytest.approx(0.2 * 0.01)  # 0.2 -+ 0.002 over two splits
    assert recommend({2: found[2], 4: found[4]}, None) == (2, None, "modularity", None, None)


def test_less_stable_numbers_are_compared_if_none_is_more_stable():
    found = {2: scores_of(0.84, 0.4), 3: scores_of(0.51, 0.6), 4: scores_of(0.49, 0.9)}
    assert recommend(found, None)[:2] == (3, 2)
    assert recommend({**found, 2: scores_of(0.86, 0.4)}, None)[:2] == (2, None)


def test_smallest_number_within_one_standard_error_is_recommended():
    found = {2: scores_of(0.9, 0.4), 3: scores_of(0.9, 0.6), 4: scores_of(0.9, 0.6)}
    found[4] = found[4]._replace(modularity=found[3].modularity + np.array([0.003, -0.001]))  # 0.001 +- 0.002
    answer = recommend(found, None)
    assert answer[:3] == (3, 4, "modularity")
    assert answer.margin == pytest.approx(-0.001)
    found[4] = found[4]._replace(modularity=found[3].modularity + np.array([0.003, 0.001]))  # 0.002 +- 0.001
    assert recommend(found, None)[:2] == (4, 3)


def test_one_cluster_is_recommended_if_no_number_is_stable():
    answer = recommend({1: scores_of(1, 0), 2: scores_of(0.2, 0.4), 3: scores_of(0.3, 0.2)}, None)
    assert answer[:3] == (1, 3, "stability")
    assert answer.margin == pytest.approx(0.2)
    assert answer.standard_error == pytest.approx(0.01)
    assert recommend({1: scores_of(1, 0)}, None) == (1, None, "stability", None, None)


ROWS = np.array([0.0, 1.0])


def mixtures(stability, *gains):
    """Scores of mixtures of 1, 2, ... components, from the gain of each row over the first."""
    gained = {number: ROWS + np.array(gain) for number, gain in enumerate([0, *gains], start=1)}
    return MixtureScores(gained, np.array([stability - 0.1, stability + 0.1]))


def test_mixture_that_needs_fewer_components_limits_the_recommendation():
    found = {number: scores_of(0.9, 0.1 * number) for number in (1, 2, 3, 4)}
    answer = recommend(found, mixtures(0.0, [2.0, 4.0], [3.0, 3.2], 0))
    assert answer[:3] == (2, 3, "mixture")
    assert answer.margin == pytest.approx(-0.1)  # the mean of -1 and 0.8
    assert answer.standard_error == pytest.approx(0.9)
    assert recommend(found, mixtures(0.0, -1))[:3] == (1, 2, "mixture")
    assert recommend(found, mixtures(1.0, 1, 2, 3)) == recommend(found, None), "it needs no fewer"


def test_mixture_decides_if_it_is_stable_and_communities_are_not():
    found = {1: scores_of(1, 0), 2: scores_of(0.2, 0.4), 3: scores_of(0.3, 0.2)}
    answer = recommend(found, mixtures(0.75, 3, 2))
    assert answer[:4] == (2, 3, "mixture", pytest.approx(1))
    assert recommend(found, mixtures(0.65, 3, 2)) == recommend(found, None)
    assert recommend({2: found[2]}, MixtureScores({2: ROWS}, np.ones(2))) == (2, None, "mixture", None, None)


def test_clusters_of_one_mixture_are_not_counted_as_the_levels_of_a_column(tmp_path):
    """Communities of these rows follow the colours, which say nothing."""
    rng = np.random.default_rng(0)
    clusters = rng.choice(2, 500, p=(0.6, 0.4))
    lines = [
        f"{a:.3f},{b:.3f},{rng.choice(['red', 'blue', 'green'])}"
        for a, b in (rng.normal(size=(500, 2)) + 3 * clusters[:, None])
    ]
    (tmp_path / "rows.csv").write_text("\n".join(["width,height,colour", *lines]) + "\n")
    config = tiny(
        data__name="file",
        data__path=str(tmp_path / "rows.csv"),
        data__train_split="train",
        model__likelihood="by_columns",
    )
    train(config, tmp_path / "run")
    answer = select_k(tmp_path / "run", RANGE)
    assert (answer["num_clusters"], answer["measure"]) == (2, "mixture")
    assert answer["mixture_stability"] > 0.9
    assert [row["num_clusters"] for row in answer["by_num_clusters"] if "mixture_behind" in row] == [1, 2, 3, 4, 5]
    first, *lines, sentence = summary(answer).splitlines()
    assert {len(line) for line in (first, *lines)} == {len(first)}
    assert sentence.startswith("K = 2 is recommended: a mixture of so many components is as likely as one of more; K")


def test_mixture_of_three_gets_three_clusters(finished):
    folder, answer = finished
    assert (answer["num_clusters"], answer["measure"]) == (3, "modularity")
    assert answer["margin"] > 0
    assert json.loads((folder / "select_k.json").read_text()) == answer
    assert (folder / "select_k.png").stat().st_size > 10_000
    by_number = {row["num_clusters"]: row for row in answer["by_num_clusters"]}
    assert list(by_number) == [1, 2, 3, 4, 5]
    assert by_number[1]["stability"] == by_number[1]["prediction_strength"] == by_number[1]["effective_clusters"] == 1
    assert by_number[3]["stability"] > 0.95
    np.testing.assert_allclose(by_number[3]["shares"], np.array([160, 120, 80]) / 360, atol=0.01)
    assert by_number[3]["bound"] > by_number[2]["bound"] > by_number[1]["bound"]
    assert min(row["bound_behind"] for row in answer["by_num_clusters"]) == 0
    assert summary(answer).splitlines()[-1].startswith("K = 3 is recommended, ahead of K = ")


def test_labels_and_the_trained_number_of_clusters_have_no_effect(finished, tmp_path, monkeypatch):
    _, answer = finished
    poisoned = np.random.default_rng(1).integers(0, 6, len(THREE[0]))
    train_on(tmp_path, (THREE[0], poisoned), monkeypatch, **TRAINED, train__num_epochs=1, model__num_clusters=5)
    assert {**select_k(tmp_path, RANGE), "seconds": None} == {**answer, "seconds": None}


def test_resumed_run_gets_the_same_recommendation(finished, tmp_path, monkeypatch):
    _, answer = finished
    stop_after(40, monkeypatch, lambda: train_on(tmp_path, THREE, monkeypatch, **TRAINED, train__num_epochs=2))
    train_on(tmp_path, THREE, monkeypatch, **TRAINED, train__num_epochs=2)
    assert {**select_k(tmp_path, RANGE), "seconds": None} == {**answer, "seconds": None}


def test_bound_is_computed_on_the_test_split_if_there_is_one(tmp_path):
    x, _ = THREE
    np.savez(tmp_path / "x.npz", x_train=x[:300], x_test=x[300:])
    files = {"data__name": "file", "data__path": str(tmp_path / "x.npz"), "data__train_split": "train"}
    config = tiny(**files, data__test_split="test", data__scaling="standardize", model__likelihood="gaussian_shared")
    config.evaluate.bound_rows = 0
    train(config, tmp_path / "run")
    answer = select_k(tmp_path / "run", {**RANGE, "max_clusters": 2, "max_rows": 200})
    assert (answer["rows"], answer["bound_rows"], answer["bound_on"]) == (200, 60, "test")


def test_equal_rows_count_once(tmp_path, monkeypatch):
    x, labels = THREE
    rows = np.concatenate([x[:40], np.zeros((30, x.shape[1]), np.float32)]), np.concatenate([labels[:40], [3] * 30])
    train_on(tmp_path, rows, monkeypatch, model__num_clusters=3)
    assert select_k(tmp_path, {**RANGE, "max_clusters": 3})["rows"] == 41
    with pytest.raises(InputError, match="got 20, expected less than half the number of distinct rows, 20"):
        select_k(tmp_path, {**RANGE, "max_clusters": 20})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"max_clusters": 180},
            r"config.select_k.max_clusters: got 180, expected less than half the number of distinct rows, 180",
        ),
        (
            {"max_rows": 10},
            r"config.select_k.max_clusters: got 5, expected less than half the number of distinct rows, 5",
        ),
        ({"min_clusters": 6}, r"config.select_k.min_clusters: got 6, expected at most config.select_k.max_clusters, 5"),
        ({"num_splits": 1}, r"config.select_k.num_splits: got 1, expected an integer >= 2"),
    ],
)
def test_unsuitable_range_is_refused(finished, changes, words):
    folder, _ = finished
    before = (folder / "select_k.json").stat().st_mtime_ns
    with pytest.raises(InputError, match=words):
        select_k(folder, {**RANGE, **changes})
    assert (folder / "select_k.json").stat().st_mtime_ns == before


def test_run_without_an_autoencoder_is_refused(tmp_path, monkeypatch):
    stop_after(1, monkeypatch, lambda: train_on(tmp_path, THREE, monkeypatch))
    with pytest.raises(InputError, match=r"^workdir: .* without an autoencoder"):
        select_k(tmp_path, RANGE)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_seven_clusters_are_found_with_layouts(tmp_path, monkeypatch, seed):
    rows = mixture([500, 400, 350, 300, 200, 150, 100], seed=seed)
    train_on(tmp_path, rows, monkeypatch, seed, **TRAINED, init__method="manifold", train__num_epochs=0)
    assert select_k(tmp_path, {**RANGE, "max_clusters": 12})["num_clusters"] == 7


@pytest.mark.slow
def test_one_gaussian_is_one_cluster(tmp_path, monkeypatch):
    train_on(tmp_path, mixture([1000]), monkeypatch, **TRAINED, init__method="manifold", train__num_epochs=0)
    assert select_k(tmp_path, RANGE)["num_clusters"] == 1
