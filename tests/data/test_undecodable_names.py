"""A file name can be bytes that are no UTF-8. Python holds them as surrogates, which other libraries refuse."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from vade_jax.data import output_files, sources
from vade_jax.data.dataset import ReadOptions
from vade_jax.reports.charts import draw_bars, draw_matrix
from vade_jax.system.atomic_files import write_json
from vade_jax.system.console import print_line

NAME = os.fsdecode(b"caf\xe9")


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / NAME
    made.mkdir()
    return made


@pytest.fixture
def rows(folder):
    for number in range(3):
        Image.fromarray(np.full((4, 4), 50 * number, np.uint8)).save(folder / f"{NAME}{number}.png")
    return sources.load("file", str(folder.parent), options=ReadOptions(label_column="folder")).splits["train"]


def test_images_are_read_with_their_names_as_ids_and_labels(rows):
    assert rows.ids.tolist() == [f"{NAME}/{NAME}{number}.png" for number in range(3)]
    assert rows.label_names == (NAME,)


def test_a_csv_has_the_bytes_of_the_names(rows, folder):
    output_files.write(folder / "out.csv", {"id": rows.ids}, {})
    assert (folder / "out.csv").read_bytes() == b"id\n" + b"".join(b"caf\xe9/caf\xe9%d.png\n" % n for n in range(3))


def test_an_npz_has_the_names(rows, folder):
    output_files.write(folder / "out.npz", {"id": rows.ids}, {})
    with np.load(folder / "out.npz") as arrays:
        assert arrays["id"].tolist() == rows.ids.tolist()


def test_a_parquet_has_escapes_because_its_text_is_utf8(rows, folder):
    output_files.write(folder / "out.parquet", {"id": rows.ids}, {})
    with (folder / "out.parquet").open("rb") as file:
        assert pd.read_parquet(file)["id"].tolist() == [rf"caf\xe9/caf\xe9{number}.png" for number in range(3)]


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".npy", ".npz"])
def test_files_with_such_a_name_are_read(folder, ending):
    x = np.arange(6.0).reshape(3, 2)
    path = folder / f"{NAME}{ending}"
    if ending == ".npy":
        np.save(path, x)
    else:
        output_files.write(path, {"x": x}, {"x": ["a", "b"]})
    np.testing.assert_array_equal(sources.load("file", str(path)).splits["train"].x, x)


def test_names_are_printed_and_written_to_json(folder, capsys):
    print_line(f"wrote {folder.name}")
    assert capsys.readouterr().out == "wrote caf\\xe9\n"
    write_json(folder / "data.json", {"path": NAME})
    assert "caf\\udce9" in Path(folder / "data.json").read_text()


def test_charts_show_escapes():
    draw_bars(np.ones(2), "rows")
    assert draw_matrix(np.ones((1, 2), int), [NAME], ["a", "b"], "label", "cluster").width
