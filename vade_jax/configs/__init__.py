"""The shipped configs, one file for each data set with its command and its scores: vade-jax --config=digits."""
