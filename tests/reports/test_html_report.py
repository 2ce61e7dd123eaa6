"""The report page: its content, that it loads nothing else, and how a browser shows it."""

import base64
import io
import json
import re
import shutil
from html.parser import HTMLParser

import matplotlib.image
import numpy as np
import pytest
from helpers.runs import tiny

from vade_jax.commands.evaluate import evaluate
from vade_jax.commands.train import train
from vade_jax.data import sources
from vade_jax.data.dataset import Source
from vade_jax.reports import html_report
from vade_jax.reports.distinguishing_features import FeatureDifference, distinguishing_features
from vade_jax.system import large_arrays

NAMES = ["<script>alert(1)</script>", "age", "income & $x^2"]


class Page(HTMLParser):
    """The tags of a page, its headings, and its pictures by alternative text."""

    def __init__(self, folder):
        super().__init__()
        self.text = (folder / "report" / "index.html").read_text(encoding="utf-8")
        self.tags, self.headings, self.pictures = [], [], {}
        self.feed(self.text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "img":
            self.pictures[dict(attrs)["alt"]] = dict(attrs)["src"]

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] == "h2" and data.strip():
            self.headings.append(data)
            self.tags.append(("", {}))


def with_report(**changes):
    config = tiny(**changes)
    config.report = True
    return config


@pytest.fixture(scope="module")
def digits(digits_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits") / "run"
    shutil.copytree(digits_run[0], folder)
    train(with_report(), folder)
    return folder


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    pandas = pytest.importorskip("pandas")
    folder = tmp_path_factory.mktemp("table")
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 300)
    frame = pandas.DataFrame(rng.normal(size=(300, 3)) + 9 * np.eye(3)[labels] + [0, 40, 1.7e9], columns=NAMES)
    frame["kind"] = np.array(["NA", "<i>left</i>", "b"])[labels]
    frame.loc[:9, "kind"] = ""
    frame.to_csv(folder / "rows <b>.csv", index=False)
    config = with_report(
        data__name="file",
        data__path=str(folder / "rows <b>.csv"),
        data__label_column="kind",
        data__scaling="standardize",
        model__likelihood="gaussian_shared",
        model__num_clusters=3,
        model__latent_dim=2,
    )
    train(config, folder / "run")
    return folder / "run"


@pytest.fixture(params=["digits", "table"])
def folder(request):
    return request.getfixturevalue(request.param)


def test_image_report_has_these_sections(digits):
    assert Page(digits).headings == [
        "Training",
        "Clusters",
        "Latent space",
        "Images of each cluster",
        "Labels and clusters",
        "Interpolations between clusters",
        "Settings and versions",
    ]


def test_table_report_has_these_sections(table):
    page = Page(table)
    assert page.headings == [
        "Training",
        "Clusters",
        "Latent space",
        "Distinguishing features",
        "Labels and clusters",
        "Settings and versions",
    ]
    assert "The latent space has 2 dimensions." in page.text
    assert re.search(r">17000000\d\d(\.\d+)?<", page.text)  # the means of a large column can be told apart
    assert "10 without a label are left out of accuracy, NMI and ARI" in page.text


def test_pictures_show_the_names_of_the_labels(table, tmp_path, monkeypatch):
    drawn = []
    for chart in ("draw_scatter", "draw_matrix"):
        real = getattr(html_report, chart)
        monkeypatch.setattr(html_report, chart, lambda *arrays, real=real: drawn.append(arrays) or real(*arrays))
    evaluate(shutil.copytree(table, tmp_path / "run"))
    (_, _, clusters, _), (_, groups, by_label, _), (counts, rows, *_) = drawn
    assert list(clusters) == [0, 1, 2]
    assert list(by_label) == list(rows) == ["<i>left</i>", "NA", "b"]
    assert np.count_nonzero(groups < 0) == 10
    assert counts.sum() == 290


def test_report_shows_results_settings_and_versions(digits):
    page = Page(digits)
    results = json.loads((digits / "results.json").read_text())
    for value in ("accuracy", "nmi", "ari"):
        assert f"{results[value]:.4f}" in page.text
    for value in ("elbo", "log_px_given_z", "log_pz_given_c", "log_pc", "entropy_z", "entropy_c", "log_likelihood"):
        assert f"{results[value]:.3f}" in page.text
    assert "train.estimator" in page.text
    assert f"<code>{results['versions']['jax']}</code>" in page.text


def test_report_loads_nothing_and_runs_no_scripts(folder):
    page = Page(folder)
    urls = [attrs[name] for _, attrs in page.tags for name in ("src", "srcset", "href") if name in attrs]
    assert len(urls) > 10
    assert all(url.startswith("data:") for url in urls)
    assert {"script", "iframe", "object"}.isdisjoint(tag for tag, _ in page.tags)
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
    page = Page(table)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert "rows &lt;b&gt;.csv" in page.text
    assert "income &amp; $x^2" in page.text


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
        if labels is not None:
            changed = page.pictures.keys() - without_labels(page.pictures).keys()
            assert len(changed) == 2
            assert all(page.pictures[alt] != before.pictures[alt] for alt in changed)


def without_labels(pictures):
    return {alt: source for alt, source in pictures.items() if "label" not in alt}


QUICK = {"pretrain__num_epochs": 1, "train__num_epochs": 0, "model__latent_dim": 1}


def test_report_can_be_skipped_and_drawn_later(tmp_path):
    train(tiny(**QUICK), tmp_path)
    assert not (tmp_path / "report").exists()
    train(with_report(**QUICK), tmp_path)
    page = Page(tmp_path)
    assert "Latent space" in page.headings


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
    assert "Only the 30 largest of 120 clusters are shown." in page.text
    assert sum(alt.startswith("Most certain") for alt in page.pictures) == 30


def test_results_are_kept_if_the_report_fails(digits_run, tmp_path, monkeypatch):
    monkeypatch.setattr(html_report, "write_report", lambda *_, **__: 1 / 0)
    with pytest.warns(UserWarning, match=r"report was not drawn: ZeroDivisionError"):
        results = train(with_report(), shutil.copytree(digits_run[0], tmp_path / "run"))
    assert json.loads((tmp_path / "run" / "results.json").read_text()) == results


def test_distinguishing_features_differ_most_for_any_slice_size(monkeypatch):
    x = np.array([[0, 5, 1], [0, 5, 3], [8, 5, 2], [8, 5, 2]], np.float32)
    clusters = np.array([2, 2, 0, 0])
    for part in (2**25, 3):  # of three values, a row each
        monkeypatch.setattr(large_arrays, "_VALUES_PER_SLICE", part)
        found = distinguishing_features(x, clusters, np.array([0, 2]), 3, ())
        assert found == {
            0: [FeatureDifference("column 0", 8, 4, 1), FeatureDifference("column 2", 2, 2, 0)],
            2: [FeatureDifference("column 0", 0, 4, -1), FeatureDifference("column 2", 2, 2, 0)],
        }
    assert distinguishing_features(x, clusters, np.array([0]), 3, ("a", "b", "c"))[0][0].name == "a"


def test_means_of_features_are_in_the_units_of_the_source():
    x, clusters = np.array([[0, 0], [2, 1], [4, 0], [6, 1]], np.float32), np.array([0, 0, 1, 1])
    feature = distinguishing_features(x, clusters, np.array([1]), 2, (), np.array([1.7e9, 0]))[1][0]
    assert (feature.mean, feature.mean_of_all) == (1.7e9 + 5, 1.7e9 + 3)
    assert feature.format(feature.mean) == "1700000005"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("no chromium and chromedriver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    quiet = "no-first-run disable-background-networking disable-component-update disable-sync disable-quic"
    for flag in f"headless=new no-sandbox disable-gpu {quiet}".split():
        options.add_argument(f"--{flag}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('browser')}")
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_browser_shows_the_report_without_overflow_or_errors(folder, browser, width, scheme):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.get((folder / "report" / "index.html").as_uri())
    browser.execute_script("document.querySelectorAll('details').forEach(part => part.open = true)")
    assert browser.execute_script("return innerWidth") == width
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    pictures = "return [...document.images].map(image => [image.naturalWidth, image.currentSrc])"
    found = browser.execute_script(pictures)
    assert len(found) > 5
    assert all(natural_width > 0 for natural_width, _ in found)
    shown = {source for _, source in found}
    dark = {attrs["srcset"] for tag, attrs in Page(folder).tags if tag == "source"}
    assert shown.isdisjoint(dark) if scheme == "light" else dark <= shown
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
