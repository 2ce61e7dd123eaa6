"""Hands on vade_jax/configs/paper/mnist.py: python main.py --config=configs/paper/mnist.py."""

from vade_jax.configs.paper.mnist import get_config

__all__ = ["get_config"]
