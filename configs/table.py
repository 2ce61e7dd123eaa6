"""Hands on vade_jax/configs/table.py: python main.py --config=configs/table.py."""

from vade_jax.configs.table import get_config

__all__ = ["get_config"]
