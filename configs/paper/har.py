"""Hands on vade_jax/configs/paper/har.py: python main.py --config=configs/paper/har.py."""

from vade_jax.configs.paper.har import get_config

__all__ = ["get_config"]
