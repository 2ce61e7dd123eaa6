"""The distribution of the networks' first weights."""

from typing import Any

import jax
from flax import linen as nn

# By the value of model.weights. None leaves them as the networks draw them, which is how Flax's layers do by default.
WEIGHTS: dict[str, jax.nn.initializers.Initializer | None] = {
    "lecun_normal": None,
    "glorot_uniform": nn.initializers.glorot_uniform(),
}


def redraw_weights(name: str, key: jax.Array, network: Any) -> Any:
    """The parameters of a network with new first weights; biases and other numbers stay as they are.

    Args:
      name: a key of WEIGHTS.
      key: a JAX random key.
      network: a pytree of parameters. Matrices named 'kernel' are weights.

    Returns:
      The parameters; the same object if the name stands for the networks' own weights.
    """
    draw = WEIGHTS[name]
    if draw is None:
        return network
    leaves, structure = jax.tree.flatten_with_path(network)
    keys = jax.random.split(key, len(leaves))
    drawn = [
        draw(of_leaf, leaf.shape, leaf.dtype) if getattr(path[-1], "key", "") == "kernel" else leaf
        for of_leaf, (path, leaf) in zip(keys, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, drawn)
