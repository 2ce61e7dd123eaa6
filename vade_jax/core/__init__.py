"""The mathematics of VaDE: the mixture prior, the likelihoods and the ELBO, as pure functions of arrays.

Imports jax and numpy alone.
"""
