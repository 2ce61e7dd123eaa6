"""The ELBO with your own decoder, for several models at once: python examples/own_decoder.py.

Counts x ~ Poisson(exp(W z + b)) have a likelihood that is not in the package. `elbo_terms` only needs log p(x|z), so it
works with any decoder, under vmap, grad and jit. Here eight models with different seeds train in one program.
"""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from vade_jax import GMMPrior, elbo_terms, log_responsibilities, sample_z

NUM_MODELS, NUM_CLUSTERS, LATENT_DIM, NUM_FEATURES = 8, 3, 2, 20


def init(key: jax.Array) -> dict[str, Any]:
    """The weights of one model, {'encoder', 'decoder', 'bias', 'prior'}."""
    encoder_key, decoder_key, prior_key = jax.random.split(key, 3)
    return {
        "encoder": 0.1 * jax.random.normal(encoder_key, (NUM_FEATURES, 2 * LATENT_DIM)),
        "decoder": 0.1 * jax.random.normal(decoder_key, (LATENT_DIM, NUM_FEATURES)),
        "bias": jnp.zeros(NUM_FEATURES),
        "prior": GMMPrior(
            jnp.zeros(NUM_CLUSTERS),
            jax.random.normal(prior_key, (NUM_CLUSTERS, LATENT_DIM)),
            jnp.zeros((NUM_CLUSTERS, LATENT_DIM)),
        ),
    }


def encode(weights: dict[str, Any], x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The mean and the log-variance of q(z|x), each [N, J], for counts x [N, D]."""
    z_mean, z_log_var = jnp.split(jnp.log1p(x) @ weights["encoder"], 2, axis=-1)
    return z_mean, z_log_var


def loss(weights: dict[str, Any], x: jax.Array, key: jax.Array) -> jax.Array:
    """-ELBO, the mean over rows x [N, D], nats."""
    z_mean, z_log_var = encode(weights, x)
    z = sample_z(key, z_mean, z_log_var, num_samples=4)  # [L, N, J]
    log_rate = z @ weights["decoder"] + weights["bias"]
    log_px_given_z = jax.scipy.stats.poisson.logpmf(x, jnp.exp(log_rate)).sum(axis=-1)  # [L, N]
    return -elbo_terms(log_px_given_z, z, z_mean, z_log_var, weights["prior"], estimator="optimal").elbo.mean()


def main() -> tuple[jax.Array, jax.Array]:
    """Trains all models; prints and returns the ELBO and the purity of each.

    The purity is the share of rows whose label is the most frequent one in their cluster.
    """
    rate_key, label_key, count_key, init_key, noise_key = jax.random.split(jax.random.key(0), 5)
    rates = jnp.exp(1 + jax.random.normal(rate_key, (NUM_CLUSTERS, NUM_FEATURES)))
    labels = jax.random.randint(label_key, (600,), 0, NUM_CLUSTERS)
    x = jax.random.poisson(count_key, rates[labels]).astype(jnp.float32)

    weights = jax.vmap(init)(jax.random.split(init_key, NUM_MODELS))
    tx = optax.adam(1e-2)

    @jax.jit
    def train(weights: dict[str, Any]) -> tuple[dict[str, Any], jax.Array]:
        def step(carry: tuple[Any, Any], number: jax.Array) -> tuple[tuple[Any, Any], jax.Array]:
            weights, opt_state = carry
            keys = jax.random.split(jax.random.fold_in(noise_key, number), NUM_MODELS)
            bounds, grads = jax.vmap(jax.value_and_grad(loss), in_axes=(0, None, 0))(weights, x, keys)
            updates, opt_state = tx.update(grads, opt_state, weights)
            return (optax.apply_updates(weights, updates), opt_state), -bounds

        (weights, _), bounds = jax.lax.scan(step, (weights, tx.init(weights)), jnp.arange(1500))
        return weights, bounds[-1]

    weights, bounds = train(weights)
    clusters = jax.vmap(lambda w: log_responsibilities(encode(w, x)[0], w["prior"]).argmax(axis=-1))(weights)
    counts = jax.vmap(lambda c: jnp.zeros((NUM_CLUSTERS, NUM_CLUSTERS)).at[c, labels].add(1))(clusters)
    purity = counts.max(axis=2).sum(axis=1) / len(x)
    for number in jnp.argsort(-bounds):
        print(f"model {number}: ELBO {bounds[number]:.2f} nats, purity {purity[number]:.3f}")
    return bounds, purity


if __name__ == "__main__":
    main()
