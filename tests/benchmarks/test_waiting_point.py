"""One measurement of `benchmarks.waiting`, on tiny rows."""

import json
import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import make_blobs

from benchmarks import records, scaling_point, timing, waiting_point
from vade_jax.reports import label_scores

CLUSTERERS = ["KMeans", "GaussianMixture", pytest.param("umap-learn + GaussianMixture", marks=pytest.mark.slow)]


@pytest.mark.parametrize("name", CLUSTERERS)
def test_contenders_find_separated_blobs(name):
    x, labels = make_blobs(120, n_features=4, centers=3, cluster_std=0.3, random_state=0)
    found = waiting_point.answer(name, x.astype(np.float32), 3, 100)
    assert label_scores.scores(labels, np.array(found["clusters"]))["accuracy"] == 1
    assert "scikit-learn" in found["versions"]


def test_answer_is_the_last_line_and_other_libraries_are_not_imported(tmp_path):
    """The process of another method does not pay for JAX, and ClustPy's environment does not have it."""
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(30, 2)))
    code = (
        "import sys; from benchmarks import waiting_point; waiting_point.main(); "
        "sys.exit(str([name for name in ('vade_jax', 'jax', 'umap', 'torch') if name in sys.modules]))"
    )
    arguments = ["KMeans", str(tmp_path / "x.npy"), "2", "100"]
    answer = subprocess.run([sys.executable, "-c", code, *arguments], cwd=records.ROOT, capture_output=True, text=True)
    assert answer.stderr.splitlines()[-1] == "[]"
    found = json.loads(answer.stdout.splitlines()[-1])
    assert sorted(set(found["clusters"])) == [0, 1]


@pytest.mark.slow
def test_prediction_is_slower_than_its_encoder(tmp_path, monkeypatch):
    monkeypatch.setattr(timing, "HIDDEN", (8,))
    monkeypatch.setattr(waiting_point, "_ONE_ROW_CALLS", 5)
    scaling_point.write_rows(tmp_path / "x.npy", 1500, 8)
    found = waiting_point.answer("predict", np.load(tmp_path / "x.npy").astype(np.float32) / 255, 3, 100)
    assert 0 < found["rows_per_second"] < found["encoder_rows_per_second"]
    assert 0 < found["share_of_encoder"] < 1
    assert 0 < found["one_row_ms"] < found["first_ms"]
