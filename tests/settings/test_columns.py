"""The kinds of columns: what they look like, and what a setting says."""

import numpy as np
import pytest
from helpers.runs import fields

from vade_jax.data.dataset import Dataset, make_dataset
from vade_jax.networks.by_columns import Column
from vade_jax.settings import data_dependent
from vade_jax.settings.columns import columns_in_words, columns_of, describe_columns, read_columns
from vade_jax.system.errors import InputError

RNG = np.random.default_rng(0)
X = np.column_stack(
    [
        RNG.normal(size=500),
        RNG.integers(0, 2, 500),
        RNG.poisson(3, 500),
        RNG.integers(0, 90, 500),
        RNG.standard_cauchy(500),
        RNG.integers(0, 3, 500),
    ]
)
X[::7, :] = np.nan
NAMES = ("size", "member", "children", "age", "income", "town")
ROWS = make_dataset(X, None, "X", NAMES)._replace(levels=((), (), (), (), (), ("Bern", "Lyon", "Riga")))
BY_COLUMNS = {"model__likelihood": "by_columns", "data__scaling": "standardize", "model__num_clusters": 3}


def test_columns_are_what_they_look_like():
    columns = columns_of(fields(**BY_COLUMNS), ROWS)
    assert [kind for kind, _ in columns] == ["number", "binary", "count", "number", "heavy_tailed", "category"]
    assert columns[-1] == Column("category", 3)
    words = columns_in_words(columns, ROWS)
    assert words.startswith("number: size, age; binary: member; count: children; heavy_tailed: income; category: town")
    description = describe_columns(columns, True, ROWS)
    assert read_columns(description) == (columns, True)
    assert read_columns({}) == ((), False)


def test_numbers_above_zero_with_a_long_tail_are_positive():
    incomes = RNG.lognormal(8, 0.8, 500)
    columns = [incomes, incomes - incomes.min(), RNG.normal(50, 5, 500), -incomes, np.ceil(RNG.exponential(5, 500))]
    rows = make_dataset(np.stack(columns, axis=1), None, "X")
    assert [kind for kind, _ in columns_of(fields(**BY_COLUMNS), rows)] == ["positive", *["number"] * 4]
    auto = fields(model__likelihood="auto", data__scaling="auto", augment__hide_share="auto")
    for part, expected in ((rows, "by_columns"), (rows._replace(x=rows.x[:, 1:]), "gaussian_shared")):
        assert data_dependent.resolve_auto_settings(auto, part)["model.likelihood"][0] == expected


def test_flags_and_counts_beside_numbers_make_auto_choose_by_columns():
    auto = fields(model__likelihood="auto", data__scaling="auto", augment__hide_share="auto", init__method="auto")
    flags = RNG.integers(0, 2, (9000, 2)).astype(float)
    rare = (np.arange(9000) == 5).astype(float)
    numbers = RNG.normal(size=9000)
    for columns, likelihood, method in (
        ([flags[:, 0], numbers], "by_columns", "gaussians_or_communities"),
        ([rare, numbers], "gaussian_shared", "manifold"),
        ([*flags.T], "bernoulli", "manifold"),
        ([RNG.poisson(4, 9000), numbers], "by_columns", "gaussians_or_communities"),
        ([RNG.poisson(4, 9000), np.round(9 * numbers) ** 2], "gaussian_shared", "manifold"),
    ):
        rows = make_dataset(np.stack(columns, axis=1), None, "X")
        chosen = data_dependent.resolve_auto_settings(auto, rows)
        assert (chosen["model.likelihood"][0], chosen["init.method"][0]) == (likelihood, method)
    grey = make_dataset(np.stack([flags[:, 0], 255 * flags[:, 1]], axis=1).astype(np.uint8), None, "X")
    assert data_dependent.resolve_auto_settings(auto, grey)["model.likelihood"][0] == "bernoulli"


def test_whole_numbers_of_a_large_mean_are_no_counts():
    rows = make_dataset(RNG.poisson([[3, 100]], (500, 2)).astype(float), None, "X", ("children", "magnesium"))
    assert [kind for kind, _ in columns_of(fields(**BY_COLUMNS), rows)] == ["count", "number"]


def test_a_setting_overrules_how_a_column_looks():
    settings = fields(**BY_COLUMNS, data__columns=("age=count", "member=number"))
    assert [kind for kind, _ in columns_of(settings, ROWS)][:4] == ["number", "number", "count", "count"]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("height=number", r"got 'height=number', expected a column of the rows: size, member"),
        ("size=count", r"got size=count, a column of numbers .*, expected a column of integers >= 0"),
        ("age=binary", r"got age=binary, a column of numbers .*, expected a column of 0 and 1"),
        ("age=positive", r"got age=positive, a column of numbers .*, expected a column of numbers > 0"),
        ("town=number", r"got town=number, a column of text, expected a column of numbers"),
    ],
)
def test_kinds_that_do_not_suit_are_named(entry, words):
    with pytest.raises(InputError, match=rf"^config.data.columns: {words}"):
        columns_of(fields(**BY_COLUMNS, data__columns=(entry,)), ROWS)


def test_gaps_and_categories_make_auto_choose_by_columns():
    auto = fields(model__likelihood="auto", data__scaling="auto", augment__hide_share="auto")
    chosen = {name: value for name, (value, _) in data_dependent.resolve_auto_settings(auto, ROWS).items()}
    assert chosen["model.likelihood"] == "by_columns"
    assert chosen["data.scaling"] == "standardize"
    assert 0 < chosen["augment.hide_share"] < 1
    data_dependent.check_against_data(fields(**BY_COLUMNS), ROWS)
    complete = ROWS._replace(x=np.nan_to_num(ROWS.x)[:, [0, 3]], levels=(), names=("size", "age"))
    chosen = data_dependent.resolve_auto_settings(auto, complete)
    assert "augment.hide_share" not in chosen
    assert chosen["model.likelihood"][0] == "gaussian_shared"


def test_settings_that_do_not_suit_gaps_or_categories_are_refused():
    settings = fields(model__likelihood="gaussian", data__scaling="standardize", model__num_clusters=3)
    with pytest.raises(InputError, match=r"^config.model.likelihood: got 'gaussian' with the categories town"):
        data_dependent.check_against_data(settings, ROWS)
    gaps = ROWS._replace(levels=())
    data_dependent.check_against_data(settings, gaps)
    settings["model"]["likelihood"] = "poisson"
    with pytest.raises(InputError, match=r"^config.model.likelihood: got 'poisson' for rows with gaps"):
        data_dependent.check_against_data(settings, gaps)
    settings["model"]["likelihood"] = "gaussian"
    with pytest.raises(InputError, match=r"^config.data.path: got rows without any value in the columns age, expected"):
        data_dependent.check_against_data(settings, gaps._replace(x=np.where(np.arange(6) == 3, np.nan, gaps.x)))
    settings["augment"]["hide_share"] = 0.3
    complete = Dataset(np.nan_to_num(ROWS.x), None, None)
    with pytest.raises(InputError, match=r"^config.augment.hide_share: got 0.3 for rows without gaps, expected 0"):
        data_dependent.check_against_data(settings, complete)
