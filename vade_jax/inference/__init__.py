"""What a trained model computes: clusters, the ELBO and the likelihood of rows, and samples. Nothing here trains."""
