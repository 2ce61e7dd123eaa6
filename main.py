"""Trains VaDE: python main.py --config=configs/digits.py --workdir=/tmp/vade.

Exit status 2 is input that cannot be used, 3 training that collapsed and could not be mended.
"""

import sys
from pathlib import Path
from typing import NoReturn

from absl import app, flags, logging
from ml_collections import config_flags

FLAGS = flags.FLAGS


def main(argv: list[str]) -> None:
    """Runs the mode that the flags name."""
    from vade_jax import experiment, generation, num_clusters, prediction, results, settings
    from vade_jax.errors import DivergedError, InputError

    if not FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)
    config, workdir = FLAGS.config, Path(FLAGS.workdir)
    modes = {
        "train": lambda: results.summary(experiment.train(config, workdir)),
        "evaluate": lambda: results.summary(experiment.evaluate(workdir)),
        "predict": lambda: f"wrote {prediction.predict(workdir, config.data.path, **config.predict)}",
        "generate": lambda: f"wrote {generation.generate(workdir, **config.generate)}",
        "select_k": lambda: num_clusters.summary(num_clusters.select_k(workdir, config.select_k)),
    }
    try:
        settings.check_fields(config.to_dict())
        print(modes[FLAGS.mode]())
    except (InputError, DivergedError) as error:
        _leave(error, error.status)


def _parse_flags(argv: list[str]) -> list[str]:
    try:
        _define_flags()
        unparsed = FLAGS(argv)
        if unparsed[1:]:
            raise flags.Error(f"{unparsed[1]!r} is not a flag; flags begin with --")
        FLAGS.config.to_dict()  # a config that could not be read raises here
        return unparsed
    except Exception as error:  # a config file is code: it can raise anything
        from vade_jax.settings import explain_flags

        _leave(explain_flags(argv, error), status=2)


def _define_flags() -> None:
    config_flags.DEFINE_config_file(
        "config",
        str(Path(__file__).parent / "configs" / "digits.py"),
        "A config file; any of its fields can be set by name, as in --config.train.num_epochs=50.",
    )
    flags.DEFINE_string("workdir", None, "The folder that a run writes to, and goes on from.", required=True)
    flags.DEFINE_enum(
        "mode",
        "train",
        ["train", "evaluate", "predict", "generate", "select_k"],
        "train: from the config. The others go on from the run in workdir. evaluate: its scores. predict: clusters of "
        "the rows in config.data.path. generate: samples of its clusters. select_k: how many clusters its rows hold.",
    )


def _leave(error: Exception, status: int) -> NoReturn:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    app.run(main, flags_parser=_parse_flags)
