"""A short version of the campaign of wrong rows; `python -m benchmarks.faults --parts="wrong rows"` runs all of it."""

from collections import Counter

import numpy as np
import pytest

from benchmarks import wrong_rows
from benchmarks.rows_of_every_kind import EQUAL, OTHER, UNUSABLE
from vade_jax.system.errors import InputError


@pytest.mark.parametrize("make", EQUAL.values(), ids=EQUAL)
def test_equal_rows_are_equal(make):
    x = np.random.default_rng(0).normal(size=(6, 13))
    np.testing.assert_array_equal(np.asarray(make(x), np.float64), x)


def test_every_kind_has_one_name():
    assert len(EQUAL | UNUSABLE | OTHER) == len(EQUAL) + len(UNUSABLE) + len(OTHER)


def test_an_answer_must_be_right_or_a_refusal_in_words():
    def fail(error):
        raise error

    def ended(ask, path=""):
        return wrong_rows.outcome(ask, wrong_rows.are_probabilities, path)

    assert ended(lambda: np.array([[0.5, 0.5]])) == "same"
    assert ended(lambda: np.array([[0.5, np.nan]])).startswith("wrong")
    assert ended(lambda: fail(ValueError("X has NaN"))) == "said"
    assert ended(lambda: fail(ValueError(""))).startswith("unclear")
    assert ended(lambda: fail(OverflowError("large"))).startswith("OverflowError")
    assert ended(lambda: np.float32(1e38) * np.ones(1, np.float32) * 1e38).startswith("RuntimeWarning")
    refusal = InputError("config.data.path", "x.npy with NaN", "numbers", "Fix it.")
    assert ended(lambda: fail(refusal), "x.npy") == "said"
    assert ended(lambda: fail(refusal), "y.npy").startswith("unclear")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")  # one of the kinds
def test_rows_of_every_kind_are_answered_or_refused(tmp_path):
    model = wrong_rows.trained("bernoulli", np.asarray, tmp_path / "run")
    found = Counter(
        outcome for _, outcome in [*wrong_rows.asked_in_python(model), *wrong_rows.asked_in_files(tmp_path / "run")]
    )
    assert found.keys() == {"same", "said"}
