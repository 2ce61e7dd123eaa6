"""Hands on vade_jax/configs/mnist_conv.py: python main.py --config=configs/mnist_conv.py."""

from vade_jax.configs.mnist_conv import get_config

__all__ = ["get_config"]
