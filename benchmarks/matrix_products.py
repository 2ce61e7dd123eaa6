"""The best rates of a machine, and the matrix products of a training step: the limits of any training program."""

import itertools
import math
from typing import Any

import numpy as np

from benchmarks.timing import HIDDEN, LATENT_DIM, NUM_FEATURES, Contender, rate_record, training_record

_PRODUCT = 2048  # rows and columns of the multiplied matrices
_COPIED = 2**27  # bytes of the copied array


def _product_numpy(batch_size: int, num_rows: int, seconds: float) -> dict[str, Any]:
    """Operations per second of a large matrix product in NumPy."""
    a = np.random.default_rng(0).standard_normal((_PRODUCT, _PRODUCT), dtype=np.float32)
    return rate_record(lambda: a @ a, 2 * _PRODUCT**3, seconds, "numpy")


def _product_jax(batch_size: int, num_rows: int, seconds: float) -> dict[str, Any]:
    """Operations per second of a large matrix product in JAX."""
    import jax

    a = jax.random.normal(jax.random.key(0), (_PRODUCT, _PRODUCT))
    product = jax.jit(lambda a: a @ a)
    return rate_record(lambda: product(a).block_until_ready(), 2 * _PRODUCT**3, seconds, "jax")


def _product_torch(batch_size: int, num_rows: int, seconds: float) -> dict[str, Any]:
    """Operations per second of a large matrix product in PyTorch."""
    import torch

    cuda = torch.cuda.is_available()
    torch.set_float32_matmul_precision("high")
    a = torch.randn(_PRODUCT, _PRODUCT, device="cuda" if cuda else "cpu")

    def product() -> None:
        a @ a
        if cuda:
            torch.cuda.synchronize()

    return rate_record(product, 2 * _PRODUCT**3, seconds, "torch")


def _copy_jax(batch_size: int, num_rows: int, seconds: float) -> dict[str, Any]:
    """Bytes read and written per second when 1 is added to an array."""
    import jax
    import jax.numpy as jnp

    a = jnp.zeros(_COPIED // 4, jnp.float32)
    # In place, as in training; a new array would also cost page faults.
    add = jax.jit(lambda a: a + 1, donate_argnums=0)

    def copy() -> None:
        nonlocal a
        a = add(a).block_until_ready()

    return rate_record(copy, 2 * _COPIED, seconds, "jax")


def _products_jax(batch_size: int, num_rows: int, seconds: float) -> dict[str, Any]:
    """The matrix products of a training step in JAX."""
    import jax

    products = jax.jit(_products)
    matrices = jax.device_put(_matrices(batch_size))
    return training_record(
        lambda: jax.block_until_ready(products(matrices)), 1, seconds, "jax", jax.local_devices()[0].device_kind
    )


def _products_numpy(batch_size: int, num_rows: int, seconds: float) -> dict[str, Any]:
    """The matrix products of a training step in NumPy."""
    matrices = _matrices(batch_size)
    return training_record(lambda: _products(matrices), 1, seconds, "numpy", "cpu")


def _products_torch(batch_size: int, num_rows: int, seconds: float) -> dict[str, Any]:
    """The matrix products of a training step in PyTorch."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_float32_matmul_precision("high")
    matrices = [tuple(torch.from_numpy(array).to(device) for array in layer) for layer in _matrices(batch_size)]

    def products() -> None:
        _products(matrices)
        if device == "cuda":
            torch.cuda.synchronize()

    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    return training_record(products, 1, seconds, "torch", name)


def _products(matrices: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """The matrix products of a training step: forward, weight gradients and input gradients of each layer.

    The gradient of the data is left out.
    """
    forward = [inputs @ weights for inputs, weights, _ in matrices]
    weight_grads = [inputs.T @ outputs for inputs, _, outputs in matrices]
    input_grads = [outputs @ weights.T for _, weights, outputs in matrices[1:]]
    return forward, weight_grads, input_grads


def _matrices(batch_size: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Random inputs, weights and output gradients of each layer."""
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, dtype=np.float32)

    return [
        (normal(batch_size, width_in), normal(width_in, width_out), normal(batch_size, width_out))
        for width_in, width_out in _layers()
    ]


def _layers() -> list[tuple[int, int]]:
    """The input and output width of each layer; the encoder's two heads count as one layer."""
    encoder = [NUM_FEATURES, *HIDDEN, 2 * LATENT_DIM]
    decoder = [LATENT_DIM, *reversed(HIDDEN), NUM_FEATURES]
    return [pair for widths in (encoder, decoder) for pair in itertools.pairwise(widths)]


def work(batch_size: int) -> dict[str, float]:
    """The least work of a training step, in any program.

    Args:
      batch_size: B.

    Returns:
      'operations': those of the matrix products, forward and backward, without the gradient of the data. 'bytes':
      parameters read forward and backward, gradients written, and Adam's parameters and two moments read and written.
    """
    weights = [math.prod(pair) for pair in _layers()]
    return {
        "operations": float(2 * batch_size * (3 * sum(weights) - weights[0])),
        "bytes": float(4 * sum(weights) * (2 + 1 + 7)),
    }


# Each times all matrix products of a training step in one library.
STEP_PRODUCTS: dict[str, Contender] = {
    "products_jax": _products_jax,
    "products_numpy": _products_numpy,
    "products_torch": _products_torch,
}
# Each measures a rate of the machine: operations per second in a large matrix product, or bytes per second in a copy.
RATES: dict[str, Contender] = {
    "product_jax": _product_jax,
    "product_numpy": _product_numpy,
    "product_torch": _product_torch,
    "copy_jax": _copy_jax,
}
