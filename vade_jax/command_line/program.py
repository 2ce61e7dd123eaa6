"""Runs the mode that the command line names.

Exit status: 2 for input that cannot be used, 3 for training that collapsed beyond cure, 4 for a workdir that cannot be
written or has damaged files, 143 after SIGTERM and 130 after SIGINT.
"""

import atexit
import shlex
import sys
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import NoReturn

from absl import app, logging
from ml_collections import ConfigDict

from vade_jax.command_line import help_screens
from vade_jax.command_line.flags import FLAGS, check_flags, moved_rows, parse_flags, settings_of_run
from vade_jax.system.errors import InputError


def run() -> None:
    """Runs the program with the arguments of this process, and exits."""
    help_screens.show_if_asked(sys.argv)
    app.run(_main, flags_parser=_parsed)


def _parsed(argv: list[str]) -> list[str]:
    try:
        return parse_flags(argv)
    except InputError as error:
        _leave(error, error.status)


def _main(argv: list[str]) -> None:
    """Runs the mode that --mode names."""
    from vade_jax.runs.orbax_messages import no_late_answers
    from vade_jax.settings import paths, rules
    from vade_jax.system import console, processes
    from vade_jax.system.compile_time import kept_programs
    from vade_jax.system.errors import DivergedError, StorageError
    from vade_jax.system.signals import Interrupted, exit_after_grace, handle_signals

    _set_log_level()
    until_exit = ExitStack()  # answers may come while an error is printed
    until_exit.enter_context(no_late_answers())
    atexit.register(until_exit.close)
    try:
        rules.check_fields(FLAGS.config.to_dict())
        check_flags()
        config = paths.expand_home(FLAGS.config)
        if FLAGS.coordinator:
            processes.initialize_distributed(FLAGS.coordinator, FLAGS.num_processes, FLAGS.process_id)
        shown = nullcontext() if processes.is_first() else console.silence()
        with handle_signals(), shown, kept_programs(config.compilation_cache):
            answer = _MODES[FLAGS.mode](config, paths.user_path(FLAGS.workdir))
        if processes.is_first():
            print(console.printable(answer))
    except (Interrupted, InputError, DivergedError, StorageError) as error:
        exit_after_grace(error.status)
        _leave(error, error.status)


def _set_log_level() -> None:
    """Shows the libraries' log lines only with --verbosity: they log errors that we print."""
    if not FLAGS["verbosity"].present:
        logging.set_verbosity(logging.FATAL)
    else:
        logger = logging.get_absl_logger()
        logger.setLevel(logger.getEffectiveLevel())  # a level of its own asks for Orbax's lines


def _train(config: ConfigDict, workdir: Path) -> str:
    from vade_jax.commands.train import train
    from vade_jax.reports import results

    return _with_files(results.summary(train(config, workdir, force=FLAGS.resume == "force")), workdir)


def _evaluate(config: ConfigDict, workdir: Path) -> str:
    from vade_jax.commands.evaluate import evaluate
    from vade_jax.reports import results

    content = evaluate(workdir, moved_rows(config), FLAGS.allow_import, settings_of_run(config))
    return _with_files(results.summary(content), workdir)


def _with_files(summary: str, workdir: Path) -> str:
    """A summary of results, with the files to look at and what to do next."""
    from vade_jax.runs.workdir import REPORT, best_run_folder

    folder = best_run_folder(workdir)
    files = [path for path in (folder / REPORT, *sorted(folder.glob("assignments.*"))) if path.exists()]
    start = f"{help_screens.command(sys.argv[0])} --mode=predict --workdir={shlex.quote(str(workdir))}"
    return f"{summary}\nsee {', '.join(map(str, files))}\nfor new rows: {start} --config.data.path=FILE"


def _select_k(config: ConfigDict, workdir: Path) -> str:
    from vade_jax.commands.select_k import select_k
    from vade_jax.reports.number_of_clusters import summary

    settings = settings_of_run(config)
    return summary(select_k(workdir, config.select_k, moved_rows(config), FLAGS.allow_import, settings))


def _predict(config: ConfigDict, workdir: Path) -> str:
    from vade_jax.commands.predict import predict

    path = predict(
        workdir,
        path=config.data.path,
        output=config.predict.output,
        with_log_likelihood=config.predict.with_log_likelihood,
        with_responsibilities=config.predict.with_responsibilities,
        outlier_share=config.predict.outlier_share,
        allow_import=FLAGS.allow_import,
        settings=settings_of_run(config),
    )
    return f"wrote {path}"


def _generate(config: ConfigDict, workdir: Path) -> str:
    from vade_jax.commands.generate import generate

    path = generate(
        workdir,
        output=config.generate.output,
        seed=config.generate.seed,
        kind=config.generate.kind,
        cluster=config.generate.cluster,
        between_clusters=config.generate.between_clusters,
        between_rows=config.generate.between_rows,
        num_samples=config.generate.num_samples,
        truncation=config.generate.truncation,
        covariates=config.generate.covariates,
        path=moved_rows(config),
        allow_import=FLAGS.allow_import,
        settings=settings_of_run(config),
    )
    return f"wrote {path}"


_MODES = {
    "train": _train,
    "evaluate": _evaluate,
    "predict": _predict,
    "generate": _generate,
    "select_k": _select_k,
}


def _leave(error: BaseException, status: int) -> NoReturn:
    from vade_jax.system.console import printable

    print(f"error: {printable(str(error))}", file=sys.stderr)
    sys.exit(status)
