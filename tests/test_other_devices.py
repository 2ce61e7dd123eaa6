"""Training, prediction and sampling lower for CUDA and TPU, on a machine that has neither.

Covered: every function that the project compiles for these is lowered by `jax.export` just as the project calls it,
with its pmap (jit and shard_map) over the devices of this process, in every precision. Not covered: the compiler of the
device, which sees the program only there, and may still refuse it; the numbers; memory; speed.
`python -m benchmarks.accelerator` measures these on such a device.
"""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from vade_jax.core.mixture_prior import sample_prior
from vade_jax.data.scaling import Scaling
from vade_jax.inference import answers, row_map
from vade_jax.networks.likelihoods import LIKELIHOODS
from vade_jax.networks.model import init_params, make_model
from vade_jax.system.devices import over_devices, replicate
from vade_jax.system.precision import PRECISIONS
from vade_jax.training import epoch
from vade_jax.training.objectives import guided_negative_elbo, negative_elbo, reconstruction, vae
from vade_jax.training.optimizer import make_tx
from vade_jax.training.train_state import TrainState, start_stage

PLATFORMS = ("cuda", "tpu")
ROWS, BATCH, CLUSTERS, LATENT_DIM = 32, 8, 3, 2
IMAGE = (8, 8, 1)
FEATURES = 64
X = np.random.default_rng(0).integers(0, 256, (ROWS, FEATURES)).astype(np.uint8)
# What a product of matrices has in each precision. A device's own precision is written nowhere.
MARKS = {
    "default": None,
    "float32": r"precision = \[HIGHEST, HIGHEST\]",
    "tensorfloat32": "lhs_precision_type = tf32, rhs_precision_type = tf32, accumulation_type = f32",
    "bfloat16": "lhs_precision_type = bf16, rhs_precision_type = bf16, accumulation_type = f32",
}


class LoweredError(Exception):
    """Raised in place of the call that was lowered."""


@pytest.fixture
def lower_call(monkeypatch):
    """Lowers, instead of computing, the first call of what `over_devices` returns: a function call -> its program."""

    def lowering(fn, **options):
        compiled = over_devices(fn, **options)

        def call(*args):
            raise LoweredError(lower(compiled, *args))

        return call

    def program(call):
        with pytest.raises(LoweredError) as lowered:
            call()
        return lowered.value.args[0]

    caches = (epoch.make_epoch, epoch.make_epoch_of_runs, answers.model_row_map)
    for module in (epoch, row_map):
        monkeypatch.setattr(module, "over_devices", lowering)
    for cache in caches:
        cache.cache_clear()
    yield program
    for cache in caches:
        cache.cache_clear()


def lower(fn, *args):
    """The program of a compiled function for both platforms, as text."""
    exported = export.export(fn, platforms=PLATFORMS)(*args)
    assert exported.platforms == PLATFORMS
    return exported.mlir_module()


def model_of(network="mlp", likelihood="bernoulli"):
    return make_model(
        network=network,
        likelihood=likelihood,
        num_features=FEATURES,
        image_shape=IMAGE,
        latent_dim=LATENT_DIM,
        hidden=(7,),
        min_log_var=-6.0,
    )


def start(model, tx=None):
    params = init_params(jax.random.key(0), model, FEATURES, CLUSTERS, LATENT_DIM)
    scaling = Scaling(jnp.zeros((1, FEATURES)), jnp.full((1, FEATURES), 1 / 255))
    state = TrainState.create(params, jax.random.key(0), scaling)
    return replicate(start_stage(state, tx, state.key) if tx else state)


def adam():
    return make_tx(lambda step: 1e-3, adam_epsilon=1e-8, max_grad_norm=1.0)


def assert_precision(text, precision):
    """Every product of the program has this precision, and there are some."""
    products = re.findall(r"stablehlo.dot_general .*", text)
    assert products
    mark = MARKS[precision]
    for product in products:
        if mark:
            assert re.search(mark, product)
        else:
            assert "HIGHEST" not in product
            assert "algorithm" not in product


@pytest.mark.parametrize("precision", PRECISIONS)
def test_training_and_prediction_lower_in_every_precision(precision, lower_call):
    model, tx = model_of(), adam()
    state, objective = start(model, tx), negative_elbo(model, "sample", 1)
    one = epoch.make_epoch(objective, tx, BATCH)
    several = epoch.make_epoch_of_runs(objective, tx, BATCH, num_runs=3)
    calls = (
        lambda: one(state, replicate({"x": X})),
        lambda: several([state] * 3, replicate(X), [{}] * 3),
        lambda: answers.posterior(model, state, X, state.key, estimator="optimal", batch_size=BATCH),
    )
    with jax.default_matmul_precision(PRECISIONS[precision]):
        for call in calls:
            assert_precision(lower_call(call), precision)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_sampling_lowers_in_every_precision(precision):
    model = model_of()
    params, key, z = start(model).params, jax.random.key(0), np.zeros((BATCH, LATENT_DIM), np.float32)
    mean_x, sample_x = answers._decoders(model)
    draw_z = jax.jit(lambda key, prior: sample_prior(key, prior, (BATCH,), truncation=2.0))
    with jax.default_matmul_precision(PRECISIONS[precision]):
        assert_precision(lower(mean_x, params, z), precision)
        assert_precision(lower(sample_x, params, key, z), precision)
        lower(draw_z, key, params["prior"])


@pytest.mark.parametrize(
    ("network", "make"),
    [("mlp", reconstruction), ("conv", vae), ("conv", lambda model: guided_negative_elbo(model, 2, 100.0))],
)
def test_every_stage_lowers(network, make, lower_call):
    model, tx = model_of(network), adam()
    run, state = epoch.make_epoch(make(model), tx, BATCH, num_passes=2), start(model, tx)
    data = replicate({"x": X, "memberships": np.full((ROWS, CLUSTERS), 1 / CLUSTERS, np.float32)})
    assert_precision(lower_call(lambda: run(state, data)), "default")


def test_the_likelihood_of_rows_lowers(lower_call):
    model = model_of()
    state = start(model)
    text = lower_call(lambda: answers.log_likelihood(model, state, X, state.key, num_samples=2, batch_size=BATCH))
    assert_precision(text, "default")


@pytest.mark.parametrize("likelihood", sorted(LIKELIHOODS))
def test_every_likelihood_lowers(likelihood, lower_call):
    model, tx = model_of(likelihood=likelihood), adam()
    state, z = start(model, tx), np.zeros((BATCH, LATENT_DIM), np.float32)
    lower_call(lambda: epoch.make_epoch(negative_elbo(model, "mean", 1), tx, BATCH)(state, replicate({"x": X})))
    lower(answers._decoders(model)[1], state.params, state.key, z)
