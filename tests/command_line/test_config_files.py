"""--config names a shipped config or a file."""

import re
from pathlib import Path

import pytest

from vade_jax.command_line.config_files import config_file, shipped_configs
from vade_jax.system.errors import InputError


def test_a_name_is_a_shipped_config():
    assert {"base", "digits", "mnist", "table"} <= set(shipped_configs())
    assert Path(config_file("mnist")).read_text().startswith('"""The 70,000 MNIST digits')


def test_a_shipped_config_is_found_beside_a_folder_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mnist").mkdir()
    assert Path(config_file("mnist")).is_file()


def test_a_shipped_config_may_be_in_a_folder():
    assert "paper/har" in shipped_configs()
    assert Path(config_file("paper/har")).read_text().startswith('"""HAR by the schedule of the authors')


def test_other_text_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").touch()
    for path in ("mine", "configs/mnist.py", "../x.py:8"):
        assert config_file(path) == path
    assert config_file("~/x.py") == str(Path.home() / "x.py")


def test_an_unknown_name_is_refused_with_a_close_one():
    with pytest.raises(InputError, match=r"config: got 'minst', expected a shipped config .* Did you mean mnist"):
        config_file("minst")
    with pytest.raises(InputError, match=re.escape("A file needs its ending, as in --config=my_config.py.")):
        config_file("unlike_any")
