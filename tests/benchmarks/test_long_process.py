"""A short version of the campaign; `python -m benchmarks.long_process` runs all of it."""

import numpy as np
import pytest

from benchmarks import long_process


def test_far_rows_are_far_in_every_way():
    x = np.random.default_rng(0).normal(size=(50, 4))
    far = long_process.far_rows(x, 60)
    assert np.isfinite(far).all()
    assert (np.abs(far).max(axis=1) > 100).all()
    assert ((np.abs(far) > 100).sum(axis=1) == 1).sum() == 20  # a third in one value only


def test_growth_is_from_the_warm_repetition_on():
    after = [{"maps": maps} for maps in (1, 10, 11)]
    assert long_process.growth(after, "maps", warm=2) == 1.1
    assert long_process.growth(after[:1], "maps", warm=2) == 1


@pytest.mark.slow
def test_fits_in_threads_equal_those_in_turn():
    counts = long_process.compare_threads()
    assert counts["same"] == counts["tried"]


@pytest.mark.slow
def test_far_rows_are_outliers_with_finite_probabilities():
    for counts in long_process.ask_far_rows(30).values():
        assert counts == {"tried": 30, "finite": 30, "outliers": 30}


@pytest.mark.slow
def test_maps_do_not_grow():
    fits, model = long_process.soak_fits(4)
    assert long_process.growth(fits, "maps", 2) < 1.05
    assert long_process.growth(long_process.soak_predictions(model, 30), "maps", 5) < 1.05
