r"""A network of your own, with residual blocks: python examples/own_network.py.

An encoder maps x [..., D] to (z_mean, z_log_var), each [..., J]. A decoder maps z [..., J] to as many heads [..., D] as
the likelihood has. The same function on the command line, without `register_network`:

  PYTHONPATH=examples python main.py --config=configs/digits.py --workdir=/tmp/run \
    --config.model.network=own_network:make_residual_networks

The other modes of main.py import it from that workdir only with --allow_import.
"""

from typing import Any

import jax
from flax import linen as nn
from sklearn.datasets import load_digits
from sklearn.metrics import adjusted_rand_score

from vade_jax import Shapes, VaDE, register_network

WIDTH, DEPTH = 128, 2


class Residual(nn.Module):
    """Blocks h + W2 gelu(W1 norm(h)), between two dense layers."""

    num_outputs: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """[..., num_outputs] for x [..., D]."""
        h = nn.Dense(WIDTH)(x)
        for _ in range(DEPTH):
            h = h + nn.Dense(WIDTH)(nn.gelu(nn.Dense(2 * WIDTH)(nn.LayerNorm()(h))))
        return nn.Dense(self.num_outputs)(h)


class Encoder(nn.Module):
    """q(z|x). Its output layers must have the names 'z_mean' and 'z_log_var'."""

    latent_dim: int

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(z_mean, z_log_var), each [..., J], for x [..., D]."""
        h = nn.gelu(Residual(WIDTH)(x))
        return nn.Dense(self.latent_dim, name="z_mean")(h), nn.Dense(self.latent_dim, name="z_log_var")(h)


class Decoder(nn.Module):
    """The parameters of p(x|z)."""

    num_features: int
    num_heads: int

    @nn.compact
    def __call__(self, z: jax.Array) -> tuple[jax.Array, ...]:
        """num_heads arrays [..., D] for z [..., J]."""
        h = nn.gelu(Residual(WIDTH)(z))
        return tuple(nn.Dense(self.num_features)(h) for _ in range(self.num_heads))


def make_residual_networks(shapes: Shapes) -> tuple[nn.Module, nn.Module]:
    """Returns (encoder, decoder) of these sizes."""
    return Encoder(shapes.latent_dim), Decoder(shapes.num_features, shapes.num_heads)


register_network("residual", make_residual_networks)


def main(**settings: Any) -> float:
    """Clusters scikit-learn's digits with it, and returns the adjusted Rand index."""
    digits = load_digits()
    model = VaDE(n_clusters=10, settings={"model.network": "residual", **settings}, verbose=True)
    score = adjusted_rand_score(digits.target, model.fit_predict(digits.data.astype("uint8")))
    print(f"adjusted Rand index {score:.3f}")
    return score


if __name__ == "__main__":
    main()
