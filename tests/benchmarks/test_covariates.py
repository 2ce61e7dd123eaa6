"""The benchmark of batches: the rows that it makes, and its table."""

import numpy as np

from benchmarks import covariates


def test_the_second_batch_is_moved_by_the_seed_and_the_first_one_stays():
    made = covariates.moved_digits(False, 7)
    assert abs(made.batch.mean() - 0.5) < 0.05
    np.testing.assert_array_equal(made.moved[made.batch == 0], made.before[made.batch == 0])
    steps = (made.moved - made.before)[made.batch == 1]
    np.testing.assert_allclose(steps, np.broadcast_to(steps[0], steps.shape), atol=1e-9)
    again, other = covariates.moved_digits(False, 7), covariates.moved_digits(False, 8)
    np.testing.assert_array_equal(made.moved, again.moved)
    assert (made.moved != other.moved).any()


def test_unequal_batches_have_other_shares_of_every_other_class():
    made = covariates.moved_digits(True, 7)
    shares = [made.batch[made.labels == label].mean() for label in range(10)]
    np.testing.assert_allclose(shares[::2], 0.2, atol=0.08)
    np.testing.assert_allclose(shares[1::2], 0.8, atol=0.08)


def test_table_has_medians_over_seeds():
    methods = (covariates._BEFORE, covariates._MOVED, covariates._CENTRED, covariates._WITH)
    record = {}
    for seed, value in ((100, 0.1), (101, 0.8), (102, 0.6), (100, 0.7)):  # the last one replaces
        found = {method: {"ari": value, "information": value / 10, "told": 0.5} for method in methods}
        entry = {"seed": seed, "of_classes": 0.2, "methods": found}
        record = covariates.with_entry(record, "digits", "unequal", entry)
    table = covariates.rows(record)
    assert [line[3] for line in table[1:]] == [*methods]
    assert table[1] == ["digits", "unequal", "3", "not moved", "0.700", "0.600", "0.070", "0.200", "0.500"]
