"""The mathematics of VaDE: the mixture prior, the likelihoods and the ELBO, as pure functions of arrays.

This folder imports only JAX and NumPy.
"""
