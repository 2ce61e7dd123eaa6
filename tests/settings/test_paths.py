"""Paths as users write them."""

from pathlib import Path

from helpers.runs import tiny

from vade_jax.settings import paths
from vade_jax.settings.field_names import flatten
from vade_jax.settings.rules import PATH, RULES

PATHS = ("compilation_cache", "data.path", "data.dir", "pretrain.workdir", "predict.output", "generate.output")


def test_the_home_folder_is_expanded_in_every_path_and_nowhere_else(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ann")
    config = tiny(data__label_column="~/kind")
    config.update_from_flattened_dict({name: "~/x" for name in PATHS})
    expanded = flatten(paths.expand_home(config).to_dict())
    assert expanded == flatten(config.to_dict()) | {name: "/home/ann/x" for name in PATHS}
    assert config.data.path == "~/x"
    assert paths.user_path("~") == Path("/home/ann")
    assert paths.user_path("a/~") == Path("a/~")


def test_every_path_is_known():
    assert {name for name, rule in RULES.items() if rule is PATH} == set(PATHS)


def test_only_paths_that_exist_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.csv").touch()
    assert paths.absolute_path("x.csv") == str(tmp_path / "x.csv")
    assert paths.absolute_path("postgres://rows") == "postgres://rows"
    assert paths.absolute_path("") == ""
