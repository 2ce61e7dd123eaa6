"""What a fitted estimator shows: its table of clusters, its plots, its report and its history."""

import pickle
import re

import matplotlib
import numpy as np
import pandas as pd
import pytest
from helpers.estimators import QUICK, X, fast
from matplotlib import pyplot
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from sklearn.exceptions import NotFittedError

from vade_jax import VaDE
from vade_jax.reports import palette
from vade_jax.runs.workdir import REPORT
from vade_jax.system.errors import InputError


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """An estimator that was fitted to a frame in a workdir with a report, and the workdir."""
    folder = tmp_path_factory.mktemp("named") / "run"
    return fast(workdir=folder).fit(pd.DataFrame(X, columns=["age", "mass", "heat", "size"])), folder


def page_of(path):
    """A page without its list of files, which only a workdir has. Tuples are as lists: config.json has these."""
    page = re.sub(r"<section>\s*<h2>Files</h2>.*?</section>", "", path.read_text(encoding="utf-8"), flags=re.S)
    return re.sub(r"\s+", " ", page.replace(",)", ")").translate(str.maketrans("()", "[]")))


def axes():
    return Figure().add_subplot()


def test_the_summary_has_a_row_for_each_cluster(named):
    model, _ = named
    table = model.summary()
    assert table.index.name == "cluster"
    assert list(table) == ["size", "share", "probability", "marks"]
    assert table["size"].tolist() == np.bincount(model.labels_).tolist()
    np.testing.assert_allclose(table["share"], table["size"] / 240)
    probabilities = model.predict_proba(pd.DataFrame(X, columns=model.feature_names_in_)).max(axis=1)
    expected = [probabilities[model.labels_ == cluster].mean() for cluster in range(3)]
    np.testing.assert_allclose(table["probability"], expected, rtol=1e-4)
    means = np.stack([X[model.labels_ == cluster].mean(axis=0) for cluster in range(3)])
    differences = (means - X.mean(axis=0)) / X.std(axis=0)
    for cluster, marks in table["marks"].items():
        first = np.abs(differences[cluster]).argmax()
        word = "higher" if differences[cluster, first] > 0 else "lower"
        assert marks.startswith(f"{word} {model.feature_names_in_[first]} (")


def test_an_empty_cluster_has_no_marks_and_no_probability(fitted):
    few = pickle.loads(pickle.dumps(fitted))
    found = few._findings
    found.clusters.sizes[2], found.clusters.confidence[2], found.marks[2] = 0, np.nan, []
    row = few.summary().loc[2]
    assert row["size"] == row["share"] == 0
    assert np.isnan(row["probability"])
    assert row["marks"] == ""


def test_the_report_is_that_of_the_workdir(named, tmp_path):
    model, folder = named
    expected = page_of(folder / REPORT)
    assert "<h3>Cluster 2</h3>" in expected
    for name, other in {"same": model, "loaded": VaDE.load(folder), "copy": pickle.loads(pickle.dumps(model))}.items():
        path = other.report(tmp_path / "pages" / f"{name}.html")
        assert page_of(path) == expected


def test_a_fit_without_a_workdir_has_a_report_after_it_is_saved_and_loaded(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    pages = [page_of(model.report(tmp_path / "page.html")) for model in (fitted, VaDE.load(tmp_path / "model"))]
    assert "3 clusters of 240 rows" in pages[0]
    assert pages[0] == pages[1]
    assert "<h1>rows</h1>" in pages[0]
    pd.testing.assert_frame_equal(VaDE.load(tmp_path / "model").summary(), fitted.summary())
    with pytest.raises(InputError, match=r"^path: got .*model, expected the name of a file"):
        fitted.report(tmp_path / "model")


def test_a_report_of_images_shows_images(tmp_path):
    images = (np.random.default_rng(0).random((40, 36)) * 255).astype(np.uint8)
    model = VaDE(n_clusters=2, hidden=(16,), image_shape=(6, 6, 1), settings=QUICK).fit(images)
    model.save(tmp_path / "model")
    pages = [m.report(tmp_path / "page.html").read_text() for m in (model, VaDE.load(tmp_path / "model"))]
    pictures = [re.findall(r'alt="([^"]*)"', page) for page in pages]
    assert pictures[0] == pictures[1]
    assert any(alt.startswith("Typical rows of cluster") for alt in pictures[0])
    assert model.summary()["marks"].tolist() == ["", ""]


def test_a_run_of_an_older_version_says_what_to_do(fitted, tmp_path):
    fitted.save(tmp_path / "model")
    (tmp_path / "model" / "findings.npz").unlink()
    older = VaDE.load(tmp_path / "model")
    np.testing.assert_array_equal(older.predict(X), fitted.labels_)
    for ask in (older.summary, older.plot_latent, older.plot_clusters, lambda: older.report(tmp_path / "page.html")):
        with pytest.raises(InputError, match=r"a run of an older version, .* Fit again"):
            ask()
    older.save(tmp_path / "again")


def test_the_history_has_a_value_for_each_epoch(fitted):
    history = fitted.history_
    assert fitted.n_iter_ == 22
    assert history["stage"].tolist() == ["pretrain"] * 20 + ["cluster"] * 2
    assert all(len(values) == 22 for values in history.values())
    assert np.isfinite(history["loss"]).all()
    assert np.isnan(history["elbo"][:20]).all()
    assert np.isfinite(history["elbo"][20:]).all()
    frame = pd.DataFrame(history)
    assert frame["loss"].dtype == np.float64


def test_plots_draw_on_given_axes_and_change_nothing_else(fitted):
    before, figures = dict(matplotlib.rcParams), pyplot.get_fignums()
    for plot in (fitted.plot_latent, fitted.plot_clusters, fitted.plot_history):
        given = axes()
        assert plot(ax=given) is given
        assert given.get_xlabel()
        assert given.has_data()
    assert dict(matplotlib.rcParams) == before
    assert pyplot.get_fignums() == figures


def test_plots_without_axes_make_a_figure(fitted):
    drawn = fitted.plot_clusters()
    assert drawn.figure.number in pyplot.get_fignums()
    pyplot.close(drawn.figure)


def test_the_map_shows_each_row_in_the_colour_of_its_cluster(fitted):
    drawn = fitted.plot_latent(axes())
    assert {text.get_text() for text in drawn.texts} == {"0", "1", "2"}
    groups = {int(group.get_label()): group for group in drawn.collections}
    for cluster, group in groups.items():
        assert len(group.get_offsets()) == (fitted.labels_ == cluster).sum()
        assert to_hex(group.get_facecolor()[0]) == palette.LIGHT[cluster]


def test_the_bars_are_the_sizes(fitted):
    drawn = fitted.plot_clusters(axes())
    assert [bar.get_height() for bar in drawn.patches] == np.bincount(fitted.labels_).tolist()
    assert [to_hex(bar.get_facecolor()) for bar in drawn.patches] == list(palette.LIGHT[:3])


def test_a_metric_is_drawn_over_the_epochs_of_its_stages(fitted):
    pretrain, cluster = fitted.plot_history(axes()).lines[:2]
    np.testing.assert_array_equal(pretrain.get_ydata(), fitted.history_["loss"][:20])
    np.testing.assert_array_equal(cluster.get_xdata(), [21, 22])
    (only,) = fitted.plot_history(axes(), metric="confidence").lines
    np.testing.assert_array_equal(only.get_ydata(), fitted.history_["confidence"][20:])
    with pytest.raises(InputError, match=r"^metric: got 'los', expected one of .*loss"):
        fitted.plot_history(axes(), metric="los")


def test_what_a_fit_shows_needs_a_fit(tmp_path):
    model = VaDE()
    for ask in (model.summary, model.plot_latent, model.plot_history, lambda: model.report(tmp_path / "page.html")):
        with pytest.raises(NotFittedError):
            ask()
    assert not any(hasattr(model, name) for name in ("history_", "cluster_centers_", "n_clusters_", "n_iter_"))


def test_cluster_centers_are_in_the_units_of_the_rows(fitted):
    centres = fitted.cluster_centers_
    assert centres.shape == (3, 4)
    means = np.stack([X[fitted.labels_ == cluster].mean(axis=0) for cluster in range(3)])
    distances = np.linalg.norm(centres[:, None] - means, axis=-1)
    assert distances.argmin(axis=1).tolist() == [0, 1, 2]
    assert np.diag(distances).max() < 2
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).cluster_centers_, centres)


def test_cluster_centers_of_text_are_levels():
    place = np.where(X[:, 1] > 2.5, "hill", "river").astype(object)
    model = fast().set_params(settings=QUICK).fit(pd.DataFrame(X).assign(place=place).rename(columns=str))
    centres = model.cluster_centers_
    assert centres.dtype == object
    assert set(centres[:, 4]) <= {"hill", "river"}
    assert model.n_clusters_ == 3
