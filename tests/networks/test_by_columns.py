"""Products of likelihoods over columns of several kinds, with and without gaps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from vade_jax.networks.by_columns import Column, by_columns
from vade_jax.networks.column_families import KINDS, Categorical
from vade_jax.networks.likelihoods import LIKELIHOODS, make_likelihood
from vade_jax.networks.model import init_params, make_model
from vade_jax.networks.with_gaps import with_gaps
from vade_jax.system.errors import InputError

COLUMNS = (
    Column("number"),
    Column("category", 3),
    Column("count"),
    Column("number"),
    Column("binary"),
    Column("heavy_tailed"),
    Column("category", 2),
)
X = np.float32([[0.5, 2, 4, -1.0, 1, 30.0, 0], [0, 0, 0, 2.0, 0, -0.1, 1]])
NAN = np.float32(np.nan)


def made(columns=COLUMNS, gaps=False, likelihood="by_columns"):
    model = make_model(
        network="mlp",
        likelihood=likelihood,
        num_features=len(columns) or X.shape[1],
        image_shape=None,
        latent_dim=2,
        hidden=(8,),
        min_log_var=-6.0,
        columns=columns,
        gaps=gaps,
    )
    params = init_params(jax.random.key(0), model, X.shape[1], 3, 2)
    rng = np.random.default_rng(0)
    return model, jax.tree.map(lambda leaf: leaf + 0.3 * jnp.asarray(rng.normal(size=leaf.shape), jnp.float32), params)


def test_log_prob_is_the_product_of_the_families():
    model, params = made()
    z = jax.random.normal(jax.random.key(1), (4, 2, 2))
    heads = model.decoder.apply(params["decoder"], z)
    outputs, learned = (np.asarray(head, np.float64) for head in heads)
    assert (outputs.shape[-1], learned.shape[-1]) == (2 + 3 + 1 + 1 + 1 + 2, 2 + 1 + 2)
    mean, three, log_rate, logits, location, two = np.split(outputs, [2, 5, 6, 7, 8], axis=-1)
    raw_log_var, learned_rate, raw_scale, raw_df = np.split(learned, [2, 3, 4], axis=-1)

    def sd(raw):
        return np.exp(0.5 * (-6 + np.log1p(np.exp(raw + 6))))

    terms = np.stack(
        [
            stats.norm.logpdf(X[:, 0], mean[..., 0], sd(raw_log_var[..., 0])),
            special.log_softmax(three, axis=-1)[:, [0, 1], [2, 0]],
            stats.poisson.logpmf(X[:, 2], np.exp(log_rate + learned_rate)[..., 0]),
            stats.norm.logpdf(X[:, 3], mean[..., 1], sd(raw_log_var[..., 1])),
            stats.bernoulli.logpmf(X[:, 4], special.expit(logits[..., 0])),
            stats.t.logpdf(X[:, 5], 1 + np.log1p(np.exp(raw_df[..., 0])), location[..., 0], sd(raw_scale[..., 0])),
            special.log_softmax(two, axis=-1)[:, [0, 1], [0, 1]],
        ],
        axis=-1,
    )
    np.testing.assert_allclose(model.log_px_given_z(params, X, z), terms.sum(-1), rtol=1e-5)
    np.testing.assert_allclose(model.likelihood.log_prob_by_column(X, *heads), terms, rtol=1e-4, atol=1e-5)
    means = np.asarray(model.mean_x(params, z))
    np.testing.assert_array_equal(means[..., 1], three.argmax(-1))
    np.testing.assert_allclose(means[..., [0, 3]], mean, rtol=1e-5)
    gaps, _ = made(gaps=True)
    missing = X.copy()
    missing[0, [1, 3]] = missing[1] = NAN
    expected = np.where(np.isnan(missing), 0, terms).sum(-1)
    np.testing.assert_allclose(gaps.log_px_given_z(params, missing, z), expected, rtol=1e-5)
    np.testing.assert_array_equal(gaps.log_px_given_z(params, missing, z)[:, 1], 0)


def test_features_are_one_hot_and_logs_and_a_mask():
    x = X.copy()
    x[0, [1, 2]] = NAN
    model, _ = made(gaps=True)
    expected = [
        [0.5, -1.0, 0, 0, 0, 0, 1, np.arcsinh(30), 1, 0, 1, 0, 0, 1, 1, 1, 1],
        [0, 2.0, 1, 0, 0, 0, 0, np.arcsinh(-0.1), 0, 1, 1, 1, 1, 1, 1, 1, 1],
    ]
    np.testing.assert_allclose(model.likelihood.encoder_input(x), expected, rtol=1e-6)
    np.testing.assert_array_equal(model.likelihood.features(X[1]), np.float32(expected[1][:10]))


def test_gaps_are_filled_by_the_mean_and_the_likeliest_level_over_draws():
    model, params = made(gaps=True)
    z = jax.random.normal(jax.random.key(1), (4, 2, 2))
    weights = np.asarray(jax.nn.softmax(jax.random.normal(jax.random.key(2), (4, 2)), axis=0))
    x = X.copy()
    x[0] = x[1, 1] = NAN
    filled = np.asarray(model.fill(params, x, z, weights))
    np.testing.assert_array_equal(filled[~np.isnan(x)], x[~np.isnan(x)])
    means = np.asarray(model.mean_x(params, z))
    numbers = [0, 2, 3, 4, 5]
    np.testing.assert_allclose(filled[0, numbers], (weights[:, :1] * means[:, 0, numbers]).sum(0), rtol=1e-4)
    outputs = np.asarray(model.decoder.apply(params["decoder"], z)[0])
    likeliest = (weights[..., None] * special.softmax(outputs[..., 2:5], axis=-1)).sum(0).argmax(-1)
    np.testing.assert_array_equal(filled[:, 1], likeliest)


@pytest.mark.parametrize("name", [name for name in LIKELIHOODS if make_likelihood(name, -6.0).factorizes])
def test_every_family_over_columns_takes_gaps(name):
    model, params = made((), True, name)
    x = np.abs(X) / 30 if make_likelihood(name, -6.0).support == "unit_interval" else X
    z = jax.random.normal(jax.random.key(1), (4, 2, 2))
    complete, _ = made((), False, name)
    np.testing.assert_allclose(
        model.log_px_given_z(params, x, z), complete.log_px_given_z(params, x, z), rtol=1e-5, atol=1e-5
    )
    x = np.where(np.arange(7) % 3 == 1, NAN, x)

    def log_prob(params):
        z_mean, _ = model.encode(params, x)
        return model.log_px_given_z(params, x, z_mean[None]).sum()

    value, gradients = jax.value_and_grad(log_prob)(params)
    assert np.isfinite(value)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradients))
    changed = jax.tree.map(jnp.array, params)
    np.testing.assert_allclose(log_prob(changed), value, rtol=1e-6)


def test_gradients_of_gaps_are_those_of_the_observed_entries():
    model, params = made(gaps=True)
    x = X.copy()
    x[:, 1::2] = NAN
    heads = model.decoder.apply(params["decoder"], jnp.zeros((2, 2)))
    gradients = jax.grad(lambda *heads: model.likelihood.log_prob(x, *heads).sum(), (0, 1))(*heads)
    of_gaps = np.asarray(gradients[0])[:, [2, 3, 4, 1, 7]]  # the category, the second number and the heavy tail
    np.testing.assert_array_equal(of_gaps, 0)
    assert (np.asarray(gradients[0])[:, [0, 5, 6]] != 0).all()
    assert all(np.isfinite(gradient).all() for gradient in gradients)


def test_draws_of_each_column_have_its_values():
    model, params = made()
    x = np.asarray(model.sample_x(params, jax.random.key(0), jnp.zeros((500, 2))))
    assert x.shape == (500, 7)
    for column, levels in ((1, 3), (4, 2), (6, 2)):
        assert set(np.unique(x[:, column])) <= set(range(levels))
    assert (x[:, 2] == np.round(x[:, 2])).all()


def test_limits_are_those_of_each_column():
    low, high = made(gaps=True)[0].likelihood.limits
    inf = np.inf
    assert low == (-inf, 0, 0, -inf, 0, -inf, 0)
    assert high == (inf, 2, inf, inf, 1, inf, 1)


def test_counts_with_size_factors_refuse_gaps():
    with pytest.raises(
        InputError, match=r"^config.model.likelihood: got 'poisson' for rows with gaps, expected a like"
    ):
        made((), True, "poisson")


def test_columns_of_one_kind_need_no_learned_numbers():
    likelihood = with_gaps(by_columns([Column("binary"), Column("category", 2)], -6.0))
    heads = [jnp.zeros((1, 3))]
    np.testing.assert_allclose(likelihood.log_prob(jnp.array([[1.0, 0.0]]), *heads), [-2 * np.log(2)], rtol=1e-6)
    assert KINDS["category"](-6.0, 4) == Categorical(4)
