"""The benchmarks' records: merging, failures, tables, what a criterion picks, and the cells of the ablation."""

import json
import math
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from sklearn.datasets import make_blobs

from benchmarks import ablation, criteria, files, readme, seeds, selection
from configs import base, digits
from vade_jax.settings.field_names import flatten
from vade_jax.settings.rules import check_fields

CPU = {"platform": "cpu", "kind": "cpu", "count": 1}
GPU = {"platform": "gpu", "kind": "NVIDIA H100", "count": 1}
FAILURE = {"failure": "no more", "treatments": [{"cure": "none"}], "commit": "c0", "stage_starts": {}}


def make_run(seed, accuracy=0.8, **changes):
    run = {
        "seed": seed,
        "commit": "c0",
        "settings": {"model.latent_dim": 10},
        "stage_starts": {"pretrain": 0, "guide1": 2},
        "accuracy": accuracy,
        "nmi": 0.7,
        "ari": 0.6,
        "elbo": -20.0,
        "log_likelihood": -19.0,
        "occupancy": [50, 50, 0],
        "initialization": {"method": "manifold", "accuracy": 0.75},
        "input_modularity": 0.6,
        "rounds": [
            {"accuracy": 0.75, "restart_scores": [0.9]},
            {"accuracy": 0.77, "restart_scores": [0.4, 0.6, 0.5]},
        ],
        "accuracy_by_epoch": [None, None, 0.712345, accuracy],
        "treatments": [],
        "seconds": {"cluster": 59.96, "total": 90.04},
        "versions": {"jax": "1"},
        "device": CPU,
    }
    return {**run, **changes}


def make_record(*runs, flags=()):
    return seeds.make_record("configs/digits.py", flags, runs)


def seeds_of(record):
    return [run["seed"] for run in record["runs"]]


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(seeds, "RESULTS", tmp_path)
    return tmp_path


def test_an_entry_holds_the_scores_and_the_criteria():
    (entry,) = make_record(make_run(3))["runs"]
    assert entry["occupancy_entropy"] == pytest.approx(math.log(2))
    assert entry["elbo_equal_weights"] == pytest.approx(-20 + math.log(2))
    assert entry["modularity"] == 0.6
    assert entry["rounds"] == [0.75, 0.77]
    assert entry["accuracy_by_epoch"] == [None, None, 0.7123, 0.8]
    assert entry["seconds"] == {"cluster": 60.0, "total": 90.0}
    assert (entry["seed"], entry["commit"], entry["initial_accuracy"], entry["treatments"]) == (3, "c0", 0.75, [])


def test_merging_keeps_other_seeds_and_replaces_the_same():
    earlier = make_record(make_run(4, 0.1), make_run(0, 0.2))
    record = seeds.merge(earlier, make_record(make_run(2, 0.3), make_run(0, 0.4)))
    assert [(run["seed"], run["accuracy"]) for run in record["runs"]] == [(0, 0.4), (2, 0.3), (4, 0.1)]
    assert seeds.merge(None, earlier) == earlier


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
def test_a_record_that_was_measured_otherwise_starts_afresh(other):
    assert seeds.merge(other, make_record(make_run(0))) == make_record(make_run(0))


def test_earlier_runs_name_their_versions_where_these_were_others():
    earlier = make_record(make_run(0, versions={"jax": "0"}))
    record = seeds.merge(earlier, make_record(make_run(1)))
    assert record["versions"] == {"jax": "1"}
    assert [run.get("versions") for run in record["runs"]] == [{"jax": "0"}, None]
    again = seeds.merge(record, make_record(make_run(2, versions={"jax": "2"})))
    assert [run.get("versions") for run in again["runs"]] == [{"jax": "0"}, {"jax": "1"}, None]


def test_a_record_of_other_settings_than_the_configs_is_not_of_today():
    width = {"model.latent_dim": base.get_config().model.latent_dim}
    assert seeds.is_of_today(make_record(make_run(0, settings=width)))
    assert seeds.is_of_today(make_record({**FAILURE, "seed": 0}))
    assert not seeds.is_of_today(make_record(make_run(0, settings={**width, "model.gone": 1})))
    other = make_record(make_run(0, settings={"model.latent_dim": 7}), flags=["--config.model.latent_dim=7"])
    assert seeds.is_of_today(other)
    assert not seeds.is_of_today({**other, "flags": []})
    assert not seeds.is_of_today({name: value for name, value in other.items() if name != "settings"})


def test_failed_runs_merge_on_any_device_and_are_left_out_of_the_medians():
    failed = make_record({**FAILURE, "seed": 1})
    assert failed["device"] is None
    assert failed["runs"] == [{"seed": 1, "commit": "c0", "failure": "no more", "treatments": [{"cure": "none"}]}]
    assert seeds.summarize(failed["runs"]) is None
    record = seeds.merge(make_record(make_run(0, 0.6), make_run(1), make_run(2, 0.9)), failed)
    assert (seeds_of(record), record["device"]["kind"], record["versions"]) == ([0, 1, 2], "cpu", {"jax": "1"})
    assert seeds.count(record["runs"]) == "2 of 3"
    summary = seeds.summarize(record["runs"])
    assert (summary["accuracy"], summary["worst"], summary["best"]) == (0.75, 0.6, 0.9)
    assert seeds_of(seeds.merge(failed, make_record(make_run(0)))) == [0, 1]


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


def test_a_finished_run_is_read_and_none_is_started_after_the_deadline(tmp_path, capfd):
    finish(tmp_path, 0, make_run(0))
    finish(tmp_path, 2, {"failure": "no more", "treatments": []})
    well, failed = seeds.measure("configs/digits.py", [0, 1, 2], tmp_path, [], deadline=-math.inf)
    assert well == make_run(0, commit="c1", stage_starts={"pretrain": 0, "align": 2})
    assert (failed["seed"], failed["commit"], failed["failure"]) == (2, "c1", "no more")
    assert "seed1 is not run" in capfd.readouterr().out
    assert not (tmp_path / "seed1").exists()


def test_a_process_that_fails_does_not_end_the_campaign(tmp_path, monkeypatch):
    monkeypatch.setattr(seeds, "ROOT", tmp_path)
    monkeypatch.setattr(seeds, "commit", lambda: "c2")
    (tmp_path / "main.py").write_text("import sys; sys.exit(2 if '--config.seed=0' in sys.argv else 9)")
    runs = list(seeds.measure("configs/digits.py", [0, 1], tmp_path / "runs", []))
    assert [(run["seed"], run["failure"]) for run in runs] == [(0, "exit status 2"), (1, "exit status 9")]
    assert seeds.count(make_record(*runs)["runs"]) == "0 of 2"


def test_a_campaign_writes_its_record_and_figure(results, tmp_path, monkeypatch, capfd):
    finish(tmp_path / "runs", 1, make_run(1))
    finish(tmp_path / "runs", 5, {"failure": "no more", "treatments": []})
    arguments = ["--config=configs/digits.py", "--seeds=5,1,7", f"--workdir={tmp_path / 'runs'}", "--name=small"]
    monkeypatch.setattr("sys.argv", ["seeds", *arguments, "--budget=0"])
    seeds.main()
    assert seeds_of(seeds.read(results / "seeds_small.json")) == [1, 5]
    assert matplotlib.image.imread(results / "seeds_small.png").shape[1] == 960
    assert "5     no more\n" in capfd.readouterr().out


def test_a_record_is_written_flat_and_read_back(tmp_path):
    record = make_record(make_run(0), {**FAILURE, "seed": 1, "failure": "[ {a,\n b} ]"})
    seeds.write(tmp_path / "record.json", record)
    assert seeds.read(tmp_path / "record.json") == record
    assert '"occupancy": [50, 50, 0],\n' in (tmp_path / "record.json").read_text()
    assert seeds.read(tmp_path / "gone.json") is None


def test_the_figure_is_the_same_every_time_and_needs_epochs(tmp_path):
    record = make_record(make_run(0), make_run(1, 0.5), {**FAILURE, "seed": 2})
    for name in ("one.png", "two.png"):
        seeds.save_figure(tmp_path / name, record)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    seeds.save_figure(tmp_path / "none.png", make_record(make_run(0, accuracy_by_epoch=[None, None])))
    assert not (tmp_path / "none.png").exists()


def test_columns_are_as_wide_as_their_widest_cell():
    assert seeds.aligned([["a", "bb", "c"], ["1", "2", "3"], ["4", "it failed"]]) == "a  bb  c\n1  2   3\n4  it failed"
    assert (seeds.number(0.12345, 3), seeds.number(None, 3)) == ("0.123", "-")


@pytest.mark.parametrize(("method", "num_rows"), [("manifold", 1797), ("gmm", 70_000)])
def test_the_cells_change_fields_that_exist_to_values_that_can_be_used(method, num_rows):
    flags = [f"--config.init.method={method}"]
    config = seeds.read_config("configs/digits.py", flags)
    cells = ablation.make_cells(config.to_dict(), num_rows)
    assert cells["recipe"] == []
    settings = []
    for changes in cells.values():
        assert {flag.removeprefix("--config.").partition("=")[0] for flag in changes} <= flatten(
            base.get_config().to_dict()
        ).keys()
        settings.append(seeds.read_config("configs/digits.py", [*flags, *changes]).to_dict())
        check_fields(settings[-1])
    assert all(one not in settings[:place] for place, one in enumerate(settings))
    assert method not in cells  # it is the recipe
    starts = {"manifold", "gmm", "gmm_diag", "kmeans", "random"}
    assert {*starts, *(f"{start}_unguided" for start in starts)} - {method} < cells.keys()
    assert {
        "estimator_sample",
        "estimator_mean",
        "pretrain_x0.25",
        "pretrain_x4",
        "rounds_0",
        "rounds_2",
        "no_align",
        "kl_c_weight_1",
    } < cells.keys()
    assert "estimator_optimal" not in cells


def test_another_length_of_pretraining_leaves_the_other_stages_theirs():
    recipe = digits.get_config().to_dict()
    few, many = 1797, 70_000
    assert ablation.make_cells(recipe, many)["pretrain_x0.25"] == ["--config.pretrain.num_epochs=30"]
    assert ablation.make_cells(recipe, many)["pretrain_x4"] == ["--config.pretrain.num_epochs=480"]
    # 1000 steps of 64 rows out of 1797 are 36 epochs
    assert ablation.make_cells(recipe, few)["pretrain_x4"] == ["--config.pretrain.num_epochs=480"]
    assert ablation.make_cells(recipe, few)["pretrain_x0.25"] == [
        "--config.optimizer.min_steps=0",
        "--config.pretrain.num_epochs=30",
        "--config.guide.num_epochs=36",
        "--config.align.num_epochs=36",
        "--config.train.num_epochs=36",
    ]


def test_an_ablation_keeps_cells_of_the_same_recipe_and_device():
    flags = ["--config.seed=0"]

    def cell(*runs, changes=(), common=flags):
        return make_record(*runs, flags=[*common, *changes])

    record = ablation.with_cell(None, flags, "recipe", cell(make_run(0, 0.9), make_run(1, 0.7)))
    mean = ["--config.train.estimator=mean"]
    record = ablation.with_cell(record, flags, "mean", cell(make_run(0, 0.5), changes=mean))
    record = ablation.with_cell(record, flags, "recipe", cell(make_run(2, 0.6)))
    assert {name: seeds_of(one) for name, one in record["cells"].items()} == {"recipe": [0, 1, 2], "mean": [0]}
    assert [one["changes"] for one in record["cells"].values()] == [[], mean]
    assert record["cells"]["recipe"]["summary"]["accuracy"] == 0.7
    assert "accuracy_by_epoch" not in record["cells"]["mean"]["runs"][0]
    changed = ablation.with_cell(record, flags, "mean", cell(make_run(1), changes=[*mean, "--config.seed=1"]))
    assert seeds_of(changed["cells"]["mean"]) == [1]
    for change in ({"device": GPU}, {"settings": {"model.latent_dim": 9}}):
        elsewhere = ablation.with_cell(record, flags, "mean", cell(make_run(1, **change), changes=mean))
        assert elsewhere["cells"].keys() == {"mean"}
    settings = {"model.latent_dim": 10, "train.estimator": "mean"}  # what the cell itself changes is no other recipe
    beside = ablation.with_cell(record, flags, "mean", cell(make_run(0, settings=settings), changes=mean))
    assert beside["cells"].keys() == {"recipe", "mean"}
    assert ablation.with_cell(record, [], "other", cell(make_run(1), common=[]))["cells"].keys() == {"other"}
    assert [row[:4] for row in ablation._table(record["cells"])[1:]] == [
        ["recipe", "3", "0.7500", "0.7000"],
        ["mean", "1", "0.7500", "0.5000"],
    ]


def test_what_a_criterion_picks(results):
    runs = [
        make_run(seed, accuracy, elbo=elbo, log_likelihood=-accuracy, occupancy=occupancy)
        for seed, accuracy, elbo, occupancy in [
            (0, 0.5, -30.0, [100, 0]),
            (1, 0.9, -20.0, [60, 40]),
            (2, 0.8, -19.9, [99, 1]),
        ]
    ]
    seeds.write(results / "seeds_three.json", make_record(*runs, {**FAILURE, "seed": 3}))
    seeds.write(results / "seeds_two.json", make_record(*runs[:2]))
    selection.main()
    answers = seeds.read(results / "selection.json")
    assert answers.keys() == {"three"}
    assert (answers["three"]["runs"], answers["three"]["best"], answers["three"]["median"]) == (3, 0.9, 0.8)
    criteria = answers["three"]["criteria"]
    assert criteria["elbo"] == {"spearman": 0.5, "seed": 2, "accuracy": 0.8, "regret": 0.1}
    assert criteria["log_likelihood"] == {"spearman": -1.0, "seed": 0, "accuracy": 0.5, "regret": 0.4}
    for name in ("elbo_equal_weights", "occupancy_entropy"):
        assert criteria[name] == {"spearman": 1.0, "seed": 1, "accuracy": 0.9, "regret": 0.0}
    assert criteria["modularity"]["spearman"] is None  # all the same
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


def test_the_tables_go_between_their_markers(results):
    assert readme.with_tables(MARKED) == MARKED
    below = [make_run(seed, 0.7) for seed in range(3)]
    seeds.write(results / "seeds_a.json", make_record(make_run(0, 0.8), {**FAILURE, "seed": 1}))
    seeds.write(results / "seeds_b.json", make_record(*below, flags=["--config.seed=0"]))
    seeds.write(results / "seeds_c.json", make_record({**FAILURE, "seed": 1}))
    cell = make_record(make_run(0), flags=["--config.init.method=gmm"])
    seeds.write(results / "ablation_a.json", ablation.with_cell(None, [], "gmm", cell))
    selection.main()
    text = readme.with_tables(MARKED)
    assert "old" not in text
    assert text.endswith("<!-- ablation: written by python -m benchmarks.readme -->\n")  # which has no end
    assert readme.with_tables(text) == text
    rows = text.splitlines()
    cpus = make_record(make_run(0))["device"]["cpus"]
    scores = f"0.750 | {{}} | 0.700 | -20.00 | 1.5 | {cpus} CPU cores |"
    assert f"| `configs/digits.py` | 1 of 2 |{' 0.800 |' * 3} {scores.format('yes')}" in rows
    assert f"| `configs/digits.py --config.seed=0` | 3 |{' 0.700 |' * 3} {scores.format('no')}" in rows
    assert f"| `configs/digits.py` | 0 of 1 |{' - |' * 9}" in rows
    picked = " | 0.700 (-)" * 5
    assert f"| `configs/digits.py --config.seed=0` | 3 | 0.700 | 0.700{picked} |" in rows
    assert readme.ablation_table().splitlines()[-1] == (
        "| `configs/digits.py` | gmm | `init.method=gmm` | 1 | 0.800 | 0.800 | 0.800 | 0.750 | -20.00 | 1.5 |"
    )


@pytest.mark.parametrize("path", sorted((Path(seeds.__file__).parent / "results").glob("*.json")), ids=lambda p: p.name)
def test_records_in_the_repository_can_be_read(path):
    assert seeds.read(path)


def test_a_criterion_is_judged_within_each_layout():
    def candidate(neighbors, components, accuracy, modularity, log_likelihood):
        modularities = {"modularity_of_embedding": modularity, "modularity_of_inputs": modularity}
        scores = {**modularities, "log_likelihood": log_likelihood, "occupancy_entropy": 1.0}
        return {"neighbors": neighbors, "components": components, "accuracy": accuracy, **scores}

    # the likelihoods of two layouts lie on scales of their own, and order the candidates backwards in each
    found = [candidate(10, 1, 0.5, 0.1, 2.0), candidate(10, 2, 0.7, 0.3, 1.0)]
    found += [candidate(30, 1, 0.8, 0.5, 9.0), candidate(30, 2, 0.9, 0.6, 8.0)]
    judged = criteria.judge(found)
    assert (judged["best"], *judged["medians"]) == pytest.approx((0.8, 0.65, 0.8))
    assert judged["criteria"]["modularity_of_inputs"] == pytest.approx({"spearman": 1, "accuracy": 0.8})
    assert judged["criteria"]["log_likelihood"] == pytest.approx({"spearman": -1, "accuracy": 0.65})
    assert judged["criteria"]["occupancy_entropy"]["spearman"] == 0


def test_the_table_of_criteria_has_means_over_embeddings(results):
    def run(accuracy):
        picks = {name: {"spearman": accuracy - 1, "accuracy": accuracy} for name in criteria.CRITERIA}
        return {"seed": 0, "best": 0.9, "medians": [0.5, 0.6], "criteria": picks}

    seeds.write(results / "criteria_x.json", {"config": "configs/x.py", "flags": ["--a"], "runs": [run(0.6), run(0.8)]})
    row = readme.criteria_table().splitlines()[2]
    assert row.startswith("| `configs/x.py` | 2 | 0.900 | 0.500 | 0.600 | 0.700 (-0.30) |")


def test_rivals_are_scored_on_principal_components():
    x, labels = make_blobs(150, n_features=12, centers=3, cluster_std=0.5, random_state=0)
    scores = files.rivals(x.astype(np.float32) * 1000, labels, 3, "standardize")
    assert scores["KMeans"]["accuracy"] > 0.95
    assert scores["GaussianMixture"]["ari"] > 0.9


def test_files_have_a_row_each(results):
    assert readme.files_table() == ""
    scores = {name: {"accuracy": 0.5, "ari": 0.25} for name in ("VaDE", "KMeans")}
    runs = make_record(make_run(0))["runs"]
    entry = {"rows": 1000, "columns": 5, "settings": {"model.num_clusters": 7}, "scores": scores, "runs": runs}
    seeds.write(results / "files.json", {"pen_digits": entry})
    heading, _, row = readme.files_table().splitlines()
    assert "| VaDE: accuracy, ARI | KMeans: accuracy, ARI |" in heading
    assert row == "| pen digits | 1,000 x 5 | 7 | 0.500, 0.250 | 0.500, 0.250 | 1.5 |"


def test_faults_and_checkpoints_have_rows(results):
    assert readme.faults_table() == readme.checkpointing_table() == ""
    seeds.write(results / "faults_cpu.json", {"parts": {"kills": {"same": 3}, "signals": {"same": 2}}})
    assert readme.faults_table().splitlines()[2:] == ["| kills | 3 | 3 | 0 | 0 |", "| signals | 2 | 2 | 0 | 0 |"]
    cost = {"epoch_seconds": 10.0, "checkpoint_seconds": 0.5, "every_epochs": 10, "share": 0.005}
    record = {"cpus": 2, "processor": "P", "cost": cost, "resume": {"first_step_seconds": 9.0}}
    seeds.write(results / "checkpointing_cpu.json", record)
    assert readme.checkpointing_table().splitlines()[2] == "| 2 cores, P | 10.0 | 0.50 | 10 epochs | 0.50% | 9.0 |"
