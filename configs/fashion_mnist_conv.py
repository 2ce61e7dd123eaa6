"""Hands on vade_jax/configs/fashion_mnist_conv.py: python main.py --config=configs/fashion_mnist_conv.py."""

from vade_jax.configs.fashion_mnist_conv import get_config

__all__ = ["get_config"]
