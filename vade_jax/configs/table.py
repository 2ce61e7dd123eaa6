"""Your own rows, from a table or an array in a file; the likelihood and the scaling are chosen from the rows.

vade-jax --config=table --config.data.path=x.csv --config.model.num_clusters=5 --workdir=/tmp/table

10,000 rows of 20 columns take 4 minutes on two CPU cores. docs/results.md has scores on several kinds of files.
"""

from ml_collections import ConfigDict

from vade_jax.configs import base


def get_config() -> ConfigDict:
    """The settings for a file of any kind."""
    config = base.get_config()
    config.data.name = "file"
    config.data.scaling = "auto"
    config.model.likelihood = "auto"
    return config
