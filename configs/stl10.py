"""Hands on vade_jax/configs/stl10.py: python main.py --config=configs/stl10.py."""

from vade_jax.configs.stl10 import get_config

__all__ = ["get_config"]
