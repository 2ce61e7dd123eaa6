"""The tables and the figure of a made record of `benchmarks.waiting`."""

import matplotlib.image
import pytest

from benchmarks import provenance, readme, records, waiting_tables


def a_run(wall, **scores):
    return {"seed": 100, **scores, "wall_s": wall, "cpu_s": 2 * wall, "peak_mib": 10 * wall}


def make_record():
    wine = {
        "vade-jax": [a_run(wall, accuracy=0.9, ari=wall / 10) for wall in (3.0, 1.0, 2.0)],
        "KMeans": [a_run(1.0, accuracy=0.8, ari=0.5), {"seed": 101, "wall_s": 9.0, "failure": "no memory"}],
        "GaussianMixture": [{"seed": 100, "wall_s": 9.0, "failure": "no memory"}],
        "ClustPy's VaDE": [],
    }
    times = {"first_ms": 900.0, "one_row_ms": 2.5, "rows_per_second": 20_000}
    predict = {"vade-jax": [a_run(7.0, **times, encoder_rows_per_second=40_000, share_of_encoder=0.5)]}
    sizes = {"base": [100, 10, 5], "N": [10_000, 10, 5], "D": [100, 1000, 5], "K": [100, 10, 20]}
    walls = {"base": 2.0, "N": 200.0, "D": 20.0, "K": 4.0}
    growth = {name: [a_run(wall, ari=1.0)] for name, wall in walls.items()}
    return {
        "cpus": 2,
        "processor": "P",
        "device": "cpu",
        "parts": {
            "wine": {"sizes": [178, 13, 3], "contenders": wine},
            "predict": {"sizes": [10, 2, 3], "contenders": predict},
            "growth": {"sizes": sizes, "contenders": growth},
        },
    }


def test_rows_have_medians_of_the_runs_that_ended():
    _, ours, kmeans, mixture, clustpy, *growth = waiting_tables.rows(make_record())
    assert ours == ["wine, 178 x 13", "vade-jax", "3", "0.900", "0.200", "2.0", "4.0", "20"]
    assert kmeans == ["wine, 178 x 13", "KMeans", "1 of 2", "0.800", "0.500", "1.0", "2.0", "10"]
    assert mixture == ["wine, 178 x 13", "GaussianMixture", "0 of 1", "no memory"]
    assert clustpy == ["wine, 178 x 13", "ClustPy's VaDE", "-", "not measured"]
    assert growth[0] == ["growth", "base", "1", "-", "1.000", "2.0", "4.0", "20"]
    assert len(growth) == 4


def test_prediction_has_its_own_table():
    assert waiting_tables.prediction_rows(make_record())[1:] == [
        ["vade-jax", "1", "900.0", "2.5", "20,000", "40,000", "0.50", "7.0", "14.0", "70"]
    ]


def test_exponents_are_slopes_along_one_size():
    assert waiting_tables.growth_rows(make_record())[1:] == [
        ["N", "100", "10,000", "2.0", "200.0", "1.00"],
        ["D", "10", "1,000", "2.0", "20.0", "0.50"],
        ["K", "5", "20", "2.0", "4.0", "0.50"],
    ]


def test_exponent_needs_two_points():
    record = make_record()
    record["parts"]["growth"]["contenders"]["N"] = []
    assert [row[0] for row in waiting_tables.growth_rows(record)] == ["size", "D", "K"]


def test_tables_of_missing_parts_are_left_out():
    record = make_record()
    del record["parts"]["predict"], record["parts"]["growth"]
    assert waiting_tables.text(record).splitlines()[0].startswith("rows")
    assert "exponent" not in waiting_tables.text(record)
    assert len(waiting_tables.text(make_record()).split("\n\n")) == 3


def test_page_has_a_table_of_each_kind(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "RESULTS", tmp_path)
    monkeypatch.setattr(provenance, "mark", lambda *parts: "")  # of today
    page = "<!-- waiting: written by python -m benchmarks.readme -->\n<!-- end of waiting -->"
    assert readme.with_tables(page) == page
    records.write(tmp_path / "waiting_cpu.json", make_record())
    text = readme.with_tables(page)
    assert "| 2 cores, P | wine, 178 x 13 | ClustPy's VaDE | - | not measured |  |  |  |  |\n" in text
    assert "| 2 cores, P | vade-jax | 1 | 900.0 | 2.5 |" in text
    assert "| 2 cores, P | N | 100 | 10,000 | 2.0 | 200.0 | 1.00 |" in text
    assert text.count("| machine |") == 3


@pytest.mark.parametrize("left_out", ["none", "all"])
def test_figure_needs_measured_seconds(tmp_path, left_out):
    record = make_record()
    if left_out == "all":
        record["parts"] = {"predict": record["parts"]["predict"]}
    waiting_tables.save_figure(tmp_path / "figure.png", record)
    assert (tmp_path / "figure.png").exists() == (left_out == "none")
    if left_out == "none":
        assert matplotlib.image.imread(tmp_path / "figure.png").std() > 0.01
