"""Small models."""

from vade_jax.networks.model import make_model


def small_model(likelihood, num_features, latent_dim, hidden, **options):
    """A model of rows of numbers with MLPs of one hidden layer."""
    return make_model(
        network="mlp",
        likelihood=likelihood,
        num_features=num_features,
        image_shape=None,
        latent_dim=latent_dim,
        hidden=(hidden,),
        min_log_var=-6.0,
        **options,
    )
