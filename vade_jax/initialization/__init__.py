"""How starting clusters are found: neighbour graphs, UMAP layouts, Gaussian mixtures, modularity.

It takes embeddings and plain options. It knows no network, no files and no settings.
"""
