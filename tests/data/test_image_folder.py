"""Folders of images: what is read, and the errors for what cannot be read."""

import io
import shutil
import struct
import zlib

import numpy as np
import pytest
from helpers.runs import tiny
from PIL import Image

from vade_jax.commands.predict import predict
from vade_jax.commands.train import train
from vade_jax.data import file_formats, sources
from vade_jax.data.dataset import ExpectedColumns, ReadOptions
from vade_jax.system.errors import InputError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (4, 3), dtype=np.uint8)
COLOR = RNG.integers(0, 256, (4, 3, 3), dtype=np.uint8)


def save(path, pixels, mode=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(path, **options)


def read(folder, *options, **named):
    return file_formats.read(str(folder), ReadOptions(*options, **named))["train"]


def test_grey_images_are_read_in_the_order_of_their_paths(tmp_path):
    for name in ("b/1.PNG", "b/0.bmp", "a/deep/7.tiff", "a/3.tif"):
        save(tmp_path / name, GREY)
    (tmp_path / "a" / "notes.txt").write_text("no image")
    (tmp_path / "a" / "._3.png").write_text("no image")
    save(tmp_path / ".hidden" / "1.png", COLOR)
    rows = read(tmp_path, "folder")
    assert rows.ids.tolist() == ["a/3.tif", "a/deep/7.tiff", "b/0.bmp", "b/1.PNG"]
    assert rows.labels.tolist() == [0, 2, 1, 1]
    assert (rows.image_shape, rows.x.dtype) == ((4, 3, 1), np.uint8)
    np.testing.assert_array_equal(rows.x, np.tile(GREY.ravel(), (4, 1)))


def test_one_color_image_makes_all_color(tmp_path):
    save(tmp_path / "grey.png", GREY)
    save(tmp_path / "on.png", GREY, "1")
    save(tmp_path / "rgb.png", COLOR)
    rows = read(tmp_path)
    assert rows.image_shape == (4, 3, 3)
    np.testing.assert_array_equal(rows.x[0].reshape(4, 3, 3), np.repeat(GREY[..., None], 3, axis=2))
    assert set(rows.x[1].tolist()) <= {0, 255}
    np.testing.assert_array_equal(rows.x[2].reshape(4, 3, 3), COLOR)


def test_transparent_pixels_become_white(tmp_path):
    pixels = np.zeros((2, 1, 4), np.uint8)
    pixels[:, 0] = [10, 20, 30, 0], [10, 20, 30, 255]
    save(tmp_path / "alpha.png", pixels)
    save(tmp_path / "key.png", pixels[..., :3], transparency=(10, 20, 30))
    rows = read(tmp_path)
    assert rows.x[0].tolist() == [255] * 3 + [10, 20, 30]
    assert rows.x[1].tolist() == [255] * 6
    shutil.rmtree(tmp_path)
    save(tmp_path / "grey.png", pixels[..., 2:])  # LA
    assert read(tmp_path).x.tolist() == [[255, 30]]


def test_images_are_rotated_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate clockwise
    save(tmp_path / "x.png", GREY, exif=exif)
    np.testing.assert_array_equal(read(tmp_path).x.reshape(3, 4), np.rot90(GREY, -1))


def test_images_of_different_sizes_are_rejected_or_resized(tmp_path):
    save(tmp_path / "a.png", GREY)
    save(tmp_path / "b.png", GREY)
    save(tmp_path / "c.png", np.full((9, 5), 7, np.uint8))
    with pytest.raises(InputError, match=r"a.png of 3 x 4 and c.png of 5 x 9, expected .*--config.data.image_size=28"):
        read(tmp_path)
    rows = read(tmp_path, image_size=2)
    assert rows.image_shape == (2, 2, 1)
    assert rows.x[2].tolist() == [7] * 4


def test_trained_model_gets_images_of_its_shape(tmp_path):
    save(tmp_path / "x.png", GREY)
    rows = read(tmp_path, "folder", "id", expected=ExpectedColumns(image_shape=(4, 3, 3)))
    assert (rows.image_shape, rows.labels) == ((4, 3, 3), None)
    with pytest.raises(InputError, match=r"x.png of 3 x 4, expected images of the model's size, 4 x 3"):
        read(tmp_path, expected=ExpectedColumns(image_shape=(3, 4, 1)))


def truncated(kind):
    def write(path):
        complete = io.BytesIO()
        Image.fromarray(RNG.integers(0, 256, (40, 30, 3), dtype=np.uint8)).save(complete, kind)
        path.write_bytes(complete.getvalue()[: complete.tell() // 2])

    return write


def write_deep(path):
    """A PNG of 16-bit colors, which pillow itself cannot write."""
    lines = b"".join(b"\0" + RNG.integers(0, 65536, (3, 3)).astype(">u2").tobytes() for _ in range(4))
    header = struct.pack(">IIBBBBB", 3, 4, 16, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    chunks = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


@pytest.mark.parametrize(
    ("name", "write", "words"),
    [
        ("x.png", lambda path: path.write_bytes(b""), r", which cannot be read \(cannot identify image"),
        ("x.png", lambda path: path.write_bytes(b"no image"), r", which cannot be read \(cannot identify image"),
        ("x.png", truncated("PNG"), ", which cannot be read .*truncated"),
        ("x.jpg", truncated("JPEG"), ", which cannot be read .*truncated"),
        ("x.webp", truncated("WEBP"), ", which cannot be read"),
        ("x.png", lambda path: save(path, GREY.astype(np.uint16)), " with 16 bits per value, .* as a PNG of 8 bits"),
        ("x.png", write_deep, " with 16 bits per value, .* as a PNG of 8 bits"),
        ("x.tif", lambda path: save(path, GREY.astype(np.float32)), " with the mode F, .* as a PNG of 8 bits"),
        ("x.tif", lambda path: save(path, COLOR, "CMYK"), " with the mode CMYK, .* as a PNG of 8 bits"),
    ],
)
def test_error_names_the_unusable_image(tmp_path, name, write, words):
    save(tmp_path / "a" / "good.png", COLOR)
    write(tmp_path / name)
    with pytest.raises(InputError, match=f"config.data.path: got {tmp_path / name}{words}") as caught:
        read(tmp_path, image_size=4)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("limit", [5, 10])  # pillow raises an error for the first, and warns for the second
def test_decompression_bomb_is_rejected(tmp_path, monkeypatch, limit):
    save(tmp_path / "x.png", GREY)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(InputError, match=r"x.png, which cannot be read \(Image size \(12 pixels\) exceeds limit"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (ReadOptions("kind"), "config.data.label_column: got 'kind', expected 'folder', since the images"),
        (
            ReadOptions("", "name"),
            "config.data.id_column: got 'name', expected no name, since the ids .* are their paths",
        ),
        (ReadOptions("folder"), "config.data.label_column: got 'folder' and top.png directly in .*, expected"),
    ],
)
def test_label_and_id_columns_that_images_lack_are_rejected(tmp_path, options, words):
    save(tmp_path / "a" / "1.png", GREY)
    save(tmp_path / "top.png", GREY)
    with pytest.raises(InputError, match=words):
        file_formats.read(str(tmp_path), options)


@pytest.mark.parametrize("names", [(), ("notes.txt", ".hidden.png", ".git/x.png", "x.png/notes.txt")])
def test_folder_without_images_is_rejected(tmp_path, names):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("no image")
    with pytest.raises(
        InputError, match=r"config.data.path: got .*, a folder without images, expected .* \.png, \.jpg"
    ):
        read(tmp_path)


def test_digit_images_are_clustered_and_predicted_with_their_paths(tmp_path):
    digits = sources.load("digits").splits["train"]
    for number, (pixels, label) in enumerate(zip(digits.x[:300], digits.labels, strict=False)):
        save(tmp_path / "digits" / str(label) / f"{number:04}.png", 15 * pixels.reshape(8, 8))
    config = tiny(
        data__name="file",
        data__path=str(tmp_path / "digits"),
        data__label_column="folder",
        data__image_size=6,
        train__num_epochs=1,
    )
    results = train(config, tmp_path / "run")
    assert results["scored_rows"] == 300
    assert 0 < results["accuracy"] <= 1
    assert (tmp_path / "run" / "samples.png").exists()
    for number in range(3):  # images of another size, without subfolders
        save(tmp_path / "new" / f"{number}.png", np.full((20, 20), 80 * number, np.uint8))
    path = predict(tmp_path / "run", str(tmp_path / "new"), str(tmp_path / "out.npz"))
    with np.load(path) as answer:
        assert answer["id"].tolist() == ["0.png", "1.png", "2.png"]
        assert np.isfinite(answer["log_likelihood"]).all()
