"""Hands on vade_jax/configs/reuters.py: python main.py --config=configs/reuters.py."""

from vade_jax.configs.reuters import get_config

__all__ = ["get_config"]
