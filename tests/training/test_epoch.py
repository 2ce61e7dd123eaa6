"""The training step and the epoch: devices, remainders, determinism, compilations."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from helpers.models import small_model

from vade_jax.data.scaling import Scaling
from vade_jax.networks.model import init_params
from vade_jax.system.devices import replicate
from vade_jax.training.epoch import make_epoch, make_epoch_of_runs
from vade_jax.training.objectives import negative_elbo
from vade_jax.training.optimizer import make_tx
from vade_jax.training.train_state import TrainState, start_stage

ROWS, FEATURES, LATENT_DIM, CLUSTERS = 37, 10, 2, 3
X = np.random.default_rng(0).integers(0, 256, (ROWS, FEATURES)).astype(np.uint8)


@pytest.fixture
def model():
    return small_model("bernoulli", FEATURES, LATENT_DIM, 8)


def start(model, tx, seed=0):
    params = init_params(jax.random.key(seed), model, FEATURES, CLUSTERS, LATENT_DIM)
    means = jax.random.normal(jax.random.key(9), (CLUSTERS, LATENT_DIM))
    params["prior"] = params["prior"]._replace(means=means)
    scaling = Scaling(jnp.zeros((1, FEATURES)), jnp.full((1, FEATURES), 1 / 255))
    state = TrainState.create(params, jax.random.key(seed), scaling)
    return replicate(start_stage(state, tx, state.key))


def sgd():
    # Adam divides by the size of the gradient, which would magnify rounding differences.
    return optax.sgd(1e-2)


def train(model, num_epochs, batch_size=8, tx=None, seed=0):
    tx = tx or sgd()
    epoch = make_epoch(negative_elbo(model, "sample", 1), tx, batch_size)
    state, rows = start(model, tx, seed), replicate({"x": X})
    for _ in range(num_epochs):
        state, metrics = epoch(state, rows)
    return state, metrics


def assert_trees_close(left, right, **tolerance):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **tolerance), left, right)


def on_one_device(monkeypatch):
    first, real = jax.devices()[:1], jax.pmap
    for name in ("device_count", "local_device_count"):
        monkeypatch.setattr(jax, name, lambda: 1)
    for name in ("devices", "local_devices"):
        monkeypatch.setattr(jax, name, lambda: first)
    monkeypatch.setattr(jax, "pmap", lambda fn, devices, **options: real(fn, devices=first, **options))


def test_the_tests_have_two_devices():
    assert jax.local_device_count() == 2


@pytest.mark.parametrize("batch_size", [8, 7, 37])  # divisible by two devices, not divisible, all rows
def test_one_and_two_devices_give_the_same_parameters(model, monkeypatch, batch_size):
    two, two_metrics = train(model, 3, batch_size)
    on_one_device(monkeypatch)
    one, one_metrics = train(model, 3, batch_size)
    assert len(two.step.devices()) == 2
    assert len(one.step.devices()) == 1
    assert_trees_close(two.params, one.params, rtol=2e-5, atol=2e-6)
    assert_trees_close(two_metrics, one_metrics, rtol=1e-5)


@pytest.mark.parametrize("num_runs", [1, 2, 3])  # of three runs that the epoch is made for
def test_an_epoch_of_runs_matches_separate_epochs(model, num_runs):
    objective, tx = negative_elbo(model, "sample", 1), sgd()
    epoch = make_epoch_of_runs(objective, tx, 8, 3)
    x, states = replicate(X), [start(model, tx, seed) for seed in range(num_runs)]
    for _ in range(2):
        states, means = zip(*epoch(states, x, [{}] * num_runs), strict=True)
    assert len(states) == num_runs
    for seed in range(num_runs):
        expected, expected_means = train(model, 2, tx=tx, seed=seed)
        assert_trees_close(states[seed].params, expected.params, rtol=2e-5, atol=2e-6)
        assert_trees_close(means[seed], expected_means, rtol=1e-5)
        assert int(states[seed].step) == int(expected.step)
        assert states[seed].step.sharding == expected.step.sharding


def test_the_rate_factor_multiplies_the_updates(model):
    epoch = make_epoch(negative_elbo(model, "mean", 1), sgd(), ROWS)
    before = jax.tree.map(np.array, start(model, sgd()).params)
    ends = []
    for factor in (1.0, 0.5):
        state = replicate(start(model, sgd()).replace(rate_factor=jnp.float32(factor)))
        ends.append(epoch(state, replicate({"x": X}))[0].params)
    whole, half = (jax.tree.map(np.subtract, end, before) for end in ends)
    assert_trees_close(half, jax.tree.map(lambda leaf: 0.5 * leaf, whole), rtol=1e-3, atol=1e-7)


def test_only_the_same_seed_gives_the_same_bits(model):
    first, second, other = (train(model, 2, seed=seed)[0] for seed in (0, 0, 1))
    jax.tree.map(np.testing.assert_array_equal, first.params, second.params)
    assert not np.array_equal(first.params["prior"].means, other.params["prior"].means)


def test_a_step_follows_the_gradient_of_the_batch_mean_loss(model):
    tx = sgd()
    objective = negative_elbo(model, "mean", 1)
    state = start(model, tx)
    before = jax.tree.map(np.array, state.params)
    shuffle_key, noise_key = jax.random.split(state.key)
    order = jax.random.permutation(jax.random.fold_in(shuffle_key, 0), ROWS)
    x = jnp.asarray(X[np.asarray(order)], jnp.float32) / 255
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.fold_in(noise_key, 0), jnp.arange(ROWS))
    gradient = jax.jit(jax.grad(lambda params: objective(params, {"x": x}, keys, jnp.int32(0))[0].mean()))(before)
    after, _ = make_epoch(objective, tx, ROWS)(state, replicate({"x": X}))
    expected = jax.tree.map(lambda param, slope: param - 1e-2 * slope, before, gradient)
    assert_trees_close(after.params, expected, rtol=1e-5, atol=1e-6)


def test_an_epoch_reads_each_row_at_most_once_in_a_new_order(model):
    def spy(params, batch, keys, step):
        # the sum of 2^row over an epoch tells which rows it read
        return jnp.exp2(batch["row"].astype(jnp.float32)) * (1 + 0 * params["prior"].logits.sum()), {}

    tx = sgd()
    data = replicate({"x": X[:20], "row": np.arange(20)})
    epoch = make_epoch(spy, tx, 1)
    state, seen = start(model, tx), []
    for _ in range(3):
        state, metrics = epoch(state, data)
        seen.append(round(float(metrics["loss"]) * 20))
    assert seen == [2**20 - 1] * 3
    partial = make_epoch(spy, tx, 3)  # 18 of 20 rows
    state = start(model, tx)
    state, first = partial(state, data)
    state, second = partial(state, data)
    bits = [format(round(float(metrics["loss"]) * 18), "b") for metrics in (first, second)]
    assert [bit.count("1") for bit in bits] == [18, 18]
    assert bits[0] != bits[1]


def test_an_epoch_of_several_passes_is_as_many_epochs(model):
    tx = sgd()
    once, twice = (make_epoch(negative_elbo(model, "sample", 1), tx, 8, passes) for passes in (1, 2))
    data = replicate({"x": X[:20]})
    after, means = twice(start(model, tx), data)
    middle, first = once(start(model, tx), data)
    expected, second = once(middle, data)
    assert_trees_close(after.params, expected.params, rtol=1e-6, atol=1e-7)
    assert int(after.step) == int(expected.step) == 4
    np.testing.assert_allclose(means["loss"], (first["loss"] + second["loss"]) / 2, rtol=1e-6)


def test_an_epoch_compiles_once(model, compilations):
    tx = sgd()
    epoch = make_epoch(negative_elbo(model, "mean", 1), tx, 8)
    state, rows = start(model, tx), replicate({"x": X})
    compilations.clear()
    state, _ = epoch(state, rows)
    assert compilations
    compilations.clear()
    for rate in (1.0, 0.5, np.float32(0.1)):
        state, _ = epoch(state, rows, rate)
    assert not compilations


def test_networks_and_prior_have_their_own_learning_rates(model):
    tx = make_tx(optax.constant_schedule(1.0), adam_epsilon=1e-8, max_grad_norm=0.0)
    before = start(model, tx)
    kept = jax.tree.map(np.array, before.params)
    epoch = make_epoch(negative_elbo(model, "mean", 1), tx, ROWS)
    after, _ = epoch(before, replicate({"x": X}), {"encoder": 0.0, "decoder": 0.0, "prior": 1e-2})
    jax.tree.map(np.testing.assert_array_equal, after.params["encoder"], kept["encoder"])
    jax.tree.map(np.testing.assert_array_equal, after.params["decoder"], kept["decoder"])
    assert not np.array_equal(after.params["prior"].means, kept["prior"].means)
