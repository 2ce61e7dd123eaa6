"""Hands on vade_jax/configs/mnist_fast.py: python main.py --config=configs/mnist_fast.py."""

from vade_jax.configs.mnist_fast import get_config

__all__ = ["get_config"]
