"""The objectives against the losses that they consist of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.models import small_model
from scipy.special import rel_entr

from vade_jax.core.elbo import elbo_terms, sample_z
from vade_jax.core.likelihoods import log_prob_x_bernoulli
from vade_jax.core.mixture_prior import GMMPrior, log_responsibilities
from vade_jax.networks.model import init_params
from vade_jax.training.objectives import ENCODER_INPUT, dec, guided_negative_elbo, negative_elbo, reconstruction, vae

BATCH, FEATURES, LATENT_DIM, CLUSTERS = 6, 12, 3, 4


@pytest.fixture
def setting():
    model = small_model("bernoulli", FEATURES, LATENT_DIM, 9)
    params = init_params(jax.random.key(0), model, FEATURES, CLUSTERS, LATENT_DIM)
    means = jax.random.normal(jax.random.key(1), (CLUSTERS, LATENT_DIM))
    params["prior"] = params["prior"]._replace(means=means)
    x = jax.random.uniform(jax.random.key(2), (BATCH, FEATURES))
    keys = jax.random.split(jax.random.key(3), BATCH)
    return model, params, x, keys


def test_reconstruction_decodes_the_latent_mean(setting):
    model, params, x, keys = setting
    loss, metrics = reconstruction(model)(params, {"x": x}, keys, jnp.int32(0))
    z_mean, _ = model.encode(params, x)
    (logits,) = model.decoder.apply(params["decoder"], z_mean)
    np.testing.assert_allclose(loss, -log_prob_x_bernoulli(x, logits), rtol=1e-6)
    np.testing.assert_allclose(loss, -metrics["log_px_given_z"])
    assert loss.shape == (BATCH,)


@pytest.mark.parametrize(
    "objective", [reconstruction, vae, lambda m: negative_elbo(m, "mean", 2), lambda m: guided_negative_elbo(m, 2), dec]
)
def test_the_encoder_input_may_differ_from_x(setting, objective):
    model, params, x, keys = setting
    memberships = jax.nn.softmax(jax.random.normal(jax.random.key(4), (BATCH, CLUSTERS)))
    batch = {"x": x, "memberships": memberships, "targets": memberships}
    of = objective(model)
    plain, _ = of(params, batch, keys, jnp.int32(0))
    same, _ = of(params, {**batch, ENCODER_INPUT: x}, keys, jnp.int32(0))
    np.testing.assert_array_equal(plain, same)
    other, _ = of(params, {**batch, ENCODER_INPUT: 1 - x}, keys, jnp.int32(0))
    of_other, _ = of(params, {**batch, "x": 1 - x}, keys, jnp.int32(0))
    assert (np.abs(other - plain) > 1e-6).all()
    if objective is dec:  # it depends on the encoder's input only
        np.testing.assert_array_equal(other, of_other)
    else:
        assert (np.abs(other - of_other) > 1e-6).all()


@pytest.mark.parametrize("estimator", ["sample", "mean", "optimal"])
@pytest.mark.parametrize("num_samples", [1, 3])
def test_negative_elbo_is_the_bound_of_each_example_with_its_own_key(setting, estimator, num_samples):
    model, params, x, keys = setting
    loss, metrics = jax.jit(negative_elbo(model, estimator, num_samples))(params, {"x": x}, keys, jnp.int32(0))
    for row in range(BATCH):
        z_mean, z_log_var = model.encode(params, x[row : row + 1])
        z = sample_z(keys[row], z_mean[0], z_log_var[0], num_samples)[:, None]
        log_px_given_z = model.log_px_given_z(params, x[row : row + 1], z)
        terms = elbo_terms(log_px_given_z, z, z_mean, z_log_var, params["prior"], estimator)
        np.testing.assert_allclose(loss[row], -terms.elbo[0], rtol=1e-5)
        np.testing.assert_allclose(metrics["entropy_c"][row], terms.entropy_c[0], rtol=1e-4, atol=1e-6)
    five = ("log_px_given_z", "log_pz_given_c", "log_pc", "entropy_z", "entropy_c")
    np.testing.assert_allclose(metrics["elbo"], sum(metrics[name] for name in five), rtol=1e-5)


def test_guided_bound_uses_hard_or_soft_memberships_as_q_c(setting):
    model, params, x, keys = setting
    objective, optimal = (jax.jit(o) for o in (guided_negative_elbo(model, 2), negative_elbo(model, "optimal", 2)))
    soft = jax.nn.softmax(jax.random.normal(jax.random.key(4), (BATCH, CLUSTERS)))
    for memberships in (soft, jnp.eye(CLUSTERS)[jnp.arange(BATCH) % CLUSTERS]):
        loss, metrics = objective(params, {"x": x, "memberships": memberships}, keys, jnp.int32(0))
        np.testing.assert_allclose(loss, -metrics["elbo"])
        expected = -(memberships * jnp.log(jnp.maximum(memberships, 1e-30))).sum(axis=1)
        np.testing.assert_allclose(metrics["entropy_c"], expected, rtol=1e-5, atol=1e-6)
        best, _ = optimal(params, {"x": x}, keys, jnp.int32(0))
        assert (loss >= best - 1e-4).all()
        batch = {"x": x, "memberships": memberships}
        slopes = jax.grad(lambda params, batch=batch: objective(params, batch, keys, jnp.int32(0))[0].sum())(params)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))
        assert np.abs(slopes["prior"].means).min() > 0


def test_kl_c_weight_adds_multiples_of_kl_c(setting):
    model, params, x, keys = setting
    batch = {"x": x, "memberships": jax.nn.softmax(jax.random.normal(jax.random.key(4), (BATCH, CLUSTERS)))}
    bound, _ = guided_negative_elbo(model, 3)(params, batch, keys, jnp.int32(0))
    loss, metrics = guided_negative_elbo(model, 3, kl_c_weight=11.0)(params, batch, keys, jnp.int32(0))
    np.testing.assert_allclose(loss - bound, 10 * metrics["kl_c"], rtol=1e-3)
    assert (metrics["kl_c"] > 0).all()
    for row in range(BATCH):
        z_mean, z_log_var = model.encode(params, x[row])
        z = sample_z(keys[row], z_mean, z_log_var, 3)
        q_c, p_c = np.array(batch["memberships"][row]), np.exp(np.array(log_responsibilities(z, params["prior"])))
        expected = (q_c * (np.log(q_c) - np.log(p_c))).sum(axis=1).mean()
        np.testing.assert_allclose(metrics["kl_c"][row], expected, rtol=1e-4)


@pytest.mark.parametrize(
    "make", [lambda model, *weight: negative_elbo(model, "mean", 1, *weight), vae], ids=["negative_elbo", "vae"]
)
def test_kl_warmup_changes_the_loss_but_not_the_elbo_metric(setting, make):
    model, params, x, keys = setting
    full, metrics = make(model)(params, {"x": x}, keys, jnp.int32(0))
    objective = make(model, lambda step: step / 10)
    start, start_metrics = objective(params, {"x": x}, keys, jnp.float32(0))
    half, _ = objective(params, {"x": x}, keys, jnp.float32(5))
    np.testing.assert_allclose(start, -metrics["log_px_given_z"], rtol=1e-6)
    np.testing.assert_allclose(half, (start + full) / 2, rtol=1e-5)
    np.testing.assert_array_equal(start_metrics["elbo"], metrics["elbo"])


def test_vae_is_the_bound_under_one_standard_normal_cluster(setting):
    """The expected loss uses KL(q(z|x) || N(0, I)) in closed form."""
    model, params, x, keys = setting
    loss, metrics = vae(model)(params, {"x": x}, keys, jnp.int32(0))
    z_mean, z_log_var = model.encode(params, x)
    kl = 0.5 * (z_mean**2 + jnp.exp(z_log_var) - 1 - z_log_var).sum(axis=-1)
    np.testing.assert_allclose(loss, -metrics["log_px_given_z"] + kl, rtol=1e-5)
    one = GMMPrior(jnp.zeros(1), jnp.zeros((1, LATENT_DIM)), jnp.zeros((1, LATENT_DIM)))
    expected, _ = negative_elbo(model, "mean", 1)({**params, "prior": one}, {"x": x}, keys, jnp.int32(0))
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


def test_dec_is_the_divergence_from_given_targets(setting):
    model, params, x, keys = setting
    targets = np.random.default_rng(0).dirichlet(np.ones(CLUSTERS), BATCH).astype(np.float32)
    targets[0] = np.eye(CLUSTERS)[1]  # 0 log 0 = 0
    loss, metrics = dec(model)(params, {"x": x, "targets": jnp.asarray(targets)}, keys, jnp.int32(0))
    z_mean, _ = model.encode(params, x)
    kernel = 1 / (1 + ((np.asarray(z_mean)[:, None] - np.asarray(params["prior"].means)) ** 2).sum(axis=-1))
    q = kernel / kernel.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(loss, rel_entr(targets, q).sum(axis=-1), rtol=1e-4)
    np.testing.assert_array_equal(loss, metrics["kl_targets"])
