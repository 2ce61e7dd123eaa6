"""Answers of a trained model on rows: clusters, the ELBO, the likelihood and samples. Nothing here trains."""
