"""Hands on vade_jax/configs/paper/reuters10k.py: python main.py --config=configs/paper/reuters10k.py."""

from vade_jax.configs.paper.reuters10k import get_config

__all__ = ["get_config"]
