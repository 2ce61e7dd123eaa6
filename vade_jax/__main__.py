"""The program, as python -m vade_jax."""

from vade_jax.command_line.program import run

if __name__ == "__main__":
    run()
