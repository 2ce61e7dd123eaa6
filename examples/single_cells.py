"""Cell types from counts, with AnnData: python examples/single_cells.py cells.h5ad [number of clusters].

Counts are normalized and the most variable genes are kept. The clusters, their probabilities and the latent means are
stored in the AnnData object, where scanpy and other tools can read them.
"""

# %%
import sys
from pathlib import Path
from typing import Any

import anndata
import numpy as np
from scipy.sparse import csr_matrix

from vade_jax import VaDE
from vade_jax.data.single_cells import log_normalized

NUM_GENES = 1000


def main(path: str | Path, num_clusters: int = 10, **settings: Any) -> anndata.AnnData:
    """Clusters the cells of an .h5ad file and returns its AnnData object with the clusters."""
    # %% Normalize the counts and select the most variable genes
    cells = anndata.read_h5ad(path)
    values = log_normalized(csr_matrix(cells.X).toarray())  # scales each cell to 10,000 counts, then log(1 + x)
    genes = np.sort(np.argsort(-values.var(axis=0))[:NUM_GENES])
    x = values[:, genes].astype(np.float32)

    # %% Find clusters
    model = VaDE(n_clusters=num_clusters, settings=settings, verbose=True).fit(x)

    # %% Store the results in the AnnData object
    cells.obs["cluster"] = np.char.mod("%d", model.labels_)
    cells.obs["cluster"] = cells.obs["cluster"].astype("category")
    cells.obsm["X_vade"] = model.transform(x)
    cells.obsm["vade_probabilities"] = model.predict_proba(x)
    print(cells.obs["cluster"].value_counts())

    # %% Print the genes that distinguish each cluster from the others
    for cluster in range(num_clusters):
        inside = model.labels_ == cluster
        if inside.any():
            difference = (x[inside].mean(axis=0) - x.mean(axis=0)) / (x.std(axis=0) + 1e-6)
            print(cluster, ", ".join(cells.var_names[genes[np.argsort(-difference)[:5]]]))
    return cells


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], *map(int, sys.argv[2:3]))
