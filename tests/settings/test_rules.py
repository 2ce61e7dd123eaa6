"""The rule of each field, and the messages of its errors."""

import pytest
from helpers.runs import fields

from benchmarks import records
from vade_jax.settings import field_names, rules
from vade_jax.system.errors import InputError


def test_fields_and_rules_have_the_same_names():
    assert field_names.flatten(fields()).keys() == rules.RULES.keys()
    rules.check_fields(fields())


@pytest.mark.parametrize("name", rules.RULES)
@pytest.mark.parametrize("value", [None, [None], float("nan"), object()])
def test_a_value_of_the_wrong_type_names_its_field(name, value):
    with pytest.raises(InputError, match=rf"^config\.{name}: got .*, expected ") as caught:
        rules.check_fields(fields(**{name.replace(".", "__"): value}))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", -1),
        ("seed", True),
        ("seed", 2**32),
        ("rate_factors", ()),
        ("rate_factors", (0.5, 0.5)),
        ("data__name", "mnits"),
        ("model__num_clusters", 0),
        ("model__num_clusters", 2.0),
        ("model__hidden", (5, 0)),
        ("model__likelihood", "laplace"),
        ("optimizer__decay_rate", 0.0),
        ("optimizer__final_fraction", 1.5),
        ("pretrain__learning_rate", float("inf")),
        ("pretrain__learning_rate", 0.0),
        ("init__covariance", "round"),
        ("train__estimator", "best"),
        ("train__num_epochs", -1),
        ("train__prior_learning_rate", -1e-3),
        ("generate__kind", "median"),
        ("generate__cluster", -2),
        ("generate__cluster", True),
        ("generate__cluster", "-2"),
        ("generate__cluster", "1.5"),
        ("generate__cluster", ""),
        ("generate__cluster", "all"),
    ],
)
def test_a_value_out_of_range_names_its_field(name, value):
    with pytest.raises(InputError) as caught:
        rules.check_fields(fields(**{name: value}))
    assert str(caught.value).startswith(f"config.{name.replace('__', '.')}: got {value!r}, expected ")


@pytest.mark.parametrize("value", ["auto", "each", "-1", "0", "12", -1, 0, 12])
def test_a_cluster_to_generate_is_a_number_or_a_word(value):
    rules.check_fields(fields(generate__cluster=value))


@pytest.mark.parametrize("value", ["each", "3", "-1"])
def test_a_cluster_to_generate_can_be_given_on_the_command_line(value):
    config = records.read_config("configs/base.py", [f"--config.generate.cluster={value}"])
    rules.check_fields(config.to_dict())
    assert config.generate.cluster == value


def test_missing_and_unknown_fields_are_named():
    missing = fields()
    del missing["train"]["estimator"]
    with pytest.raises(InputError, match=r"^config.train.estimator: got no value, expected one of 'sample'"):
        rules.check_fields(missing)
    with pytest.raises(InputError, match=r"^config.train.batchsize: .* Did you mean config.train.batch_size\?"):
        rules.check_fields(fields(train__batchsize=3))
