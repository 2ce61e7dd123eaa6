"""Folders of finished runs with a report. A test that changes one copies it first."""

import shutil

import numpy as np
import pytest
from helpers.report_pages import with_report

from vade_jax.commands.train import train

NAMES = ["<script>alert(1)</script>", "age", "income & $x^2"]


@pytest.fixture(scope="session")
def digits(digits_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits") / "run"
    shutil.copytree(digits_run[0], folder)
    train(with_report(), folder)
    return folder


@pytest.fixture(scope="session")
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
