"""Tables of several kinds of columns, and the methods that are compared on them."""

import numpy as np
import pytest

from benchmarks import mixed


def test_the_made_table_has_gaps_text_and_numbers_in_every_cluster():
    frame, labels = mixed.made(400)
    assert frame.isna().any().all()
    assert np.bincount(labels).min() > 20
    assert set(frame["colour"].dropna()) == {"red", "blue", "green"}
    again, _ = mixed.made(400)
    assert frame.equals(again)


def test_rivals_see_standardized_numbers_and_a_column_for_each_level():
    frame, _ = mixed.made(400)
    numbers, texts = mixed._filled(frame)
    assert np.isfinite(numbers).all()
    np.testing.assert_allclose(numbers.mean(axis=0), 0, atol=1e-9)
    indicators = mixed._with_indicators(frame)[:, numbers.shape[1] :]
    assert set(np.unique(indicators)) == {0, 1}
    assert (indicators.sum(axis=1) == texts.shape[1]).all()


def test_rivals_see_a_table_of_numbers_alone_as_it_is():
    frame, _ = mixed.customers_as_indicators(0)
    numbers, texts = mixed._filled(frame)
    assert texts.shape == (2000, 0)
    np.testing.assert_array_equal(mixed._with_indicators(frame), numbers)
    assert frame.shape[1] == 3 + 4 + 3 + 1  # numbers, regions, plans and the newsletter


@pytest.mark.parametrize("method", ["one-hot + KMeans", "one-hot + GaussianMixture", "k-prototypes"])
def test_a_rival_finds_a_cluster_for_each_row(method):
    if method == "k-prototypes":
        pytest.importorskip("kmodes")
    frame, labels = mixed.made(400)
    entry = mixed.measure(mixed.METHODS[method], frame, labels, 0)
    assert 0 < entry["ari"] < 1


def test_the_table_has_the_median_and_the_worst_of_the_seeds():
    runs = [{"ari": value, "accuracy": value, "seconds": 1.0} for value in (0.1, 0.5, 0.9)]
    assert mixed.rows({"made": {"VaDE": runs}})[1] == ["made", "3", "VaDE", "0.500", "0.100", "0.500", "1.0"]
