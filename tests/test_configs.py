"""Every config has the fields of the base config, its docstring has its command, and configs/ hands it on."""

import importlib
from pathlib import Path

import pytest

from vade_jax.command_line.config_files import shipped_configs
from vade_jax.configs import base
from vade_jax.settings.field_names import flatten
from vade_jax.settings.rules import check_fields

NAMES = shipped_configs()


def test_all_configs_are_handed_on():
    assert sorted(path.stem for path in (Path(__file__).parent.parent / "configs").glob("*.py")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_config_has_the_fields_of_the_base_and_valid_values(name):
    config = importlib.import_module(f"configs.{name}").get_config()
    check_fields(config.to_dict())
    assert flatten(config.to_dict()).keys() == flatten(base.get_config().to_dict()).keys()
    assert config.is_locked
    assert config == importlib.import_module(f"vade_jax.configs.{name}").get_config()


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"base"}))
def test_config_docstring_has_its_command(name):
    assert f"vade-jax --config={name} " in importlib.import_module(f"vade_jax.configs.{name}").__doc__
    assert f"python main.py --config=configs/{name}.py" in importlib.import_module(f"configs.{name}").__doc__
