"""A Sphinx extension that writes the parts of pages that the code knows: settings, the API and the flags.

A page names such a part by a line `<!-- generated: settings -->`. The names are the keys of `PARTS`.
"""

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import vade_jax
from vade_jax.settings import defaults
from vade_jax.settings.field_names import flatten
from vade_jax.settings.meanings import meanings
from vade_jax.settings.rules import RULES

ROOT = Path(__file__).resolve().parent.parent

# heading -> where the objects of its section are defined
_API_SECTIONS = {
    "The estimator": "vade_jax.estimator",
    "The prior, the likelihoods and the bound": "vade_jax.core.",
    "Networks and likelihood classes": "vade_jax.networks.",
    "Data sets and scalings": "vade_jax.data.",
}

# file outside docs/ -> the page that includes it
_INCLUDED = {
    ROOT / "CHANGELOG.md": "changelog.md",
    ROOT / "CONTRIBUTING.md": "development.md",
    ROOT / "RESULTS.md": "comparison.md",
    ROOT / "benchmarks" / "README.md": "benchmarks.md",
}


def settings_markdown() -> str:
    """The reference of all settings, with a heading for each section of the config."""
    values = flatten(defaults.get_config().to_dict())
    parts = ["## Settings of a run"]
    for name, meaning in meanings().items():
        if name not in values:
            parts.append(f"## {name}")
            parts += [_sentence(meaning)] if meaning else []
            continue
        default = repr(values[name]).strip("()").rstrip(",") or "()"
        facts = f"Default: `{default}`. Allowed: {RULES[name].describe()}."
        parts.append(f"`{name}`\n: {_sentence(meaning)}\n\n  {facts}")
    return "\n\n".join(parts)


def _sentence(text: str) -> str:
    """A comment as a sentence of Markdown."""
    text = re.sub(r"([*<\[])", r"\\\1", text)
    if not re.match(r"\w+\.", text):  # not the name of a file or a setting
        text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "...")) else f"{text}."


def api_markdown() -> str:
    """The reference of everything that `vade_jax` exports."""
    lines = []
    for heading, origin in _API_SECTIONS.items():
        lines += [f"## {heading}", "", "```{eval-rst}"]
        for name in vade_jax.__all__:
            exported = getattr(vade_jax, name)
            if exported.__module__.startswith(origin):
                kind = "class" if inspect.isclass(exported) else "function"
                lines += [f".. auto{kind}:: vade_jax.{name}", *(["   :members:"] if kind == "class" else []), ""]
        lines += ["```", ""]
    return "\n".join(lines)


def flags_markdown() -> str:
    """What `python main.py --help=all` prints of the flags."""
    command = [sys.executable, "main.py", "--help=all"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    flags, fields, _ = answer.stdout.partition("\nFields of the config")
    if not fields:
        raise ValueError("main.py --help=all has no line that starts with 'Fields of the config'")
    return f"```text\n{flags.strip()}\n```"


PARTS: dict[str, Callable[[], str]] = {
    "settings": settings_markdown,
    "api": api_markdown,
    "flags": flags_markdown,
}


def _insert_parts(app: object, page: str, source: list[str]) -> None:
    """Replaces each line that names a part by the part."""
    source[0] = re.sub(r"^<!-- generated: (\w+) -->$", lambda line: PARTS[line[1]](), source[0], flags=re.MULTILINE)


def _move_links(app: object, path: Path, page: str, source: list[str]) -> None:
    """Makes the relative links of an included file relative to docs/; a link that the site has no page for is text."""
    docs = ROOT / "docs"
    folder = (docs / path).resolve().parent

    def moved(link: re.Match[str]) -> str:
        text, target, anchor = link.groups()
        where = folder / target
        if not where.exists():
            return link[0]
        if where in _INCLUDED:
            return f"[{text}]({_INCLUDED[where]}{anchor})"
        if where.is_dir() or (where.suffix == ".md" and docs not in where.parents):
            return text
        return f"[{text}]({os.path.relpath(where, docs)}{anchor})"

    source[0] = re.sub(r"\[([^\[\]]*)\]\(([^():#]+)((?:#[^()]*)?)\)", moved, source[0])


def _escape(app: object, kind: str, name: str, documented: object, options: object, lines: list[str]) -> None:
    """Keeps docstrings from being markup: [*shape, J], a name that ends with _, and a letter that numbers a list."""
    for number, line in enumerate(lines):
        if ">>>" not in line:
            line = line if "`" in line else line.replace("*", r"\*")
            line = re.sub(r"^(\s*\w+)_(?=: )", r"\1\\_", line)
            lines[number] = re.sub(r"(?<=: )([A-Z]\.)$", r"\\\1", line)


def _skip_member(app: object, kind: str, name: str, member: object, skip: bool, options: object) -> bool | None:
    """Leaves out fields of named tuples, which the class's docstring describes, and scikit-learn's set_*_request."""
    is_request = name.startswith("set_") and name.endswith("_request")
    return True if is_request or type(member).__name__ == "_tuplegetter" else None


def _strip_code(app: object, doctree: Any) -> None:
    """Removes empty lines at the ends of what is shown of a file."""
    from docutils import nodes  # only Sphinx needs it, which calls this

    for block in doctree.findall(nodes.literal_block):
        code = block.astext().strip("\n")
        block.rawsource = code
        block.children = [nodes.Text(code)]


def setup(app: Any) -> dict[str, bool]:
    """Registers the extension with Sphinx."""
    app.connect("source-read", _insert_parts)
    app.connect("include-read", _move_links)
    app.connect("autodoc-process-docstring", _escape, priority=400)  # before napoleon adds its own markup
    app.connect("autodoc-skip-member", _skip_member)
    app.connect("doctree-read", _strip_code)
    return {"parallel_read_safe": True}
