"""Hands on vade_jax/configs/pendigits.py: python main.py --config=configs/pendigits.py."""

from vade_jax.configs.pendigits import get_config

__all__ = ["get_config"]
