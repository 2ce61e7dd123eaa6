"""The README is short and correct: its examples run, and its tables and those of the pages match the records."""

import re
import statistics
from pathlib import Path

import pytest
from helpers.pages import blocks, prints, sentences

from benchmarks import notes, provenance, readme, records

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text()
MAX_LINES, MAX_WORDS = 150, 25


def test_the_readme_is_short():
    assert TEXT.count("\n") <= MAX_LINES
    assert [text for text in sentences(TEXT) if len(text.split()) > MAX_WORDS] == []


def test_the_readme_has_one_picture_and_one_table_of_results():
    assert TEXT.count("![") == 1
    (table,) = re.findall(r"<!-- (\w+): written by", TEXT)
    header = TEXT.partition(f"<!-- {table}: written by python -m benchmarks.readme -->\n")[2].splitlines()[0]
    assert len(header.strip("|").split("|")) <= 6


def test_the_figures_of_the_text_are_those_of_the_records():
    parts = records.read(records.RESULTS / "waiting_cpu.json")["parts"]

    def median(part, contender, key):
        return statistics.median(run[key] for run in parts[part]["contenders"][contender])

    kmeans, ours = ([median("wine", name, key) for key in ("accuracy", "wall_s")] for name in ("KMeans", "vade-jax"))
    sentence = "KMeans reaches an accuracy of {:.3f} in {:.1f} seconds, and this model {:.3f} in {:.0f}."
    assert sentence.format(*kmeans, *ours) in TEXT
    assert f"the adjusted Rand index is {median('wine', 'vade-jax', 'ari'):.2f}" in TEXT
    assert abs(median("table", "GaussianMixture", "ari") - median("table", "vade-jax", "ari")) < 0.01
    for scores in (record["scores"] for record in records.read(records.RESULTS / "files.json").values()):
        assert scores["VaDE"]["ari"] > max(scores["KMeans"]["ari"], scores["GaussianMixture"]["ari"])


@pytest.mark.slow
@pytest.mark.usefixtures("optimized", "as_in_a_program")
def test_the_estimator_example_prints_what_the_readme_says(capsys):
    exec(blocks(TEXT, "python")[0], {})
    printed = capsys.readouterr().out
    assert prints(printed, blocks(TEXT, "text")[0]), printed


@pytest.mark.usefixtures("as_in_a_program")
def test_the_example_of_the_loss_functions_runs():
    _, example = blocks(TEXT, "python")
    assert len(example.splitlines()) <= 15
    names = {}
    exec(example, names)
    assert float(names["value"]) > 0
    decoder_gradient, prior_gradient = names["gradients"]
    assert decoder_gradient.shape == (2, 4)
    assert prior_gradient.means.shape == (3, 2)


@pytest.mark.parametrize("page", readme.PAGES, ids=lambda page: page.name)
def test_tables_match_the_records(page):
    text = page.read_text()
    assert "<!-- end of " in text
    assert without_marks(readme.with_tables(text)) == without_marks(text)


def without_marks(text):
    """The text without marks of older code: these change with every commit, and are written with the next table."""
    text = text.replace(f" {provenance.MARK}", "").replace(f"{provenance.MARK} {notes.MARKED}", "")
    return re.sub(r"\n +", "\n", re.sub(r"\|\n\n\n<!-- end", "|\n<!-- end", text))


def test_every_table_is_on_one_page():
    markers = [name for page in readme.PAGES for name in re.findall(r"<!-- (\w+): written by", page.read_text())]
    assert sorted(markers) == sorted(readme._TABLES)
