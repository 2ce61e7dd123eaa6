"""Settings that depend on the rows: which ones are refused, and what 'auto' chooses."""

import numpy as np
import pytest
from helpers.runs import fields

from vade_jax.data import column_names
from vade_jax.data.dataset import Dataset, make_dataset
from vade_jax.data.scaling import SCALINGS
from vade_jax.networks.likelihoods import LIKELIHOODS, make_likelihood
from vade_jax.settings import data_dependent
from vade_jax.system.errors import InputError

DIGITS = Dataset(np.arange(80, dtype=np.uint8).reshape(20, 4), None, (2, 2, 1))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model__num_clusters": 21}, "config.model.num_clusters: got 21, .* number of rows, 20"),
        ({"init__max_rows": 9}, "config.init.max_rows: got 9, .* the number of clusters, 10"),
        (
            {"data__scaling": "none"},
            r"config.model.likelihood: got 'bernoulli' .* \[0, 79\], expected values in \[0, 1\]",
        ),
        ({"data__scaling": "standardize"}, "config.model.likelihood: got 'bernoulli'"),
    ],
)
def test_settings_that_do_not_suit_the_rows_are_refused(changes, words):
    with pytest.raises(InputError, match=words):
        data_dependent.check_against_data(fields(**changes), DIGITS)


@pytest.mark.parametrize(("num_rows", "got"), [(20, "'all' with 20 equal rows"), (1, "1 row")])
def test_equal_rows_are_refused(num_rows, got):
    same = DIGITS._replace(x=np.full((num_rows, 4), 0.1, np.float32))
    with pytest.raises(InputError, match=f"config.data.train_split: got {got}, expected rows that differ"):
        data_dependent.check_against_data(fields(model__num_clusters=1), same)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_more_clusters_than_different_rows_are_refused(dtype):
    two = DIGITS._replace(x=np.array([[0, 1, 2, 3], [4, 5, 6, 7]], dtype).repeat(150, axis=0))
    data_dependent.check_against_data(fields(model__num_clusters=2, data__scaling="range"), two)
    with pytest.raises(
        InputError,
        match=r"num_clusters: got 3, expected at most the number of different rows among the 300, 2\. Use fewer",
    ):
        data_dependent.check_against_data(fields(model__num_clusters=3), two)


@pytest.mark.parametrize("auto", ["auto", ("auto",), ["auto"]])
@pytest.mark.parametrize(
    ("num_rows", "num_columns", "widths"),
    [
        (20, 2, (32, 32)),
        (870, 2, (64, 64)),
        (1797, 2, (128, 128)),
        (7999, 100, (256, 256)),
        (8000, 99, (256, 256)),
        (8000, 100, (500, 500, 2000)),
    ],
)
def test_auto_networks_grow_with_the_rows_and_columns(auto, num_rows, num_columns, widths):
    rows = Dataset(np.zeros((num_rows, num_columns), np.uint8), None, None)
    chosen = data_dependent.resolve_auto_settings(fields(model__hidden=auto), rows)
    assert chosen["model.hidden"] == (widths, f"{num_rows} rows")
    assert "model.hidden" not in data_dependent.resolve_auto_settings(fields(model__hidden=(7,)), rows)


@pytest.mark.parametrize(
    ("num_rows", "method"),
    [(20, "gaussians_or_communities"), (7999, "gaussians_or_communities"), (8000, "manifold")],
)
def test_few_rows_start_from_gaussians_or_communities_and_many_from_layouts(num_rows, method):
    rows = make_dataset(np.zeros((num_rows, 2)), None, "X")
    assert data_dependent.resolve_auto_settings(fields(init__method="auto"), rows)["init.method"] == (
        method,
        f"{num_rows} rows",
    )
    assert "init.method" not in data_dependent.resolve_auto_settings(fields(init__method="gmm"), rows)


def test_many_rows_with_categories_do_not_start_from_layouts():
    rows = make_dataset(np.zeros((8000, 2)), None, "X")._replace(levels=(("a", "b"), ()))
    chosen = data_dependent.resolve_auto_settings(fields(init__method="auto"), rows)
    assert chosen["init.method"][0] == "gaussians_or_communities"


@pytest.mark.parametrize(("num_rows", "share", "choice"), [(20, 0.1, "on"), (8000, 0.1, "off"), (20, 0.0, "off")])
def test_stages_of_few_rows_end_early(num_rows, share, choice):
    rows = make_dataset(np.zeros((num_rows, 2)), None, "X")
    settings = fields(optimizer__early_stopping="auto", data__held_out_share=share)
    assert data_dependent.resolve_auto_settings(settings, rows)["optimizer.early_stopping"][0] == choice
    assert "optimizer.early_stopping" not in data_dependent.resolve_auto_settings(fields(), rows)


def test_early_stopping_needs_held_out_rows():
    settings = fields(optimizer__early_stopping="on", data__held_out_share=0.0)
    with pytest.raises(InputError, match=r"early_stopping: got 'on' with config.data.held_out_share=0, expected 'off'"):
        data_dependent.check_against_data(settings, DIGITS)


def test_equal_rows_are_counted_once():
    x = np.array([[0.0, 1], [-0.0, 1], [2, 1], [0, 1], [3, 1]], np.float32)
    assert [data_dependent.count_distinct_rows(x, enough) for enough in (1, 2, 3, 4)] == [1, 2, 3, 3]


def test_unknown_columns_are_left_out_with_a_message(capsys):
    rows = DIGITS._replace(names=tuple("dbca"), image_shape=None)
    kept = column_names.match_columns(rows, ("a", "b"), 2, "x.csv", "config.data.path")
    np.testing.assert_array_equal(kept.x, DIGITS.x[:, [3, 1]])
    assert kept.names == ("a", "b")
    assert capsys.readouterr().out == "x.csv: 2 columns that the model does not know are left out: d, c\n"
    assert column_names.match_columns(rows, tuple("dbca"), 4, "x.csv", "config.data.path") is rows
    assert capsys.readouterr().out == ""


def test_rows_must_suit_the_network_and_each_other():
    small = fields()
    data_dependent.check_against_data(small, DIGITS)
    small["model"]["network"] = "conv"
    data_dependent.check_against_data(small, DIGITS)
    with pytest.raises(InputError, match=r"config.model.network: got 'conv', .* no image shape"):
        data_dependent.check_against_data(small, DIGITS._replace(image_shape=None))
    with pytest.raises(
        InputError, match=r"config.data.test_split: got rows of test with 3 columns, expected the model's 4"
    ):
        column_names.match_columns(DIGITS._replace(x=DIGITS.x[:, :3]), (), 4, "test", "config.data.test_split")


def chosen(rows, **changes):
    return {name: value for name, (value, _) in data_dependent.resolve_auto_settings(fields(**changes), rows).items()}


AUTO = {"data__scaling": "auto", "model__likelihood": "auto"}
FLOATS = Dataset(np.array([[-3, 7], [2, 9.5]], np.float32).repeat(200, axis=0), None, None)


@pytest.mark.parametrize(
    ("rows", "scaling", "likelihood"),
    [
        (FLOATS, "standardize", "gaussian_shared"),
        (FLOATS._replace(x=FLOATS.x / 100 + 0.5), "none", "bernoulli"),
        (FLOATS._replace(x=(FLOATS.x > 0).astype(np.uint8)), "none", "bernoulli"),
        (FLOATS._replace(x=np.abs(FLOATS.x).astype(np.uint8)), "range", "bernoulli"),
        (FLOATS._replace(image_shape=(1, 2, 1)), "range", "bernoulli"),
    ],
)
def test_the_rows_decide_auto_fields(rows, scaling, likelihood):
    both = {"data.scaling": scaling, "model.likelihood": likelihood}
    assert chosen(rows, **AUTO) == both
    data_dependent.check_against_data(
        fields(data__scaling=scaling, model__likelihood=likelihood, model__num_clusters=2), rows
    )
    for field, value in both.items():  # a given field is kept, and the other one is chosen to suit it
        one = {**AUTO, field.replace(".", "__"): value}
        assert chosen(rows, **one) == {name: value for name, value in both.items() if name != field}


def test_rows_in_the_unit_interval_without_their_offset_are_not_binary():
    rows = make_dataset(1.7e9 + np.random.default_rng(0).random((50, 2)), None, "x")
    assert (rows.x.min(), rows.offset is None) == (0, False)
    values = data_dependent.resolve_auto_settings(fields(**AUTO), rows)
    assert values["data.scaling"] == ("standardize", "the values lie in [1.7e+09, 1.7e+09]")
    assert values["model.likelihood"][0] == "gaussian_shared"
    likelihood = {"model__num_clusters": 3, "data__scaling": "standardize", "model__likelihood": "gaussian_shared"}
    data_dependent.check_against_data(fields(**likelihood), rows)  # these rows are not equal


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("image_shape", [None, (1, 2, 1)])
def test_a_given_field_decides_the_other_one(scaling, likelihood, image_shape):
    rows = FLOATS._replace(image_shape=image_shape)
    assert chosen(rows, data__scaling=scaling, model__likelihood=likelihood) == {}
    other = chosen(rows, data__scaling=scaling, model__likelihood="auto")
    assert other == {"model.likelihood": "bernoulli" if scaling == "range" else "gaussian_shared"}
    other = chosen(rows, data__scaling="auto", model__likelihood=likelihood)
    of_real = "rescale" if image_shape else "standardize"
    suitable = {"unit_interval": "range", "count": "none", "real": of_real}
    assert other == {"data.scaling": suitable[make_likelihood(likelihood, -6.0).support]}


@pytest.mark.parametrize("bad", [-1.0, 0.5])
def test_a_likelihood_of_counts_is_refused_for_other_values(bad):
    rows = Dataset(np.array([[3, 0], [12, 1]], np.float32).repeat(100, axis=0), None, None)
    settings = fields(data__scaling="none", model__likelihood="poisson", model__num_clusters=2)
    data_dependent.check_against_data(settings, rows)
    expected = r"^config\.model\.likelihood: got 'poisson' .*, expected counts, which are integers >= 0"
    with pytest.raises(InputError, match=expected):
        data_dependent.check_against_data(settings, rows._replace(x=np.where(rows.x == 12, np.float32(bad), rows.x)))
    settings["data"]["scaling"] = "range"
    with pytest.raises(InputError, match=expected):
        data_dependent.check_against_data(settings, rows)


def test_batches_have_at_most_as_many_rows_as_the_data():
    assert chosen(DIGITS, pretrain__batch_size=7) == {
        f"{stage}.batch_size": 20 for stage in ("guide", "align", "train")
    }
    assert chosen(FLOATS) == {}
