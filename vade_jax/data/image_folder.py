"""Reads a folder of images."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from vade_jax.data.column_names import abbreviate
from vade_jax.data.dataset import Dataset, ReadOptions, make_dataset
from vade_jax.data.problems import Problem, raise_problems
from vade_jax.system.console import print_line, progress_bar
from vade_jax.system.errors import InputError, unreadable_file_errors
from vade_jax.system.large_arrays import empty_array
from vade_jax.system.process_wide import filtered_warnings

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
LABELS = "folder"  # the only label column: the name of an image's folder

_GREY = {"1", "L", "LA"}  # pillow's modes
_MODES = {*_GREY, "P", "PA", "RGB", "RGBA"}


def read(folder: Path, options: ReadOptions) -> dict[str, Dataset]:
    """Reads all images below a folder, sorted by path.

    The images become grey if every one is grey, else RGB. Only the first frame of an image is read. With skip_damaged
    those that cannot be read are left out, and a line names them.

    Args:
      folder: its images of ENDINGS are read, subfolders included; other and hidden files are ignored.
      options: how to read them.

    Returns:
      The images as 'train', uint8; their ids are their paths relative to the folder.

    Raises:
      InputError: there are no images, or some cannot be used; it names them.
    """
    names = _list_images(folder)
    _check_columns(folder, names, options)
    expected = options.expected.image_shape if options.expected else None
    damaged: dict[str, InputError] = {}
    grey = (not expected or expected[2] == 1) and all(_is_grey(folder, name, damaged) for name in names)
    mode = "L" if grey else "RGB"
    kept: list[str] = []
    images = np.empty(0, np.uint8)
    for name in progress_bar(names, desc=f"decode {folder.name}", unit="image", leave=False):
        image = None if name in damaged else _try_decode(folder, name, mode, options.image_size, damaged)
        if image is None:
            continue
        if not kept:
            _check_size(folder, name, image, expected)
            images = empty_array((len(names), *image.shape), np.uint8)
        elif image.shape != images.shape[1:]:
            sizes = f"{kept[0]} of {_format_size(images.shape[1:])} and {name} of {_format_size(image.shape)}"
            raise InputError(
                "config.data.path",
                f"{folder} with {sizes}",
                "images of the same size",
                "Set --config.data.image_size=28 to resize all to 28 x 28.",
            )
        images[len(kept)] = image
        kept.append(name)
    _report_damaged(folder, damaged, skip=options.skip_damaged and len(kept) > 0)
    return {"train": make_dataset(images[: len(kept)], _labels(kept, options), str(folder), ids=np.array(kept))}


def _check_size(folder: Path, name: str, image: np.ndarray, expected: tuple[int, int, int] | None) -> None:
    """Raises an InputError if an image has not the size of the model's images, (H, W, C)."""
    if expected and image.shape[:2] != expected[:2]:
        raise InputError(
            "config.data.path",
            f"{folder} with {name} of {_format_size(image.shape)}",
            f"images of the model's size, {_format_size(expected)}",
            "Resize the images.",
        )


def _report_damaged(folder: Path, damaged: Mapping[str, InputError], skip: bool) -> None:
    """Prints which images are left out, or raises an InputError that names them.

    Args:
      folder: of the images.
      damaged: the name of each image that cannot be used, and its error.
      skip: whether they are left out.
    """
    if damaged and skip:
        print_line(f"{folder}: {len(damaged):,} damaged images are left out: {abbreviate([*damaged])}")
    elif len(damaged) == 1:
        raise next(iter(damaged.values()))
    else:
        remedy = "Save them again, remove them, or set --config.data.skip_damaged=true."
        raise_problems([Problem(error.got, error.expected, remedy) for error in damaged.values()], str(folder))


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


def _check_columns(folder: Path, names: list[str], options: ReadOptions) -> None:
    """Raises an InputError if the options name a column that images do not have."""
    if options.expected is not None:
        return
    if options.id_column:
        raise InputError(
            "config.data.id_column",
            repr(options.id_column),
            f"no name, since the ids of the images in {folder} are their paths",
            "Leave it empty.",
        )
    if not options.label_column:
        return
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


def _labels(names: list[str], options: ReadOptions) -> np.ndarray | None:
    """The labels [N] from the names of the images' folders, or None."""
    if options.expected is not None or not options.label_column:
        return None
    return np.array([name.split("/")[-2] for name in names], object)


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    """Yields an image opened by pillow, which reads the pixels later."""
    from PIL import Image

    with (
        unreadable_file_errors(
            path,
            "a complete image of 8 bits per value",
            "Save it again, remove it from the folder, or set --config.data.skip_damaged=true.",
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


@contextmanager
def _noted(name: str, damaged: dict[str, InputError]) -> Iterator[None]:
    """A context that notes the error of an image that cannot be used."""
    try:
        yield
    except InputError as error:
        damaged[name] = error


def _is_grey(folder: Path, name: str, damaged: dict[str, InputError]) -> bool:
    """Whether an image is grey, or damaged, which is noted."""
    with _noted(name, damaged), _open(folder / name) as image:
        return image.mode in _GREY
    return True


def _try_decode(folder: Path, name: str, mode: str, size: int, damaged: dict[str, InputError]) -> np.ndarray | None:
    """`_decode` of an image; None if it is damaged, which is noted."""
    with _noted(name, damaged):
        return _decode(folder / name, mode, size)
    return None


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
