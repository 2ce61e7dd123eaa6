"""Trains VaDE: python main.py --config=configs/digits.py --workdir=/tmp/vade.

Exit status 2 is input that cannot be used, 3 training that collapsed and could not be mended, 4 a workdir that cannot
be written or whose checkpoints are damaged, 143 and 130 a SIGTERM and a SIGINT.
"""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import NoReturn

from absl import app, flags, logging
from ml_collections import config_flags

from vade_jax.commands.evaluate import evaluate
from vade_jax.commands.generate import generate
from vade_jax.commands.predict import predict
from vade_jax.commands.select_k import select_k, summary
from vade_jax.commands.train import train

FLAGS = flags.FLAGS


def main(argv: list[str]) -> None:
    """Runs the mode that the flags name."""
    from vade_jax.reports import results
    from vade_jax.settings import rules
    from vade_jax.system import console, processes
    from vade_jax.system.errors import DivergedError, InputError, StorageError
    from vade_jax.system.signals import Interrupted, exit_after_grace, handle_signals

    if not FLAGS["verbosity"].present:
        logging.set_verbosity(logging.FATAL)  # what the libraries log of an error, the error itself says
    config, workdir = FLAGS.config, Path(FLAGS.workdir)
    modes = {
        "train": lambda: results.summary(train(config, workdir, force=FLAGS.resume == "force")),
        "evaluate": lambda: results.summary(evaluate(workdir)),
        "predict": lambda: f"wrote {predict(workdir, config.data.path, **config.predict)}",
        "generate": lambda: f"wrote {generate(workdir, **config.generate)}",
        "select_k": lambda: summary(select_k(workdir, config.select_k)),
    }
    try:
        rules.check_fields(config.to_dict())
        if FLAGS.coordinator:
            processes.initialize_distributed(FLAGS.coordinator, FLAGS.num_processes, FLAGS.process_id)
        with handle_signals(), nullcontext() if processes.is_first() else console.silence():
            answer = modes[FLAGS.mode]()
        if processes.is_first():
            print(answer)
    except Interrupted as error:
        exit_after_grace(error.status)
        _leave(error, error.status)
    except (InputError, DivergedError, StorageError) as error:
        _leave(error, error.status)


def _parse_flags(argv: list[str]) -> list[str]:
    try:
        argv = _config_first(argv)
        _define_flags(argv)
        unparsed = FLAGS(argv)
        if unparsed[1:]:
            raise flags.Error(f"{unparsed[1]!r} is not a flag; flags begin with --")
        FLAGS.config.to_dict()  # a config that could not be read raises here
        return unparsed
    except Exception as error:  # a config file is code: it can raise anything
        from vade_jax.settings.rules import explain_flags

        _leave(explain_flags(argv, error), status=2)


def _config_first(argv: list[str]) -> list[str]:
    """The flags with --config before the fields, whose types it gives."""
    for i, flag in enumerate(argv):
        if flag == "--config" or flag.startswith("--config="):
            end = i + 1 if "=" in flag else i + 2
            return [argv[0], *argv[i:end], *argv[1:i], *argv[end:]]
    return argv


def _define_flags(argv: list[str]) -> None:
    config_flags.DEFINE_config_file(
        "config",
        str(Path(__file__).parent / "configs" / "digits.py"),
        "A config file; any of its fields can be set by name, as in --config.train.num_epochs=50.",
        sys_argv=argv,
    )
    flags.DEFINE_string("workdir", None, "The folder that a run writes to, and goes on from.", required=True)
    flags.DEFINE_enum(
        "mode",
        "train",
        ["train", "evaluate", "predict", "generate", "select_k"],
        "train: from the config. The others go on from the run in workdir. evaluate: its scores. predict: clusters of "
        "the rows in config.data.path. generate: samples of its clusters. select_k: how many clusters its rows hold.",
    )
    flags.DEFINE_enum(
        "resume",
        "same",
        ["same", "force"],
        "A run in workdir goes on with the settings that it began with, or, by force, with others.",
    )
    flags.DEFINE_string(
        "coordinator",
        "",
        "HOST:PORT of process 0 where several processes train together, each started by this command with a "
        "--process_id of its own; 'auto' where JAX knows the cluster: SLURM, Open MPI, a TPU pod slice, Kubernetes.",
    )
    flags.DEFINE_integer("num_processes", 1, "How many train together; not read with --coordinator=auto.")
    flags.DEFINE_integer("process_id", 0, "Of this process, from 0; not read with --coordinator=auto.")


def _leave(error: BaseException, status: int) -> NoReturn:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    app.run(main, flags_parser=_parse_flags)
