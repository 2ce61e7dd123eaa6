"""Each field's rule, and the words of each refusal."""

import numpy as np
import pytest

from configs import base
from vade_jax import settings
from vade_jax.errors import InputError
from vade_jax.rows import Dataset

DIGITS = Dataset(np.arange(80, dtype=np.uint8).reshape(20, 4), None, (2, 2, 1))
BATCH_SIZES = [f"{stage}__batch_size" for stage in ("pretrain", "guide", "align", "train")]


def fields(**changes):
    nested = base.get_config().to_dict()
    for name, value in changes.items():
        section, _, field = name.rpartition("__")
        (nested[section] if section else nested)[field] = value
    return nested


def test_every_field_of_the_base_config_has_a_rule_and_every_rule_a_field():
    assert settings.flatten(fields()).keys() == settings.RULES.keys()
    settings.check_fields(fields())


@pytest.mark.parametrize("name", settings.RULES)
@pytest.mark.parametrize("value", [None, [None], float("nan"), object()])
def test_a_value_of_the_wrong_type_names_its_field(name, value):
    with pytest.raises(InputError, match=rf"^config\.{name}: .* came; it must be ") as caught:
        settings.check_fields(fields(**{name.replace(".", "__"): value}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -1),
        ("seed", True),
        ("seed", 2**32),
        ("data__name", "mnits"),
        ("model__num_clusters", 0),
        ("model__num_clusters", 2.0),
        ("model__hidden", (5, 0)),
        ("model__likelihood", "poisson"),
        ("optimizer__decay_rate", 0.0),
        ("optimizer__final_fraction", 1.5),
        ("pretrain__learning_rate", float("inf")),
        ("pretrain__learning_rate", 0.0),
        ("init__covariance", "round"),
        ("train__estimator", "best"),
        ("train__num_epochs", -1),
        ("train__prior_learning_rate", -1e-3),
    ],
)
def test_a_value_out_of_range_names_its_field(name, value):
    with pytest.raises(InputError) as caught:
        settings.check_fields(fields(**{name: value}))
    assert str(caught.value).startswith(f"config.{name.replace('__', '.')}: {value!r} came; it must be ")


def test_a_missing_and_an_unknown_field_are_named():
    missing = fields()
    del missing["train"]["estimator"]
    with pytest.raises(InputError, match=r"^config.train.estimator: it is missing"):
        settings.check_fields(missing)
    with pytest.raises(InputError, match=r"^config.train.batchsize: .* Did you mean config.train.batch_size\?"):
        settings.check_fields(fields(train__batchsize=3))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model__num_clusters": 21}, "config.model.num_clusters: 21 came; .* number of rows, 20"),
        ({"pretrain__batch_size": 21}, "config.pretrain.batch_size: 21 came; .* number of rows, 20"),
        ({"guide__batch_size": 21}, r"config.guide.batch_size: 21 came; .* number of rows, 20"),
        ({"align__batch_size": 21}, r"config.align.batch_size: 21 came; .* number of rows, 20"),
        ({"train__batch_size": 21}, "config.train.batch_size: 21 came; .* number of rows, 20"),
        ({"init__max_rows": 9}, "config.init.max_rows: 9 came; .* the number of clusters, 10"),
        ({"data__scaling": "none"}, r"config.model.likelihood: 'bernoulli' .* \[0, 79\]; it needs values in \[0, 1\]"),
        ({"data__scaling": "standardize"}, "config.model.likelihood: 'bernoulli'"),
    ],
)
def test_fields_that_do_not_suit_the_rows(changes, words):
    small = {**dict.fromkeys(BATCH_SIZES, 5), **changes}
    with pytest.raises(InputError, match=words):
        settings.check_data(fields(**small), DIGITS, None)


@pytest.mark.parametrize(("num_rows", "came"), [(20, "'all' came, of 20 equal rows"), (1, "1 row came")])
def test_rows_that_are_all_the_same(num_rows, came):
    same = DIGITS._replace(x=np.full((num_rows, 4), 0.1, np.float32))
    with pytest.raises(InputError, match=f"config.data.train_split: {came}; there must be rows that differ"):
        settings.check_data(fields(**dict.fromkeys(BATCH_SIZES, 1), model__num_clusters=1), same, None)


def test_columns_that_the_model_does_not_know_are_left_out_aloud(capsys):
    rows = DIGITS._replace(names=tuple("dbca"), image_shape=None)
    kept = settings.with_columns_of(rows, ("a", "b"), 2, "x.csv", "config.data.path")
    np.testing.assert_array_equal(kept.x, DIGITS.x[:, [3, 1]])
    assert kept.names == ("a", "b")
    assert capsys.readouterr().out == "x.csv: 2 columns that the model does not know are left out: d, c\n"
    assert settings.with_columns_of(rows, tuple("dbca"), 4, "x.csv", "config.data.path") is rows
    assert capsys.readouterr().out == ""


def test_rows_that_do_not_suit_the_network_or_each_other():
    small = fields(**dict.fromkeys(BATCH_SIZES, 5))
    settings.check_data(small, DIGITS, None)
    small["model"]["network"] = "conv"
    settings.check_data(small, DIGITS, None)
    with pytest.raises(InputError, match=r"config.model.network: 'conv' came; it needs images"):
        settings.check_data(small, DIGITS._replace(image_shape=None), None)
    with pytest.raises(InputError, match=r"config.data.test_split: the rows have 3 columns; the model was made for 4"):
        settings.with_columns_of(DIGITS._replace(x=DIGITS.x[:, :3]), (), 4, "test", "config.data.test_split")
    with pytest.raises(InputError, match=r"config.model.likelihood: .* \[3\.228, 3\.228\]"):
        settings.check_data(small, DIGITS, DIGITS._replace(x=np.full((1, 4), 255, np.uint8)))
