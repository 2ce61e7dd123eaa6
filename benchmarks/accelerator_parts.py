"""Measures one part of `benchmarks.accelerator`: python -m benchmarks.accelerator_parts --out=answers.npz answers."""

import argparse
import json
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import HIDDEN, LATENT_DIM, NUM_CLUSTERS, peak_device_mib

_LIKELIHOODS = ("bernoulli", "gaussian", "gaussian_shared")
_DRAWS = 10  # of the importance-weighted bound
_LEARNING_RATE = 1e-3


def main() -> None:
    """Measures, and prints what was found as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("answers", "train"))
    parser.add_argument("--out", type=Path, required=True, help="the .npz of the answers, or the workdir of the runs")
    parser.add_argument("--data", type=Path, help="an .npz of rows; scikit-learn's digits by default")
    parser.add_argument("--precision", default="float32", help="of the products of matrices")
    parser.add_argument("--small", action="store_true", help="few rows and small networks")
    parser.add_argument("--config", help="of the runs")
    parser.add_argument("flags", nargs="*", help="of main.py for the runs, after --")
    options = parser.parse_args()
    if options.part == "train":
        _train(options)
    else:
        arrays: dict[str, Any] = answers(rows_of(options.data), options.precision, options.small)
        np.savez(options.out, **arrays)
    print(json.dumps(_origin()))


def _train(options: argparse.Namespace) -> None:
    from benchmarks import records
    from vade_jax.commands.train import train

    train(records.read_config(options.config, options.flags), options.out)


def _origin() -> dict[str, Any]:
    """The device, the versions of the libraries, and the device's peak memory in this process."""
    import jax

    device = jax.local_devices()[0]
    return {
        "device": {"kind": device.device_kind, "platform": device.platform, "count": jax.local_device_count()},
        "versions": {name: metadata.version(name) for name in ("jax", "jaxlib", "flax", "optax", "numpy")},
        "peak_device_mib": peak_device_mib("jax"),
    }


def rows_of(path: Path | None) -> np.ndarray:
    """Rows [N, D], uint8, of an .npz with 'x' or 'x_train'; scikit-learn's digits if there is no path."""
    if path is None:
        from sklearn.datasets import load_digits

        return (load_digits().data * 15).astype(np.uint8)
    with np.load(path) as arrays:
        x = arrays["x" if "x" in arrays else "x_train"]
    return x.reshape(len(x), -1)


def answers(x: np.ndarray, precision: str, small: bool) -> dict[str, np.ndarray]:
    """Every bound of a batch, and the parameters after one epoch, from the same parameters and random keys everywhere.

    Args:
      x: [N, D], uint8.
      precision: a key of PRECISIONS.
      small: whether rows are few and networks small.

    Returns:
      As `benchmarks.accelerator.differences` takes them.
    """
    from vade_jax.system.precision import matmul_precision

    hidden, num_bounds, num_rows, batch_size = ((16,), 32, 256, 64) if small else (HIDDEN, 256, 10_240, 256)
    with matmul_precision(precision):
        bounds = {
            f"bound/{likelihood}, {name}": values
            for likelihood in _LIKELIHOODS
            for name, values in _bounds(likelihood, hidden, x[:num_bounds]).items()
        }
        return bounds | _epoch(hidden, x[:num_rows], batch_size)


def _start(likelihood: str, hidden: tuple[int, ...], num_features: int) -> tuple[Any, Any]:
    """A model and its first parameters, which are computed on the CPU, so that all devices have the same."""
    import jax

    from vade_jax.networks.model import init_params, make_model

    model = make_model(
        network="mlp",
        likelihood=likelihood,
        num_features=num_features,
        image_shape=None,
        latent_dim=LATENT_DIM,
        hidden=hidden,
        min_log_var=-6.0,
    )
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        params = init_params(jax.random.key(0), model, num_features, NUM_CLUSTERS, LATENT_DIM)
        means = jax.random.normal(jax.random.key(1), (NUM_CLUSTERS, LATENT_DIM))
    params["prior"] = params["prior"]._replace(means=means)
    return model, jax.tree.map(np.asarray, params)


def _bounds(likelihood: str, hidden: tuple[int, ...], x: np.ndarray) -> dict[str, np.ndarray]:
    """The loss of every objective and the importance-weighted bound of rows [B, D]: each [B], nats."""
    import jax
    import jax.numpy as jnp

    from vade_jax.core.importance_weighted import importance_weighted_bound
    from vade_jax.training import objectives

    model, params = _start(likelihood, hidden, x.shape[1])
    memberships = np.random.default_rng(0).dirichlet(np.ones(NUM_CLUSTERS), len(x)).astype(np.float32)
    batch = {"x": x.astype(np.float32) / 255, "memberships": memberships, "targets": memberships}
    keys = jax.random.split(jax.random.key(2), len(x))
    losses = {
        **{f"ELBO by {name}": objectives.negative_elbo(model, name, 1) for name in ("sample", "mean", "optimal")},
        "guided ELBO": objectives.guided_negative_elbo(model, 1, 100.0),
        "VAE": objectives.vae(model),
        "autoencoder": objectives.reconstruction(model),
        "DEC": objectives.dec(model),
    }

    @jax.jit
    def compute(params: Any, batch: Any, keys: jax.Array) -> dict[str, jax.Array]:
        step = jnp.zeros((), jnp.int32)
        found = {name: loss(params, batch, keys, step)[0] for name, loss in losses.items()}
        z_mean, z_log_var = model.encode(params, batch["x"])
        z = objectives.sample_z_each(keys, z_mean, z_log_var, _DRAWS)
        log_px = model.log_px_given_z(params, batch["x"], z)
        return {**found, "log p(x)": importance_weighted_bound(log_px, z, z_mean, z_log_var, params["prior"])}

    return jax.tree.map(np.asarray, compute(params, batch, keys))


def _epoch(hidden: tuple[int, ...], x: np.ndarray, batch_size: int) -> dict[str, np.ndarray]:
    """The parameters before and after one epoch of the ELBO on rows [N, D], and its mean loss."""
    import jax
    import jax.numpy as jnp
    import optax

    from vade_jax.data.scaling import Scaling
    from vade_jax.system.devices import replicate
    from vade_jax.training.epoch import make_epoch
    from vade_jax.training.objectives import negative_elbo
    from vade_jax.training.optimizer import make_tx
    from vade_jax.training.train_state import TrainState, start_stage

    model, params = _start("bernoulli", hidden, x.shape[1])
    rate = optax.constant_schedule(_LEARNING_RATE)
    tx = make_tx(rate, adam_epsilon=1e-8, max_grad_norm=0.0)
    scaling = Scaling(jnp.zeros((1, x.shape[1])), jnp.full((1, x.shape[1]), 1 / 255))
    state = TrainState.create(jax.tree.map(jnp.asarray, params), jax.random.key(3), scaling)
    state = replicate(start_stage(state, tx, state.key))
    trained, metrics = make_epoch(negative_elbo(model, "optimal", 1), tx, batch_size)(state, replicate({"x": x}))
    return {
        "epoch/loss": np.asarray(metrics["loss"]),
        "params/start": _as_vector(params),
        "params/end": _as_vector(trained.params),
    }


def _as_vector(params: Any) -> np.ndarray:
    """All parameters as one vector, float64."""
    import jax

    return np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in jax.tree.leaves(params)])


if __name__ == "__main__":
    main()
