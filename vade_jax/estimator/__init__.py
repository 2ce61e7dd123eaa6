"""`VaDE` as a scikit-learn estimator: parameters in, a trained run in memory, answers, tables and plots out."""

from vade_jax.estimator.vade import VaDE

__all__ = ["VaDE"]
