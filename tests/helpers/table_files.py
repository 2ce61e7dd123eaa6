"""Files of every table format, for tests that read them."""

import re

import anndata
import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from scipy.sparse import save_npz as save_matrix

from vade_jax.data import file_formats
from vade_jax.data.dataset import ReadOptions

ROWS = np.arange(12, dtype=np.float64).reshape(6, 2)


def frame(x):
    return pd.DataFrame(x, columns=list("abcd")[: x.shape[1]])


def write_cells(path, x, **obs):
    index = [f"cell {number}" for number in range(len(x))]
    cells = anndata.AnnData(x, obs=pd.DataFrame(obs, index=index), var=pd.DataFrame(index=list("abcd")[: x.shape[1]]))
    cells.write_h5ad(path)


# name of a file -> function of a path and an array that writes it
WRITE = {
    "x.npy": np.save,
    "x.npz": lambda path, x: np.savez(path, x=x),
    "sparse.npz": lambda path, x: save_matrix(path, csr_matrix(x)),
    "x.csv": lambda path, x: frame(x).to_csv(path, index=False),
    "x.tsv": lambda path, x: frame(x).to_csv(path, index=False, sep="\t"),
    "x.parquet": lambda path, x: frame(x).to_parquet(path),
    "x.h5ad": write_cells,
}


def read(path, **options):
    """The rows of a file or folder that holds no splits."""
    return file_formats.read(str(path), ReadOptions(**options))["train"]


def assert_one_line(error, path, words):
    """The InputError that was caught is one line that names the path and matches the words."""
    line = str(error.value)
    assert re.fullmatch(r"config\.data\.\w+: got .+, expected .+\. .+\.", line), line
    assert str(path) in line
    assert re.search(words, line), line
