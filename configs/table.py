"""Rows of your own, from a table or an array in a file, with the Gaussian likelihood on standardized columns.

python main.py --config=configs/table.py --config.data.path=x.csv --config.model.num_clusters=5 --workdir=/tmp/table
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
    """The settings for a table whose columns have units of their own."""
    config = base.get_config()
    config.data.name = "file"
    config.data.scaling = "standardize"
    config.model.likelihood = "gaussian_shared"
    return config
