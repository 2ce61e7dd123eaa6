"""The methods that are compared, each one entry, on which data sets, and what was published of them."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from sklearn.cluster import KMeans, SpectralClustering
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

OURS = "VaDE, this project's recipe"
_STARTS = 10
_SPECTRAL_ROWS = 5_000  # of which the similarity N x N is taken
_SPECTRAL_NEIGHBORS = 20


class Shallow(NamedTuple):
    """A method on the rows themselves.

    Attributes:
      fit: (rows [N, D], K, seed) -> clusters [N].
      max_rows: it is given so many rows at most, drawn by the seed.
    """

    fit: Callable[[np.ndarray, int, int], np.ndarray]
    max_rows: int | None = None


class Deep(NamedTuple):
    """A method as a recipe for main.py.

    Attributes:
      flags: that make it of a data set's config.
      scored: which of a run's scores are the method's: of the clusters 'found' in the embedding, or 'trained'.
      shares: whether it takes AE+GMM's autoencoder of the same seed.
    """

    flags: Mapping[str, Any]
    scored: str
    shares: bool = True


def _kmeans(rows, num_clusters, seed):
    return KMeans(num_clusters, n_init=_STARTS, random_state=seed).fit_predict(rows)


def _gmm(rows, num_clusters, seed):
    """Diagonal, as the paper's; from k-means."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture = GaussianMixture(num_clusters, covariance_type="diag", random_state=seed, n_init=3, reg_covar=1e-3)
        return mixture.fit_predict(rows)


def _spectral(rows, num_clusters, seed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a neighbour graph in several parts
        spectral = SpectralClustering(
            num_clusters, affinity="nearest_neighbors", n_neighbors=_SPECTRAL_NEIGHBORS, random_state=seed
        )
        return spectral.fit_predict(rows)


_FOUND = {"guide.num_rounds": 0, "align.num_epochs": 0, "train.num_epochs": 0, "report": False}
_FREE = {"guide.num_rounds": 0, "align.num_epochs": 0, "report": False}
FIRST = "AE+GMM"

# name -> how it is done; a new method is one entry.
METHODS: dict[str, Shallow | Deep] = {
    "KMeans": Shallow(_kmeans),
    "GMM": Shallow(_gmm),
    "spectral clustering": Shallow(_spectral, _SPECTRAL_ROWS),
    FIRST: Deep({**_FOUND, "init.method": "gmm", "init.num_restarts": 10}, "found", shares=False),
    "VAE+GMM": Deep(
        {
            **_FOUND,
            "pretrain.objective": "vae",
            "pretrain.kl_warmup_epochs": 20,
            "init.method": "gmm",
            "init.num_restarts": 10,
        },
        "found",
        shares=False,
    ),
    "DEC": Deep(
        {
            **_FREE,
            "init.method": "kmeans",
            "init.num_restarts": 20,
            "train.objective": "dec",
            "train.num_epochs": 30,
            "train.learning_rate": 1e-3,
            "train.prior_learning_rate": 1e-3,
        },
        "trained",
    ),
    "AE+UMAP+GMM (N2D)": Deep(
        {
            **_FOUND,
            "init.method": "manifold",
            "init.neighbors": "embedding",
            "init.components": 1,
            "init.part_rows": 0,
        },
        "found",
    ),
    "VaDE, the paper's stages": Deep(
        {
            **_FREE,
            "init.method": "gmm",
            "init.num_restarts": 10,
            "train.num_epochs": 30,
            "train.learning_rate": 1e-3,
            "train.prior_learning_rate": 1e-3,
            "train.estimator": "sample",
        },
        "trained",
    ),
}

# data set -> its config.
CONFIGS = {
    "MNIST": "configs/mnist.py",
    "HAR": "configs/har.py",
    "RCV1-10k": "configs/reuters.py",
    "Fashion-MNIST": "configs/fashion_mnist.py",
    "pendigits": "configs/pendigits.py",
    "digits": "configs/digits.py",
    "STL-10": "configs/stl10.py",
    "RCV1": "configs/rcv1.py",
}

# data set -> why it is not run by default.
NOT_RUN = {
    "STL-10": "not run here: the features of a network trained on ImageNet are the user's to bring",
    "RCV1": "not run here: scikit-learn fetches its 656 MB once",
}

# Best runs as published: method -> data set -> accuracy (Jiang et al. 2017, table 2; N2D: McConville et al. 2019). The
# paper's HHAR has other features than HAR here, and its 10,000 stories are others.
PUBLISHED: dict[str, dict[str, float]] = {
    "GMM": {"MNIST": 0.5373, "HAR": 0.6034, "RCV1-10k": 0.5472, "STL-10": 0.7244, "RCV1": 0.5581},
    FIRST: {"MNIST": 0.8218, "HAR": 0.7767, "RCV1-10k": 0.7013, "STL-10": 0.7983, "RCV1": 0.7098},
    "VAE+GMM": {"MNIST": 0.7294, "HAR": 0.6802, "RCV1-10k": 0.6956, "STL-10": 0.7886, "RCV1": 0.6089},
    "spectral (LDMGI)": {"MNIST": 0.8409, "HAR": 0.6343, "RCV1-10k": 0.6562, "STL-10": 0.7922},
    "adversarial autoencoder": {"MNIST": 0.8348, "HAR": 0.8377, "RCV1-10k": 0.6982, "STL-10": 0.8001, "RCV1": 0.7512},
    "DEC": {"MNIST": 0.8430, "HAR": 0.7986, "RCV1-10k": 0.7432, "STL-10": 0.8062, "RCV1": 0.7563},
    "AE+UMAP+GMM (N2D)": {"MNIST": 0.979, "Fashion-MNIST": 0.672, "HAR": 0.801},
    "VaDE, the paper's stages": {
        "MNIST": 0.9446,
        "HAR": 0.8446,
        "RCV1-10k": 0.7983,
        "STL-10": 0.8445,
        "RCV1": 0.7938,
    },
}
