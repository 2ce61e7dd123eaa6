"""The benchmark of outliers: what it asks of the data sets, and its table."""

from pathlib import Path

import pytest

from benchmarks import outliers


@pytest.mark.parametrize("name", outliers.DATA)
def test_foreign_rows_have_the_shape_and_type_of_the_rows(name):
    if name != "wine" and not Path(outliers._SHARED).exists():
        pytest.skip(f"no {outliers._SHARED}")
    x, foreign = outliers.DATA[name]()
    assert foreign.shape == (100, *x.shape[1:])
    assert foreign.dtype == x.dtype


def test_table_has_means_over_seeds():
    record = {}
    for seed, found in ((101, [0.02, 0.06]), (100, [0.0, 0.04]), (100, [0.01, 0.05])):  # the last one replaces
        record = outliers.with_entry(record, "wine", {"seed": seed, "held_out": 9, "found": found, "foreign": 99})
    assert [entry["seed"] for entry in record["wine"]] == [100, 101]
    assert outliers.rows(record)[1] == ["wine", "2", "9", "1.5%", "5.5%", "99.0"]
