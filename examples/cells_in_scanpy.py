"""From counts to a map of cells, with scanpy: python examples/cells_in_scanpy.py cells.h5ad [number of clusters].

scanpy normalizes the counts and selects genes. VaDE finds the clusters. Its latent means take the place of principal
components in scanpy's map.
"""

# %%
import sys
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import scanpy

from vade_jax import VaDE

NUM_GENES = 1000


def main(path: str | Path, num_clusters: int = 10, **settings: Any) -> anndata.AnnData:
    """Clusters the cells of an .h5ad file, and returns its AnnData object with the clusters, a map and marker genes."""
    # %% Normalize the counts and select the most variable genes
    cells = scanpy.read_h5ad(path)
    scanpy.pp.normalize_total(cells, target_sum=10_000)
    scanpy.pp.log1p(cells)
    scanpy.pp.highly_variable_genes(cells, n_top_genes=NUM_GENES)
    x = cells[:, cells.var["highly_variable"]].X.toarray()

    # %% Find clusters
    model = VaDE(n_clusters=num_clusters, settings=settings, verbose=True).fit(x)
    cells.obs["cluster"] = np.char.mod("%d", model.labels_)
    cells.obs["cluster"] = cells.obs["cluster"].astype("category")
    cells.obs["certainty"] = model.predict_proba(x).max(axis=1)
    cells.obsm["X_vade"] = model.transform(x)

    # %% A map of the latent means, and the genes that mark each cluster
    scanpy.pp.neighbors(cells, use_rep="X_vade")
    scanpy.tl.umap(cells)
    scanpy.tl.rank_genes_groups(cells, "cluster")
    return cells


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    clustered = main(sys.argv[1], *map(int, sys.argv[2:3]))
    scanpy.pl.umap(clustered, color=["cluster", "certainty"], save="_clusters.png")
    scanpy.pl.rank_genes_groups(clustered, n_genes=5)
    clustered.write_h5ad(Path(sys.argv[1]).with_suffix(".clustered.h5ad"))
