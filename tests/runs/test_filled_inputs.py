"""The rows by kinds of columns, for the mixtures that clusters are searched with."""

from types import SimpleNamespace

import numpy as np
import pytest

from vade_jax.runs.filled_inputs import columns_by_kind


def run_of(*kinds, image_shape=None, num_covariates=0):
    columns = [(kind, 3 if kind == "category" else 0) for kind in kinds]
    model = SimpleNamespace(covariates=SimpleNamespace(count=num_covariates))
    return SimpleNamespace(image_shape=image_shape, model=model, columns=columns)


def rows(num_columns=3):
    """Rows whose first column is a spread of counts, and the others real numbers."""
    rng = np.random.default_rng(0)
    return np.stack([rng.poisson(4, 50), *rng.normal(100, 10, (num_columns - 1, 50))], axis=1)


def test_categories_counts_and_truth_values_make_kinds_of_columns():
    found = columns_by_kind(run_of("number", "number", "category"), np.array([[0.5, 7, 1], [1.5, 2, 2]]))
    assert (found.numbers.shape, found.counts.shape, found.indicators.shape) == ((2, 1), (2, 1), (2, 3))
    assert columns_by_kind(run_of(), np.eye(3)).indicators.shape[1] > 0


def test_counts_beside_numbers_are_a_kind_in_at_most_ten_columns():
    found = columns_by_kind(run_of("number", "positive", "number"), rows())
    assert (found.numbers.shape, found.counts.shape) == ((50, 2), (50, 1))
    assert columns_by_kind(run_of(*["number"] * 11), rows(11)) is None


@pytest.mark.parametrize(
    "run",
    [
        run_of("number", "positive"),
        run_of(),
        run_of("category", "number", image_shape=(1, 2, 1)),
        run_of("category", "number", num_covariates=1),
    ],
)
def test_numbers_images_and_rows_with_covariates_are_not_split(run):
    assert columns_by_kind(run, rows()[:, 1:]) is None
