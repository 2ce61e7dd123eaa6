"""The default settings that every config here starts from; `vade_jax.settings.defaults` explains each of them."""

from vade_jax.settings.defaults import get_config

__all__ = ["get_config"]
