"""Hands on vade_jax/configs/mnist_paper.py: python main.py --config=configs/mnist_paper.py."""

from vade_jax.configs.mnist_paper import get_config

__all__ = ["get_config"]
