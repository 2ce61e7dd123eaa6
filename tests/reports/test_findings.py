"""What the report says is kept in a file, from which the same page is drawn without the rows."""

import shutil

import numpy as np

from vade_jax.commands.evaluate import evaluate
from vade_jax.reports import findings, html_report, results
from vade_jax.runs.metrics_log import METRICS, read_metrics
from vade_jax.runs.run import read_run
from vade_jax.runs.workdir import REPORT
from vade_jax.settings.field_names import flatten


def test_the_page_is_drawn_from_the_file_without_rows(folder, tmp_path):
    copied = shutil.copytree(folder, tmp_path / "run")
    content = evaluate(copied)
    found = findings.read(copied / "findings.npz")
    settings, files = flatten(read_run(copied).config.to_dict()), html_report.existing_files(copied)
    again = tmp_path / "page.html"
    html_report.write_report(again, found, content, settings, read_metrics(copied / METRICS), files)
    assert again.read_bytes() == (copied / REPORT).read_bytes()


def test_the_table_has_a_row_for_each_cluster(table):
    found = findings.read(table / "findings.npz")
    rows = found.table()
    assert [row["size"] for row in rows] == results.read(table)["occupancy"]
    np.testing.assert_allclose(sum(row["share"] for row in rows), 1)
    assert all(row["marks"] == "; ".join(card.marks) for card in found.cards for row in [rows[card.cluster]])


def test_a_run_of_an_older_version_has_no_file(tmp_path):
    assert findings.read(tmp_path / "findings.npz") is None
