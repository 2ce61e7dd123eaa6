"""Clusters and probabilities of a table of numbers, counts, text and gaps."""

import numpy as np
from sklearn.metrics import adjusted_rand_score

from benchmarks import mixed
from vade_jax import VaDE
from vade_jax.reports.label_scores import clustering_accuracy


def test_clusters_that_only_all_columns_tell_apart_are_found_and_their_probabilities_are_right():
    frame, labels = mixed.made(600)
    settings = {"optimizer.min_steps": 200, "pretrain.num_epochs": 5, "guide.num_epochs": 10, "align.num_epochs": 10}
    model = VaDE(4, settings=settings | {"train.num_epochs": 3}).fit(frame)
    of_kmeans = mixed.METHODS["one-hot + KMeans"](frame, 4, 0)
    assert adjusted_rand_score(labels, model.labels_) > adjusted_rand_score(labels, of_kmeans) + 0.05
    certainty = model.predict_proba(frame).max(axis=1).mean()
    assert abs(certainty - clustering_accuracy(labels, model.labels_)) < 0.04
    np.testing.assert_array_equal(model.predict(frame), model.labels_)
