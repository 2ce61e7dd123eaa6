"""The benchmark of waiting: turns, records, the parts and their commands."""

import json
import sys

import numpy as np
import pytest

from benchmarks import process_usage, provenance, records, waiting, waiting_parts
from benchmarks.waiting_parts import Contender, Options, Part


def options(folder, **changes):
    return Options(folder, **{"clustpy_python": "", "configs": ["configs/mnist.py"], "growth_rows": [60, 90]} | changes)


def a_part(name, folder, **changes):
    ((_, part),) = waiting_parts.make_parts(name, options(folder, **changes)).items()
    return part


def test_contenders_take_turns_with_the_same_seeds(monkeypatch):
    calls = []

    def run(command, folder, limit_s):
        calls.append(command)
        return {"wall_s": 1.0, **({"failure": "no"} if command == ["b", "101"] else {})}, "line"

    def contender(name):
        answer = {"versions": {name: "1"}, "device": "chip", "ari": 0.5}
        return Contender(lambda seed: [name, str(seed)], lambda seed, line: dict(answer))

    monkeypatch.setattr(process_usage, "run", run)
    part = Part((3, 2, 1), {"a": contender("a"), "missing": None, "b": contender("b")}, warm_up=[["fill"]])
    found = waiting.measure("part", part, 2, 10)
    assert calls == [["fill"], ["a", "100"], ["b", "100"], ["a", "101"], ["b", "101"]]
    assert found["contenders"] == {
        "a": [{"seed": seed, "ari": 0.5, "wall_s": 1.0} for seed in (100, 101)],
        "missing": [],
        "b": [{"seed": 100, "ari": 0.5, "wall_s": 1.0}, {"seed": 101, "wall_s": 1.0, "failure": "no"}],
    }
    assert found["device"] == "chip"
    assert found["versions"].keys() == {"python", "a", "b"}


def test_parts_of_the_same_code_and_machine_are_kept(monkeypatch, capsys):
    found = {"sizes": (3, 2, 1), "device": "cpu", "versions": {"jax": "1"}, "contenders": {"a": []}}
    first = waiting.with_part(None, "wine", found)
    both = waiting.with_part(first, "table", {**found, "device": None, "versions": {"torch": "2"}})
    assert both["parts"].keys() == {"wine", "table"}
    assert both["versions"] == {"jax": "1", "torch": "2"}
    assert both["device"] == "cpu"
    again = waiting.with_part(both, "wine", {**found, "contenders": {"b": []}})
    assert again["parts"]["wine"]["contenders"] == {"b": []}
    monkeypatch.setattr(provenance, "digest", lambda module: "other")
    assert waiting.with_part(both, "digits", found)["parts"].keys() == {"digits"}
    assert "left out: wine, table" in capsys.readouterr().out


def test_tables_are_standardized_for_other_methods(tmp_path):
    part = a_part("table", tmp_path, clustpy_python="/other/python")
    assert part.sizes == (870, 5, 4)
    ours, kmeans, *_, clustpy = (contender.command(100) for contender in part.contenders.values())
    x, standardized = np.load(ours[4]), np.load(kmeans[4])
    np.testing.assert_allclose(standardized.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(standardized.std(axis=0), 1, atol=1e-5)
    assert not np.allclose(x.std(axis=0), 1, atol=0.1)
    assert ours[3:] == ["vade-jax", ours[4], "4", "100", "--cache", ours[-1]]
    assert part.warm_up == [[*ours[:6], "99", *ours[7:]]]
    assert (kmeans[0], clustpy[0]) == (sys.executable, "/other/python")
    assert part.contenders["KMeans"].answer(100, json.dumps({"clusters": [0] * 870, "versions": {}})) == {
        "versions": {},
        "ari": 0.0,
    }


def test_clustpy_is_not_measured_without_its_environment(tmp_path):
    part = a_part("wine", tmp_path)
    assert part.contenders["ClustPy's VaDE"] is None
    assert part.sizes == (178, 13, 3)
    found = part.contenders["vade-jax"].answer(100, json.dumps({"clusters": [0] * 178, "device": "cpu"}))
    assert found == {"device": "cpu", "accuracy": 0.3989, "ari": 0.0}


def test_command_line_runs_cold_then_warm_then_again(tmp_path):
    part = a_part("digits", tmp_path)
    commands = [part.contenders[f"vade-jax, {kind}"].command(100) for kind in ("cold", "warm", "finished")]
    assert commands[0] == commands[2] != commands[1]
    assert len({command[-1] for command in commands}) == 1  # the folder of compiled programs
    assert commands[0][-1] != part.contenders["vade-jax, cold"].command(101)[-1]
    assert part.sizes == (1797, 64, 10)
    assert np.load(tmp_path / "digits" / "x.npy").max() == 1
    workdir = tmp_path / "digits" / "cold100"
    workdir.mkdir()
    results = {"accuracy": 0.95, "nmi": 0.9, "ari": 0.91, "versions": {"jax": "1"}, "device": {"kind": "cpu"}}
    (workdir / "results.json").write_text(json.dumps(results))
    scores = {"versions": {"jax": "1"}, "device": "cpu", "accuracy": 0.95, "ari": 0.91}
    assert part.contenders["vade-jax, finished"].answer(100, "") == scores


def test_growth_changes_one_size_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(waiting_parts, "_NUM_FEATURES", (4, 8))
    monkeypatch.setattr(waiting_parts, "_NUM_CLUSTERS", (2, 3))
    part = a_part("growth", tmp_path)
    assert list(part.sizes.values()) == [(60, 4, 2), (90, 4, 2), (60, 8, 2), (60, 4, 3)]
    assert part.sizes.keys() == part.contenders.keys()
    assert np.load(part.contenders["90 x 4, K=2"].command(100)[4]).shape == (90, 4)


def test_configs_without_their_rows_are_skipped(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    assert waiting_parts.make_parts("configs", options(tmp_path)) == {}
    assert "configs/mnist.py is skipped" in capsys.readouterr().err
    parts = waiting_parts.make_parts("configs", options(tmp_path, configs=["configs/digits.py"]))
    assert list(parts["digits"].contenders) == [
        "vade-jax, cold",
        "vade-jax, finished",
        "KMeans",
        "umap-learn + GaussianMixture",
    ]


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        ([], ["wine", "table", "predict", "digits"]),
        (["--large"], ["wine", "table", "predict", "digits", "configs", "growth"]),
        (["--large", "--parts=growth,wine"], ["growth", "wine"]),
        (["--parts=growth"], None),
        (["--parts=wines"], None),
    ],
)
def test_large_parts_need_a_flag(monkeypatch, flags, parts):
    monkeypatch.setattr("sys.argv", ["waiting", *flags])
    if parts:
        assert waiting._parse().parts == parts
        return
    with pytest.raises(SystemExit):
        waiting._parse()


@pytest.mark.slow
def test_table_is_measured(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(records, "RESULTS", tmp_path)
    monkeypatch.setattr("sys.argv", ["waiting", "--parts=table", "--repeats=1", "--name=small"])
    waiting.main()
    contenders = records.read(tmp_path / "waiting_small.json")["parts"]["table"]["contenders"]
    assert contenders.pop("ClustPy's VaDE") == []
    for runs in contenders.values():
        (run,) = runs
        assert run["ari"] > 0.5
        assert 0 < run["wall_s"] < 600
        assert 50 < run["peak_mib"] < 5000
    assert (tmp_path / "waiting_small.png").exists()
    assert "table, 870 x 5" in capfd.readouterr().out
