"""Data sets by name, splits and cached images: what is loaded, and the errors."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.sparse import save_npz as save_matrix

from vade_jax.data import rcv1, sources, tfds_images
from vade_jax.data.dataset import Source, make_dataset
from vade_jax.data.splits import select_split
from vade_jax.system import large_arrays
from vade_jax.system.errors import InputError

ROWS = np.arange(12, dtype=np.float64).reshape(6, 2)


def test_digits_are_scikit_learns():
    digits = select_split(sources.load("digits"), "all", "config.data.train_split")
    assert digits.x.shape == (1797, 64)
    assert digits.x.dtype == np.uint8
    assert digits.image_shape == (8, 8, 1)
    assert np.bincount(digits.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_npy_is_read_as_float32_rows_without_labels(tmp_path):
    np.save(tmp_path / "x.npy", ROWS)
    rows = sources.load("file", str(tmp_path / "x.npy")).splits["train"]
    np.testing.assert_array_equal(rows.x, ROWS)
    assert (rows.x.dtype, rows.labels, rows.image_shape) == (np.float32, None, None)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_npy_rows_are_memory_mapped(tmp_path, dtype):
    np.save(tmp_path / "x.npy", ROWS.astype(dtype))
    rows = select_split(sources.load("file", str(tmp_path / "x.npy")), "train[:5]", "field")
    assert isinstance(rows.x, np.memmap)
    np.testing.assert_array_equal(rows.x, ROWS[:5])


def test_values_are_checked_in_every_slice(tmp_path, monkeypatch):
    monkeypatch.setattr(large_arrays, "_VALUES_PER_SLICE", 4)
    x = ROWS.copy()
    x[3, 1] = x[5, 0] = np.inf
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(InputError, match=r"with 2 values .* \(the first in row 3, column 1\)"):
        sources.load("file", str(tmp_path / "x.npy"))


def test_splits_are_joined_in_the_given_order(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    np.savez(tmp_path / "x.npz", x_train=images[:3], y_train=[0, 1, 2], x_test=images[3:], y_test=[3, 4])
    source = sources.load("file", str(tmp_path / "x.npz"))
    joined = select_split(source, "test+train", "field")
    assert joined.x.dtype == np.uint8
    assert joined.image_shape == (4, 3, 1)
    assert joined.labels.tolist() == [3, 4, 0, 1, 2]
    np.testing.assert_array_equal(joined.x, np.concatenate([images[3:], images[:3]]).reshape(5, 12))
    assert len(select_split(source, "all", "field").x) == 5


def test_labels_missing_in_one_split_are_none(tmp_path):
    np.savez(tmp_path / "x.npz", x_train=ROWS, y_train=np.zeros(6), x_test=ROWS)
    assert select_split(sources.load("file", str(tmp_path / "x.npz")), "all", "field").labels is None


def test_split_can_be_cut_to_its_first_rows(tmp_path):
    np.savez(tmp_path / "x.npz", x_train=ROWS, y_train=np.arange(6), x_test=ROWS[:4])
    source = sources.load("file", str(tmp_path / "x.npz"))
    first = select_split(source, "train[:2]", "field")
    np.testing.assert_array_equal(first.x, ROWS[:2])
    assert first.labels.tolist() == [0, 1]
    assert len(select_split(source, "test[:3]+train[:100]", "field").x) == 9
    for split in ("train[:0]", "train[2:]", "train[:-1]", "all[:2]", "train[:2", ""):
        with pytest.raises(InputError, match=r"field: got .*, expected a split of the data set, which has train, test"):
            select_split(source, split, "field")


def test_sparse_matrix_is_read_from_its_csr_parts(tmp_path):
    matrix = csr_matrix(np.where(np.random.default_rng(0).random((7, 5)) < 0.4, 2.5, 0.0))
    save_matrix(tmp_path / "scipy.npz", matrix)
    parts = {name: getattr(matrix, name) for name in ("data", "indptr", "shape")}
    np.savez(tmp_path / "parts.npz", indices=matrix.indices.astype(np.int16), y=np.arange(7), names=["a"], **parts)
    for name in ("scipy.npz", "parts.npz"):
        rows = sources.load("file", str(tmp_path / name)).splits["train"]
        np.testing.assert_array_equal(rows.x, matrix.toarray())
        assert rows.x.dtype == np.float32
    assert rows.labels.tolist() == list(range(7))


def test_unknown_name_and_split_errors_list_the_choices():
    with pytest.raises(
        InputError,
        match=r"config.data.name: got 'mnits', expected one of 'digits', 'mnist', 'fashion_mnist', 'stl10', 'rcv1', ",
    ):
        sources.load("mnits")
    with pytest.raises(
        InputError, match=r"config.data.test_split: got 'test', expected a split of the data set, which has train"
    ):
        select_split(sources.load("digits"), "test", "config.data.test_split")


def test_unprepared_data_set_without_tensorflow_raises(tmp_path, monkeypatch):
    monkeypatch.setattr(tfds_images.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install .*\[tfds\]") as caught:
        sources.load("mnist", data_dir=str(tmp_path))
    assert str(caught.value).startswith(f"config.data.dir: got TFDS's 'mnist', which is not prepared in {tmp_path}")
    assert not list(tmp_path.iterdir())


def test_prepared_mnist_is_decoded_without_tensorflow(tfds_dir):
    tensorflow_before = "tensorflow" in sys.modules
    builder = tfds_images.prepared_builder("mnist", tfds_dir)
    few = tfds_images._decode(builder.as_data_source(split="test[:50]"), "mnist")
    assert few.x.shape == (50, 784)
    assert few.labels[:5].tolist() == [2, 0, 4, 8, 7]
    assert ("tensorflow" in sys.modules) == tensorflow_before


class Examples(list):
    """Like a data source of TFDS."""

    def __getitems__(self, numbers):
        return [self[number] for number in numbers]


def test_many_records_are_decoded_in_order(monkeypatch):
    monkeypatch.setattr(tfds_images, "_RECORDS_AT_A_TIME", 4)
    rows = Examples({"image": np.full((1, 2, 1), row, np.uint8), "label": 9 - row} for row in range(10))
    decoded = tfds_images._decode(rows, "rows")
    np.testing.assert_array_equal(decoded.x, np.arange(10)[:, None].repeat(2, axis=1))
    assert [int(decoded.label_names[label]) for label in decoded.labels] == list(range(9, -1, -1))


@pytest.mark.parametrize("read_only", [False, True])
def test_decoded_images_are_cached_beside_the_data_set_or_in_the_workdir(tmp_path, monkeypatch, read_only):
    decoded = []

    class Builder:
        data_dir = str(tmp_path / "tfds" / "mnist" / "1.0")
        info = SimpleNamespace(splits=dict.fromkeys(("train", "test"), SimpleNamespace(num_examples=6)))

        def as_data_source(self, split):
            decoded.append(split)
            return Examples({"image": np.full((2, 2, 1), row, np.uint8), "label": row} for row in range(6))

    beside, cache = tmp_path / "tfds" / "mnist" / "1.0", tmp_path / "cache"
    beside.mkdir(parents=True)
    beside.chmod(0o555 if read_only else 0o755)
    monkeypatch.setattr(tfds_images, "prepared_builder", lambda name, data_dir: Builder())
    first = sources.load("mnist", cache_dir=cache)
    assert list(first.splits) == ["train", "test"]
    assert len(first.splits["train"].x) == 6
    tfds_images.cache_decoded_images(first, "mnist", cache)
    cached = sorted(path.name for path in (cache if read_only else beside).iterdir())
    assert cached == ["mnist.train.x.decoded.npy", "mnist.train.y.decoded.npy"]
    assert cache.exists() == read_only
    second = sources.load("mnist", cache_dir=cache)
    np.testing.assert_array_equal(first.splits["train"].x, second.splits["train"].x)
    np.testing.assert_array_equal(first.splits["train"].labels, second.splits["train"].labels)
    assert second.splits["train"].image_shape == (2, 2, 1)
    assert decoded == ["train"]  # once, and no other split
    beside.chmod(0o755)


def test_failed_cache_beside_the_data_set_falls_back_to_the_workdir(tmp_path, monkeypatch):
    beside, cache = tmp_path / "tfds", tmp_path / "cache"
    beside.mkdir()
    save = np.save

    def save_unless_full(path, array):
        save(path, array)
        if path.parent == beside:
            raise OSError("disk full")

    monkeypatch.setattr(np, "save", save_unless_full)
    dataset = make_dataset(np.zeros((3, 2, 2), np.uint8), np.arange(3), "test")
    splits = tfds_images.ImageSplits("mnist", SimpleNamespace(data_dir=str(beside)), None)
    splits.decoded["train"] = dataset
    tfds_images.cache_decoded_images(Source(splits), "mnist", cache)
    assert not list(beside.iterdir())
    assert sorted(path.name for path in cache.iterdir()) == ["mnist.train.x.decoded.npy", "mnist.train.y.decoded.npy"]


class Labelled:
    """A builder like STL-10's, with six labels."""

    def as_data_source(self, split, decoders):
        assert set(decoders) == {"image"}  # so that they are not decoded
        return [{"label": row} for row in {"train": [3, 1], "test": [0, 2, 1, 9]}[split]]


def test_stl10_joins_features_of_a_file_with_labels_of_tfds(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "prepared_builder", lambda name, data_dir: Labelled())
    features = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    np.save(tmp_path / "features.npy", features)
    source = sources.load("stl10", str(tmp_path / "features.npy"))
    everything = select_split(source, "all", "field")
    np.testing.assert_array_equal(everything.x, features)
    assert [everything.label_names[label] for label in everything.labels] == list("310219")
    assert len(source.splits["train"].x) == 2
    np.save(tmp_path / "features.npy", features[:5])
    with pytest.raises(
        InputError, match="with 5 rows, expected a row for each of STL-10's 6 labelled images, train and then test"
    ):
        sources.load("stl10", str(tmp_path / "features.npy"))


def test_labels_are_read_without_decoding_images(tfds_dir):
    import tensorflow_datasets as tfds

    examples = tfds.builder("mnist", data_dir=tfds_dir).as_data_source(
        "test", decoders={"image": tfds.decode.SkipDecoding()}
    )
    assert isinstance(examples[0]["image"], bytes)
    assert examples[0]["label"] in range(10)


def test_rcv1_selects_stories_with_one_root(monkeypatch):
    """The words are the most frequent ones; each row has length 1."""
    rng = np.random.default_rng(0)
    names = ["C11", "CCAT", "ECAT", "GCAT", "MCAT"]
    topics = np.array([[1, 1, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 0, 1], [1, 0, 0, 0, 0], [0, 0, 1, 0, 0]])
    words = rng.uniform(0.1, 1, (5, 4)) * np.array(
        [[1, 1, 0, 1], [1, 1, 1, 1], [1, 0, 0, 1], [1, 1, 1, 1], [0, 1, 0, 1]]
    )
    monkeypatch.setattr(rcv1, "_NUM_WORDS", 3)
    bunch = SimpleNamespace(data=csr_matrix(words), target=csr_matrix(topics), target_names=np.array(names, object))
    monkeypatch.setattr("sklearn.datasets.fetch_rcv1", lambda data_home, download_if_missing: bunch)
    stories = sources.load("rcv1").splits["train"]
    assert [stories.label_names[label] for label in stories.labels] == ["CCAT", "MCAT", "ECAT"]
    expected = words[[0, 2, 4]][:, [0, 1, 3]]  # none of these stories has the third word
    np.testing.assert_allclose(stories.x, expected / np.linalg.norm(expected, axis=1, keepdims=True), rtol=1e-6)


def test_missing_rcv1_error_names_the_command(tmp_path):
    with pytest.raises(InputError, match="fetch_rcv1"):
        sources.load("rcv1", data_dir=str(tmp_path))


@pytest.mark.slow
def test_mnist_is_prepared_by_tensorflow(tfds_dir, tmp_path, monkeypatch):
    pytest.importorskip("tensorflow")
    import tensorflow_datasets as tfds

    images = sources.load("mnist", data_dir=tfds_dir).splits
    monkeypatch.setattr(
        tfds.download.DownloadManager, "download_and_extract", lambda self, urls: write_idx(tmp_path, images)
    )
    prepared = sources.load("mnist", data_dir=str(tmp_path / "prepared")).splits
    np.testing.assert_array_equal(
        np.sort(prepared["test"].x.sum(axis=1, dtype=np.int64)), np.sort(images["test"].x.sum(axis=1, dtype=np.int64))
    )


def write_idx(folder, splits):
    paths = {}
    for split in ("train", "test"):
        rows = splits[split]
        for kind, header, array in (
            ("images", [2051, len(rows.x), 28, 28], rows.x),
            ("labels", [2049, len(rows.x)], rows.labels.astype(np.uint8)),
        ):
            path = folder / f"{split}-{kind}"
            path.write_bytes(np.array(header, ">i4").tobytes() + array.tobytes())
            paths[f"{split}_{'data' if kind == 'images' else kind}"] = str(path)
    return paths
