"""The 685,071 stories of Reuters RCV1 in one of 4 root categories, 2,000 tf-idf features: the paper's REUTERS.

python -c 'from sklearn.datasets import fetch_rcv1; fetch_rcv1()'
vade-jax --config=rcv1 --workdir=/tmp/rcv1

Not measured. The rows take 5.5 GB on disk during the run and are streamed.
"""

from ml_collections import ConfigDict

from vade_jax.configs import reuters


def get_config() -> ConfigDict:
    """The settings for 10,000 stories, applied to all stories."""
    config = reuters.get_config()
    config.data.name = "rcv1"
    config.data.path = ""
    config.data.train_split = "all"
    return config
