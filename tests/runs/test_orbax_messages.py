"""Orbax's log lines stay out of the user's log, unless asked for."""

import logging

from helpers.estimators import QUICK, X

from vade_jax import VaDE
from vade_jax.runs.checkpoints import Checkpoints


def absl_lines(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "absl"]


def test_a_fit_logs_no_lines_of_absl(caplog, tmp_path):
    caplog.set_level(logging.INFO)
    model = VaDE(3, latent_dim=3, hidden=(16,), settings=QUICK).fit(X)
    model.save(tmp_path / "saved")
    VaDE.load(tmp_path / "saved")
    assert absl_lines(caplog) == []
    logging.getLogger("absl").info("of the user's own program")
    assert absl_lines(caplog) == ["of the user's own program"]


def test_lines_are_shown_if_the_logger_has_a_level(caplog, tmp_path):
    with caplog.at_level(logging.INFO, "absl"), Checkpoints(tmp_path, keep=1):
        pass
    assert absl_lines(caplog)
