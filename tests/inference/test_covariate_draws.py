"""Covariates of generated rows."""

import jax.numpy as jnp
import numpy as np
import pytest

from vade_jax.data.covariates import NO_COVARIATES, KnownCovariates
from vade_jax.data.scaling import Scaling
from vade_jax.inference.covariate_draws import draw_covariates, given_values, scaled_covariates
from vade_jax.system.errors import InputError

KNOWN = KnownCovariates(("batch", "age"), (("a", "b=1"), ()), ((0.0, 50.0), (0.0, 60.0), (0.0, 60.0), (1.0, np.nan)))


def test_draws_are_those_of_training_rows_and_given_values_replace_them():
    drawn = draw_covariates(KNOWN, 4000, 0)
    shares = [np.mean(drawn[:, 0] == 1), np.mean(drawn[:, 1] == 60), np.isnan(drawn[:, 1]).mean()]
    np.testing.assert_allclose(shares, [0.25, 0.5, 0.25], atol=0.03)
    np.testing.assert_array_equal(np.isnan(drawn[:, 1]), drawn[:, 0] == 1)  # they are those of one row
    given = draw_covariates(KNOWN, 100, 0, ("batch=b=1",))
    np.testing.assert_array_equal(given[:, 0], 1)
    np.testing.assert_array_equal(given[:, 1], draw_covariates(KNOWN, 100, 0)[:, 1])
    np.testing.assert_array_equal(given_values(KNOWN, ("age=55.5",)), np.float32([np.nan, 55.5]))
    assert draw_covariates(NO_COVARIATES, 3, 0) is None


def test_covariates_are_scaled_by_the_last_columns_of_the_scaling():
    scaling = Scaling(jnp.float32([[9, 9, 0, 50]]), jnp.float32([[9, 9, 1, 0.1]]))
    np.testing.assert_allclose(scaled_covariates(np.float32([[1, 60]]), scaling), [[1, 1]])
    assert scaled_covariates(None, scaling) is None


@pytest.mark.parametrize("entry", ["place=a", "batch=c", "age=old", "age=inf"])
def test_unknown_covariates_and_values_are_refused(entry):
    with pytest.raises(InputError, match=f"^config.generate.covariates: got '{entry}', expected"):
        draw_covariates(KNOWN, 3, 0, (entry,))
