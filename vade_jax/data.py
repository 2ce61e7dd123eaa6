"""A name or a path -> arrays and their description. The only file that knows TFDS; `readers` knows file formats."""

import importlib.util
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from vade_jax import progress, rcv1, readers
from vade_jax.arrays import allocate
from vade_jax.errors import InputError
from vade_jax.readers import load_arrays
from vade_jax.rows import DEFAULTS, Dataset, Options, checked


class Source(NamedTuple):
    """What a name or a path holds.

    Attributes:
      splits: name -> Dataset; at least one.
      decoded_from: the folder whose images were decoded for this, or None; see `keep_decoded`.
    """

    splits: dict[str, Dataset]
    decoded_from: Path | None = None


_LABELLED = ("train", "test")  # of STL-10's splits

Loader = Callable[[str, str, Path | None, Options], Source]


def load(
    name: str, path: str = "", data_dir: str = "", cache_dir: Path | None = None, options: Options = DEFAULTS
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


def select(source: Source, split: str, field: str) -> Dataset:
    """The rows of a split: its name, several joined by '+', or 'all'; '[:n]' after a name takes its first n rows.

    Args:
      source: what `load` returned.
      split: for example 'train', 'train+test', 'train[:10000]' or 'all'.
      field: the config field it came from, for the error.

    Returns:
      The rows in the order of the names.

    Raises:
      InputError: a split that the source does not have.
    """
    names = list(source.splits) if split == "all" else split.split("+")
    parsed = [_SPLIT.fullmatch(name) for name in names]
    parts = [_first(source.splits[match[1]], match[2]) for match in parsed if match and match[1] in source.splits]
    if len(parts) < len(names):
        raise InputError(
            field,
            f"{split!r} came",
            f"the data set has {', '.join(source.splits)}",
            "Name one of them, several joined by '+', or 'all'; '[:n]' after a name takes its first n rows.",
        )
    return parts[0]._replace(
        x=_joined([part.x for part in parts]),
        labels=_all_or_none([part.labels for part in parts]),
        ids=_all_or_none([part.ids for part in parts]),
    )


def _all_or_none(columns):
    """Columns [N_i] as one; None where a part has none."""
    present = [column for column in columns if column is not None]
    return np.concatenate(present) if len(present) == len(columns) else None


def _joined(rows):
    """Arrays [N_i, D] as one; a single one as it is."""
    if len(rows) == 1:
        return rows[0]
    joined = allocate((sum(map(len, rows)), rows[0].shape[1]), np.result_type(*rows))
    return np.concatenate(rows, out=joined)


_SPLIT = re.compile(r"(\w+)(?:\[:([1-9]\d*)\])?")


def _first(dataset, count):
    """The first rows of a data set, count of them as text; all for None."""
    if count is None:
        return dataset
    first = {name: getattr(dataset, name) for name in ("x", "labels", "ids")}
    return dataset._replace(**{name: array[: int(count)] for name, array in first.items() if array is not None})


def keep_decoded(source: Source, name: str, cache_dir: Path) -> None:
    """Keeps images that were decoded just now, to be decoded once: beside the data set, else in cache_dir."""
    if source.decoded_from is None:
        return
    # Mode bits, not os.access: a folder marked read-only stays untouched, by root too.
    beside = source.decoded_from if source.decoded_from.stat().st_mode & 0o222 else None
    for folder in filter(None, (beside, cache_dir)):
        partial = folder / f"{name}.{os.getpid()}.partial.npy"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for split, rows in source.splits.items():
                images = rows.x.reshape(len(rows.x), *(rows.image_shape or ()))
                for part, array in (("x", images), ("y", rows.labels)):
                    np.save(partial, np.asarray(array))
                    partial.replace(_decoded(folder, name, split, part))
            return
        except OSError:
            partial.unlink(missing_ok=True)


def _decoded(folder, name, split, part):
    return folder / f"{name}.{split}.{part}.decoded.npy"


def _load_digits(path, data_dir, cache_dir, options):
    """scikit-learn's 1,797 digits of 8 x 8 pixels, grey values 0 to 16: the test half of UCI's optdigits."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return Source({"train": checked(bunch.images.astype(np.uint8), bunch.target, "scikit-learn's digits")})


def _tfds_images(name: str) -> Loader:
    """A loader for a TFDS data set of images with labels."""

    def load_images(path, data_dir, cache_dir, options):
        builder = _prepared_builder(name, data_dir)
        folder = Path(builder.data_dir)
        num_examples = {split: info.num_examples for split, info in builder.info.splits.items()}
        for kept in filter(None, (folder, cache_dir)):
            source = _read_decoded(kept, name, num_examples)
            if source:
                return source
        splits = {split: _decode(builder.as_data_source(split=split), name) for split in num_examples}
        return Source(splits, decoded_from=folder)

    return load_images


def _prepared_builder(name, data_dir):
    """TFDS's builder for a data set that lies prepared as array_record; TensorFlow is imported to prepare it alone."""
    import tensorflow_datasets as tfds

    builder = tfds.builder(name, data_dir=data_dir or None)
    folder = Path(builder.data_dir).parent.parent
    if builder.is_prepared():
        if builder.info.file_format is not tfds.core.FileFormat.ARRAY_RECORD:
            raise InputError(
                "config.data.dir",
                f"TFDS's {name!r} is prepared in {folder} as {builder.info.file_format.value}",
                "it must be prepared as array_record",
                "Set --config.data.dir to another folder, where it is prepared anew.",
            )
        return builder
    missing = f"TFDS's {name!r} is not prepared in {folder}"
    remedy = "Or set --config.data.dir (or TFDS_DATA_DIR) to a folder where it is prepared as array_record."
    if importlib.util.find_spec("tensorflow") is None:
        raise InputError(
            "config.data.dir", missing, "preparing it needs TensorFlow", f"Run 'pip install tensorflow-cpu'. {remedy}"
        )
    try:
        builder = tfds.builder(name, data_dir=data_dir or None, file_format="array_record")
        builder.download_and_prepare()
    except Exception as error:  # TFDS passes on whatever its network, disk and decoders raise
        reason = f"preparing it failed with {type(error).__name__}: {error}"[:300]
        raise InputError("config.data.dir", missing, reason, f"Run again with a network. {remedy}") from error
    return builder


def _decode(examples, name):
    image = examples[0]["image"]
    images = allocate((len(examples), *image.shape), image.dtype)
    labels = np.empty(len(examples), np.int64)
    for row in progress.bar(range(len(examples)), desc=f"decode {name}", unit="image", leave=False):
        example = examples[row]
        images[row], labels[row] = example["image"], example["label"]
    return checked(images, labels, f"TFDS's {name}")


def _read_decoded(folder, name, num_examples):
    """The source whose decoded images lie in the folder; None where some are missing or torn: decode again."""
    splits = {}
    try:
        for split, count in num_examples.items():
            x, labels = (load_arrays(_decoded(folder, name, split, part)) for part in ("x", "y"))
            if len(x) != count:
                return None
            splits[split] = checked(x, labels, f"TFDS's {name}")
    except InputError:
        return None
    return Source(splits)


def _load_stl10(path, data_dir, cache_dir, options):
    """Features of STL-10's 13,000 labelled images from the user's file, in TFDS's order, labels from TFDS.

    The paper clusters what a network trained on ImageNet makes of these images, for pixels do not show their classes.
    """
    import tensorflow_datasets as tfds

    builder = _prepared_builder("stl10", data_dir)
    skip = {"image": tfds.decode.SkipDecoding()}
    labels = [[example["label"] for example in builder.as_data_source(split, decoders=skip)] for split in _LABELLED]
    features = readers.read(path, options)
    x = select(Source(features), "all", "config.data.path").x
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
            split: checked(rows, np.array(of_split, np.int64), path)
            for split, rows, of_split in zip(_LABELLED, parts, labels, strict=True)
        }
    )


def _load_rcv1(path, data_dir, cache_dir, options):
    """The paper's REUTERS: RCV1's stories of one root category; see `rcv1`."""
    return Source({"train": rcv1.load(data_dir)})


def _load_file(path, data_dir, cache_dir, options):
    """The user's file or folder."""
    return Source(readers.read(path, options))


# name -> function (path, data_dir, cache_dir, options) that returns a Source.
SOURCES: dict[str, Loader] = {
    "digits": _load_digits,
    "mnist": _tfds_images("mnist"),
    "fashion_mnist": _tfds_images("fashion_mnist"),
    "stl10": _load_stl10,
    "rcv1": _load_rcv1,
    "file": _load_file,
}
