"""Every config has the fields of the base config, its docstring has its command, and configs/ hands it on."""

import importlib
import math
from pathlib import Path

import pytest

from vade_jax.command_line.config_files import shipped_configs
from vade_jax.configs import base
from vade_jax.settings.field_names import flatten
from vade_jax.settings.rules import check_fields
from vade_jax.training.optimizer import make_schedule

NAMES = shipped_configs()


def module_of(package, name):
    return importlib.import_module(f"{package}.{name.replace('/', '.')}")


def test_all_configs_are_handed_on():
    folder = Path(__file__).parent.parent / "configs"
    assert sorted(path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.py")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_config_has_the_fields_of_the_base_and_valid_values(name):
    config = module_of("configs", name).get_config()
    check_fields(config.to_dict())
    assert flatten(config.to_dict()).keys() == flatten(base.get_config().to_dict()).keys()
    assert config.is_locked
    assert config == module_of("vade_jax.configs", name).get_config()


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"base"}))
def test_config_docstring_has_its_command(name):
    assert f"vade-jax --config={name} " in module_of("vade_jax.configs", name).__doc__
    assert f"python main.py --config=configs/{name}.py" in module_of("configs", name).__doc__


@pytest.mark.parametrize(
    ("name", "epochs", "rates", "sigma2"),
    [
        ("mnist", 3000, {0: (2e-3, 2e-3), 9: (2e-3, 2e-3), 10: (1.8e-3, 1.8e-3), 500: (2e-4, 2e-4)}, None),
        ("har", 120, {0: (2e-3, 2e-5), 10: (1.8e-3, 1.8e-5), 110: (2e-3 * 0.9**11, 2e-5 * 0.9**11)}, 1 / 10),
        ("reuters10k", 15, {0: (2e-3, 2e-3), 4: (2e-3, 2e-3), 5: (1e-3, 1e-3), 14: (5e-4, 5e-4)}, 1 / 2),
    ],
)
def test_the_papers_configs_have_the_schedule_of_the_authors_code(name, epochs, rates, sigma2):
    config = module_of("vade_jax.configs", f"paper/{name}").get_config()
    options, section = config.optimizer, config.train
    assert (section.num_epochs, section.batch_size, options.adam_epsilon) == (epochs, 100, 1e-4)
    steps = 102
    for epoch, expected in rates.items():
        for first, rate in zip((section.learning_rate, section.prior_learning_rate), expected, strict=True):
            schedule = make_schedule(
                options.schedule,
                learning_rate=first,
                final_fraction=options.final_fraction,
                decay_rate=options.decay_rate,
                decay_steps=options.decay_epochs * steps,
                num_steps=epochs * steps,
            )
            assert float(schedule(epoch * steps)) == pytest.approx(rate, rel=1e-5)
    assert (config.guide.num_rounds, config.align.num_epochs, config.doctor.max_cures) == (0, 0, 0)
    if sigma2:
        assert config.model.likelihood == "gaussian_fixed"
        assert config.model.min_log_var == pytest.approx(math.log(sigma2))
