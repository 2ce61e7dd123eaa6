"""Finds starting clusters: neighbour graphs, UMAP layouts, Gaussian mixtures, modularity.

The functions take embeddings and plain options. This folder knows no networks, files or settings.
"""
