"""Probabilities at a temperature, and the temperature of a given mean certainty."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax

from vade_jax.core.temperature import fit_temperature, temper

P = softmax(3 * np.random.default_rng(0).normal(size=(400, 5)), axis=1)


@given(temperature=st.floats(0.05, 20))
def test_temper_is_the_softmax_of_scaled_logs(temperature):
    tempered = temper(P, temperature)
    np.testing.assert_allclose(tempered, softmax(np.log(P) / temperature, axis=1), rtol=1e-10)
    np.testing.assert_array_equal(tempered.argmax(axis=1), P.argmax(axis=1))


def test_a_temperature_of_one_changes_no_bit():
    assert temper(P, 1.0) is P


def test_certain_rows_and_float32_stay_finite():
    certain = np.array([[1, 0, 0], [0.5, 0.5, 0]], np.float32)
    tempered = temper(certain, 3.0)
    assert tempered.dtype == np.float32
    np.testing.assert_allclose(tempered, [[1, 0, 0], [0.5, 0.5, 0]], atol=1e-6)


@given(temperature=st.floats(0.1, 10))
def test_fit_finds_the_temperature_of_a_mean_certainty(temperature):
    certainty = temper(P, temperature).max(axis=1).mean()
    assert fit_temperature(P, certainty) == pytest.approx(temperature, rel=1e-3)


@pytest.mark.parametrize(("certainty", "expected"), [(1.0, 1e-3), (0.1, 1e3)])
def test_a_certainty_out_of_reach_gives_an_end_of_the_range(certainty, expected):
    assert fit_temperature(P, certainty) == pytest.approx(expected)


def test_one_cluster_has_temperature_one():
    assert fit_temperature(np.ones((3, 1)), 1.0) == 1
