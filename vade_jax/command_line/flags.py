"""The flags of the program: their definitions, and which of them a mode reads."""

from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags
from ml_collections.config_flags.tuple_parser import TupleParser

from vade_jax.command_line.config_files import DEFAULT, config_file
from vade_jax.system.errors import InputError

FLAGS = flags.FLAGS


def parse_flags(argv: list[str]) -> list[str]:
    """Parses the command line into `FLAGS`, and returns what is left of it.

    Raises:
      InputError: a flag, a value or the config file cannot be used.
    """
    try:
        argv = _config_first(argv)
        define_flags(argv)
        unparsed = FLAGS(argv)
        if unparsed[1:]:
            raise flags.Error(f"{unparsed[1]!r} is not a flag; flags start with --")
        FLAGS.config.to_dict()  # raises if the config file could not be read
        return unparsed
    except InputError:
        raise
    except Exception as error:  # a config file is code and can raise any error
        from vade_jax.settings.rules import explain_flags

        raise explain_flags(argv, error) from error


def _config_first(argv: list[str]) -> list[str]:
    """The flags with the file of --config first, because it defines the types of the --config.FIELD flags."""
    for i, flag in enumerate(argv):
        name, _, value = flag.partition("=")
        if name == "--config" and (value or argv[i + 1 :]):
            end = i + 1 if value else i + 2
            return [argv[0], f"--config={config_file(value or argv[i + 1])}", *argv[1:i], *argv[end:]]
    return argv


class _TupleParser(flags.ArgumentParser[tuple[Any, ...]]):
    """Parses a tuple. Of a flag that is given twice the last one counts: config_flags' own parser would join both."""

    def parse(self, argument: Any) -> tuple[Any, ...]:
        """The tuple in a text such as '(500, 500)', '500,500' or 'auto'."""
        return ("auto",) if argument == "auto" else TupleParser().parse(argument)

    def flag_type(self) -> str:
        """The name of the type in --help."""
        return "tuple"


def define_flags(argv: list[str]) -> None:
    """Adds the flags of the program, and those of the config's fields that a command line sets, to `FLAGS`."""
    config_flags.register_flag_parser_for_type(tuple, _TupleParser())
    config_flags.DEFINE_config_file(
        "config",
        config_file(DEFAULT),
        "A shipped config by its name, or a file. Set any of its fields by name, as in --config.train.num_epochs=50.",
        sys_argv=argv,
    )
    flags.DEFINE_string("workdir", None, "The folder that a run writes to and resumes from.", required=True)
    flags.DEFINE_enum(
        "mode",
        "train",
        ["train", "evaluate", "predict", "generate", "select_k"],
        "train trains a model with the config. The other modes read the run in workdir. evaluate scores it. predict "
        "writes the clusters of the rows in config.data.path. generate writes draws of the model. select_k "
        "recommends a number of clusters for its rows. If the file that a run was trained on has moved, evaluate, "
        "select_k and generate find it with --config.data.path.",
    )
    flags.DEFINE_enum(
        "resume",
        "same",
        ["same", "force"],
        "same: resume the run in workdir only if the settings are the same. force: resume it with the new settings.",
    )
    flags.DEFINE_bool(
        "allow_import",
        False,
        "Let the settings in workdir import code, named as package.module:factory. Use it only for a workdir that you "
        "trust. The mode train does not need it: it imports what --config names.",
    )
    flags.DEFINE_string(
        "coordinator",
        "",
        "To train on several processes, start this command once for each of them, with its --process_id. This is "
        "HOST:PORT of process 0, or 'auto' if JAX knows the cluster: SLURM, Open MPI, a TPU pod slice, Kubernetes.",
    )
    flags.DEFINE_integer(
        "num_processes", 1, "Number of processes that train together; ignored with --coordinator=auto."
    )
    flags.DEFINE_integer("process_id", 0, "Number of this process, from 0; ignored with --coordinator=auto.")


def check_flags() -> None:
    """Raises an InputError for the first flag that --mode would ignore."""
    from vade_jax.settings.mode_settings import check_settings_of_mode

    check_settings_of_mode(FLAGS.mode, _given_settings())
    if FLAGS.mode != "train" and FLAGS.resume == "force":
        raise InputError("resume", f"'force' with --mode={FLAGS.mode}", "it with --mode=train", "Leave it out.")
    if FLAGS.mode != "train" and FLAGS.coordinator:
        raise InputError(
            "coordinator",
            f"{FLAGS.coordinator!r} with --mode={FLAGS.mode}",
            "no coordinator, since only --mode=train runs on several processes",
            "Start one process, without --coordinator, --num_processes and --process_id.",
        )
    for name in ("num_processes", "process_id"):
        if FLAGS[name].value != FLAGS[name].default and not FLAGS.coordinator:
            raise InputError(name, FLAGS[name].value, "it beside --coordinator", "Add --coordinator=HOST:PORT.")


def _given_settings() -> dict[str, Any]:
    """The settings that the command line gives: dotted name -> value."""
    return config_flags.get_override_values(FLAGS["config"])


def settings_of_run(config: ConfigDict) -> dict[str, Any]:
    """The settings that the command line gives in place of those of the run in the workdir."""
    values = {name: config[name] for name in ("precision", "report")}
    values |= {f"evaluate.{name}": value for name, value in config.evaluate.items()}
    return {name: value for name, value in values.items() if name in _given_settings()}


def moved_rows(config: ConfigDict) -> str:
    """Where the file of the training rows is now: --config.data.path on the command line; '' where it was."""
    return config.data.path if "data.path" in _given_settings() else ""
