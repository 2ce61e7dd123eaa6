"""Registries: registered names, names that are imported, and the errors of both."""

import sys

import pytest

from vade_jax.system.errors import InputError
from vade_jax.system.registry import Registry, named_module


@pytest.fixture
def shapes():
    return Registry("shape", "plot.shape", {"square": lambda side: side**2})


def test_registered_parts_are_found_by_their_names(shapes):
    shapes.register("cube", lambda side: side**3)
    assert shapes["cube"](2) == 8
    assert list(shapes) == ["square", "cube"]
    assert len(shapes) == 2
    assert "cube" in shapes
    assert "circle" not in shapes


@pytest.mark.parametrize("name", ["square", "", "auto", "math:sqrt"])
def test_names_that_are_taken_or_have_a_meaning_are_refused(shapes, name):
    with pytest.raises(ValueError, match="shape"):
        shapes.register(name, lambda side: side)
    assert list(shapes) == ["square"]


def test_registries_share_no_parts(shapes):
    Registry("shape", "plot.shape", shapes).register("cube", lambda side: side**3)
    assert "cube" not in shapes


def test_named_code_is_imported_when_it_is_looked_up(shapes, tmp_path, monkeypatch):
    (tmp_path / "registry_parts.py").write_text("def triple(side):\n    return 3 * side\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "registry_parts:triple" in shapes
    assert "registry_parts" not in sys.modules
    assert shapes["registry_parts:triple"](2) == 6
    assert list(shapes) == ["square"]


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("a.b:c", "a.b"),
        ("a:c", "a"),
        ("a", None),
        ("a:", None),
        (":c", None),
        ("a:b:c", None),
        ("a/b:c", None),
        ("a.b:c()", None),
        ("a..b:c", None),
    ],
)
def test_only_module_and_attribute_name_code(shapes, name, module):
    assert named_module(name) == module
    assert (name in shapes) == (module is not None)


@pytest.mark.parametrize("value", [None, 1, ["square"], {"square"}])
def test_values_that_are_not_text_are_in_no_registry(shapes, value):
    assert value not in shapes


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("circle", r"got 'circle', expected one of 'square', or package\.module:factory\. If your own code registers"),
        ("registry_gone:f", r"got 'registry_gone:f', but importing registry_gone failed with ModuleNotFoundError: "),
        ("registry_broken:f", r"but importing registry_broken failed with RuntimeError: not today"),
        ("math:tangent", r"but math has no function or class tangent, expected package\.module:factory of a shape"),
        ("math:pi", r"but math has no function or class pi"),
    ],
)
def test_errors_are_one_line_that_names_the_setting(shapes, tmp_path, monkeypatch, name, message):
    (tmp_path / "registry_broken.py").write_text("raise RuntimeError('not today\\nor ever')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=rf"^config\.plot\.shape: .*{message}") as caught:
        shapes[name]
    assert "\n" not in str(caught.value)
