"""The report page: its content, and that it loads nothing else."""

import base64
import hashlib
import io
import json
import re
import shutil

import matplotlib.image
import numpy as np
import pytest
from helpers.report_pages import Page, with_report
from helpers.runs import tiny

from vade_jax.commands.evaluate import evaluate
from vade_jax.commands.train import train
from vade_jax.data import sources
from vade_jax.data.dataset import Source
from vade_jax.reports import html_report
from vade_jax.reports.plain_text import number


def test_image_report_has_these_sections(digits):
    page = Page(digits)
    assert page.headings == ["Map", "Quality", "Labels", "Files"]
    assert page.folded == ["Training", "Diagnostics", "Interpolations between clusters", "Settings and versions"]
    assert [alt for alt in page.pictures if alt.startswith("Typical rows")]


def test_table_report_has_these_sections(table):
    page = Page(table)
    assert page.headings == ["Map", "Quality", "Labels", "Files"]
    assert page.folded == [*["Rows"] * 3, "Training", "Diagnostics", "Settings and versions"]
    assert "The latent space has 2 dimensions." in page.text
    assert re.search(r"against 1,700,000,0\d\d(\.\d+)?\)", page.text)  # the means of a large column can be told apart
    assert "10 without a label are left out of accuracy, NMI and ARI" in page.text


def test_first_sentence_and_cards_come_first(table):
    text = Page(table).text
    sizes = json.loads((table / "results.json").read_text())["occupancy"]
    assert f"{len(sizes)} clusters of 300 rows; sizes {max(sizes)}" in text
    assert text.index("300 rows; sizes") < text.index("<h3>Cluster ") < text.index("<h2>Map")


def test_pictures_show_the_names_of_the_labels(table, tmp_path, monkeypatch):
    drawn = []
    for chart in ("latent_map", "draw_matrix"):
        real = getattr(html_report, chart)
        monkeypatch.setattr(html_report, chart, lambda *arrays, real=real: drawn.append(arrays) or real(*arrays))
    evaluate(shutil.copytree(table, tmp_path / "run"))
    (_, _, clusters, *_), (_, groups, by_label, _, colours, texts), (counts, rows, *_) = drawn
    assert list(clusters) == [0, 1, 2]
    assert list(by_label) == list(rows) == ["<i>left</i>", "NA", "b"]
    assert np.count_nonzero(groups < 0) == 10
    assert counts.sum() == 290
    assert len(set(colours)) == 3
    assert sum(text.startswith("no label, row ") for text in texts) == 10


def test_report_shows_results_settings_and_versions(digits):
    page = Page(digits)
    results = json.loads((digits / "results.json").read_text())
    for value in ("accuracy", "nmi", "ari"):
        assert f"<dd>{number(results[value])}<small>" in page.text
    for value in ("elbo", "log_px_given_z", "log_pz_given_c", "log_pc", "entropy_z", "entropy_c", "log_likelihood"):
        assert f"{results[value]:.3f}" in page.text
    assert "train.estimator" in page.text
    assert f"<code>{results['versions']['jax']}</code>" in page.text


def test_report_loads_nothing_and_runs_only_its_own_script(folder):
    page = Page(folder)
    urls = [attrs[name] for _, attrs in page.tags for name in ("src", "srcset", "href") if name in attrs]
    assert len(urls) > 10
    files = [url for url in urls if not url.startswith(("data:", "#"))]
    assert all((folder / "report" / url).is_file() for url in files)
    assert {"../assignments.npz", "../results.json"} <= set(files)
    assert {"iframe", "object", "link"}.isdisjoint(tag for tag, attrs in page.tags if attrs.get("href") != "data:,")
    (script,) = re.findall(r"<script>(.*?)</script>", page.text, re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page.text
    assert "://" not in page.text
    assert "@import" not in page.text


def test_pictures_are_readable_and_have_distinct_alternative_texts(folder):
    page = Page(folder)
    images = [attrs for tag, attrs in page.tags if tag == "img"]
    assert len(page.pictures) == len(images)
    for source in page.pictures.values():
        assert matplotlib.image.imread(io.BytesIO(base64.b64decode(source.partition(",")[2]))).size > 0
    charts = [tag for tag, _ in page.tags if tag == "picture"]
    dark = [attrs for tag, attrs in page.tags if tag == "source" and "dark" in attrs["media"]]
    assert len(charts) == len(dark) > 5


def test_names_from_the_data_are_escaped(table):
    text = Page(table).text.replace("<wbr>", "")  # where lines can break
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "rows &lt;b&gt;.csv" in text
    assert "income &amp; $x^2" in text
    assert "<script>alert" not in text
    assert "<i>left" not in text


@pytest.mark.slow
def test_labels_change_only_the_pictures_of_labels(digits, tmp_path, monkeypatch):
    shutil.copytree(digits, tmp_path / "run")
    before = Page(digits)
    rows = sources.load("digits").splits["train"]
    poisoned = np.random.default_rng(0).integers(0, 3, len(rows.labels))
    for labels, expected in ((poisoned, before.pictures.keys()), (None, without_labels(before.pictures).keys())):
        other = Source({"train": rows._replace(labels=labels)})
        monkeypatch.setattr(sources, "SOURCES", {"digits": lambda *_, other=other: other})
        evaluate(tmp_path / "run")
        page = Page(tmp_path / "run")
        assert page.pictures.keys() == expected
        assert without_labels(page.pictures) == without_labels(before.pictures)
        assert without_labels(page.maps) == without_labels(before.maps)
        assert cards(page) == cards(before)
        if labels is not None:
            changed = [alt for alt in page.pictures if page.pictures[alt] != before.pictures[alt]]
            assert changed == ["Confusion matrix of labels and clusters"]
            assert page.maps.keys() == before.maps.keys()
            assert page.maps != before.maps


def cards(page):
    """All of the page before its labels, without the pictures."""
    return re.sub(r"data:[^\"]*|\s+|<section>\s*$", "", page.text.partition("<h2>Labels")[0].partition("<h2>Files")[0])


def without_labels(pictures):
    return {alt: source for alt, source in pictures.items() if "label" not in alt}


QUICK = {"pretrain__num_epochs": 1, "train__num_epochs": 0, "model__latent_dim": 1}


def test_report_can_be_skipped_and_drawn_later(tmp_path):
    train(tiny(**QUICK), tmp_path)
    assert not (tmp_path / "report").exists()
    train(with_report(**QUICK), tmp_path)
    page = Page(tmp_path)
    assert "Map" in page.headings


def test_several_runs_have_a_report_each(tmp_path):
    config = with_report(**QUICK)
    config.num_runs = 2
    train(config, tmp_path)
    pages = [Page(tmp_path / name).text for name in ("seed0", "seed1")]
    assert "Seed 1," in pages[1]
    assert not (tmp_path / "report").exists()


@pytest.mark.slow
def test_report_shows_the_largest_of_many_clusters(tmp_path):
    train(with_report(**QUICK | {"model__latent_dim": 2, "model__num_clusters": 120}), tmp_path)
    page = Page(tmp_path)
    assert re.search(r"The \d+ largest of 120 clusters, the largest first.", page.text)
    assert sum(alt.startswith("Typical rows") for alt in page.pictures) <= 30


def test_results_are_kept_if_the_report_fails(digits_run, tmp_path, monkeypatch):
    monkeypatch.setattr(html_report, "write_report", lambda *_, **__: 1 / 0)
    with pytest.warns(UserWarning, match=r"report was not drawn: ZeroDivisionError"):
        results = train(with_report(), shutil.copytree(digits_run[0], tmp_path / "run"))
    assert json.loads((tmp_path / "run" / "results.json").read_text()) == results
