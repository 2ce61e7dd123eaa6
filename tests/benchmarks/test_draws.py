"""The benchmark of draws: what it measures on draws that are right and wrong, its record and its table."""

import numpy as np
import pytest
from helpers.runs import tiny
from helpers.seed_records import make_record, make_run
from scipy import stats

from benchmarks import draws, provenance, readme, records
from vade_jax.commands.train import train


def compared(scale):
    rng = np.random.default_rng(0)
    x, drawn = rng.normal(size=(400, 3)), scale * rng.normal(size=(5000, 3))
    weights = np.array([0.25, 0.75])
    density = stats.norm.logpdf
    return draws.compare(drawn, np.arange(5000) % 4 > 0, weights, x[:300], x[300:], lambda x: density(x).sum(-1))


def test_draws_of_the_distribution_of_the_data_are_found_alike():
    found = compared(1.0)
    assert found["variance_ratio"] == pytest.approx(1, abs=0.15)
    assert found["share_error"] == 0
    assert found["log_p_draws"] == pytest.approx(-3 * stats.norm.entropy(), abs=5 * found["log_p_draws_error"])
    assert found["told_apart"] == pytest.approx(0.5, abs=0.08)


def test_draws_of_another_distribution_are_found_different():
    found = compared(3.0)
    assert found["variance_ratio"] == pytest.approx(9, rel=0.15)
    assert found["worst_column"] >= found["variance_ratio"]
    assert found["log_p_draws"] < found["log_p_held_out"] - 3 * found["log_p_held_out_error"]
    assert found["told_apart"] > 0.7


def test_a_run_and_a_mixture_are_measured_on_held_out_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(draws, "_DRAWS", 1000)
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=250)
    x = rng.normal(size=(250, 3)) + 10 * labels[:, None]
    draws.save_split(tmp_path / "rows.npz", x, labels, seed=3)
    with np.load(tmp_path / "rows.npz") as split:
        assert split["x_train"].shape == (200, 3)
        np.testing.assert_array_equal(
            np.sort(np.concatenate([split["x_train"], split["x_test"]]), axis=0), np.sort(x, axis=0)
        )
    config = tiny(data__name="file", data__path=str(tmp_path / "rows.npz"), data__scaling="auto")
    config.data.update(train_split="train", test_split="test")
    config.model.update(likelihood="auto", num_clusters=2)
    train(config, tmp_path / "run")
    found = draws.of_run(tmp_path / "run", seed=3)
    assert found.keys() == {"VaDE", "GaussianMixture"}
    for numbers in found.values():
        assert all(np.isfinite(value) for value in numbers.values())
        assert numbers["share_error"] < 5 * 0.5 / 1000**0.5
    assert {"variance_ratio_rows", "variance_ratio_normal"} == found["VaDE"].keys() - found["GaussianMixture"].keys()
    assert found["GaussianMixture"]["variance_ratio"] == pytest.approx(1, abs=0.1)


def test_the_record_keeps_other_seeds_and_the_table_has_their_medians(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "RESULTS", tmp_path)
    monkeypatch.setattr(provenance, "mark", lambda *parts: "")  # of today
    assert draws.markdown_table() == ""
    numbers = compared(1.0)
    for seed, ratio in [(100, 0.9), (101, 1.3), (102, 1.0)]:
        record = make_record(make_run(seed))
        record["runs"][0]["models"] = {"VaDE": {**numbers, "variance_ratio": ratio}, "GaussianMixture": numbers}
        records.write(tmp_path / "draws.json", draws.with_run(records.read(tmp_path / "draws.json"), "wine", record))
    _, _, ours, theirs = draws.markdown_table().splitlines()
    assert ours.startswith("| wine | VaDE | 3 | 1.000 |")
    assert theirs.startswith("| wine | GaussianMixture | 3 | ")
    assert readme._TABLES["draws"]() == draws.markdown_table()
