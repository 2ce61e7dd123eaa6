"""Reads a folder of images."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from vade_jax.data.dataset import Dataset, ReadOptions, make_dataset
from vade_jax.system.console import progress_bar
from vade_jax.system.errors import InputError, unreadable_file_errors
from vade_jax.system.large_arrays import empty_array
from vade_jax.system.process_wide import filtered_warnings

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
LABELS = "folder"  # the only label column: the name of an image's folder

_GREY = {"1", "L", "LA"}  # pillow's modes
_MODES = {*_GREY, "P", "PA", "RGB", "RGBA"}


def read(folder: Path, options: ReadOptions) -> dict[str, Dataset]:
    """Reads all images below a folder, sorted by path.

    The images become grey if every one is grey, else RGB. Only the first frame of an image is read.

    Args:
      folder: its images of ENDINGS are read, subfolders included; other and hidden files are ignored.
      options: how to read them.

    Returns:
      The images as 'train', uint8; their ids are their paths relative to the folder.

    Raises:
      InputError: there are no images, or one cannot be used.
    """
    names = _list_images(folder)
    labels = _labels(folder, names, options)
    expected = options.expected.image_shape if options.expected else None
    grey = (not expected or expected[2] == 1) and all(_is_grey(folder / name) for name in names)
    mode = "L" if grey else "RGB"
    first = _decode(folder / names[0], mode, options.image_size)
    if expected and first.shape[:2] != expected[:2]:
        raise InputError(
            "config.data.path",
            f"{folder} with {names[0]} of {_format_size(first.shape)}",
            f"images of the model's size, {_format_size(expected)}",
            "Resize the images.",
        )
    images = empty_array((len(names), *first.shape), np.uint8)
    for row, name in enumerate(progress_bar(names, desc=f"decode {folder.name}", unit="image", leave=False)):
        image = _decode(folder / name, mode, options.image_size)
        if image.shape != first.shape:
            sizes = f"{names[0]} of {_format_size(first.shape)} and {name} of {_format_size(image.shape)}"
            raise InputError(
                "config.data.path",
                f"{folder} with {sizes}",
                "images of the same size",
                "Set --config.data.image_size=28 to resize all to 28 x 28.",
            )
        images[row] = image
    return {"train": make_dataset(images, labels, str(folder), ids=np.array(names))}


def _list_images(folder: Path) -> list[str]:
    """The sorted paths of the images below a folder, relative to it."""

    def reraise(error: OSError) -> None:
        raise error

    found: list[str] = []
    with unreadable_file_errors(folder, "a folder of images", "Check its permissions."):
        for parent, folders, files in os.walk(folder, onerror=reraise):
            folders[:] = [name for name in folders if not name.startswith(".")]
            images = [name for name in files if name.lower().endswith(ENDINGS) and not name.startswith(".")]
            found += [(Path(parent) / name).relative_to(folder).as_posix() for name in images]
    if not found:
        raise InputError(
            "config.data.path",
            f"{folder}, a folder without images",
            f"files below it that end in one of {', '.join(ENDINGS)}",
            "Set --config.data.path to a folder of images, or to a file.",
        )
    return sorted(found)


def _labels(folder: Path, names: list[str], options: ReadOptions) -> np.ndarray | None:
    """The labels [N] from the names of the images' folders, or None."""
    if options.expected is not None:
        return None
    if options.id_column:
        raise InputError(
            "config.data.id_column",
            repr(options.id_column),
            f"no name, since the ids of the images in {folder} are their paths",
            "Leave it empty.",
        )
    if not options.label_column:
        return None
    if options.label_column != LABELS:
        raise InputError(
            "config.data.label_column",
            repr(options.label_column),
            f"{LABELS!r}, since the images in {folder} are labelled by the names of their folders",
            f"Set --config.data.label_column={LABELS}, or leave it empty.",
        )
    flat = next((name for name in names if "/" not in name), None)
    if flat:
        raise InputError(
            "config.data.label_column",
            f"{LABELS!r} and {flat} directly in {folder}",
            "each image in a subfolder, whose name is its label",
            "Sort the images into subfolders, or leave it empty.",
        )
    return np.array([name.split("/")[-2] for name in names], object)


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    """Yields an image opened by pillow, which reads the pixels later."""
    from PIL import Image

    with (
        unreadable_file_errors(
            path, "a complete image of 8 bits per value", "Save it again, or remove it from the folder."
        ),
        filtered_warnings("error", Image.DecompressionBombWarning),
        Image.open(path) as image,
    ):
        # pillow gives color images of 16 and of 8 bits the same mode; only the decoder's name differs.
        deep = any(";16" in str(tile) for tile in getattr(image, "tile", ()))
        if image.mode not in _MODES or deep:
            raise InputError(
                "config.data.path",
                f"{path} with {'16 bits per value' if deep else f'the mode {image.mode}'}",
                f"an image of 8 bits per value, in one of the modes {', '.join(sorted(_MODES))}",
                "Save it as a PNG of 8 bits, grey or RGB, or save the values as an .npy.",
            )
        yield image


def _is_grey(path: Path) -> bool:
    with _open(path) as image:
        return image.mode in _GREY


def _decode(path: Path, mode: str, size: int) -> np.ndarray:
    """The pixels of an image, upright and on white: [H, W] for the mode 'L', [H, W, 3] for 'RGB'.

    Args:
      path: the image.
      mode: 'L' or 'RGB'.
      size: the side of the square that the image is resized to; 0 keeps its size.

    Returns:
      The pixels, uint8.
    """
    from PIL import Image, ImageOps

    with _open(path) as image:
        upright = ImageOps.exif_transpose(image)
        if upright.has_transparency_data:
            upright = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright)
        flat = upright.convert(mode)
        return np.asarray(flat.resize((size, size)) if size else flat)


def _format_size(shape: tuple[int, ...]) -> str:
    """WIDTH x HEIGHT of an image of this shape."""
    return f"{shape[1]} x {shape[0]}"
