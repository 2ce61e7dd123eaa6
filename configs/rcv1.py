"""Hands on vade_jax/configs/rcv1.py: python main.py --config=configs/rcv1.py."""

from vade_jax.configs.rcv1 import get_config

__all__ = ["get_config"]
