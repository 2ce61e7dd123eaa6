"""Four files outside the package, each with one part of the user's own."""

import sys

FILES = {
    "extension_likelihood": """
from dataclasses import dataclass
import jax
import jax.numpy as jnp
from vade_jax import Likelihood

@dataclass(frozen=True)
class StudentT(Likelihood):
    min_log_var: float
    num_heads = 2

    def log_prob(self, x, *heads):
        location, raw_log_var = heads
        scale = jnp.exp(0.5 * (self.min_log_var + jax.nn.softplus(raw_log_var - self.min_log_var)))
        return jax.scipy.stats.t.logpdf(x, 5.0, location, scale).sum(axis=-1)

    def mean(self, *heads):
        return heads[0]

def no_likelihood(min_log_var):
    return "student t"
""",
    "extension_network": """
from flax import linen as nn

class Encoder(nn.Module):
    latent_dim: int

    @nn.compact
    def __call__(self, x):
        h = nn.tanh(nn.Dense(8)(x))
        return nn.Dense(self.latent_dim, name="z_mean")(h), nn.Dense(self.latent_dim, name="z_log_var")(h)

class Decoder(nn.Module):
    num_features: int
    num_heads: int

    @nn.compact
    def __call__(self, z):
        return tuple(nn.Dense(self.num_features)(z) for _ in range(self.num_heads))

def make_networks(shapes):
    return Encoder(shapes.latent_dim), Decoder(shapes.num_features, shapes.num_heads)
""",
    "extension_scaling": """
import numpy as np

def robust(x):
    low, median, high = np.quantile(x, (0.25, 0.5, 0.75), axis=0, keepdims=True)
    return median.astype(np.float32), (1 / (high - low)).astype(np.float32)

def by_column(x):
    low, high = x.min(axis=0, keepdims=True), x.max(axis=0, keepdims=True)
    return low.astype(np.float32), (1 / (high - low)).astype(np.float32)
""",
    "extension_data": """
from sklearn.datasets import make_blobs
from vade_jax import Source, make_dataset

def load_blobs(path, data_dir, cache_dir, options):
    x, labels = make_blobs([30, 40, 50], n_features=4, cluster_std=0.5, random_state=0)
    return Source({"train": make_dataset(x, labels, "blobs")})
""",
}
PARTS = {
    "model.likelihood": "extension_likelihood:StudentT",
    "model.network": "extension_network:make_networks",
    "data.scaling": "extension_scaling:robust",
    "data.name": "extension_data:load_blobs",
}
FAST = {
    "model.num_clusters": 3,
    "model.latent_dim": 2,
    "model.hidden": (8,),
    "pretrain.num_epochs": 2,
    "train.num_epochs": 1,
    "init.method": "gmm",
    "init.num_restarts": 1,
    "guide.num_rounds": 0,
    "align.num_epochs": 0,
    "optimizer.min_steps": 0,
    "evaluate.bound_samples": 2,
    "evaluate.bound_rows": 10,
    "report": False,
}


def imported():
    """The names of those files that this process has imported."""
    return FILES.keys() & sys.modules.keys()
