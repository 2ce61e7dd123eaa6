"""Images of TensorFlow Datasets (TFDS), decoded once and cached."""

import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vade_jax.data.dataset import Dataset, Loader, ReadOptions, Source, make_dataset
from vade_jax.data.file_formats import load_arrays
from vade_jax.system import console
from vade_jax.system.atomic_files import write_array
from vade_jax.system.errors import InputError
from vade_jax.system.large_arrays import empty_array
from vade_jax.system.optional_imports import import_extra, install_command

_RECORDS_AT_A_TIME = 1024


class ImageSplits(Mapping[str, Dataset]):
    """The splits of a TFDS data set of images. A split that is not cached is decoded when it is first read.

    Attributes:
      folder: the folder of the prepared data set.
      decoded: the splits that were decoded, for `cache_decoded_images`.
    """

    def __init__(self, name: str, builder: Any, cache_dir: Path | None):
        """Decodes nothing yet.

        Args:
          name: the name of the data set.
          builder: TFDS's builder of the data set.
          cache_dir: a folder beside that of the data set where splits may be cached.
        """
        self.folder = Path(builder.data_dir)
        self.decoded: dict[str, Dataset] = {}
        self._name, self._builder = name, builder
        self._cache_folders = [folder for folder in (self.folder, cache_dir) if folder is not None]
        self._read: dict[str, Dataset] = {}

    def __getitem__(self, split: str) -> Dataset:
        if split not in self._read:
            num_examples = self._builder.info.splits[split].num_examples
            cached = (_read_cache(folder, self._name, split, num_examples) for folder in self._cache_folders)
            self._read[split] = next(filter(None, cached), None) or self._decode(split)
        return self._read[split]

    def __contains__(self, split: object) -> bool:
        return split in self._builder.info.splits

    def __iter__(self) -> Iterator[str]:
        return iter(self._builder.info.splits)

    def __len__(self) -> int:
        return len(self._builder.info.splits)

    def _decode(self, split: str) -> Dataset:
        self.decoded[split] = _decode(self._builder.as_data_source(split=split), self._name)
        return self.decoded[split]


def cache_decoded_images(source: Source, name: str, cache_dir: Path) -> None:
    """Caches the images that were just decoded, so that later loads do not decode them again.

    Args:
      source: a source of `tfds_images`; nothing is written for any other, or if nothing was decoded.
      name: the name of the data set.
      cache_dir: the folder to write to if the data set's own folder is read-only or full.
    """
    if not isinstance(source.splits, ImageSplits) or not source.splits.decoded:
        return
    # Mode bits and not os.access, because root may write to read-only folders.
    beside = source.splits.folder if source.splits.folder.stat().st_mode & 0o222 else None
    for folder in filter(None, (beside, cache_dir)):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for split, dataset in source.splits.decoded.items():
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
        return Source(ImageSplits(name, prepared_builder(name, data_dir), cache_dir))

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
      InputError: TFDS is not installed, or the data set has another format or cannot be prepared.
    """
    tfds = import_extra("tensorflow_datasets", f"TFDS's {name!r}", "config.data.name")
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
            f"Run: {install_command('tfds')}. {remedy}",
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


def _read_cache(folder: Path, name: str, split: str, num_examples: int) -> Dataset | None:
    """A split that is cached in a folder; None if files are missing or incomplete.

    Args:
      folder: the folder.
      name: the name of the data set.
      split: the name of the split.
      num_examples: the number of its rows.

    Returns:
      The split, or None.
    """
    try:
        x, labels = (load_arrays(_cache_path(folder, name, split, part)) for part in ("x", "y"))
    except InputError:
        return None
    return make_dataset(x, labels, f"TFDS's {name}") if len(x) == num_examples else None
