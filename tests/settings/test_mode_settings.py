"""A mode reads each setting that it is given, or refuses it."""

import pytest

from vade_jax.settings.mode_settings import check_settings_of_mode
from vade_jax.settings.rules import RULES
from vade_jax.system.errors import InputError

MODES = ("train", "evaluate", "predict", "generate", "select_k")


@pytest.mark.parametrize(
    ("mode", "names"),
    [
        ("train", [name for name in RULES if name.split(".")[0] not in ("predict", "generate", "select_k")]),
        ("evaluate", ["data.path", "evaluate.bound_rows", "evaluate.estimator", "precision", "report"]),
        ("predict", ["data.path", "predict.output", "evaluate.batch_size", "precision"]),
        ("generate", ["data.path", "generate.seed", "precision"]),
        ("select_k", ["data.path", "select_k.max_rows", "evaluate.bound_rows", "compilation_cache"]),
    ],
)
def test_a_mode_reads_these(mode, names):
    check_settings_of_mode(mode, names)


@pytest.mark.parametrize(
    ("mode", "name", "words"),
    [
        ("train", "predict.output", "expected a setting that this mode reads: any but those of predict, generate, sel"),
        (
            "evaluate",
            "train.num_epochs",
            "reads: data.path, precision, compilation_cache, evaluate.*, report. Leave it",
        ),
        ("evaluate", "seed", "Leave it out. Another run can be trained with it."),
        ("predict", "evaluate.bound_samples", "Run --mode=evaluate with it first: the temperature and"),
        ("predict", "evaluate.estimator", "Run --mode=evaluate with it first"),
        ("generate", "evaluate.batch_size", "Leave it out."),
        ("select_k", "evaluate.estimator", "Leave it out."),
        ("select_k", "init.method", "Leave it out."),
    ],
)
def test_other_settings_are_refused(mode, name, words):
    with pytest.raises(InputError) as caught:
        check_settings_of_mode(mode, ["data.path", name] if mode != "train" else [name])
    assert str(caught.value).startswith(f"config.{name}: got a value with --mode={mode}, expected ")
    assert words in str(caught.value)
