"""Missing optional libraries are one error, whose remedy installs them."""

import sys
from importlib import metadata
from pathlib import Path

import pytest

from vade_jax.data import sources
from vade_jax.system.errors import InputError
from vade_jax.system.optional_imports import import_pandas, install_command


@pytest.fixture
def missing(monkeypatch):
    """Makes a library as if it were not installed."""
    return lambda name: monkeypatch.setitem(sys.modules, name, None)


def test_a_missing_library_is_one_line_with_the_command_that_installs_it(missing):
    missing("tensorflow_datasets")
    with pytest.raises(InputError) as caught:
        sources.load("mnist")
    assert str(caught.value) == (
        "config.data.name: got TFDS's 'mnist', which needs tensorflow_datasets, expected an environment with "
        f"tensorflow_datasets installed. Run: {install_command('tfds')}."
    )


def test_a_parquet_table_needs_pyarrow_and_a_csv_does_not(missing):
    missing("pyarrow")
    with pytest.raises(InputError, match=r"x.parquet, which needs pyarrow, expected .*\[tables\]'\.$"):
        import_pandas(Path("x.parquet"), "config.data.path")
    assert import_pandas(Path("x.csv"), "config.data.path").__name__ == "pandas"


def test_the_command_names_the_folder_of_a_package_that_is_not_installed(monkeypatch):
    def fail(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", lambda name: None)
    assert install_command("tables") == "pip install 'vade-jax[tables]'"
    monkeypatch.setattr(metadata, "distribution", fail)
    assert install_command("tables") == f"pip install '{Path(__file__).parents[2]}[tables]'"
