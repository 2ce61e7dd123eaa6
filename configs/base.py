"""The settings that every config here starts from: `vade_jax.settings.defaults` has them all, each with its meaning."""

from vade_jax.settings.defaults import get_config

__all__ = ["get_config"]
