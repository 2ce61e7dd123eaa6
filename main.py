"""Trains VaDE and uses trained models: python main.py --config=configs/digits.py --workdir=/tmp/vade.

This is the program `vade-jax`, for a folder in which nothing is installed.
"""

from vade_jax.command_line.program import run

if __name__ == "__main__":
    run()
