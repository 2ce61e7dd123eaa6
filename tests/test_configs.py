"""Every config has the fields of the base config, and its docstring has its command."""

import importlib
from pathlib import Path

import pytest

from configs import base
from vade_jax.settings.field_names import flatten
from vade_jax.settings.rules import check_fields

NAMES = sorted(path.stem for path in Path(base.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("name", NAMES)
def test_config_has_the_fields_of_the_base_and_valid_values(name):
    config = importlib.import_module(f"configs.{name}").get_config()
    check_fields(config.to_dict())
    assert flatten(config.to_dict()).keys() == flatten(base.get_config().to_dict()).keys()
    assert config.is_locked


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"base"}))
def test_config_docstring_has_its_command(name):
    docstring = importlib.import_module(f"configs.{name}").__doc__
    assert f"python main.py --config=configs/{name}.py" in docstring
