"""A folder of images -> rows."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from vade_jax.data.dataset import Dataset, ReadOptions, make_dataset
from vade_jax.system.console import progress_bar
from vade_jax.system.errors import InputError, unreadable_file_errors
from vade_jax.system.large_arrays import empty_array

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
LABELS = "folder"  # the one label column: the name of the folder that an image lies in

_GREY = {"1", "L", "LA"}  # pillow's modes
_MODES = {*_GREY, "P", "PA", "RGB", "RGBA"}


def read(folder: Path, options: ReadOptions) -> dict[str, Dataset]:
    """All images below a folder, in the order of their paths, grey where every one is; of several frames the first.

    Args:
      folder: whose images of ENDINGS are read; other and hidden files are passed over.
      options: the size to bring them to, whether the names of their folders are labels, and what the rows are for.

    Returns:
      The images as 'train', uint8; their ids are their paths from the folder on.

    Raises:
      InputError: there are none, or one that cannot be used.
    """
    names = _names(folder)
    labels = _labels(folder, names, options)
    due = options.form.image_shape if options.form else None
    grey = (not due or due[2] == 1) and all(_is_grey(folder / name) for name in names)
    mode = "L" if grey else "RGB"
    first = _decoded(folder / names[0], mode, options.image_size)
    if due and first.shape[:2] != due[:2]:
        came = f"{names[0]} of {_size(first)}"
        raise _bad_size(
            folder, came, f"the model was made for images of {due[1]} x {due[0]}", "Bring images of its size."
        )
    images = empty_array((len(names), *first.shape), np.uint8)
    for row, name in enumerate(progress_bar(names, desc=f"decode {folder.name}", unit="image", leave=False)):
        image = _decoded(folder / name, mode, options.image_size)
        if image.shape != first.shape:
            came = f"{names[0]} of {_size(first)} and {name} of {_size(image)}"
            remedy = "Set --config.data.image_size=28 to resize all to 28 x 28."
            raise _bad_size(folder, came, "all images must be of one size", remedy)
        images[row] = image
    return {"train": make_dataset(images, labels, str(folder), ids=np.array(names))}


def _names(folder):
    """The paths of the images below a folder, relative to it, sorted."""

    def refuse(error):
        raise error

    found: list[str] = []
    with unreadable_file_errors(folder, "it must be a folder of images", "Check its permissions."):
        for place, folders, files in os.walk(folder, onerror=refuse):
            folders[:] = [name for name in folders if not name.startswith(".")]
            images = [name for name in files if name.lower().endswith(ENDINGS) and not name.startswith(".")]
            found += [(Path(place) / name).relative_to(folder).as_posix() for name in images]
    if not found:
        raise InputError(
            "config.data.path",
            f"{folder} is a folder without images",
            f"below it must lie files that end in one of {', '.join(ENDINGS)}",
            "Set --config.data.path to a folder of images, or to a file.",
        )
    return sorted(found)


def _labels(folder, names, options):
    if options.form is not None:
        return None
    if options.id_column:
        raise InputError(
            "config.data.id_column",
            f"{options.id_column!r} came",
            f"{folder} is a folder of images, whose ids are their paths",
            "Leave it empty.",
        )
    if not options.label_column:
        return None
    if options.label_column != LABELS:
        raise InputError(
            "config.data.label_column",
            f"{options.label_column!r} came",
            f"of a folder of images it must be {LABELS!r}, for the names of the folders they lie in",
            f"Set --config.data.label_column={LABELS}, or leave it empty.",
        )
    flat = next((name for name in names if "/" not in name), None)
    if flat:
        raise InputError(
            "config.data.label_column",
            f"{LABELS!r} came and {flat} lies in {folder} itself",
            "each image must lie in a folder below it, whose name is its label",
            "Sort the images into folders, or leave it empty.",
        )
    return np.unique([name.split("/")[-2] for name in names], return_inverse=True)[1]


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """An image by pillow, whose pixels are read where they are asked."""
    from PIL import Image

    with (
        unreadable_file_errors(
            path, "it must be a whole image of 8 bits", "Save it again, or take it out of the folder."
        ),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path) as image:
            # pillow gives color of 16 bits the mode of 8 bits: its decoder alone knows.
            deep = any(";16" in str(tile) for tile in getattr(image, "tile", ()))
            if image.mode not in _MODES or deep:
                raise InputError(
                    "config.data.path",
                    f"{path} has 16 bits a value" if deep else f"{path} has the mode {image.mode}",
                    f"an image must have 8 bits a value and one of the modes {', '.join(sorted(_MODES))}",
                    "Save it as a PNG of 8 bits, grey or RGB, or the values as a .npy.",
                )
            yield image


def _is_grey(path):
    with _opened(path) as image:
        return image.mode in _GREY


def _decoded(path, mode, size):
    """An image upright and on white, [H, W] of the mode 'L' or [H, W, 3] of 'RGB'; size 0 leaves it its own."""
    from PIL import Image, ImageOps

    with _opened(path) as image:
        upright = ImageOps.exif_transpose(image)
        if upright.has_transparency_data:
            upright = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright)
        flat = upright.convert(mode)
        return np.asarray(flat.resize((size, size)) if size else flat)


def _size(image):
    return f"{image.shape[1]} x {image.shape[0]}"


def _bad_size(folder, came, due, remedy):
    return InputError("config.data.path", f"{folder} holds {came}", due, remedy)
