"""Images of TensorFlow Datasets (TFDS), decoded once and cached."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vade_jax.data.dataset import Dataset, Loader, ReadOptions, Source, make_dataset
from vade_jax.data.file_formats import load_arrays
from vade_jax.system import console
from vade_jax.system.atomic_files import write_array
from vade_jax.system.errors import InputError
from vade_jax.system.large_arrays import empty_array

_RECORDS_AT_A_TIME = 1024


def cache_decoded_images(source: Source, name: str, cache_dir: Path) -> None:
    """Caches the images of a source that was just decoded, so that later loads do not decode them again.

    Args:
      source: a source of `tfds_images`; nothing is written if its `decoded_from` is None.
      name: the name of the data set.
      cache_dir: the folder to write to if the data set's own folder is read-only or full.
    """
    if source.decoded_from is None:
        return
    # Mode bits and not os.access, because root may write to read-only folders.
    beside = source.decoded_from if source.decoded_from.stat().st_mode & 0o222 else None
    for folder in filter(None, (beside, cache_dir)):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for split, dataset in source.splits.items():
                images = dataset.x.reshape(len(dataset.x), *(dataset.image_shape or ()))
                labels = np.array(dataset.label_names, np.int64)[dataset.labels]  # TFDS's own numbers
                for part, array in (("x", images), ("y", labels)):
                    write_array(_cache_path(folder, name, split, part), array)
            return
        except OSError:
            continue


def _cache_path(folder: Path, name: str, split: str, part: str) -> Path:
    """The file of the images (part 'x') or the labels ('y') of a split."""
    return folder / f"{name}.{split}.{part}.decoded.npy"


def tfds_images(name: str) -> Loader:
    """A loader of a TFDS data set of images with labels."""

    def load_images(path: str, data_dir: str, cache_dir: Path | None, options: ReadOptions) -> Source:
        builder = prepared_builder(name, data_dir)
        folder = Path(builder.data_dir)
        num_examples = {split: info.num_examples for split, info in builder.info.splits.items()}
        for cache in filter(None, (folder, cache_dir)):
            source = _read_cache(cache, name, num_examples)
            if source:
                return source
        splits = {split: _decode(builder.as_data_source(split=split), name) for split in num_examples}
        return Source(splits, decoded_from=folder)

    return load_images


def prepared_builder(name: str, data_dir: str) -> Any:
    """TFDS's builder of a data set that is prepared as array_record.

    If the data set is not prepared, it is downloaded and prepared first. Only this imports TensorFlow.

    Args:
      name: the name of the data set in TFDS.
      data_dir: TFDS's data folder; '' for TFDS_DATA_DIR or TFDS's default.

    Returns:
      The builder.

    Raises:
      InputError: the data set has another format, or cannot be prepared.
    """
    import tensorflow_datasets as tfds

    builder = tfds.builder(name, data_dir=data_dir or None)
    folder = Path(builder.data_dir).parent.parent
    if builder.is_prepared():
        if builder.info.file_format is not tfds.core.FileFormat.ARRAY_RECORD:
            raise InputError(
                "config.data.dir",
                f"TFDS's {name!r}, which is prepared in {folder} as {builder.info.file_format.value}",
                "a data set prepared as array_record",
                "Set --config.data.dir to another folder; the data set is then prepared there.",
            )
        return builder
    missing = f"TFDS's {name!r}, which is not prepared in {folder}"
    remedy = "Or set --config.data.dir (or TFDS_DATA_DIR) to a folder where it is prepared as array_record."
    if importlib.util.find_spec("tensorflow") is None:
        raise InputError(
            "config.data.dir",
            missing,
            "a prepared data set, or TensorFlow to prepare it",
            f"Run 'pip install tensorflow-cpu'. {remedy}",
        )
    try:
        builder = tfds.builder(name, data_dir=data_dir or None, file_format="array_record")
        builder.download_and_prepare()
    except Exception as error:  # TFDS raises all errors of its network, disk and decoders
        reason = f"{type(error).__name__}: {error}"[:300]
        raise InputError(
            "config.data.dir",
            f"{missing} and could not be prepared ({reason})",
            "a prepared data set, or a network to download it",
            f"Run again with a network. {remedy}",
        ) from error
    return builder


def _decode(examples: Any, name: str) -> Dataset:
    """Decodes the images of a TFDS data source. Many records are read at a time: half the seconds."""
    image = examples[0]["image"]
    images = empty_array((len(examples), *image.shape), image.dtype)
    labels = np.empty(len(examples), np.int64)
    with console.progress_bar(total=len(examples), desc=f"decode {name}", unit="image", leave=False) as bar:
        for start in range(0, len(examples), _RECORDS_AT_A_TIME):
            numbers = range(start, min(start + _RECORDS_AT_A_TIME, len(examples)))
            for row, example in zip(numbers, examples.__getitems__([*numbers]), strict=True):
                images[row], labels[row] = example["image"], example["label"]
            bar.update(len(numbers))
    return make_dataset(images, labels, f"TFDS's {name}")


def _read_cache(folder: Path, name: str, num_examples: Mapping[str, int]) -> Source | None:
    """The source cached in a folder; None if files are missing or incomplete.

    Args:
      folder: the folder.
      name: the name of the data set.
      num_examples: the number of rows of each split.

    Returns:
      The source, or None.
    """
    splits = {}
    try:
        for split, count in num_examples.items():
            x, labels = (load_arrays(_cache_path(folder, name, split, part)) for part in ("x", "y"))
            if len(x) != count:
                return None
            splits[split] = make_dataset(x, labels, f"TFDS's {name}")
    except InputError:
        return None
    return Source(splits)
