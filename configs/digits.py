"""Hands on vade_jax/configs/digits.py: python main.py --config=configs/digits.py."""

from vade_jax.configs.digits import get_config

__all__ = ["get_config"]
