"""The program `vade-jax`: its flags, its help and its exit statuses. JAX is imported after the flags are parsed."""
