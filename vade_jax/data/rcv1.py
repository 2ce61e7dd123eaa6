"""Reuters RCV1 as in the paper: stories with exactly one root category, 2,000 tf-idf features."""

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.preprocessing import normalize

from vade_jax.data.dataset import Dataset, make_dataset
from vade_jax.system.errors import InputError
from vade_jax.system.large_arrays import empty_array, row_slices

ROOTS = ("CCAT", "ECAT", "GCAT", "MCAT")
_NUM_WORDS = 2000


def load(data_home: str) -> Dataset:
    """Loads the 685,071 stories that have exactly one root category, from scikit-learn's data folder.

    Args:
      data_home: scikit-learn's data folder; '' for its default.

    Returns:
      The data set; the labels are the root categories.

    Raises:
      InputError: scikit-learn has not downloaded RCV1.
    """
    from sklearn.datasets import fetch_rcv1

    try:
        stories = fetch_rcv1(data_home=data_home or None, download_if_missing=False)
    except OSError as error:
        raise InputError(
            "config.data.dir",
            f"no RCV1 in scikit-learn's data folder ({error})",
            "a download of it (656 MB)",
            "Run: python -c 'from sklearn.datasets import fetch_rcv1; fetch_rcv1()'; data_home= is config.data.dir.",
        ) from error
    return select_single_root(csr_matrix(stories.data), csr_matrix(stories.target), list(stories.target_names))


def select_single_root(words: csr_matrix, topics: csr_matrix, names: list[str]) -> Dataset:
    """Selects the stories with exactly one root category, and the 2,000 words that occur in most of them.

    Args:
      words: [N, V], log tf-idf.
      topics: [N, T], 1 for each topic of a story, root categories included.
      names: the names of the topics.

    Returns:
      The data set, x [M, 2000] with rows of length 1 (fewer columns if V < 2000). A label is the name of the
      root.
    """
    roots = topics[:, [names.index(root) for root in ROOTS]].toarray() > 0
    chosen = np.flatnonzero(roots.sum(axis=1) == 1)
    words = words[chosen]
    most_frequent = np.sort(np.argsort(-words.getnnz(axis=0), kind="stable")[:_NUM_WORDS])
    words = normalize(words[:, most_frequent])
    x = empty_array(words.shape, np.float32)
    for rows in row_slices(x):
        x[rows] = words[rows].toarray()
    return make_dataset(x, np.array(ROOTS)[roots[chosen].argmax(axis=1)], "RCV1")
