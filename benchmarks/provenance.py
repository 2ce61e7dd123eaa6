"""Which code a record was measured with: the digest of the source files that its result depends on.

A record, or an entry of it, that has a 'commit' also has 'code': name of a benchmark or of a config -> its digest then.
A run of main.py has those of `seeds` and of its config. An entry without 'code' is from before there were digests.
"""

import ast
import functools
import hashlib
import io
import re
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks import records

ROOT = Path(__file__).parent.parent
MARK = "†"
CODE = "code"
RUN = "seeds"  # the benchmark that trains the runs which other benchmarks score
_PROGRAM, _TRAINING = "main.py", "vade_jax.commands.train"  # its other modes have no part in a training run
_CONFIGS = "configs/"
_IN_PROCESS = re.compile(r"benchmarks\.\w+")  # the argument of python -m
# What these files show or store, they do not change. Configs count where they are used, by `of_config`.
_ONLY_SHOW = re.compile(
    r"benchmarks\.(accelerator_tables|markdown|provenance|records|text_tables|waiting_tables)"
    r"|vade_jax|vade_jax\.configs(\..*)?"
    r"|vade_jax\.reports\.(?!evaluate_state|label_scores|results$).*"
    r"|vade_jax\.system\.console|vade_jax\.runs\.(metrics_log|tensorboard_events)"
)

Code = dict[str, str]


def stamp(file: str) -> dict[str, Any]:
    """'commit' and 'code' of what a benchmark measures now.

    Args:
      file: `__file__` of the benchmark.
    """
    return {"commit": records.commit(), CODE: code(file)}


def stamp_of_run(run: Mapping[str, Any], file: str) -> dict[str, Any]:
    """'commit' and 'code' of what a benchmark finds in a trained run.

    Args:
      run: as `benchmarks.seeds.measure` yields it.
      file: `__file__` of the benchmark.
    """
    trained = run.get(CODE)
    return {"commit": run["commit"], **({CODE: {**trained, **code(file)}} if trained else {})}


def code(file: str) -> Code:
    """The name of a benchmark and its digest now."""
    name = Path(file).stem
    return {name: digest(f"benchmarks.{name}")}


def code_of_run(config: str) -> Code:
    """'code' of a run of main.py with a config that starts now."""
    name = config.removeprefix(_CONFIGS).removesuffix(".py")
    shipped = config.startswith(_CONFIGS) and _file(_config_module(name))
    own = {f"{_CONFIGS}{name}": of_config(name)} if shipped else {}
    return {RUN: digest(f"benchmarks.{RUN}"), **own}


def is_of_today(measured_with: Mapping[str, str]) -> bool:
    """Whether the code is what it was when these digests were taken."""
    return all(_today(name) == then for name, then in measured_with.items())


def _today(name: str) -> str:
    is_config = name.startswith(_CONFIGS)
    return of_config(name.removeprefix(_CONFIGS)) if is_config else digest(f"benchmarks.{name}")


def _config_module(name: str) -> str:
    return f"vade_jax.configs.{name.replace('/', '.')}"


def codes(part: Any) -> Iterator[Code | None]:
    """The 'code' of every entry of a record that has a commit; None for one without."""
    if isinstance(part, dict):
        if "commit" in part:
            found = part.get(CODE)
            yield found if isinstance(found, dict) else None  # earlier ones were text, of the whole tree
        elif "commits" in part:  # name of a part -> its commit
            yield from (part.get("codes", {}).get(name) for name in part["commits"])
        for value in part.values():
            yield from codes(value)
    elif isinstance(part, list):
        for value in part:
            yield from codes(value)


def mark(*parts: Any) -> str:
    """' †' if any entry of these parts of records was measured with older code, or says nothing of it; else ''."""
    found = [then for part in parts for then in codes(part)]
    return "" if found and all(then and is_of_today(then) for then in found) else f" {MARK}"


def digest(module: str) -> str:
    """The digest of the source files that a module of the project reaches by its imports."""
    return _digest_of(sources(module))


@functools.cache
def of_config(name: str) -> str:
    """The digest of a shipped config, such as 'har' or 'paper/har', and of the configs and defaults that it changes."""
    return _digest_of(sources(_config_module(name), with_configs=True))


@functools.cache
def _digest_of(files: tuple[Path, ...]) -> str:
    found = hashlib.sha256()
    for path in files:
        found.update(f"{path.relative_to(ROOT)}\0{_code_text(path)}\0".encode())
    return found.hexdigest()[:16]


@functools.cache
def sources(module: str, with_configs: bool = False) -> tuple[Path, ...]:
    """The source files of the project that a module reaches, itself included, sorted.

    These are its imports, also those in functions, and those of the modules that it imports; the modules of the
    project that it runs by `python -m`; and training, if it runs main.py.
    """
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        shown = _ONLY_SHOW.fullmatch(name) and not (with_configs and name.startswith("vade_jax.configs."))
        if name not in found and not shown and _file(name):
            found.add(name)
            waiting += _reached(name)
    return tuple(sorted(path for name in found if (path := _file(name))))


def _file(module: str) -> Path | None:
    """The file of a module of the project; None for a module of a library."""
    path = ROOT / module.replace(".", "/")
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _reached(module: str) -> Iterable[str]:
    """The modules that a module of the project imports or starts."""
    path = _file(module)
    assert path
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (_home(node.module, alias.name) for alias in node.names)
            yield node.module
        elif isinstance(node, ast.Constant) and node.value == _PROGRAM:
            yield _TRAINING
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _IN_PROCESS.fullmatch(node.value):
            yield node.value


def _home(package: str, name: str) -> str:
    """The module that `from package import name` reads: a module of the package, or where the package has it from."""
    if _file(f"{package}.{name}"):
        return f"{package}.{name}"
    path = _file(package)
    if path is None or path.name != "__init__.py":
        return package
    imports = [node for node in ast.walk(_tree(path)) if isinstance(node, ast.ImportFrom) and node.module]
    for wanted in (name, "*"):
        for node in imports:
            if node.module and any(wanted in (alias.asname, alias.name) for alias in node.names):
                return _home(node.module, name)
    return package


@functools.cache
def _code_text(path: Path) -> str:
    """The text of a source file without comments, docstrings and empty lines."""
    text = path.read_text()
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node
        ):
            start, end = node.body[0].lineno - 1, node.body[0].end_lineno or 0
            lines[start:end] = [""] * (end - start)
    return "\n".join(stripped for line in lines if (stripped := line.rstrip()))
