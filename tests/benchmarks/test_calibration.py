"""The benchmark of calibration: its scores of probabilities whose calibration is known."""

import numpy as np
import pytest

from benchmarks.calibration import make_gaussians, rows, scores_of


def test_the_true_posterior_is_calibrated():
    x, labels, posterior = make_gaussians()
    scores = scores_of(posterior, labels)
    assert x.shape == (2000, 5)
    assert scores["calibration_error"] < 0.015
    assert scores["certainty"] == pytest.approx(scores["accuracy"], abs=0.01)
    assert scores["area_under_curve"] > 0.9
    hard = scores_of(np.eye(4)[posterior.argmax(axis=1)], labels)
    assert hard["calibration_error"] == pytest.approx(1 - scores["accuracy"])
    assert hard["area_under_curve"] == 0.5


def test_clusters_are_matched_with_labels():
    labels = np.array(["a", "a", "b", "b", "c", "c"])
    clusters = np.array([2, 2, 0, 0, 0, 1])  # 2 is a, 0 is b, 1 is c: one row is wrong
    scores = scores_of(np.eye(4)[clusters], labels)
    assert scores["accuracy"] == pytest.approx(5 / 6)
    assert scores["bins"] == [[6, 1.0, pytest.approx(5 / 6)]]


def test_more_clusters_than_labels_leave_rows_wrong():
    scores = scores_of(np.eye(3)[[0, 1, 2, 2]], np.array([0, 0, 1, 1]))
    assert scores["accuracy"] == 0.75


def test_table_has_a_row_for_each_entry():
    entry = {"seed": 100, "memberships": "soft", "elbo": -1.0, **scores_of(np.eye(2), np.array([0, 1]))}
    header, line = rows({"digits": [entry]})
    assert len(header) == len(line)
    assert line[:3] == ["digits", "100", "soft"]
    assert line[6] == "-"  # all rows are right, so nothing can be detected
