"""Clusters a table with gaps and a column of text, and fills the gaps: python examples/table_with_gaps.py.

The table has scikit-learn's wines. A tenth of its entries is removed at random, and the colour becomes a word.
"""

# %%
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_wine
from sklearn.metrics import adjusted_rand_score

from vade_jax import VaDE


def wines_with_gaps() -> pd.DataFrame:
    """178 wines: 12 columns of numbers and one of text, each with gaps."""
    table = load_wine(as_frame=True).data.astype(object)
    table["color_intensity"] = pd.cut(table["color_intensity"].astype(float), 3, labels=["pale", "medium", "deep"])
    table["color_intensity"] = table["color_intensity"].astype(object)
    removed = np.random.default_rng(0).random(table.shape) < 0.1
    return table.mask(removed).infer_objects()


def main(**settings: Any) -> pd.DataFrame:
    """Clusters the wines and returns the table without gaps."""
    # %% Rows with gaps get clusters as all others
    table = wines_with_gaps()
    print(table[["alcohol", "color_intensity", "proline"]].head(4).to_string())
    model = VaDE(n_clusters=3, settings=settings, verbose=True)
    clusters = model.fit_predict(table)
    print(f"adjusted Rand index {adjusted_rand_score(load_wine().target, clusters):.2f}")

    # %% Fill the gaps by what the observed entries of the row say
    filled = model.impute(table)
    print(filled[["alcohol", "color_intensity", "proline"]].head(4).to_string())
    return filled


if __name__ == "__main__":
    main()
