"""A folder of images: which are read and as what, and the words for those that cannot be."""

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


def test_grey_images_in_the_order_of_their_paths(tmp_path):
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


def test_one_image_of_color_makes_all_of_color(tmp_path):
    save(tmp_path / "grey.png", GREY)
    save(tmp_path / "on.png", GREY, "1")
    save(tmp_path / "rgb.png", COLOR)
    rows = read(tmp_path)
    assert rows.image_shape == (4, 3, 3)
    np.testing.assert_array_equal(rows.x[0].reshape(4, 3, 3), np.repeat(GREY[..., None], 3, axis=2))
    assert set(rows.x[1].tolist()) <= {0, 255}
    np.testing.assert_array_equal(rows.x[2].reshape(4, 3, 3), COLOR)


def test_what_is_transparent_is_white(tmp_path):
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


def test_images_are_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    save(tmp_path / "x.png", GREY, exif=exif)
    np.testing.assert_array_equal(read(tmp_path).x.reshape(3, 4), np.rot90(GREY, -1))


def test_images_of_several_sizes_are_resized_or_refused_by_two_that_differ(tmp_path):
    save(tmp_path / "a.png", GREY)
    save(tmp_path / "b.png", GREY)
    save(tmp_path / "c.png", np.full((9, 5), 7, np.uint8))
    with pytest.raises(InputError, match=r"a.png of 3 x 4 and c.png of 5 x 9; .*--config.data.image_size=28"):
        read(tmp_path)
    rows = read(tmp_path, image_size=2)
    assert rows.image_shape == (2, 2, 1)
    assert rows.x[2].tolist() == [7] * 4


def test_a_model_gets_images_of_its_own_shape(tmp_path):
    save(tmp_path / "x.png", GREY)
    rows = read(tmp_path, "folder", "id", form=ExpectedColumns(image_shape=(4, 3, 3)))
    assert (rows.image_shape, rows.labels) == ((4, 3, 3), None)
    with pytest.raises(InputError, match=r"x.png of 3 x 4; the model was made for images of 4 x 3"):
        read(tmp_path, form=ExpectedColumns(image_shape=(3, 4, 1)))


def torn(kind):
    def write(path):
        whole = io.BytesIO()
        Image.fromarray(RNG.integers(0, 256, (40, 30, 3), dtype=np.uint8)).save(whole, kind)
        path.write_bytes(whole.getvalue()[: whole.tell() // 2])

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
        ("x.png", lambda path: path.write_bytes(b""), "cannot be read: cannot identify image"),
        ("x.png", lambda path: path.write_bytes(b"no image"), "cannot be read: cannot identify image"),
        ("x.png", torn("PNG"), "cannot be read: .*truncated"),
        ("x.jpg", torn("JPEG"), "cannot be read: .*truncated"),
        ("x.webp", torn("WEBP"), "cannot be read"),
        ("x.png", lambda path: save(path, GREY.astype(np.uint16)), "has 16 bits a value; .* as a PNG of 8 bits"),
        ("x.png", write_deep, "has 16 bits a value; .* as a PNG of 8 bits"),
        ("x.tif", lambda path: save(path, GREY.astype(np.float32)), "has the mode F; .* as a PNG of 8 bits"),
        ("x.tif", lambda path: save(path, COLOR, "CMYK"), "has the mode CMYK; .* as a PNG of 8 bits"),
    ],
)
def test_an_image_that_cannot_be_used_is_named(tmp_path, name, write, words):
    save(tmp_path / "a" / "good.png", COLOR)
    write(tmp_path / name)
    with pytest.raises(InputError, match=f"config.data.path: {tmp_path / name} {words}") as caught:
        read(tmp_path, image_size=4)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("most", [5, 10])  # pillow warns of the one, and refuses the other
def test_a_decompression_bomb_is_refused(tmp_path, monkeypatch, most):
    save(tmp_path / "x.png", GREY)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", most)
    with pytest.raises(InputError, match=r"x.png cannot be read: Image size \(12 pixels\) exceeds limit"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (ReadOptions("kind"), "config.data.label_column: 'kind' came; of a folder of images it must be 'folder'"),
        (ReadOptions("", "name"), "config.data.id_column: 'name' came; .* whose ids are their paths"),
        (ReadOptions("folder"), "config.data.label_column: 'folder' came and top.png lies in .* itself"),
    ],
)
def test_columns_that_images_do_not_have(tmp_path, options, words):
    save(tmp_path / "a" / "1.png", GREY)
    save(tmp_path / "top.png", GREY)
    with pytest.raises(InputError, match=words):
        file_formats.read(str(tmp_path), options)


@pytest.mark.parametrize("names", [(), ("notes.txt", ".hidden.png", ".git/x.png", "x.png/notes.txt")])
def test_a_folder_without_images(tmp_path, names):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("no image")
    with pytest.raises(InputError, match=r"config.data.path: .* is a folder without images; .* \.png, \.jpg"):
        read(tmp_path)


def test_digits_as_images_are_clustered_and_told_by_their_paths(tmp_path):
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
    for number in range(3):  # other images, of another size and without folders
        save(tmp_path / "new" / f"{number}.png", np.full((20, 20), 80 * number, np.uint8))
    path = predict(tmp_path / "run", str(tmp_path / "new"), str(tmp_path / "out.npz"))
    with np.load(path) as answer:
        assert answer["id"].tolist() == ["0.png", "1.png", "2.png"]
        assert np.isfinite(answer["log_likelihood"]).all()
