"""Loads a data set by its name."""

from pathlib import Path

import numpy as np

from vade_jax.data import file_formats, rcv1
from vade_jax.data.dataset import DEFAULT_READ_OPTIONS, Loader, ReadOptions, Source, make_dataset
from vade_jax.data.splits import select_split
from vade_jax.data.tfds_images import prepared_builder, tfds_images
from vade_jax.system.errors import InputError
from vade_jax.system.registry import Registry

FILE = "file"  # the data set that reads data.path
_LABELLED = ("train", "test")  # STL-10's splits with labels


def load(
    name: str,
    path: str = "",
    data_dir: str = "",
    cache_dir: Path | None = None,
    options: ReadOptions = DEFAULT_READ_OPTIONS,
) -> Source:
    """Loads a data set.

    Args:
      name: a key of SOURCES.
      path: the file or folder for 'file'; the file of features for 'stl10'.
      data_dir: TFDS's data folder; '' for TFDS_DATA_DIR or TFDS's default. For 'rcv1' scikit-learn's data folder.
      cache_dir: a folder where `cache_decoded_images` may have cached images.
      options: how to read the file.

    Returns:
      The splits, each checked by `make_dataset`.

    Raises:
      InputError: an unknown name, a missing or unreadable file, a data set that cannot be prepared, values that are
        not finite.
    """
    return SOURCES[name](path, data_dir, cache_dir, options)


def _load_digits(path: str, data_dir: str, cache_dir: Path | None, options: ReadOptions) -> Source:
    """scikit-learn's 1,797 digits: 8 x 8 pixels with grey values 0 to 16, the test half of UCI's optdigits."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return Source({"train": make_dataset(bunch.images.astype(np.uint8), bunch.target, "scikit-learn's digits")})


def _load_stl10(path: str, data_dir: str, cache_dir: Path | None, options: ReadOptions) -> Source:
    """STL-10: features of its 13,000 labelled images from the user's file, and labels from TFDS, in TFDS's order.

    The paper clusters features of a network trained on ImageNet, because pixels do not show the classes.
    """
    builder = prepared_builder("stl10", data_dir)
    import tensorflow_datasets as tfds

    skip = {"image": tfds.decode.SkipDecoding()}
    labels = [[example["label"] for example in builder.as_data_source(split, decoders=skip)] for split in _LABELLED]
    features = file_formats.read(path, options)
    rows = select_split(Source(features), "all", "config.data.path")
    x = rows.x
    if len(x) != sum(map(len, labels)):
        raise InputError(
            "config.data.path",
            f"{path} with {len(x)} rows",
            f"a row for each of STL-10's {sum(map(len, labels))} labelled images, {' and then '.join(_LABELLED)}",
            "Save the features of all of them, in this order.",
        )
    parts = np.split(x, [len(labels[0])])
    return Source(
        {
            split: make_dataset(part, np.array(part_labels, np.int64), path)._replace(offset=rows.offset)
            for split, part, part_labels in zip(_LABELLED, parts, labels, strict=True)
        }
    )


def _load_rcv1(path: str, data_dir: str, cache_dir: Path | None, options: ReadOptions) -> Source:
    """Reuters RCV1 as in the paper, with scikit-learn's data folder as data_dir; see `rcv1`."""
    return Source({"train": rcv1.load(data_dir)})


def _load_file(path: str, data_dir: str, cache_dir: Path | None, options: ReadOptions) -> Source:
    """The user's file or folder."""
    return Source(file_formats.read(path, options))


SOURCES: Registry[Loader] = Registry(
    "data set",
    "data.name",
    {
        "digits": _load_digits,
        "mnist": tfds_images("mnist"),
        "fashion_mnist": tfds_images("fashion_mnist"),
        "stl10": _load_stl10,
        "rcv1": _load_rcv1,
        FILE: _load_file,
    },
)


def register_data_source(name: str, loader: Loader) -> None:
    """Adds a data set that the setting `data.name` can name.

    Args:
      name: a new name.
      loader: function (path, data_dir, cache_dir, options) that returns a `Source`. Its arguments are the settings
        `data.path` and `data.dir`, a folder for decoded images or None, and the `ReadOptions`. Make every split with
        `make_dataset`, which checks the rows [N, D] or images [N, H, W, C].

    Raises:
      ValueError: the name is taken, or cannot be used.

    Example:
      >>> def load_noise(path, data_dir, cache_dir, options):
      ...     x = np.random.default_rng(0).normal(size=(1000, 4))
      ...     return Source({"train": make_dataset(x, None, "the noise")})
      >>> register_data_source("noise", load_noise)  # then: --config.data.name=noise
    """
    SOURCES.register(name, loader)
