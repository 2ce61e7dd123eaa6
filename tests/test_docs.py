"""The pages of docs/ are correct: links resolve, commands and code are valid, and nothing that they list is missing."""

import importlib
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.pages import anchors, blocks, links, prints, without_tables_and_code

from benchmarks import records
from vade_jax.runs.replaced_run import _CHECKPOINT_FOLDERS, _FILES
from vade_jax.settings import mode_settings, rules
from vade_jax.settings.defaults import get_config
from vade_jax.settings.field_names import flatten

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
ROOT_PAGES = [ROOT / name for name in ("README.md", "RESULTS.md", "CONTRIBUTING.md", "benchmarks/README.md")]
PAGES = ROOT_PAGES + sorted(DOCS.rglob("*.md"))
TUTORIALS = sorted((DOCS / "tutorials").glob("*.md"))


def name_of(page):
    return str(page.relative_to(ROOT))


def commands():
    """The commands of all pages that start main.py, from there on, each once."""
    found = set()
    for page in PAGES:
        text = page.read_text()
        in_blocks = "\n".join(blocks(text, "bash")).replace("\\\n", " ")
        in_text = "\n".join(re.findall(r"`([^`\n]*)`", without_tables_and_code(text)))
        found |= set(re.findall(r"python main\.py (-[^\n\"]*)", f"{in_blocks}\n{in_text}"))
    return sorted(found)


@pytest.fixture
def generated(monkeypatch):
    """The module docs/generated_pages.py."""
    monkeypatch.syspath_prepend(DOCS)
    return importlib.import_module("generated_pages")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_resolve(page):
    missing = [target for target in links(page.read_text()) if not (page.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_headings_that_links_name_exist(page):
    for target, anchor in re.findall(r"\]\(([^()\s#:]*)#([^()\s]+)\)", page.read_text()):
        linked = page.parent / target if target else page
        text = linked.read_text()
        for included in re.findall(r"^```\{include\} (\S+)$", text, re.MULTILINE):
            text += (linked.parent / included).read_text()
        assert anchor in anchors(text), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_named_files_exist(page):
    found = re.findall(r"(?<!/)\b((?:configs|benchmarks|examples|docs|vade_jax)/[\w/]+\.(?:py|md))\b", page.read_text())
    assert [path for path in found if not (ROOT / path).is_file()] == []


@pytest.mark.parametrize("command", commands())
def test_the_settings_of_a_command_are_valid(command):
    words = shlex.split(command)
    flags = [word for word in words if word.startswith("--config.")]
    config = next((word.partition("=")[2] for word in words if word.startswith("--config=")), "configs/digits.py")
    mode = next((word.partition("=")[2] for word in words if word.startswith("--mode=")), "train")
    rules.check_fields(records.read_config(config, flags).to_dict())
    mode_settings.check_settings_of_mode(mode, [flag.removeprefix("--config.").partition("=")[0] for flag in flags])


def test_settings_that_pages_name_exist():
    names = flatten(get_config().to_dict())
    sections = {name.partition(".")[0] for name in names if "." in name}
    for page in PAGES:
        for section, name in re.findall(r"`(\w+)\.(\w+)(?:=[^`]*)?`", page.read_text()):
            assert section not in sections or f"{section}.{name}" in names or name in ("py", "json", "png", "md"), page


def test_every_setting_is_in_the_reference(generated):
    page = generated.settings_markdown()
    assert [name for name in flatten(get_config().to_dict()) if page.count(f"\n`{name}`\n: ") != 1] == []


def test_a_setting_has_its_meaning_its_default_and_its_values(generated):
    _, _, entry = generated.settings_markdown().partition("`guide.kl_c_weight`\n")
    assert entry.startswith(": Of KL(q(c|x) || p(c|z)); with 1 the objective is the ELBO.")
    assert entry.partition("\n\n  ")[2].startswith("Default: `100.0`. Allowed: a number >= 1.")


def test_everything_that_is_exported_is_in_the_reference(generated):
    import vade_jax

    page = generated.api_markdown()
    assert [name for name in vade_jax.__all__ if page.count(f":: vade_jax.{name}\n") != 1] == []


def test_every_file_of_a_run_is_listed():
    page = (DOCS / "output_files.md").read_text()
    folders = [f"{name}/" for name in _CHECKPOINT_FOLDERS]
    files = [name if "/" not in name or name.endswith(".html") else f"{name.partition('/')[0]}/" for name in _FILES]
    assert [name for name in folders + files if f"`{name}`" not in page] == []


def test_every_folder_is_listed():
    page = (DOCS / "architecture.md").read_text()
    for path in (ROOT / "vade_jax").glob("*/__init__.py"):
        assert f"| `vade_jax/{path.parent.name}/` |" in page


def test_every_requirement_is_explained():
    requirements = re.findall(r"^([a-zA-Z][\w-]*)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    reasons = (DOCS / "install.md").read_text().partition("## What each dependency is for")[2]
    assert [name for name in requirements if name not in reasons] == []


@pytest.mark.parametrize("page", [*TUTORIALS, DOCS / "extending.md"], ids=name_of)
def test_what_a_page_shows_of_an_example_is_there(page):
    options = r"^```\{literalinclude\} (\S+)\n((?::[\w-]+:.*\n)*)"
    for target, lines in re.findall(options, page.read_text(), re.MULTILINE):
        source = (page.parent / target).read_text()
        for option, text in re.findall(r":(start-\w+|end-\w+|pyobject): (.*)", lines):
            shown = text.strip('"').replace(r"\n", "\n")
            assert (
                (f"class {shown}(" in source or f"def {shown}(" in source) if option == "pyobject" else shown in source
            )


def test_python_of_the_pages_is_valid():
    for page in PAGES:
        for code in blocks(page.read_text(), "python"):
            compile(code, str(page), "exec")


@pytest.mark.parametrize("name", ["output_files", "draws"])
def test_python_that_reads_a_workdir_runs(name, digits_run):
    (code,) = blocks((DOCS / f"{name}.md").read_text(), "python")
    names = {}
    exec(re.sub("/tmp/(vade|table)", str(digits_run[0]), code), names)
    assert len(names["clusters"]) == {"output_files": 1797, "draws": 1000}[name]


@pytest.mark.usefixtures("as_in_a_program")
def test_the_tutorial_of_the_loss_functions_has_the_output_of_its_example(capsys):
    runpy.run_path(str(ROOT / "examples" / "loss_functions.py"))
    (output,) = blocks((DOCS / "tutorials" / "loss_functions.md").read_text(), "text")
    assert capsys.readouterr().out == output


def test_printed_lines_are_compared_by_their_words_and_numbers():
    shown = "a  0.71\n[1 2]\n"
    assert prints("before\na 0.72\n[1 2]\nafter\n", shown)
    assert not prints("a 0.75\n[1 2]\n", shown)
    assert not prints("b 0.71\n[1 2]\n", shown)
    assert not prints("a 0.71\n", shown)


@pytest.mark.slow
@pytest.mark.usefixtures("optimized", "as_in_a_program")
def test_the_tutorial_of_tables_has_the_output_of_its_examples(capsys):
    runpy.run_path(str(ROOT / "examples" / "table.py"))
    printed = capsys.readouterr().out
    runpy.run_path(str(ROOT / "examples" / "table_with_gaps.py"))["main"]()
    printed += capsys.readouterr().out
    outputs = blocks((DOCS / "tutorials" / "table.md").read_text(), "text")
    assert len(outputs) == 4
    assert [output for output in outputs if not prints(printed, output, tolerance=0.1)] == []  # fits round differently


@pytest.mark.slow
def test_the_site_builds_without_warnings(tmp_path):
    for name in ("sphinx", "myst_parser", "furo"):
        pytest.importorskip(name)
    command = [sys.executable, "-m", "sphinx", "-W", "-q", str(DOCS), str(tmp_path)]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert "guide.kl_c_weight" in (tmp_path / "settings.html").read_text()
    assert "vade_jax.elbo_terms" in (tmp_path / "api.html").read_text()
    assert "--num_processes=1\n" in (tmp_path / "command_line.html").read_text()
