"""Trains VaDE and uses trained models: python main.py --config=configs/digits.py --workdir=/tmp/vade.

Exit status: 2 for input that cannot be used, 3 for training that collapsed beyond cure, 4 for a workdir that cannot be
written or has damaged files, 143 after SIGTERM and 130 after SIGINT.
"""

import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NoReturn

from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags
from ml_collections.config_flags.tuple_parser import TupleParser

from vade_jax.commands.evaluate import evaluate
from vade_jax.commands.generate import generate
from vade_jax.commands.predict import predict
from vade_jax.commands.select_k import select_k, summary
from vade_jax.commands.train import train

FLAGS = flags.FLAGS


def main(argv: list[str]) -> None:
    """Runs the mode that --mode names."""
    from vade_jax.reports import results
    from vade_jax.runs.orbax_messages import no_late_answers
    from vade_jax.settings import paths, rules
    from vade_jax.system import console, processes
    from vade_jax.system.compile_time import kept_programs
    from vade_jax.system.errors import DivergedError, InputError, StorageError
    from vade_jax.system.signals import Interrupted, exit_after_grace, handle_signals

    if not FLAGS["verbosity"].present:
        logging.set_verbosity(logging.FATAL)  # the libraries log errors that we print
    workdir = paths.user_path(FLAGS.workdir)
    modes: dict[str, Callable[[ConfigDict], str]] = {
        "train": lambda config: results.summary(train(config, workdir, force=FLAGS.resume == "force")),
        "evaluate": lambda config: results.summary(
            evaluate(workdir, _moved_rows(config), FLAGS.allow_import, _settings_of_run(config))
        ),
        "predict": lambda config: f"wrote {_predict(config, workdir)}",
        "generate": lambda config: f"wrote {_generate(config, workdir)}",
        "select_k": lambda config: summary(
            select_k(workdir, config.select_k, _moved_rows(config), FLAGS.allow_import, _settings_of_run(config))
        ),
    }
    try:
        rules.check_fields(FLAGS.config.to_dict())
        _check_flags()
        config = paths.expand_home(FLAGS.config)
        if FLAGS.coordinator:
            processes.initialize_distributed(FLAGS.coordinator, FLAGS.num_processes, FLAGS.process_id)
        shown = nullcontext() if processes.is_first() else console.silence()
        with handle_signals(), shown, no_late_answers(), kept_programs(config.compilation_cache):
            answer = modes[FLAGS.mode](config)
        if processes.is_first():
            print(console.printable(answer))
    except (Interrupted, InputError, DivergedError, StorageError) as error:
        exit_after_grace(error.status)
        _leave(error, error.status)


def _check_flags() -> None:
    """Raises an InputError for the first flag that --mode would ignore."""
    from vade_jax.settings.mode_settings import check_settings_of_mode
    from vade_jax.system.errors import InputError

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


def _settings_of_run(config: ConfigDict) -> dict[str, Any]:
    """The settings that the command line gives in place of those of the run in the workdir."""
    values = {name: config[name] for name in ("precision", "report")}
    values |= {f"evaluate.{name}": value for name, value in config.evaluate.items()}
    return {name: value for name, value in values.items() if name in _given_settings()}


def _moved_rows(config: ConfigDict) -> str:
    """Where the file of the training rows is now: --config.data.path on the command line; '' where it was."""
    return config.data.path if "data.path" in _given_settings() else ""


def _predict(config: ConfigDict, workdir: Path) -> Path:
    return predict(
        workdir,
        path=config.data.path,
        output=config.predict.output,
        with_log_likelihood=config.predict.with_log_likelihood,
        with_responsibilities=config.predict.with_responsibilities,
        outlier_share=config.predict.outlier_share,
        allow_import=FLAGS.allow_import,
        settings=_settings_of_run(config),
    )


def _generate(config: ConfigDict, workdir: Path) -> Path:
    return generate(
        workdir,
        output=config.generate.output,
        seed=config.generate.seed,
        kind=config.generate.kind,
        cluster=config.generate.cluster,
        between_clusters=config.generate.between_clusters,
        between_rows=config.generate.between_rows,
        num_samples=config.generate.num_samples,
        truncation=config.generate.truncation,
        path=_moved_rows(config),
        allow_import=FLAGS.allow_import,
        settings=_settings_of_run(config),
    )


def _parse_flags(argv: list[str]) -> list[str]:
    try:
        argv = _config_first(argv)
        _define_flags(argv)
        unparsed = FLAGS(argv)
        if unparsed[1:]:
            raise flags.Error(f"{unparsed[1]!r} is not a flag; flags start with --")
        FLAGS.config.to_dict()  # raises if the config file could not be read
        return unparsed
    except Exception as error:  # a config file is code and can raise any error
        from vade_jax.settings.rules import explain_flags

        _leave(explain_flags(argv, error), status=2)


def _config_first(argv: list[str]) -> list[str]:
    """The flags with --config first, because it defines the types of the --config.FIELD flags."""
    for i, flag in enumerate(argv):
        if flag == "--config" or flag.startswith("--config="):
            end = i + 1 if "=" in flag else i + 2
            return [argv[0], *argv[i:end], *argv[1:i], *argv[end:]]
    return argv


class _TupleParser(flags.ArgumentParser[tuple[Any, ...]]):
    """Parses a tuple. Of a flag that is given twice the last one counts: config_flags' own parser would join both."""

    def parse(self, argument: Any) -> tuple[Any, ...]:
        """The tuple in a text such as '(500, 500)', '500,500' or 'auto'."""
        return ("auto",) if argument == "auto" else TupleParser().parse(argument)

    def flag_type(self) -> str:
        """The name of the type in --help."""
        return "tuple"


def _define_flags(argv: list[str]) -> None:
    config_flags.register_flag_parser_for_type(tuple, _TupleParser())
    config_flags.DEFINE_config_file(
        "config",
        str(Path(__file__).parent / "configs" / "digits.py"),
        "A config file. Set any of its fields by name, as in --config.train.num_epochs=50.",
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


def _leave(error: BaseException, status: int) -> NoReturn:
    from vade_jax.system.console import printable

    print(f"error: {printable(str(error))}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    app.run(main, flags_parser=_parse_flags)
