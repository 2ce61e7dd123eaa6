"""Hands on vade_jax/configs/mnist.py: python main.py --config=configs/mnist.py."""

from vade_jax.configs.mnist import get_config

__all__ = ["get_config"]
