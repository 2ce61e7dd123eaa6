"""Hands on vade_jax/configs/fashion_mnist.py: python main.py --config=configs/fashion_mnist.py."""

from vade_jax.configs.fashion_mnist import get_config

__all__ = ["get_config"]
