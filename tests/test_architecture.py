"""Imports run one way between folders and between files, and importing the package is light."""

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import vade_jax

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "vade_jax"
FILES = {path.relative_to(ROOT).with_suffix("").as_posix().replace("/", "."): path for path in PACKAGE.rglob("*.py")}
MODULES = {name.removesuffix(".__init__"): path for name, path in FILES.items()}

# Folder -> the folders that it may import from. Lowest first: a folder imports only from those above its line.
MAY_IMPORT = {
    "system": set(),
    "core": set(),
    "data": {"system"},
    "networks": {"core", "system"},
    "initialization": {"core", "system"},
    "training": {"initialization", "networks", "data", "core", "system"},
    "inference": {"training", "networks", "data", "core", "system"},
    "settings": {"training", "initialization", "networks", "data", "core", "system"},
    "runs": {"settings", "inference", "training", "initialization", "networks", "data", "core", "system"},
    "configs": {"settings"},
    "reports": {"runs", "inference", "training", "initialization", "networks", "data", "core", "system"},
    "commands": {
        "reports",
        "runs",
        "settings",
        "inference",
        "training",
        "initialization",
        "networks",
        "data",
        "core",
        "system",
    },
    "estimator": {
        "commands",
        "reports",
        "runs",
        "settings",
        "inference",
        "training",
        "initialization",
        "data",
        "system",
    },
    "command_line": {"commands", "reports", "runs", "settings", "system"},
}
MAY_KNOW_CONFIG_DICT = {"estimator", "command_line", "configs", "commands", "settings", "runs"}
LIGHT = [
    "vade_jax.api",
    "vade_jax.core.count_likelihoods",
    "vade_jax.core.elbo",
    "vade_jax.core.likelihoods",
    "vade_jax.core.mixture_prior",
    "vade_jax.core.shapes",
    "vade_jax.networks.encoders_decoders",
    "vade_jax.networks.likelihoods",
    "vade_jax.networks.model",
    "vade_jax.training.augmentation",
    "vade_jax.training.dec",
    "vade_jax.training.objectives",
]


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_modules(path):
    """The modules of the package that a file imports, or imports from."""
    for name in imports(path):
        if name.startswith("vade_jax."):
            yield name if name in MODULES else name.rpartition(".")[0]


def folder(module):
    return module.split(".")[1] if module.count(".") else ""


def test_the_folders_are_the_ones_that_are_listed():
    assert {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()} == MAY_IMPORT.keys()
    assert {path.name for path in PACKAGE.glob("*.py")} == {"__init__.py", "__main__.py", "api.py"}


def test_every_folder_says_what_lives_there():
    for name in MAY_IMPORT:
        assert len(ast.get_docstring(ast.parse((PACKAGE / name / "__init__.py").read_text()))) > 40, name


@pytest.mark.parametrize("name", MAY_IMPORT)
def test_a_folder_imports_only_from_the_folders_below_it(name):
    for path in (PACKAGE / name).glob("*.py"):
        others = {folder(module) for module in imported_modules(path)} - {name}
        assert others <= MAY_IMPORT[name], path


def test_folders_may_only_import_from_folders_listed_before():
    before = set()
    for name, allowed in MAY_IMPORT.items():
        assert allowed <= before, name
        before.add(name)


def test_files_import_each_other_in_one_direction():
    graph = {name: set(imported_modules(path)) - {name} for name, path in MODULES.items() if name != "vade_jax"}
    assert list(TopologicalSorter(graph).static_order())  # raises CycleError


def test_core_imports_jax_and_numpy_alone():
    allowed = {"jax", "numpy", "vade_jax", "collections", "math", "typing"}
    for path in (PACKAGE / "core").glob("*.py"):
        assert {name.split(".")[0] for name in imports(path)} <= allowed, path


def test_only_commands_settings_and_runs_know_config_dicts():
    for name, path in MODULES.items():
        if any(imported.startswith("ml_collections") for imported in imports(path)):
            assert name.split(".")[1] in MAY_KNOW_CONFIG_DICT, name


def test_labels_are_scored_by_the_reports_alone():
    for name, path in MODULES.items():
        if "vade_jax.reports.label_scores" in set(imported_modules(path)):
            assert folder(name) == "reports", name


def test_a_trained_model_is_loaded_without_anything_that_trains():
    """Answering for a trained run imports neither stages, optimizers nor epochs."""
    reached, queue = set(), ["vade_jax.commands.predict", "vade_jax.commands.generate", "vade_jax.commands.select_k"]
    while queue:
        module = queue.pop()
        if module not in reached:
            reached.add(module)
            queue += set(imported_modules(MODULES[module]))
    trains = {f"vade_jax.runs.{name}" for name in ("stages", "train_one_run", "train_many_runs", "treatment")}
    assert not reached & {*trains, "vade_jax.training.epoch"}


def test_pmap_stands_once():
    calls = [
        (name, node.attr)
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "pmap"
    ]
    assert calls == [("vade_jax.system.devices", "pmap")]


@pytest.mark.parametrize("module", LIGHT)
def test_light_modules_import_jax_flax_and_optax_alone(module):
    allowed = {
        "jax",
        "numpy",
        "flax",
        "optax",
        "vade_jax",
        "abc",
        "collections",
        "dataclasses",
        "functools",
        "itertools",
        "math",
    }
    assert {name.split(".")[0] for name in imports(MODULES[module])} <= {*allowed, "typing"}


def test_no_file_is_longer_than_three_hundred_lines():
    assert [name for name, path in MODULES.items() if len(path.read_text().splitlines()) > 300] == []


def test_importing_the_public_names_imports_nothing_heavy():
    heavy = {"tensorflow", "tensorflow_datasets", "sklearn", "matplotlib", "orbax", "tensorboardX", "scipy.stats"}
    assert imported("from vade_jax import elbo_terms", heavy) == "[]"


def test_the_program_shows_its_help_without_jax():
    assert imported("import vade_jax.command_line.program", {"jax", "numpy", "tqdm"}) == "[]"


def imported(statement, modules):
    """Those of the modules that a statement imports in a new process, as text."""
    code = f"{statement}; import sys; print(sorted({modules!r} & sys.modules.keys()))"
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True).stdout.strip()


def test_the_package_lists_its_public_names():
    assert set(vade_jax.__all__) >= {"VaDE", "register_data_source", "elbo_terms"}
    assert set(vade_jax.__all__) <= set(dir(vade_jax))
    assert all(getattr(vade_jax, name) is not None for name in vade_jax.__all__)
    with pytest.raises(AttributeError, match="module 'vade_jax' has no attribute 'gone'"):
        _ = vade_jax.gone
