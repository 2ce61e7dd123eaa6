"""What clusters say about covariates."""

import numpy as np
import pandas as pd
import pytest

from vade_jax.data.covariates import read_covariates
from vade_jax.data.dataset import make_dataset
from vade_jax.reports.covariate_scores import covariate_scores


def test_clusters_that_are_the_batches_know_all_and_independent_ones_nothing():
    frame = pd.DataFrame({"batch": [*"aabb", None], "plate": [1, 2, 1, 2, 2], "age": [0.5, 1, 2, 3, 4]})
    rows = make_dataset(np.ones((5, 2)), None, "rows")
    assert covariate_scores(rows, np.zeros(5, int)) == {}
    rows = rows._replace(covariates=read_covariates(frame, tuple(frame), "rows"))
    found = covariate_scores(rows, np.array([7, 7, 3, 3, 7]))
    assert set(found) == {"batch", "plate"}
    assert found["batch"] == {"information": pytest.approx(np.log(2)), "entropy": pytest.approx(np.log(2))}
    assert covariate_scores(rows, np.array([0, 1, 0, 1, 0]))["batch"]["information"] == pytest.approx(0, abs=1e-12)
