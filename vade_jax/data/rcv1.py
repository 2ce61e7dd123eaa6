"""Reuters RCV1 as the paper's REUTERS: stories of one root category, 2,000 tf-idf features."""

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.preprocessing import normalize

from vade_jax.data.dataset import Dataset, make_dataset
from vade_jax.system.errors import InputError
from vade_jax.system.large_arrays import empty_array, row_slices

ROOTS = ("CCAT", "ECAT", "GCAT", "MCAT")
_NUM_WORDS = 2000


def load(data_home: str) -> Dataset:
    """All stories that are in one root category alone, 685,071 of them, as scikit-learn's fetcher keeps them.

    Args:
      data_home: scikit-learn's folder of data sets; '' for its own default.

    Returns:
      The rows, their roots as labels.

    Raises:
      InputError: it was not fetched.
    """
    from sklearn.datasets import fetch_rcv1

    try:
        stories = fetch_rcv1(data_home=data_home or None, download_if_missing=False)
    except OSError as error:
        raise InputError(
            "config.data.dir",
            f"scikit-learn's RCV1 is not there: {error}",
            "it is fetched once, 656 MB",
            "Run: python -c 'from sklearn.datasets import fetch_rcv1; fetch_rcv1()'; data_home= suits config.data.dir.",
        ) from error
    return of_one_root(csr_matrix(stories.data), csr_matrix(stories.target), list(stories.target_names))


def of_one_root(words: csr_matrix, topics: csr_matrix, names: list[str]) -> Dataset:
    """The stories that are in one root category alone, with the words that most of these have.

    Args:
      words: [N, V], log tf-idf.
      topics: [N, T], 1 for each of a story's topics, roots among them.
      names: of the topics.

    Returns:
      Rows [M, 2000], or of all words where there are fewer, each of length 1; labels are the root's place in ROOTS.
    """
    roots = topics[:, [names.index(root) for root in ROOTS]].toarray() > 0
    chosen = np.flatnonzero(roots.sum(axis=1) == 1)
    words = words[chosen]
    most_frequent = np.sort(np.argsort(-words.getnnz(axis=0), kind="stable")[:_NUM_WORDS])
    words = normalize(words[:, most_frequent])
    rows = empty_array(words.shape, np.float32)
    for part in row_slices(rows):
        rows[part] = words[part].toarray()
    return make_dataset(rows, roots[chosen].argmax(axis=1), "RCV1")
