r"""A scaling of your own, by median and interquartile range: python examples/own_scaling.py.

Outliers move these less than the mean and the variance. The same function on the command line, without
`register_scaling`:

  PYTHONPATH=examples python main.py --config=configs/table.py --config.data.path=x.csv --workdir=/tmp/run \
    --config.data.scaling=own_scaling:robust

The other modes of main.py import it from that workdir only with --allow_import.
"""

from typing import Any

import numpy as np
from sklearn.datasets import load_wine
from sklearn.metrics import adjusted_rand_score

from vade_jax import VaDE, register_scaling


def robust(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns (shift, scale), each [1, D], for rows x [N, D]. The model sees (x - shift) * scale."""
    low, median, high = np.quantile(x, (0.25, 0.5, 0.75), axis=0, keepdims=True)
    spread = np.where(high > low, high - low, 1)  # a column that is mostly constant is only shifted
    return median.astype(np.float32), (1 / spread).astype(np.float32)


register_scaling("robust", robust)

FAST = {"optimizer.min_steps": 200, "init.method": "gmm"}  # to be done in seconds; leave it out for better clusters


def main(**settings: Any) -> float:
    """Clusters scikit-learn's wines with it, and returns the adjusted Rand index."""
    wines = load_wine()
    model = VaDE(n_clusters=3, hidden=(64,), scaling="robust", settings={**FAST, **settings}, verbose=True)
    score = adjusted_rand_score(wines.target, model.fit_predict(wines.data))
    print(f"adjusted Rand index {score:.3f}")
    return score


if __name__ == "__main__":
    main()
