"""A name or a path -> arrays and their description. The only file that knows TFDS; `readers` knows file formats."""

from pathlib import Path

import numpy as np

from vade_jax.data import file_formats, rcv1
from vade_jax.data.dataset import DEFAULT_READ_OPTIONS, ReadOptions, Source, make_dataset
from vade_jax.data.splits import select_split
from vade_jax.data.tfds_images import Loader, prepared_builder, tfds_images
from vade_jax.system.errors import InputError

_LABELLED = ("train", "test")  # of STL-10's splits


def load(
    name: str,
    path: str = "",
    data_dir: str = "",
    cache_dir: Path | None = None,
    options: ReadOptions = DEFAULT_READ_OPTIONS,
) -> Source:
    """Reads a data set.

    Args:
      name: a key of SOURCES.
      path: the file or folder, for the name 'file'; of features, for 'stl10'.
      data_dir: where TFDS keeps its data sets; '' for TFDS_DATA_DIR, else TFDS's own default; for 'rcv1' where
        scikit-learn does.
      cache_dir: a folder where `keep_decoded` may have left decoded images.
      options: what is told about the file.

    Returns:
      The splits, each checked: rows and columns, numeric, finite.

    Raises:
      InputError: an unknown name, a missing or unreadable file, a data set that is not prepared and cannot be, values
        that are not finite.
    """
    if name not in SOURCES:
        raise InputError(
            "config.data.name",
            f"{name!r} came",
            f"it must be one of {', '.join(SOURCES)}",
            "For a file of your own set --config.data.name=file --config.data.path=FILE.",
        )
    return SOURCES[name](path, data_dir, cache_dir, options)


def _load_digits(path, data_dir, cache_dir, options):
    """scikit-learn's 1,797 digits of 8 x 8 pixels, grey values 0 to 16: the test half of UCI's optdigits."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return Source({"train": make_dataset(bunch.images.astype(np.uint8), bunch.target, "scikit-learn's digits")})


def _load_stl10(path, data_dir, cache_dir, options):
    """Features of STL-10's 13,000 labelled images from the user's file, in TFDS's order, labels from TFDS.

    The paper clusters what a network trained on ImageNet makes of these images, for pixels do not show their classes.
    """
    import tensorflow_datasets as tfds

    builder = prepared_builder("stl10", data_dir)
    skip = {"image": tfds.decode.SkipDecoding()}
    labels = [[example["label"] for example in builder.as_data_source(split, decoders=skip)] for split in _LABELLED]
    features = file_formats.read(path, options)
    x = select_split(Source(features), "all", "config.data.path").x
    if len(x) != sum(map(len, labels)):
        raise InputError(
            "config.data.path",
            f"{path} has {len(x)} rows",
            f"STL-10 has {sum(map(len, labels))} labelled images, {' and '.join(_LABELLED)}",
            "Give a row of features for each, in that order.",
        )
    parts = np.split(x, [len(labels[0])])
    return Source(
        {
            split: make_dataset(rows, np.array(of_split, np.int64), path)
            for split, rows, of_split in zip(_LABELLED, parts, labels, strict=True)
        }
    )


def _load_rcv1(path, data_dir, cache_dir, options):
    """The paper's REUTERS: RCV1's stories of one root category; see `rcv1`."""
    return Source({"train": rcv1.load(data_dir)})


def _load_file(path, data_dir, cache_dir, options):
    """The user's file or folder."""
    return Source(file_formats.read(path, options))


# name -> function (path, data_dir, cache_dir, options) that returns a Source.
SOURCES: dict[str, Loader] = {
    "digits": _load_digits,
    "mnist": tfds_images("mnist"),
    "fashion_mnist": tfds_images("fashion_mnist"),
    "stl10": _load_stl10,
    "rcv1": _load_rcv1,
    "file": _load_file,
}
