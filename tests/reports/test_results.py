"""The summary of results: every score stands beside one of the same rows."""

import pytest

from vade_jax.reports.results import summary

RESULTS = {
    "seconds": {"total": 1.0, "compile": 0.5},
    "scored_rows": 20,
    "elbo": -1.0,
    "log_likelihood": -0.5,
    "log_likelihood_samples": 5,
    "log_likelihood_rows": 20,
    "occupancy": [12, 8],
}
SCORES = {"accuracy": 0.9, "nmi": 0.5, "ari": 0.4}
NONE = dict.fromkeys(SCORES)


@pytest.mark.parametrize(
    ("scored_on", "scores", "training_scores", "lines"),
    [
        ("train", SCORES, SCORES, ["accuracy 0.9000 (starting clusters 0.9500)"]),
        ("train", NONE, NONE, []),
        (
            "test",
            SCORES,
            SCORES | {"accuracy": 0.96},
            ["accuracy, test rows 0.9000", "accuracy, training rows 0.9600 (starting clusters 0.9500)"],
        ),
        ("test", SCORES, NONE, ["accuracy, test rows 0.9000"]),
        ("test", NONE, SCORES, ["accuracy, training rows 0.9000 (starting clusters 0.9500)"]),
    ],
)
def test_starting_clusters_stand_beside_a_score_of_the_training_rows(scored_on, scores, training_scores, lines):
    start = {"accuracy": None if training_scores is NONE else 0.95}
    results = {**RESULTS, **scores, "scored_on": scored_on, "training_scores": training_scores, "initialization": start}
    printed = [" ".join(line.split()) for line in summary(results).splitlines()]
    assert [line for line in printed if line.startswith("accuracy")] == lines
