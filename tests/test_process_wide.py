"""Using VaDE leaves the rest of the process as it was, and several threads can use it at once."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROGRAM = """
import logging, os, signal, sys, threading, warnings
import jax, matplotlib, numpy as np, sklearn.cluster, sklearn.mixture, sklearn.neighbors

def state():
    return {
        "settings of JAX": dict(jax.config.values),
        "filters of warnings": list(warnings.filters),
        "log": (logging.root.level, list(logging.root.handlers)),
        "style of matplotlib": dict(matplotlib.rcParams),
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "environment": dict(os.environ),
        "hooks": (sys.unraisablehook, sys.excepthook, threading.excepthook),
    }

def check(what):
    after = state()
    for name, value in before.items():
        assert after[name] == value, (what, name, value, after[name])
    for name, module in modules.items():
        assert sys.modules.get(name) is module, (what, name)

modules, before = dict(sys.modules), state()
from vade_jax import VaDE
check("import")

x = np.random.default_rng(0).normal(size=(60, 3))
x[:30] += 9
settings = {
    "pretrain.num_epochs": 2, "guide.num_epochs": 1, "align.num_epochs": 0, "train.num_epochs": 1,
    "optimizer.min_steps": 0, "init.num_layouts": 1, "init.num_restarts": 1, "checkpoint.every_epochs": 1,
    "evaluate.bound_samples": 2,
    "compilation_cache": sys.argv[1],
}
failures, answers = [], []

def catching(task):
    def run():
        try:
            task()
        except BaseException as error:
            failures.append(repr(error))
    return threading.Thread(target=run)

def fit():
    answers.append(VaDE(2, hidden=(4,), latent_dim=2, settings=settings).fit(x).predict(x))

def import_tensorflow():
    import tensorflow
    assert tensorflow.complete

threads = [catching(fit), catching(fit), catching(import_tensorflow)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert not failures, failures
assert (answers[0] == answers[1]).all()
check("fit and predict in two threads")
print("as before")
"""


def test_import_fit_and_predict_in_threads_leave_the_process_as_it_was(tmp_path):
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow" / "__init__.py").write_text("import time\ntime.sleep(10)\ncomplete = True\n")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "compiled")]
    answer = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert answer.stdout == "as before\n", answer.stderr[-3000:]
    assert list((tmp_path / "compiled").iterdir())
