"""Hands on vade_jax/configs/har.py: python main.py --config=configs/har.py."""

from vade_jax.configs.har import get_config

__all__ = ["get_config"]
