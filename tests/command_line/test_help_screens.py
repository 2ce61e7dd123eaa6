"""The help is right, fits the screen, and has everything where everything is asked for."""

import pytest

from vade_jax.command_line.help_screens import FIELDS, asked_screen, command
from vade_jax.settings.rules import RULES


def test_without_arguments_it_says_what_to_do():
    text, status = asked_screen(["/usr/bin/vade-jax"])
    assert status == 2
    assert len(text.splitlines()) == 5
    assert "\n  vade-jax --config=digits --workdir=" in text


@pytest.mark.parametrize("flag", ["--help", "-h", "--helpshort"])
def test_help_is_one_screen(flag):
    text, status = asked_screen(["vade-jax", "--config=digits", flag])
    assert status == 0
    lines = text.splitlines()
    assert len(lines) < 40
    assert max(map(len, lines)) <= 80
    for mode in ("train", "evaluate", "predict", "generate", "select_k"):
        assert any(line.removeprefix("--mode").strip().startswith(f"{mode} ") for line in lines)
    assert all(f"  {name} " in text for name in FIELDS)
    assert "vade-jax --help=all" in lines[-1]


def test_the_ten_fields_exist():
    assert len(FIELDS) == 10
    assert FIELDS.keys() <= RULES.keys()


def test_other_flags_ask_for_no_help():
    assert asked_screen(["vade-jax", "--workdir=x"]) is None


@pytest.mark.parametrize("flag", ["--help=all", "--helpfull"])
def test_help_of_everything_has_every_field_and_flag(command_line, flag):
    answer = command_line(flag)
    assert answer.returncode == 0
    assert answer.stderr == ""
    for name in RULES:
        assert f"\n--config.{name}=" in answer.stdout
    for name in ("config=digits", "workdir", "mode=train", "resume=same", "allow_import=False", "coordinator="):
        assert f"\n--{name}\n" in f"\n{answer.stdout}"


@pytest.mark.parametrize(
    ("program", "started_by"),
    [
        ("/usr/bin/vade-jax", "vade-jax"),
        ("vade-jax.exe", "vade-jax"),
        ("main.py", "python main.py"),
        ("../vade/main.py", "python ../vade/main.py"),
        ("/lib/vade_jax/__main__.py", "python -m vade_jax"),
    ],
)
def test_the_help_names_the_command_that_was_used(program, started_by):
    assert command(program) == started_by
