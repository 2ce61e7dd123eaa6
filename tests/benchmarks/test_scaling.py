"""The scaling benchmark: its points, the measurement at one point, its table and figure."""

import numpy as np
import pytest

from benchmarks import records, scaling, scaling_point


def make_record():
    memory = {"peak_mib": 1000, "peak_own_mib": 900}
    steps = [{"axis": "num_clusters", "num_clusters": k, "seconds_per_step": 1e-5 * k, **memory} for k in (10, 1000)]
    rates = {"pretrain": 1000, "cluster": 2000}
    runs = [{"axis": "num_rows", "num_rows": n, "samples_per_second": rates, **memory} for n in (10**5, 10**6)]
    failed = [{"axis": "streaming", "streaming": True, "failure": "a line\nno memory"}]
    return {"axes": {"num_clusters": steps, "num_rows": runs, "streaming": failed}}


def test_each_point_changes_one_size():
    for axis, values in scaling.AXES.items():
        assert [point[axis] for point in scaling.points(axis, [])] == list(values)
        assert scaling.BASE[axis] in values
    assert scaling.points("num_rows", [5]) == [{"axis": "num_rows", "num_rows": 5}]


def test_record_gives_a_table_and_a_figure(tmp_path):
    table = scaling.rows(make_record())
    assert table[1] == ["num_clusters", "10", "0.10", "-", "1,000", "900"]
    assert table[4][:4] == ["num_rows", "1,000,000", "-", "pretrain 1,000, cluster 2,000"]
    assert table[5] == ["streaming", "streamed", "no memory"]
    scaling.save_figure(tmp_path / "figure.png", make_record())
    assert (tmp_path / "figure.png").stat().st_size > 10_000


@pytest.mark.slow
def test_streamed_run_has_every_stage():
    found = scaling.measure({"axis": "num_rows", "num_rows": 6000}, 0)
    assert set(found["samples_per_second"]) == {"pretrain", "guide1", "align", "cluster"}
    assert min(found["samples_per_second"].values()) > 0
    assert 0 < found["peak_own_mib"] <= found["peak_mib"]


@pytest.mark.slow
def test_prediction_is_slower_than_the_encoder(monkeypatch):
    monkeypatch.setattr(scaling_point.contenders, "HIDDEN", (8,))
    found = scaling.measure({"axis": "predicted", "predicted": 6000}, 0)
    assert 0 < found["samples_per_second"]["predicted"] < found["samples_per_second"]["encoder alone"]


@pytest.mark.parametrize(
    "point",
    [
        {"axis": "batch_size", "batch_size": 512},
        pytest.param({"axis": "streaming", "streaming": True}, marks=pytest.mark.slow),
    ],
)
def test_epoch_is_timed(monkeypatch, point):
    monkeypatch.setattr(scaling_point.contenders, "HIDDEN", (8,))
    assert 0 < scaling.measure(point, 0)["seconds_per_step"] < 1


@pytest.mark.slow
def test_several_processes_are_timed():
    point = {"axis": "num_processes", "num_processes": 2}
    parts = scaling._parts(point)
    assert [part["process_id"] for part in parts] == [0, 1]
    assert parts[0]["coordinator"] == parts[1]["coordinator"]
    assert scaling._parts({"axis": "num_processes", "num_processes": 1}) == [
        {"axis": "num_processes", "num_processes": 1}
    ]
    found = scaling._in_processes(point, 0)
    assert found["seconds_per_step"] > 0
    assert found["peak_own_mib"] <= found["peak_mib"]


def test_written_rows_lie_around_ten_centres(tmp_path):
    scaling_point.write_rows(tmp_path / "x.npy", 3000, 64)
    x = np.load(tmp_path / "x.npy")
    assert (x.shape, x.dtype) == ((3000, 64), np.uint8)
    centres = np.random.default_rng(0).integers(64, 192, (10, 64))
    distances = np.abs(x[:, None].astype(int) - centres).max(axis=-1)
    assert distances.min(axis=1).max() <= 48


def test_the_record_is_of_one_machine_with_two_cores():
    """As docs/large_data.md says of the axis of processes, which all run on that machine."""
    record = records.read(records.RESULTS / "scaling_cpu.json")
    assert record["cpus"] == 2
    assert "num_processes" in record["axes"]
    assert scaling.free_address().startswith("localhost:")
