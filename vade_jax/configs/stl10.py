"""STL-10's 13,000 labelled images as features of a pretrained network: a file of rows [13000, D] in TFDS's order.

vade-jax --config=stl10 --config.data.path=features.npy --workdir=/tmp/stl10

Not measured. The paper uses the features before the last layer of a ResNet-50, averaged over positions: D = 2,048.
"""

from ml_collections import ConfigDict

from vade_jax.configs import base


def get_config() -> ConfigDict:
    """The settings for these features."""
    config = base.get_config()
    config.model.hidden = (500, 500, 2000)
    config.init.method = "manifold"
    config.data.name = "stl10"
    config.data.scaling = "rescale"
    config.model.likelihood = "gaussian_shared"
    return config
