"""STL-10's 13,000 labelled images by features of a pretrained network, a file of [13000, D] rows in TFDS's order.

python main.py --config=configs/stl10.py --config.data.path=features.npy --workdir=/tmp/stl10

Not measured. The paper takes a ResNet-50's features before its last layer, averaged over places: D = 2,048.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
    """The settings of this claim."""
    config = base.get_config()
    config.data.name = "stl10"
    config.data.scaling = "rescale"
    config.model.likelihood = "gaussian_shared"
    return config
