"""The most variable genes are those that scanpy selects."""

import numpy as np
import pytest

from vade_jax.data.variable_genes import most_variable_genes


def cells():
    """Log-normalized counts of 60 cells of three kinds and 300 genes, one of which no cell has."""
    rng = np.random.default_rng(300)
    rate, kind = np.exp(rng.normal(-1, 1.5, 300)), rng.integers(0, 3, 60)
    factor = np.exp(rng.normal(0, 0.8, (3, 300)) * (rng.random(300) < 0.2))
    counts = rng.poisson(rate * factor[kind])
    counts[:, 5] = 0
    return np.log1p(counts * (1e4 / np.maximum(1, counts.sum(axis=1, keepdims=True))))


# scanpy 1.11.5: sc.pp.highly_variable_genes(adata, flavor="seurat", n_top_genes=20)
SCANPY = [7, 16, 22, 42, 49, 56, 70, 78, 99, 129, 139, 142, 188, 193, 196, 210, 218, 236, 247, 285]


@pytest.mark.parametrize("size", [1, 17, 60])
def test_genes_are_those_of_scanpy(size):
    x = cells()
    parts = [x[start : start + size] for start in range(0, 60, size)]
    assert most_variable_genes(parts, 20).tolist() == SCANPY


def test_all_genes_are_kept_where_none_varies():
    assert most_variable_genes([np.ones((3, 4))], 2).tolist() == [0, 1, 2, 3]
