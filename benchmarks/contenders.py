"""One contender of `benchmarks.speed`, timed in a process of its own: python -m benchmarks.contenders vade_jax 256.

Every contender trains on the same number of made rows of 784 grey values, by the ELBO, with the paper's networks
(784-500-500-2000-10 and its mirror), ten clusters, Adam and one draw of z; what lies in the rows changes no time.
"""

import argparse
import itertools
import json
import math
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any

import numpy as np

NUM_FEATURES, HIDDEN, LATENT_DIM, NUM_CLUSTERS = 784, (500, 500, 2000), 10, 10
_LEARNING_RATE = 1e-3
_PRODUCT = 2048  # rows and columns of the matrices of the machine's rates
_COPIED = 2**27  # bytes
_NUM_RUNS = 4  # side by side; on a GPU 16


def main() -> None:
    """Times the contender and prints what it found as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=CONTENDERS)
    parser.add_argument("batch_size", type=int)
    parser.add_argument("--num_rows", type=int, default=25_600)
    parser.add_argument("--seconds", type=float, default=5.0, help="epochs are timed for so long, one at least")
    options = parser.parse_args()
    print(json.dumps(CONTENDERS[options.name](options.batch_size, options.num_rows, options.seconds)))


def repeat(call: Callable[[], Any], seconds: float) -> tuple[float, list[float]]:
    """Seconds of the first call, which compiles, and of each later one until so many have passed."""
    durations: list[float] = []
    while len(durations) < 2 or sum(durations[1:]) < seconds:
        started = time.perf_counter()
        call()
        durations.append(time.perf_counter() - started)
    return durations[0], durations[1:]


def made_rows(num_rows: int, num_features: int = NUM_FEATURES) -> np.ndarray:
    """Grey values [N, D], uint8."""
    return np.random.default_rng(0).integers(256, size=(num_rows, num_features), dtype=np.uint8)


def _training(epoch, num_steps, seconds, library, device):
    """The record of a contender that trains."""
    first, later = repeat(epoch, seconds)
    return {
        "seconds_per_step": float(np.median(later)) / num_steps,
        "epochs": len(later),
        "steps": num_steps,
        "first_epoch_seconds": first,
        "version": f"{library} {metadata.version(library)}",
        "device": device,
    }


def _vade_jax(batch_size, num_rows, seconds):
    """This project's epoch: one device call, rows as bytes on the device."""
    import jax

    from vade_jax.system.devices import replicate
    from vade_jax.training.epoch import make_epoch

    objective, tx, state = jax_parts()
    data = {"x": replicate(made_rows(num_rows))}
    run = make_epoch(objective, tx, batch_size)
    state = replicate(state)

    def epoch():
        nonlocal state
        state, metrics = run(state, data)
        jax.block_until_ready((state, metrics))

    return _training(epoch, num_rows // batch_size, seconds, "jax", jax.local_devices()[0].device_kind)


def _jax_steps(batch_size, num_rows, seconds):
    """The same step called batch by batch with rows from the host, as a usual JAX program has it."""
    import jax
    import jax.numpy as jnp

    from vade_jax.training.epoch import train_step

    objective, tx, state = jax_parts()
    rows = made_rows(num_rows)

    @jax.jit
    def step(state, x):
        options = {"objective": objective, "tx": tx, "batch_size": batch_size, "sum_over_devices": lambda tree: tree}
        return train_step(state, {"x": x}, jnp.arange(batch_size), **options)

    generator = np.random.default_rng(0)

    def epoch():
        nonlocal state
        order = generator.permutation(num_rows)
        for start in range(0, num_rows - batch_size + 1, batch_size):
            x = jnp.asarray(rows[order[start : start + batch_size]])
            state, metrics = step(state, x)
        jax.block_until_ready((state, metrics))

    return _training(epoch, num_rows // batch_size, seconds, "jax", jax.local_devices()[0].device_kind)


def jax_parts(
    num_features: int = NUM_FEATURES, latent_dim: int = LATENT_DIM, num_clusters: int = NUM_CLUSTERS
) -> tuple[Any, Any, Any]:
    """What is trained: the objective, the optimizer and the first state."""
    import jax
    import jax.numpy as jnp
    import optax

    from vade_jax.data.scaling import Scaling
    from vade_jax.networks.model import init_params, make_model
    from vade_jax.training.objectives import negative_elbo
    from vade_jax.training.optimizer import make_tx
    from vade_jax.training.train_state import TrainState, start_stage

    model = make_model(
        network="mlp",
        likelihood="bernoulli",
        num_features=num_features,
        image_shape=None,
        latent_dim=latent_dim,
        hidden=HIDDEN,
        min_log_var=-6.0,
    )
    rate = optax.constant_schedule(_LEARNING_RATE)
    tx = make_tx(rate, rate, adam_epsilon=1e-8, max_grad_norm=0.0)
    params = init_params(jax.random.key(0), model, num_features, num_clusters, latent_dim)
    scaling = Scaling(jnp.zeros((1, num_features)), jnp.full((1, num_features), 1 / 255))
    state = TrainState.create(params, jax.random.key(1), scaling)
    return negative_elbo(model, "sample", 1), tx, start_stage(state, tx, state.key)


def _torch(batch_size, num_rows, seconds):
    return _torch_training(batch_size, num_rows, seconds, compiled=False)


def _torch_compile(batch_size, num_rows, seconds):
    return _torch_training(batch_size, num_rows, seconds, compiled=True)


def _torch_training(batch_size, num_rows, seconds, compiled):
    """A plain PyTorch step, rows as float32 on the device; on a GPU with TF32 products, as JAX has them."""
    import torch

    from benchmarks import torch_vade

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_float32_matmul_precision("high")
    torch.manual_seed(0)
    model: Any = torch_vade.VaDE(NUM_FEATURES, HIDDEN, LATENT_DIM, NUM_CLUSTERS).to(device)
    optimizer = torch.optim.Adam(model.parameters(), _LEARNING_RATE)
    x = torch.from_numpy(made_rows(num_rows)).to(device).float() / 255
    step = torch.compile(model) if compiled else model
    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    return _training(
        lambda: torch_vade.train_epoch(step, optimizer, x, batch_size), num_rows // batch_size, seconds, "torch", name
    )


def _product_numpy(batch_size, num_rows, seconds):
    a = np.random.default_rng(0).standard_normal((_PRODUCT, _PRODUCT), dtype=np.float32)
    return _rate(lambda: a @ a, 2 * _PRODUCT**3, seconds, "numpy")


def _product_jax(batch_size, num_rows, seconds):
    import jax

    a = jax.random.normal(jax.random.key(0), (_PRODUCT, _PRODUCT))
    product = jax.jit(lambda a: a @ a)
    return _rate(lambda: product(a).block_until_ready(), 2 * _PRODUCT**3, seconds, "jax")


def _product_torch(batch_size, num_rows, seconds):
    import torch

    cuda = torch.cuda.is_available()
    torch.set_float32_matmul_precision("high")
    a = torch.randn(_PRODUCT, _PRODUCT, device="cuda" if cuda else "cpu")

    def product():
        a @ a
        if cuda:
            torch.cuda.synchronize()

    return _rate(product, 2 * _PRODUCT**3, seconds, "torch")


def _copy_jax(batch_size, num_rows, seconds):
    """Bytes read and written a second, by an array and its successor."""
    import jax
    import jax.numpy as jnp

    a = jnp.zeros(_COPIED // 4, jnp.float32)
    add = jax.jit(lambda a: a + 1, donate_argnums=0)  # in place, as training does: a new array costs its pages

    def copy():
        nonlocal a
        a = add(a).block_until_ready()

    return _rate(copy, 2 * _COPIED, seconds, "jax")


def _rate(call, amount, seconds, library):
    """The record of a rate: operations or bytes a second, at its best."""
    _, later = repeat(call, seconds)
    return {"rate": amount / min(later), "version": f"{library} {metadata.version(library)}"}


def _runs_side_by_side(batch_size, num_rows, seconds):
    """Several runs of this project in one program; the seconds are those of a step of one run."""
    import jax

    from vade_jax.system.devices import replicate
    from vade_jax.training.epoch import make_epoch_of_runs

    objective, tx, state = jax_parts()
    num_runs = _NUM_RUNS if jax.default_backend() == "cpu" else 16
    x = replicate(made_rows(num_rows))
    states: Any = [replicate(state) for _ in range(num_runs)]
    run = make_epoch_of_runs(objective, tx, batch_size, num_runs)

    def epoch():
        nonlocal states
        states, metrics = zip(*run(states, x, [{}] * num_runs), strict=True)
        jax.block_until_ready((states, metrics))

    num_steps = num_runs * (num_rows // batch_size)
    return _training(epoch, num_steps, seconds, "jax", jax.local_devices()[0].device_kind)


def _products_jax(batch_size, num_rows, seconds):
    import jax

    products = jax.jit(_products)
    matrices = jax.device_put(_matrices(batch_size))
    return _training(
        lambda: jax.block_until_ready(products(matrices)), 1, seconds, "jax", jax.local_devices()[0].device_kind
    )


def _products_numpy(batch_size, num_rows, seconds):
    matrices = _matrices(batch_size)
    return _training(lambda: _products(matrices), 1, seconds, "numpy", "cpu")


def _products_torch(batch_size, num_rows, seconds):
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_float32_matmul_precision("high")
    matrices = [tuple(torch.from_numpy(array).to(device) for array in layer) for layer in _matrices(batch_size)]

    def products():
        _products(matrices)
        if device == "cuda":
            torch.cuda.synchronize()

    name = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    return _training(products, 1, seconds, "torch", name)


def _products(matrices):
    """The matrix products of a training step: of each layer forward and for both gradients, but that of the data."""
    forward = [inputs @ weights for inputs, weights, _ in matrices]
    weight_grads = [inputs.T @ outputs for inputs, _, outputs in matrices]
    input_grads = [outputs @ weights.T for _, weights, outputs in matrices[1:]]
    return forward, weight_grads, input_grads


def _matrices(batch_size):
    """Of each layer its inputs, its weights and something of its outputs' shape."""
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.standard_normal(shape, dtype=np.float32)

    return [
        (normal(batch_size, width_in), normal(width_in, width_out), normal(batch_size, width_out))
        for width_in, width_out in _layers()
    ]


def _layers():
    """Widths in and out of each layer, the encoder's two heads as one."""
    encoder = [NUM_FEATURES, *HIDDEN, 2 * LATENT_DIM]
    decoder = [LATENT_DIM, *reversed(HIDDEN), NUM_FEATURES]
    return [pair for widths in (encoder, decoder) for pair in itertools.pairwise(widths)]


def work(batch_size: int) -> dict[str, float]:
    """What a training step must do, whatever program it is.

    Args:
      batch_size: B.

    Returns:
      'operations': of the matrix products forward and backward, but the gradient of the data; 'bytes': parameters read
      forward and backward, gradients written, and Adam's parameters and two moments read and written.
    """
    weights = [math.prod(pair) for pair in _layers()]
    return {
        "operations": float(2 * batch_size * (3 * sum(weights) - weights[0])),
        "bytes": float(4 * sum(weights) * (2 + 1 + 7)),
    }


# name -> function (batch size, number of rows, seconds) that returns its record.
TRAINING: dict[str, Callable[[int, int, float], dict[str, Any]]] = {
    "vade_jax": _vade_jax,
    "jax_steps": _jax_steps,
    "torch": _torch,
    "torch_compile": _torch_compile,
    "runs_side_by_side": _runs_side_by_side,
    "products_jax": _products_jax,
    "products_numpy": _products_numpy,
    "products_torch": _products_torch,
}
RATES: dict[str, Callable[[int, int, float], dict[str, Any]]] = {
    "product_jax": _product_jax,
    "product_numpy": _product_numpy,
    "product_torch": _product_torch,
    "copy_jax": _copy_jax,
}
CONTENDERS = TRAINING | RATES

if __name__ == "__main__":
    main()
