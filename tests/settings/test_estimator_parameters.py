"""Parameters of the estimator as settings, and errors about settings in the words of the parameters."""

import pytest

from vade_jax import VaDE
from vade_jax.runs.run import stage_length
from vade_jax.settings.estimator_parameters import bounded, config_of, in_parameters, parameters_of, text_in_parameters
from vade_jax.settings.rules import RULES
from vade_jax.system.errors import InputError


def parameters(**changes):
    return VaDE(**changes).get_params(deep=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Set --config.data.scaling=range.", "Set scaling='range'."),
        ("Set --config.model.num_clusters=VALUE.", "Set n_clusters=VALUE."),
        ("Set --config.augment.hide_share=0.5, or less.", "Set settings={'augment.hide_share': 0.5}, or less."),
        ("or set --config.pretrain.workdir= to train", "or set settings={'pretrain.workdir': ''} to train"),
        ("It needs config.data.path.", "It needs X."),
        ("without our config.json", "without our config.json"),
        ("no setting", "no setting"),
    ],
)
def test_settings_in_a_text_are_named_as_parameters(text, expected):
    assert text_in_parameters(text) == expected


def test_every_setting_has_a_name_among_the_parameters():
    for name in RULES:
        error = in_parameters(InputError(f"config.{name}", "1", "2", f"Set --config.{name}=VALUE."))
        assert "config." not in str(error)
    assert str(error).startswith(f"settings[{name!r}]: got 1, expected 2. Set settings={{{name!r}: VALUE}}.")


def test_an_unknown_setting_keeps_its_name():
    error = in_parameters(InputError("config.train.num_epoch", "an unknown field", "a field", "Check its name."))
    assert error.field == "settings['train.num_epoch']"


def test_settings_can_be_nested():
    flat = config_of(parameters(settings={"train.num_epochs": 7}))
    assert flat == config_of(parameters(settings={"train": {"num_epochs": 7}}))
    assert flat.train.num_epochs == 7


@pytest.mark.parametrize("max_epochs", [1, 3, 50, 1000])
@pytest.mark.parametrize("num_rows", [20, 300, 100_000])
def test_no_stage_goes_through_the_rows_more_often_than_max_epochs(max_epochs, num_rows):
    free, short = (bounded(config_of(parameters()), bound, num_rows) for bound in (None, max_epochs))
    for stage in ("pretrain", "guide", "align", "train"):
        of_stage = [
            stage_length(c[stage].num_epochs, min(num_rows, c[stage].batch_size), num_rows, c.optimizer.min_steps)
            for c in (free, short)
        ]
        (free_epochs, free_each), (epochs, each) = of_stage
        assert epochs * each <= max_epochs + each - 1  # the last epoch can be longer than what is left
        if free_epochs * free_each <= max_epochs:
            assert (epochs, each) == (free_epochs, free_each)


def test_parameters_come_back_from_settings():
    given = parameters(n_clusters=3, network="conv", random_state=5, settings={"init.num_restarts": 2})
    back = parameters_of(bounded(config_of(given), 2, 1000).to_dict(), {"image_shape": None})
    assert (back["n_clusters"], back["network"], back["random_state"]) == (3, "conv", 5)
    assert back["settings"].items() >= {"init.num_restarts": 2, "pretrain.num_epochs": 2}.items()
