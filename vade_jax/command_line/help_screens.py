"""What the program prints if it is asked for help, or for nothing. It imports no JAX, so that it takes no second."""

import shutil
import signal
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

import vade_jax
from vade_jax.command_line.config_files import DEFAULT, shipped_configs

_SHORT = ("--help", "--helpshort", "-help", "-h", "-?")
_ALL = ("--helpfull", "--help=all", "--help=full")

_START = """\
{command} clusters the rows of a table, of images or of an array, without labels. For example:
  {command} --config=digits --workdir=digits_run
  {command} --config=table --config.data.path=x.csv --config.model.num_clusters=5 --workdir=table_run
  {command} --mode=predict --workdir=table_run --config.data.path=new.csv
{command} --help explains the modes and the settings."""

_HELP = """\
Clusters rows without labels, by Variational Deep Embedding. vade-jax {version}

  {command} --config=NAME --workdir=FOLDER [--config.FIELD=VALUE ...]
  {command} --mode=MODE --workdir=FOLDER [--config.FIELD=VALUE ...]

--config   a file, or a shipped config; {default} by default:
{configs}
--workdir  the folder that a run writes to. The same command resumes it.
--mode     train      trains a model and scores its clusters. The default
           evaluate   scores a trained run again
           predict    writes the clusters of the rows in data.path
           generate   writes draws of the model, or images
           select_k   recommends a number of clusters for a run's rows

Ten fields, as in --config.model.num_clusters=5:
{fields}

{command} --help=all lists every flag and every field with its default."""

# The fields that most users need, in a few words.
FIELDS = {
    "data.path": "your rows: .csv, .parquet, .npy, .npz, .h5ad, a folder",
    "data.label_column": "a column of labels; scored and never trained on",
    "data.id_column": "a column of ids for the output files",
    "model.num_clusters": "the number of clusters",
    "model.likelihood": "bernoulli, gaussian, gaussian_shared, or auto",
    "seed": "of all random numbers",
    "num_runs": "how many runs, each with another seed",
    "predict.output": "a .csv, .parquet or .npz to write",
    "generate.num_samples": "how many draws",
    "select_k.max_clusters": "the largest number of clusters to try",
}


def show_if_asked(argv: Sequence[str]) -> None:
    """Prints the help that a command line asks for and exits; returns if it asks for something else."""
    if (screen := asked_screen(argv)) is None:
        return
    text, status = screen
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # such as `| head`, which reads no more
    print(text, file=sys.stderr if status else sys.stdout)
    sys.exit(status)


def asked_screen(argv: Sequence[str]) -> tuple[str, int] | None:
    """Returns the help that a command line asks for, and the exit status.

    Args:
      argv: the program and its arguments.

    Returns:
      None if it asks for something else.
    """
    if len(argv) == 1:
        return _START.format(command=command(argv[0])), 2
    if any(argument in _ALL for argument in argv[1:]):
        return "\n".join(_everything()), 0
    if any(argument in _SHORT for argument in argv[1:]):
        return _first_screen(command(argv[0])), 0
    return None


def command(program: str) -> str:
    """Returns how a user starts this program.

    Args:
      program: the first entry of sys.argv.
    """
    name = Path(program).name
    return {"main.py": f"python {program}", "__main__.py": "python -m vade_jax"}.get(name, "vade-jax")


def _first_screen(started_by: str) -> str:
    configs = textwrap.wrap(", ".join(shipped_configs()), width=68)
    return _HELP.format(
        version=vade_jax.__version__,
        command=started_by,
        default=DEFAULT,
        configs=textwrap.indent("\n".join(configs), " " * 11),
        fields="\n".join(f"  {name:<21}  {meaning}" for name, meaning in FIELDS.items()),
    )


def _everything() -> Iterator[str]:
    """Yields the lines about every flag and every field."""
    from vade_jax.command_line.flags import FLAGS, define_flags
    from vade_jax.settings import defaults
    from vade_jax.settings.field_names import flatten
    from vade_jax.settings.meanings import meanings

    define_flags([])
    for flag in FLAGS.get_key_flags_for_module(define_flags.__module__):
        value = DEFAULT if flag.name == "config" else flag.default
        yield from _entry(f"--{flag.name}" if value is None else f"--{flag.name}={value}", flag.help)
    yield from _entry("--verbosity", "Show log lines of the libraries: 0 for information, 1 for debugging, too.")
    yield "\nFields of the config with their defaults, some of which a shipped config changes:"
    values = flatten(defaults.get_config().to_dict())
    for name, meaning in meanings().items():
        if name in values:
            yield from _entry(f"--config.{name}={values[name]!r}", meaning)
        else:
            yield f"\n{name}: {meaning}".rstrip(": ")


def _entry(head: str, meaning: str) -> list[str]:
    width = min(shutil.get_terminal_size().columns, 100)
    indent = " " * 6
    wrapped = textwrap.wrap(meaning, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
    return [head, *wrapped]
