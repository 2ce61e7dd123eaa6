"""Cell types from counts, with AnnData: python examples/single_cells.py cells.h5ad [number of clusters].

Counts are normalized and the most variable genes kept; clusters, their probabilities and the latent means go back
into the AnnData object, where scanpy and others find them.
"""

# %%
import sys

import anndata
import numpy as np
from scipy.sparse import csr_matrix

from vade_jax import VaDE
from vade_jax.data.single_cells import log_normalized

NUM_GENES = 1000


def main(path, num_clusters=10, **settings):
    """Clusters the cells of an .h5ad file and returns the AnnData with what was found."""
    # %% Counts -> the genes that differ most between cells
    cells = anndata.read_h5ad(path)
    values = log_normalized(csr_matrix(cells.X).toarray())  # every cell's counts to a total of 10,000, then log(1 + x)
    genes = np.sort(np.argsort(-values.var(axis=0))[:NUM_GENES])
    x = values[:, genes].astype(np.float32)

    # %% Clusters
    model = VaDE(n_clusters=num_clusters, settings=settings, verbose=True).fit(x)

    # %% Back into the AnnData
    cells.obs["cluster"] = np.char.mod("%d", model.labels_)
    cells.obs["cluster"] = cells.obs["cluster"].astype("category")
    cells.obsm["X_vade"] = model.transform(x)
    cells.obsm["vade_probabilities"] = model.predict_proba(x)
    print(cells.obs["cluster"].value_counts())

    # %% The genes that tell each cluster from the rest
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
