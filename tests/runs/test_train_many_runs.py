"""Several runs of a config: each equals a single run, the best is chosen without labels, and one may fail."""

import json
from concurrent.futures import Executor, Future

import jax
import numpy as np
import pytest
from helpers.runs import assert_same_bits, params_of, tiny

from vade_jax.commands.evaluate import evaluate
from vade_jax.commands.load_rows import reload_rows
from vade_jax.commands.predict import predict
from vade_jax.commands.train import _expand_runs, train
from vade_jax.data import sources
from vade_jax.runs import train_many_runs
from vade_jax.runs.checkpoints import Checkpoints
from vade_jax.runs.metrics_log import read_metrics
from vade_jax.runs.run import make_run, read_run
from vade_jax.system.errors import DivergedError
from vade_jax.training.data_feed import Feed
from vade_jax.training.epoch import make_epoch, make_epoch_of_runs


def several(num_runs=2, rate_factors=(1.0,), **changes):
    config = tiny(**changes)
    config.update(num_runs=num_runs, rate_factors=rate_factors)
    return config


def single_run(seed, **changes):
    config = tiny(**changes)
    config.seed = seed
    return config


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep") / "runs"
    return folder, train(several(), folder)


def test_each_run_equals_a_single_run(finished, digits_run, tmp_path):
    folder, _ = finished
    for seed, (single, results) in enumerate([digits_run, (tmp_path, train(single_run(1), tmp_path))]):
        assert_same_bits(params_of(folder / f"seed{seed}"), params_of(single))
        of_sweep = json.loads((folder / f"seed{seed}" / "results.json").read_text())
        assert {**of_sweep, "seconds": None} == {**results, "seconds": None}


@pytest.mark.parametrize(
    ("factors", "names"),
    [
        ((1.0,), ["seed0", "seed1"]),
        ((0.5, 1.0), ["seed0_rate0.5", "seed0_rate1", "seed1_rate0.5", "seed1_rate1"]),
        ((0.1234567, 0.12345671), [f"seed{n}_rate{f}" for n in (0, 1) for f in ("0.1234567", "0.12345671")]),
    ],
)
def test_each_run_has_its_own_folder(tmp_path, factors, names):
    assert [folder.name for _, folder in _expand_runs(several(rate_factors=factors), tmp_path)] == names


def test_a_run_of_several_finds_the_decoded_images_of_the_workdir(finished, monkeypatch):
    folder, _ = finished
    read, load = [], sources.load
    monkeypatch.setattr(sources, "load", lambda *a, cache_dir, **b: read.append(cache_dir) or load(*a, **b))
    reload_rows(read_run(folder))
    assert read == [folder / "data"]


def test_the_run_with_the_highest_modularity_is_the_best(finished):
    folder, results = finished
    assert json.loads((folder / "results.json").read_text()) == results
    assert set(results["runs"]) == {"seed0", "seed1"}
    best = max(results["runs"], key=lambda name: results["runs"][name]["input_modularity"])
    assert results["run"] == best
    of_best = json.loads((folder / best / "results.json").read_text())
    assert {name: results[name] for name in of_best} == of_best


def test_other_modes_use_the_best_run(finished, tmp_path):
    folder, results = finished
    assert evaluate(folder)["accuracy"] == results["accuracy"]
    path = predict(folder, "", str(tmp_path / "out.npz"))
    with np.load(path) as answer, np.load(folder / results["run"] / "assignments.npz") as training_answer:
        np.testing.assert_array_equal(answer["cluster"], training_answer["cluster"])


def test_finished_runs_are_not_trained_again(finished, monkeypatch):
    folder, results = finished
    monkeypatch.setattr(train_many_runs, "make_epoch", lambda *_: pytest.fail("trained"))
    assert train(several(), folder)["runs"] == results["runs"]


def test_later_stages_are_compiled_ahead(tmp_path, monkeypatch, compilations):
    """Their first epoch compiles nothing; this includes a guide stage, which has memberships."""
    stages, real = {}, Feed.train

    class AtOnce(Executor):
        def submit(self, fn, *args):
            future = Future()
            future.set_result(fn(*args))
            return future

    def train_first(*args):
        before = len(compilations)
        answer = jax.block_until_ready(real(*args))
        stages.setdefault(args[1].func, []).append(len(compilations) - before)
        return answer

    monkeypatch.setattr(train_many_runs, "ThreadPoolExecutor", lambda max_workers: AtOnce())
    monkeypatch.setattr(Feed, "train", train_first)
    make_epoch.cache_clear()
    train(tiny(guide__num_rounds=1, guide__num_epochs=2, align__num_epochs=2), tmp_path)
    pretrain, *later = stages.values()
    assert pretrain == [1, 0, 0]
    assert later == [[0] * (2 + 2), [0, 0, 0]]  # guide and align are one program


def test_a_later_run_has_the_compiled_epochs_of_an_earlier_one(tmp_path):
    make_epoch.cache_clear()
    for seed in (0, 1):
        config = single_run(seed, guide__num_rounds=1, guide__num_epochs=2, align__num_epochs=2)
        train(config, tmp_path / str(seed))
        assert make_epoch.cache_info().misses == 3  # pretrain, guide and align together, cluster


def test_other_learning_rates_need_no_other_program(tmp_path):
    make_epoch.cache_clear()
    train(tiny(), tmp_path / "first")
    known = make_epoch.cache_info().misses
    changes = {"pretrain__learning_rate": 2e-3, "train__learning_rate": 3e-3, "train__prior_learning_rate": 4e-3}
    train(tiny(**changes), tmp_path / "other")
    assert make_epoch.cache_info().misses == known
    records = read_metrics(tmp_path / "other" / "metrics.jsonl")
    assert [record["learning_rate"] for record in records] == pytest.approx([2e-3] * 3 + [3e-3] * 3)
    assert [record["prior_learning_rate"] for record in records] == pytest.approx([0.0] * 3 + [4e-3] * 3)
    first, other = (params_of(tmp_path / name)["prior"].means for name in ("first", "other"))
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("mib", "changes", "resident", "is_side_by_side"),
    [
        (1.1, {}, True, True),
        (0.9, {}, True, False),  # of both runs the memberships do not fit
        (0.4, {}, False, False),
        (0.4, {"guide__num_rounds": 0}, True, True),  # no stage has memberships
    ],
)
def test_memberships_count_as_resident_rows(tmp_path, monkeypatch, mib, changes, resident, is_side_by_side):
    x, seen = np.zeros((2048, 128), np.uint8), []  # 0.25 MiB, and with 50 clusters 0.39 MiB of memberships for a run
    description = {"num_rows": 2048, "num_features": 128, "image_shape": None}
    changes = {"guide__num_rounds": 1, "model__num_clusters": 50, "data__max_resident_mib": mib, **changes}
    runs = [make_run(single_run(seed, **changes), tmp_path, description) for seed in range(2)]
    for name in ("_side_by_side", "_sequentially"):
        monkeypatch.setattr(train_many_runs, name, lambda *arguments, name=name: seen.append((name, arguments[2])))
    train_many_runs.train_runs(runs, x, side_by_side=True)
    ((name, feed),) = seen
    assert (feed.resident, name == "_side_by_side") == (resident, is_side_by_side)


def test_each_run_side_by_side_equals_a_single_run(tmp_path, monkeypatch):
    """One call trains an epoch of both runs, each with its own memberships; they are equal up to rounding and Adam."""
    x = sources.load("digits").splits["train"].x
    description = {"num_rows": len(x), "num_features": 64, "image_shape": (8, 8, 1)}
    epochs = {"pretrain__num_epochs": 2, "guide__num_epochs": 1, "train__num_epochs": 1}
    numbers, real = [], make_epoch_of_runs

    def make(*arguments):
        epoch = real(*arguments)

        def noted(states, *rest):
            numbers.append(len(states))
            return epoch(states, *rest)

        return noted

    monkeypatch.setattr(train_many_runs, "make_epoch_of_runs", make)

    def fit(place, **options):
        configs = [single_run(seed, guide__num_rounds=1, **epochs) for seed in range(2)]
        runs = [make_run(config, tmp_path / place / str(config.seed), description) for config in configs]
        for run in runs:
            run.folder.mkdir(parents=True)
        return {run.config.seed: outcome for run, outcome in train_many_runs.train_runs(runs, x, **options)}

    together, apart = fit("together", side_by_side=True), fit("apart")
    assert numbers == [2] * 4
    assert sorted(together) == sorted(apart) == [0, 1]
    for seed in range(2):
        (state, progress), (expected, expected_progress) = together[seed], apart[seed]
        assert progress.total_epochs == expected_progress.total_epochs == 4
        np.testing.assert_allclose(progress.losses, expected_progress.losses, rtol=1e-3)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-2, atol=2e-3), state.params, expected.params)


def test_a_failed_run_does_not_stop_the_others(tmp_path, capsys):
    config = several(1, (1.0, 1e33), model__likelihood="gaussian")
    results = train(config, tmp_path)
    assert results["run"] == "seed0_rate1"
    assert results["runs"]["seed0_rate1e+33"]["failure"].startswith("not_finite")
    assert json.loads((tmp_path / "seed0_rate1e+33" / "results.json").read_text())["treatments"]
    assert json.loads((tmp_path / "seed0_rate1" / "config.json").read_text())["optimizer"]["rate_factor"] == 1.0


def test_training_fails_if_all_runs_fail(tmp_path):
    with pytest.raises(DivergedError, match="not_finite"):
        train(several(1, (1e32, 1e33), model__likelihood="gaussian"), tmp_path)


def test_a_rate_factor_scales_the_learning_rates(tmp_path):
    train(several(1, (0.5,)), tmp_path)
    halved = [record["learning_rate"] for record in read_metrics(tmp_path / "metrics.jsonl")]
    assert halved[0] == pytest.approx(0.5e-3)
    assert halved[3] == pytest.approx(0.5e-3)


@pytest.mark.parametrize("num_runs", [1, 2])
def test_an_error_in_an_epoch_closes_the_checkpoints(tmp_path, monkeypatch, num_runs):
    """Left open, they would stop the interpreter from exiting."""

    def fail(*_):
        raise RuntimeError("a bug in a likelihood")

    closed = []
    close = Checkpoints.__exit__
    monkeypatch.setattr(Checkpoints, "__exit__", lambda self, *error: closed.append(close(self, *error)))
    monkeypatch.setattr(Feed, "train", fail)
    monkeypatch.setattr(train_many_runs, "make_epoch_of_runs", lambda *_: fail)
    x = sources.load("digits").splits["train"].x
    description = {"num_rows": len(x), "num_features": 64, "image_shape": (8, 8, 1)}
    runs = [make_run(single_run(seed), tmp_path / str(seed), description) for seed in range(num_runs)]
    with pytest.raises(RuntimeError, match="a bug in a likelihood") as caught:
        list(train_many_runs.train_runs(runs, x, side_by_side=num_runs > 1))
    assert len(closed) == num_runs, caught  # whose traceback keeps everything alive that is not closed
