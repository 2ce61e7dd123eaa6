"""The records of the benchmarks: merging, failures, tables, selection without labels, and ablation cells."""

import json
import math
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from helpers.seed_records import FAILURE, GPU, make_record, make_run, seeds_of
from sklearn.datasets import make_blobs

from benchmarks import ablation, criteria, files, provenance, readme, records, seeds, selection, text_tables
from vade_jax.configs import base


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "RESULTS", tmp_path)
    monkeypatch.setattr(provenance, "mark", lambda *parts: "")  # of today
    return tmp_path


def test_entry_has_scores_and_criteria():
    (entry,) = make_record(make_run(3))["runs"]
    assert entry["occupancy_entropy"] == pytest.approx(math.log(2))
    assert entry["elbo_equal_weights"] == pytest.approx(-20 + math.log(2))
    assert entry["modularity"] == 0.6
    assert entry["rounds"] == [0.75, 0.77]
    assert entry["accuracy_by_epoch"] == [None, None, 0.7123, 0.8]
    assert entry["seconds"] == {"cluster": 60.0, "total": 90.0}
    assert (entry["seed"], entry["commit"], entry["initial_accuracy"], entry["treatments"]) == (3, "c0", 0.75, [])


def test_merge_keeps_other_seeds_and_replaces_the_same_seed():
    earlier = make_record(make_run(4, 0.1), make_run(0, 0.2))
    record = records.merge(earlier, make_record(make_run(2, 0.3), make_run(0, 0.4)))
    assert [(run["seed"], run["accuracy"]) for run in record["runs"]] == [(0, 0.4), (2, 0.3), (4, 0.1)]
    assert records.merge(None, earlier) == earlier


@pytest.mark.parametrize(
    "other",
    [
        make_record(make_run(1), flags=["--config.model.latent_dim=3"]),
        make_record(make_run(1, device=GPU)),
        make_record(make_run(1, settings={"model.latent_dim": 9})),
        {name: value for name, value in make_record(make_run(1)).items() if name != "settings"},
        {**make_record(make_run(1)), "config": "configs/mnist.py"},
    ],
)
def test_merge_drops_a_record_with_other_settings_or_device(other):
    assert records.merge(other, make_record(make_run(0))) == make_record(make_run(0))


def test_merge_states_the_versions_of_earlier_runs():
    earlier = make_record(make_run(0, versions={"jax": "0"}))
    record = records.merge(earlier, make_record(make_run(1)))
    assert record["versions"] == {"jax": "1"}
    assert [run.get("versions") for run in record["runs"]] == [{"jax": "0"}, None]
    again = records.merge(record, make_record(make_run(2, versions={"jax": "2"})))
    assert [run.get("versions") for run in again["runs"]] == [{"jax": "0"}, {"jax": "1"}, None]


def test_is_of_today_compares_settings_with_the_config():
    width = {"model.latent_dim": base.get_config().model.latent_dim}
    assert records.is_of_today(make_record(make_run(0, settings=width)))
    assert records.is_of_today(make_record({**FAILURE, "seed": 0}))
    assert not records.is_of_today(make_record(make_run(0, settings={**width, "model.gone": 1})))
    other = make_record(make_run(0, settings={"model.latent_dim": 7}), flags=["--config.model.latent_dim=7"])
    assert records.is_of_today(other)
    assert not records.is_of_today({**other, "flags": []})
    assert not records.is_of_today({name: value for name, value in other.items() if name != "settings"})


def test_failed_runs_merge_with_any_device_and_do_not_count():
    failed = make_record({**FAILURE, "seed": 1})
    assert failed["device"] is None
    assert failed["runs"] == [{"seed": 1, "commit": "c0", "failure": "no more", "treatments": [{"cure": "none"}]}]
    assert records.summarize(failed["runs"]) is None
    record = records.merge(make_record(make_run(0, 0.6), make_run(1), make_run(2, 0.9)), failed)
    assert (seeds_of(record), record["device"]["kind"], record["versions"]) == ([0, 1, 2], "cpu", {"jax": "1"})
    assert records.count(record["runs"]) == "2 of 3"
    summary = records.summarize(record["runs"])
    assert (summary["accuracy"], summary["worst"], summary["best"]) == (0.75, 0.6, 0.9)
    assert seeds_of(records.merge(failed, make_record(make_run(0)))) == [0, 1]


def test_a_copy_without_git_has_an_unknown_commit(tmp_path, monkeypatch):
    assert len(records.commit().removesuffix(" dirty")) in (40, len("unknown"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.setattr(records, "ROOT", tmp_path)
    assert records.commit() == "unknown"


def finish(folder, seed, content):
    workdir = folder / f"seed{seed}"
    workdir.mkdir(parents=True)
    (workdir / "commit.txt").write_text("c1")
    (workdir / "results.json").write_text(json.dumps(content))
    settings = {"seed": seed, "model": {"latent_dim": 10}, "checkpoint": {"keep": 2}}
    (workdir / "config.json").write_text(json.dumps(settings))
    epochs = [("pretrain", 1, 1), ("pretrain", 2, 2), ("align", 1, 3)]
    records = [{"stage": stage, "epoch": epoch, "total_epochs": total} for stage, epoch, total in epochs]
    (workdir / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def test_measure_reads_finished_runs_and_starts_none_after_the_deadline(tmp_path, capfd):
    finish(tmp_path, 0, make_run(0))
    finish(tmp_path, 2, {"failure": "no more", "treatments": []})
    well, failed = seeds.measure("configs/digits.py", [0, 1, 2], tmp_path, [], deadline=-math.inf)
    assert well == make_run(0, commit="c1", code=None, stage_starts={"pretrain": 0, "align": 2})
    assert (failed["seed"], failed["commit"], failed["failure"]) == (2, "c1", "no more")
    assert "seed1 was not run" in capfd.readouterr().out
    assert not (tmp_path / "seed1").exists()


def test_measure_continues_after_a_failed_process(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "ROOT", tmp_path)
    monkeypatch.setattr(records, "commit", lambda: "c2")
    (tmp_path / "main.py").write_text("import sys; sys.exit(2 if '--config.seed=0' in sys.argv else 9)")
    runs = list(seeds.measure("configs/digits.py", [0, 1], tmp_path / "runs", []))
    assert [(run["seed"], run["failure"]) for run in runs] == [(0, "exit status 2"), (1, "exit status 9")]
    assert records.count(make_record(*runs)["runs"]) == "0 of 2"


def test_seeds_writes_its_record_and_figure(results, tmp_path, monkeypatch, capfd):
    finish(tmp_path / "runs", 1, make_run(1))
    finish(tmp_path / "runs", 5, {"failure": "no more", "treatments": []})
    arguments = ["--config=configs/digits.py", "--seeds=5,1,7", f"--workdir={tmp_path / 'runs'}", "--name=small"]
    monkeypatch.setattr("sys.argv", ["seeds", *arguments, "--budget=0"])
    seeds.main()
    assert seeds_of(records.read(results / "seeds_small.json")) == [1, 5]
    assert matplotlib.image.imread(results / "seeds_small.png").shape[1] == 960
    assert "5     no more\n" in capfd.readouterr().out


def test_record_is_written_compactly_and_read_back(tmp_path):
    record = make_record(make_run(0), {**FAILURE, "seed": 1, "failure": "[ {a,\n b} ]"})
    records.write(tmp_path / "record.json", record)
    assert records.read(tmp_path / "record.json") == record
    assert '"occupancy": [50, 50, 0],\n' in (tmp_path / "record.json").read_text()
    assert records.read(tmp_path / "gone.json") is None


def test_figure_is_deterministic_and_needs_epochs(tmp_path):
    record = make_record(make_run(0), make_run(1, 0.5), {**FAILURE, "seed": 2})
    for name in ("one.png", "two.png"):
        seeds.save_figure(tmp_path / name, record)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    seeds.save_figure(tmp_path / "none.png", make_record(make_run(0, accuracy_by_epoch=[None, None])))
    assert not (tmp_path / "none.png").exists()


def test_columns_are_aligned():
    assert (
        text_tables.aligned([["a", "bb", "c"], ["1", "2", "3"], ["4", "it failed"]])
        == "a  bb  c\n1  2   3\n4  it failed"
    )
    assert (text_tables.number(0.12345, 3), text_tables.number(None, 3)) == ("0.123", "-")


def test_selection_has_the_run_that_each_criterion_selects(results):
    runs = [
        make_run(seed, accuracy, elbo=elbo, log_likelihood=-accuracy, occupancy=occupancy)
        for seed, accuracy, elbo, occupancy in [
            (0, 0.5, -30.0, [100, 0]),
            (1, 0.9, -20.0, [60, 40]),
            (2, 0.8, -19.9, [99, 1]),
        ]
    ]
    records.write(results / "seeds_three.json", make_record(*runs, {**FAILURE, "seed": 3}))
    records.write(results / "seeds_two.json", make_record(*runs[:2]))
    selection.main()
    answers = records.read(results / "selection.json")
    assert answers.keys() == {"three"}
    assert (answers["three"]["runs"], answers["three"]["best"], answers["three"]["median"]) == (3, 0.9, 0.8)
    criteria = answers["three"]["criteria"]
    assert criteria["elbo"] == {"spearman": 0.5, "seed": 2, "accuracy": 0.8, "regret": 0.1}
    assert criteria["log_likelihood"] == {"spearman": -1.0, "seed": 0, "accuracy": 0.5, "regret": 0.4}
    for name in ("elbo_equal_weights", "occupancy_entropy"):
        assert criteria[name] == {"spearman": 1.0, "seed": 1, "accuracy": 0.9, "regret": 0.0}
    assert criteria["modularity"]["spearman"] is None  # constant
    older = make_record(*runs)
    del older["runs"][1]["modularity"]
    assert "modularity" not in selection.answer(older)["criteria"]


MARKED = """<!-- results: written by python -m benchmarks.readme -->
old
<!-- end of results -->
between
<!-- selection: written by python -m benchmarks.readme -->
<!-- end of selection -->
<!-- ablation: written by python -m benchmarks.readme -->
"""


def test_tables_are_written_between_their_markers(results):
    assert readme.with_tables(MARKED) == MARKED
    below = [make_run(seed, 0.7) for seed in range(3)]
    records.write(results / "seeds_a.json", make_record(make_run(0, 0.8), {**FAILURE, "seed": 1}))
    records.write(results / "seeds_b.json", make_record(*below, flags=["--config.seed=0"]))
    records.write(results / "seeds_c.json", make_record({**FAILURE, "seed": 1}))
    cell = make_record(make_run(0), flags=["--config.init.method=gmm"])
    records.write(results / "ablation_a.json", ablation.with_cell(None, [], "gmm", cell))
    selection.main()
    text = readme.with_tables(MARKED)
    assert "old" not in text
    assert text.endswith("<!-- ablation: written by python -m benchmarks.readme -->\n")  # a marker without an end
    assert readme.with_tables(text) == text
    rows = text.splitlines()
    cpus = make_record(make_run(0))["device"]["cpus"]
    scores = f"0.750 | {{}} | 0.780 | 0.700 | -20.00 | 1.5 | {cpus} CPU cores |"
    assert f"| `configs/digits.py` | 1 of 2 |{' 0.800 |' * 3} {scores.format('yes')}" in rows
    assert f"| `configs/digits.py --config.seed=0` | 3 |{' 0.700 |' * 3} {scores.format('no')}" in rows
    assert f"| `configs/digits.py` | 0 of 1 |{' - |' * 10}" in rows
    picked = " | 0.700 (-)" * 5
    assert f"| `configs/digits.py --config.seed=0` | 3 | 0.700 | 0.700{picked} |" in rows
    assert readme.ablation_table().splitlines()[-1] == (
        "| `configs/digits.py` | gmm | `init.method=gmm` | 1 | 0.800 | 0.800 | 0.800 | 0.750 | -20.00 | 1.5 |"
    )


@pytest.mark.parametrize("path", sorted((Path(seeds.__file__).parent / "results").glob("*.json")), ids=lambda p: p.name)
def test_records_in_the_repository_can_be_read(path):
    assert records.read(path)


def test_criteria_are_compared_within_each_layout():
    def candidate(neighbors, components, accuracy, modularity, log_likelihood):
        modularities = {"modularity_of_embedding": modularity, "modularity_of_inputs": modularity}
        scores = {**modularities, "log_likelihood": log_likelihood, "occupancy_entropy": 1.0}
        return {"neighbors": neighbors, "components": components, "accuracy": accuracy, **scores}

    # Log likelihoods of different layouts are not comparable; here they rank the candidates wrongly within each layout.
    found = [candidate(10, 1, 0.5, 0.1, 2.0), candidate(10, 2, 0.7, 0.3, 1.0)]
    found += [candidate(30, 1, 0.8, 0.5, 9.0), candidate(30, 2, 0.9, 0.6, 8.0)]
    compared = criteria.compare_criteria(found)
    assert (compared["best"], *compared["medians"]) == pytest.approx((0.8, 0.65, 0.8))
    assert compared["criteria"]["modularity_of_inputs"] == pytest.approx({"spearman": 1, "accuracy": 0.8})
    assert compared["criteria"]["log_likelihood"] == pytest.approx({"spearman": -1, "accuracy": 0.65})
    assert compared["criteria"]["occupancy_entropy"]["spearman"] == 0


def test_criteria_table_has_means_over_embeddings(results):
    def run(accuracy):
        picks = {name: {"spearman": accuracy - 1, "accuracy": accuracy} for name in criteria.CRITERIA}
        return {"seed": 0, "best": 0.9, "medians": [0.5, 0.6], "criteria": picks}

    records.write(
        results / "criteria_x.json", {"config": "configs/x.py", "flags": ["--a"], "runs": [run(0.6), run(0.8)]}
    )
    row = readme.criteria_table().splitlines()[2]
    assert row.startswith("| `configs/x.py` | 2 | 0.900 | 0.500 | 0.600 | 0.700 (-0.30) |")


def test_rivals_are_scored_on_principal_components():
    x, labels = make_blobs(150, n_features=12, centers=3, cluster_std=0.5, random_state=0)
    scores = files.rivals(x.astype(np.float32) * 1000, labels, 3, "standardize")
    assert scores["KMeans"]["accuracy"] > 0.95
    assert scores["GaussianMixture"]["ari"] > 0.9


def test_files_table_has_a_row_for_each_file(results):
    assert readme.files_table() == ""
    scores = {name: {"accuracy": 0.5, "ari": 0.25} for name in ("VaDE", "KMeans")}
    runs = make_record(make_run(0))["runs"]
    entry = {"rows": 1000, "columns": 5, "settings": {"model.num_clusters": 7}, "scores": scores, "runs": runs}
    records.write(results / "files.json", {"pen_digits": entry})
    heading, _, row = readme.files_table().splitlines()
    assert "| VaDE: accuracy, ARI | KMeans: accuracy, ARI |" in heading
    assert row == "| pen digits | 1,000 x 5 | 7 | 0.500, 0.250 | 0.500, 0.250 | 1.5 |"


def test_faults_and_checkpointing_tables_have_rows(results):
    assert readme.faults_table() == readme.checkpointing_table() == ""
    records.write(results / "faults_cpu.json", {"parts": {"kills": {"same": 3}, "signals": {"same": 2}}})
    assert readme.faults_table().splitlines()[2:] == [
        "| kills | 3 | 3 | 0 | 0 | - |",
        "| signals | 2 | 2 | 0 | 0 | - |",
    ]
    cost = {"epoch_seconds": 10.0, "checkpoint_seconds": 0.5, "every_epochs": 10, "share": 0.005}
    record = {"cpus": 2, "processor": "P", "cost": cost, "resume": {"first_step_seconds": 9.0}}
    records.write(results / "checkpointing_cpu.json", record)
    assert readme.checkpointing_table().splitlines()[2] == "| 2 cores, P | 10.0 | 0.50 | 10 epochs | 0.50% | 9.0 |"
