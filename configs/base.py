"""Hands on vade_jax/configs/base.py: python main.py --config=configs/base.py."""

from vade_jax.configs.base import get_config

__all__ = ["get_config"]
