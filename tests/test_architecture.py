"""Imports run one way, and importing the package is light."""

import ast
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "vade_jax"

# Lowest first: a module imports only from the layers above its own line.
LAYERS = [
    ["errors", "defaults", "files", "interruption", "progress"],
    ["hosts", "devices", "arrays", "priors", "metrics", "health", "graphs", "mixtures", "parts", "augmentation"],
    ["losses", "dec", "figures", "manifold", "rows", "columns", "extras"],
    ["networks", "scalings", "tables", "images", "rcv1"],
    ["cells"],
    ["readers"],
    ["data"],
    ["model"],
    ["objectives", "train_state"],
    ["training", "optimizer", "tracking"],
    ["checkpoints"],
    ["evaluation", "initialization", "feed"],
    ["settings", "results", "moves", "outputs"],
    ["suited"],
    ["workdir", "report"],
    ["run"],
    ["saved_model"],
    ["rounds", "watch", "stability"],
    ["stages"],
    ["fitting"],
    ["sweep"],
    ["experiment"],
    ["prediction", "generation", "num_clusters"],
    ["estimator"],
    ["__init__"],
]
MAY_KNOW_CONFIG_DICT = {"defaults", "run", "stages", "experiment", "num_clusters", "estimator"}
LIGHT = {"__init__", "priors", "losses", "networks", "model", "objectives", "train_state", "dec", "augmentation"}


def imports(module):
    for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(module):
    return {name.split(".")[1] for name in imports(module) if name.startswith("vade_jax.")}


def test_every_module_has_its_place():
    assert sorted(module for layer in LAYERS for module in layer) == sorted(path.stem for path in PACKAGE.glob("*.py"))


def test_imports_run_one_way():
    below = set()
    for layer in LAYERS:
        for module in layer:
            assert own_imports(module) <= below, module
        below |= set(layer)


def test_only_the_experiment_knows_config_dicts():
    for path in PACKAGE.glob("*.py"):
        knows = any(name.startswith("ml_collections") for name in imports(path.stem))
        assert not knows or path.stem in MAY_KNOW_CONFIG_DICT, path.stem


def test_labels_are_read_by_the_results_alone():
    for path in PACKAGE.glob("*.py"):
        assert "metrics" not in own_imports(path.stem) or path.stem == "results", path.stem


def test_pmap_stands_once():
    calls = [
        (path.stem, node.attr)
        for path in PACKAGE.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "pmap"
    ]
    assert calls == [("devices", "pmap")]


def test_light_modules_import_jax_flax_and_optax_alone():
    allowed = {"jax", "numpy", "flax", "optax", "vade_jax", "collections", "itertools", "math", "typing"}
    for module in LIGHT:
        assert {name.split(".")[0] for name in imports(module)} <= allowed, module


def test_importing_the_package_imports_nothing_heavy():
    heavy = {"tensorflow", "tensorflow_datasets", "sklearn", "matplotlib", "orbax", "tensorboardX", "scipy.stats"}
    code = f"import sys, vade_jax; print(sorted({heavy!r} & sys.modules.keys()))"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent, check=True
    )
    assert answer.stdout.strip() == "[]"
