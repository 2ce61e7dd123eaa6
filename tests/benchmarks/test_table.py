"""The methods, records and rows of the comparison."""

import math
import time

import matplotlib.image
import numpy as np
import pytest
from sklearn.datasets import make_blobs

from benchmarks import provenance, readme, records, rivals, table
from vade_jax.reports import label_scores
from vade_jax.settings import field_names, rules

CPU = {"platform": "cpu", "kind": "cpu", "count": 1, "cpus": 2}
DEEP = [name for name, how in rivals.METHODS.items() if isinstance(how, rivals.Deep)]
SHALLOW = [name for name, how in rivals.METHODS.items() if isinstance(how, rivals.Shallow)]
SMALL = (
    "--config.model.hidden=(16,)",
    "--config.pretrain.num_epochs=2",
    "--config.optimizer.min_steps=0",
    "--config.evaluate.bound_rows=20",
    "--config.evaluate.bound_samples=2",
)


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "RESULTS", tmp_path)
    monkeypatch.setattr(provenance, "mark", lambda *parts: "")  # of today
    return tmp_path


def a_cell(seed, accuracy=0.8, **changes):
    run = {"seed": seed, "commit": "c0", "accuracy": accuracy, "nmi": 0.7, "ari": 0.6, "seconds": 60.0}
    return {"settings": {}, "device": CPU, "versions": {"jax": "1"}, "run": run, **changes}


def record_of(*cells, method="KMeans"):
    record = None
    for cell in cells:
        record = table.with_run(record, "configs/digits.py", method, cell)
    return record


@pytest.mark.parametrize("method", DEEP)
@pytest.mark.parametrize("config", rivals.CONFIGS.values())
def test_settings_of_each_method_are_valid_for_every_config(method, config):
    flags = [f"--config.{field}={value}" for field, value in rivals.METHODS[method].flags.items()]
    config = records.read_config(config, flags)
    rules.check_fields(config.to_dict())
    flat = field_names.flatten(config.to_dict())
    assert {field: flat[field] for field in rivals.METHODS[method].flags} == dict(rivals.METHODS[method].flags)


def test_published_numbers_belong_to_data_sets_of_the_table():
    assert {name for numbers in rivals.PUBLISHED.values() for name in numbers} <= rivals.CONFIGS.keys()


@pytest.mark.parametrize("method", SHALLOW)
def test_shallow_methods_find_separated_blobs(method):
    rows, labels = make_blobs(300, n_features=4, centers=3, cluster_std=0.3, random_state=0)
    clusters = rivals.METHODS[method].fit(rows.astype(np.float32), 3, 0)
    assert label_scores.scores(labels, clusters)["accuracy"] == 1


def test_record_keeps_other_seeds_with_the_same_settings():
    record = record_of(a_cell(1), a_cell(0), a_cell(1, accuracy=0.9))
    assert [(run["seed"], run["accuracy"]) for run in record["methods"]["KMeans"]["runs"]] == [(0, 0.8), (1, 0.9)]
    elsewhere = {**CPU, "cpus": 64}
    for change in ({"settings": {"train.num_epochs": 1}}, {"device": elsewhere}):
        changed = table.with_run(record, "configs/digits.py", "KMeans", a_cell(2, **change))
        assert [run["seed"] for run in changed["methods"]["KMeans"]["runs"]] == [2]


def test_failed_run_is_recorded_and_does_not_count():
    failed = {"settings": {}, "device": None, "versions": None, "run": {"seed": 1, "commit": "c0", "failure": "no"}}
    runs = record_of(a_cell(0), failed, a_cell(2))["methods"]["KMeans"]["runs"]
    assert len(runs) == 3
    assert table.summarize(runs)["accuracy"] == 0.8
    assert records.count(runs) == "2 of 3"
    assert table.summarize([failed["run"]]) is None


def test_summary_of_three_runs():
    runs = [a_cell(seed, accuracy)["run"] for seed, accuracy in enumerate((0.7, 0.8, 0.6))]
    summary = table.summarize(runs)
    assert summary["accuracy"] == 0.7
    assert (summary["worst"], summary["best"]) == (0.6, 0.8)
    assert summary["mean"] == pytest.approx(0.7)
    assert summary["deviation"] == pytest.approx(0.1)
    assert table.summarize(runs[:1])["deviation"] == 0


def test_rows_have_measured_and_published_numbers(results):
    assert table.rows("MNIST")[1][0] == "GMM"  # only published
    assert readme.comparison_table() == ""
    assert all("not run here" in line for line in readme.cells_table().splitlines()[2:])
    records.write(table.record_path("MNIST"), record_of(a_cell(0), a_cell(1, 0.9), method="DEC"))
    of_ours = {**a_cell(0)["run"], "seconds": {"total": 120.0}}
    records.write(results / "seeds_mnist.json", {"runs": [of_ours]})
    by_method = {row[0]: row[1:] for row in table.rows("MNIST")}
    assert by_method["DEC"] == ["2", "0.850", "0.850 +- 0.071", "0.800", "0.900", "0.700", "0.600", "60", "0.843"]
    assert by_method[rivals.OURS][-2:] == ["120", "-"]
    assert by_method["adversarial autoencoder"] == [*["-"] * 8, "0.835"]
    assert readme.comparison_table().splitlines()[2:] == [
        "| DEC | 0.850 (0.800) |",
        f"| {rivals.OURS} | 0.800 (0.800) |",
    ]
    assert "| MNIST | DEC | 2 | 0.850 |" in readme.cells_table()


def test_the_overview_has_the_rows_the_accuracies_and_the_minutes(results):
    assert table.overview_table() == ""
    cells = [
        {**a_cell(seed, accuracy), "run": {**a_cell(seed, accuracy)["run"], "rows": 70_000}}
        for seed, accuracy in ((0, 0.5), (1, 0.7))
    ]
    records.write(table.record_path("MNIST"), record_of(*cells, method="KMeans"))
    assert table.overview_table() == ""  # not before this project's recipe was run
    of_ours = {**a_cell(0)["run"], "seconds": {"total": 1500.0}}
    records.write(results / "seeds_mnist.json", {"runs": [of_ours]})
    header, _, line = table.overview_table().splitlines()
    assert header == "| data | KMeans | autoencoder, mixture | the same on UMAP | vade-jax | minutes |"
    assert line == "| MNIST, 70,000 rows | 0.600 (0.500) | - | - | 0.800 (0.800) | 25 |"


def test_figure_needs_runs(results):
    table.save_figure(results / "table.png")
    assert not (results / "table.png").exists()
    records.write(table.record_path("digits"), record_of(a_cell(0), a_cell(1, 0.9)))
    table.save_figure(results / "table.png")
    assert matplotlib.image.imread(results / "table.png").std() > 0.01


def test_finished_cells_are_read(tmp_path):
    arguments = ("KMeans", "configs/digits.py", 0, tmp_path, [])
    cell = table.measure(*arguments, math.inf)
    assert cell["run"]["rows"] == 1797
    assert 0.6 < cell["run"]["accuracy"] < 0.9
    assert table.measure(*arguments, time.monotonic() - 1) == cell  # read from its file
    assert table.measure("GMM", *arguments[1:], time.monotonic() - 1) is None


def test_methods_are_selected_by_name(tmp_path, monkeypatch):
    measured = []
    monkeypatch.setattr(table, "measure", lambda method, *rest: measured.append(method))
    monkeypatch.setattr(table, "save_figure", lambda path: None)
    chosen = ["VaDE, the paper's stages", "KMeans"]
    arguments = [f"--workdir={tmp_path}", "--data=digits", f"--methods={';'.join(chosen)}", "--seeds=0"]
    monkeypatch.setattr("sys.argv", ["table", *arguments])
    table.main()
    assert measured == chosen
    for wrong in ("--methods=VaDE", f"--data=digits,HAR --autoencoders={tmp_path}"):
        monkeypatch.setattr("sys.argv", ["table", *arguments, *wrong.split()])
        with pytest.raises(SystemExit):
            table.main()


@pytest.mark.slow
def test_deep_methods_share_an_autoencoder(tmp_path):
    def measure(method):
        return table.measure(method, "configs/digits.py", 0, tmp_path, SMALL, math.inf)

    assert measure("DEC") is None  # there is no autoencoder yet
    first = measure("AE+GMM")
    rivals = [measure(method) for method in ("DEC", "AE+UMAP+GMM (N2D)", "VaDE, the paper's stages")]
    for cell in (first, *rivals):
        assert 0 < cell["run"]["accuracy"] <= 1
        assert cell["run"]["seconds"] > first["run"]["seconds"] / 4
        assert str(tmp_path) not in str(cell)  # records have no local paths
    assert rivals[0]["settings"]["train.objective"] == "dec"


@pytest.mark.slow
def test_autoencoders_of_other_runs_are_used(tmp_path):
    """The other runs are AE+GMM's, so the cells must be equal."""

    def measure(method, folder, autoencoders=None):
        return table.measure(method, "configs/digits.py", 0, tmp_path / folder, SMALL, math.inf, autoencoders)

    assert measure("AE+GMM", "taken", tmp_path / "nowhere") is None
    trained = measure("AE+GMM", "trained")
    for method in ("AE+GMM", "DEC"):
        taken, own = measure(method, "taken", tmp_path / "trained" / "ae_gmm"), measure(method, "trained")
        assert taken["settings"] == own["settings"]
        assert {**taken["run"], "seconds": 0} == {**own["run"], "seconds": 0}
        assert taken["run"]["seconds"] > trained["run"]["seconds"] / 4
