"""Clusters a folder of images: python examples/images.py.

The folder has scikit-learn's 1,797 digits of 8 x 8 pixels, one .png file each. To cluster your own images, read them in
the same way: all of one size, grey or in colour.
"""

# %%
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from vade_jax import VaDE


def write_digits(folder: Path, count: int = 1797) -> None:
    """Writes so many digits to a folder."""
    for number, image in enumerate(load_digits().images[:count]):
        Image.fromarray(np.uint8(image * 255 / 16)).save(folder / f"{number:04}.png")


# %% Read the images, as rows of pixels
def read(folder: Path) -> tuple[list[str], np.ndarray, tuple[int, int, int]]:
    """The names of the images, their pixels [N, H * W * C], uint8, and (H, W, C)."""
    paths = sorted(folder.glob("*.png"))
    images = np.stack([np.atleast_3d(np.asarray(Image.open(path))) for path in paths])
    return [path.name for path in paths], images.reshape(len(images), -1), images.shape[1:]


def main(folder: Path, num_clusters: int = 10, **settings: Any) -> VaDE:
    """Clusters the images of a folder, and returns the fitted estimator."""
    # %% Find clusters, with convolutional networks and random small shifts of the encoder's images
    names, x, image_shape = read(folder)
    convolutional = {"model.network": "conv", "augment.max_shift": 0.1}
    model = VaDE(num_clusters, image_shape=image_shape, settings={**convolutional, **settings}, verbose=True)
    clusters = model.fit_predict(x)

    # %% The most certain images of each cluster
    certainty = model.predict_proba(x).max(axis=1)
    for cluster in range(num_clusters):
        inside = np.flatnonzero(clusters == cluster)
        print(cluster, [names[row] for row in inside[np.argsort(-certainty[inside])][:5]])

    # %% New images: E[x|z] for draws of the model
    drawn, _ = model.sample(10, mean=True)
    strip = np.hstack(list(drawn.reshape(len(drawn), *image_shape)))
    Image.fromarray(np.uint8(strip.clip(0, 255)).squeeze()).save(folder / "drawn.jpg")
    return model


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as digits:
        write_digits(Path(digits))
        main(Path(digits))
