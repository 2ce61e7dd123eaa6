"""Images of TensorFlow Datasets, decoded once and cached. The only file that knows TFDS."""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from vade_jax.data.dataset import ReadOptions, Source, make_dataset
from vade_jax.data.file_formats import load_arrays
from vade_jax.system import console
from vade_jax.system.errors import InputError
from vade_jax.system.large_arrays import empty_array

Loader = Callable[[str, str, Path | None, ReadOptions], Source]


def cache_decoded_images(source: Source, name: str, cache_dir: Path) -> None:
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


def tfds_images(name: str) -> Loader:
    """A loader for a TFDS data set of images with labels."""

    def load_images(path, data_dir, cache_dir, options):
        builder = prepared_builder(name, data_dir)
        folder = Path(builder.data_dir)
        num_examples = {split: info.num_examples for split, info in builder.info.splits.items()}
        for kept in filter(None, (folder, cache_dir)):
            source = _read_decoded(kept, name, num_examples)
            if source:
                return source
        splits = {split: _decode(builder.as_data_source(split=split), name) for split in num_examples}
        return Source(splits, decoded_from=folder)

    return load_images


def prepared_builder(name, data_dir):
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
    images = empty_array((len(examples), *image.shape), image.dtype)
    labels = np.empty(len(examples), np.int64)
    for row in console.progress_bar(range(len(examples)), desc=f"decode {name}", unit="image", leave=False):
        example = examples[row]
        images[row], labels[row] = example["image"], example["label"]
    return make_dataset(images, labels, f"TFDS's {name}")


def _read_decoded(folder, name, num_examples):
    """The source whose decoded images lie in the folder; None where some are missing or torn: decode again."""
    splits = {}
    try:
        for split, count in num_examples.items():
            x, labels = (load_arrays(_decoded(folder, name, split, part)) for part in ("x", "y"))
            if len(x) != count:
                return None
            splits[split] = make_dataset(x, labels, f"TFDS's {name}")
    except InputError:
        return None
    return Source(splits)
