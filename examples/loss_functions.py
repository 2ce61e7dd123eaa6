"""The bound as a loss in your own training step: python examples/loss_functions.py.

Encoder and decoder are one matrix each here. Any function that returns these arrays works in their place. For a whole
training loop, and for several models at once, see own_decoder.py.
"""

# %% Parameters: any pytree; the prior is one too
import jax
import jax.numpy as jnp

from vade_jax import GMMPrior, elbo_terms, log_prob_x_bernoulli, log_responsibilities, sample_z

num_clusters, latent_dim, num_features, batch = 3, 2, 4, 5
key = jax.random.key(0)
prior = GMMPrior(
    logits=jnp.zeros(num_clusters),
    means=jax.random.normal(key, (num_clusters, latent_dim)),
    log_vars=jnp.zeros((num_clusters, latent_dim)),
)
weights = {
    "encoder": 0.1 * jax.random.normal(key, (num_features, 2 * latent_dim)),
    "decoder": 0.1 * jax.random.normal(key, (latent_dim, num_features)),
}


# %% The loss: -ELBO, the mean over a batch x [B, D], nats
def loss(weights: dict[str, jax.Array], prior: GMMPrior, x: jax.Array, key: jax.Array) -> jax.Array:
    """Returns -ELBO of a batch."""
    z_mean, z_log_var = jnp.split(x @ weights["encoder"], 2, axis=-1)  # [B, J] each
    z = sample_z(key, z_mean, z_log_var, num_samples=8)  # [L, B, J]
    log_px_given_z = log_prob_x_bernoulli(x, z @ weights["decoder"])  # [L, B], nats
    terms = elbo_terms(log_px_given_z, z, z_mean, z_log_var, prior, estimator="optimal")
    return -terms.elbo.mean()


# %% Gradients for the networks and for the prior
x = jax.random.bernoulli(key, 0.5, (batch, num_features)).astype(jnp.float32)
value, (weight_grads, prior_grads) = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(weights, prior, x, key)
print(f"-ELBO {value:.2f} nats")

# %% The cluster of each row
z_mean, _ = jnp.split(x @ weights["encoder"], 2, axis=-1)
clusters = log_responsibilities(z_mean, prior).argmax(axis=-1)
print("clusters:", clusters.tolist())
