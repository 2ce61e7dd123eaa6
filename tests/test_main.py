"""The command line: exit statuses, one-line errors, and a run from training to predictions."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
TINY = [
    "--config=configs/digits.py",
    "--config.model.hidden=(8,)",
    "--config.pretrain.num_epochs=1",
    "--config.train.num_epochs=1",
    "--config.init.method=gmm",
    "--config.init.num_restarts=1",
    "--config.guide.num_rounds=0",
    "--config.align.num_epochs=0",
    "--config.optimizer.min_steps=0",
    "--config.evaluate.bound_rows=10",
    "--config.report=false",
]


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--config.train.batchsize=3", "config.train.batchsize: got an unknown field, .* config.train.batch_size?"),
        ("--config.train.batch_size=abc", "config.train.batch_size: got 'abc', expected an integer >= 1."),
        ("--config.model.num_clusters=0", "config.model.num_clusters: got 0, expected an integer >= 1."),
        ("--config=gone.py", "gone.py"),
        ("--config=minst", "config: got 'minst', expected a shipped config .* Did you mean mnist?"),
        ("--mode=dream", "--mode=dream"),
        ("stray", "'stray' is not a flag"),
    ],
)
def test_an_invalid_flag_prints_one_line_and_exits_with_2(command_line, tmp_path, flag, words):
    answer = command_line(f"--workdir={tmp_path / 'run'}", flag)
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert answer.stderr.startswith("error: ")
    assert answer.stderr.count("\n") == 1
    for word in words.split(" .* "):
        assert word in answer.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("config", [["--config=configs/har.py"], ["--config", "configs/har.py"]])
def test_fields_may_precede_the_config_flag(command_line, tmp_path, config):
    flags = ["--config.report=false", "--config.data.path=gone.npz", *config]
    answer = command_line(*flags, f"--workdir={tmp_path / 'run'}")
    assert answer.stderr.startswith("error: config.data.path: got gone.npz")


def test_an_unusable_file_prints_one_line_and_exits_with_2(command_line, tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n3,x\n")
    flags = ["--config=configs/table.py", f"--config.data.path={tmp_path / 'x.csv'}"]
    answer = command_line(*flags, f"--workdir={tmp_path / 'run'}")
    assert answer.returncode == 2
    assert answer.stdout == ""
    assert answer.stderr.startswith(
        f"error: config.data.path: got {tmp_path / 'x.csv'} with the column 'b', which is not numeric"
    )
    assert answer.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]


def test_a_folder_of_another_program_exits_with_2_and_is_not_touched(command_line, tmp_path):
    (tmp_path / "results.json").write_text("mine")
    answer = command_line(f"--workdir={tmp_path}", *TINY)
    assert answer.returncode == 2
    assert answer.stderr.startswith(f"error: workdir: got {tmp_path} with results.json but without our config.json")
    assert answer.stderr.count("\n") == 1
    assert (tmp_path / "results.json").read_text() == "mine"


@pytest.mark.parametrize(
    ("damaged", "flags", "words"),
    [
        ("model/*/progress/metadata", ["--mode=predict"], "run/model has no readable checkpoint"),
        ("config.json", ["--mode=evaluate"], "run/config.json is damaged or missing"),
        ("data.json", TINY, "run/data.json is damaged or missing"),
        ("", ["--mode=predict", f"--config.predict.output={'x' * 300}.csv"], "File name too long. Use a shorter name"),
    ],
)
def test_what_cannot_be_read_or_written_exits_with_4(command_line, digits_run, tmp_path, damaged, flags, words):
    folder = shutil.copytree(digits_run[0], tmp_path / "run")
    for path in folder.glob(damaged) if damaged else ():
        path.write_text("{")
    answer = command_line(f"--workdir={folder}", *flags)
    assert answer.returncode == 4
    assert answer.stderr.startswith("error: ")
    assert answer.stderr.count("\n") == 1
    assert words in answer.stderr


def test_a_tilde_in_a_path_is_the_home_folder(command_line, tmp_path):
    home = Path.home()
    answer = command_line("--config=configs/table.py", "--config.data.path=~/gone.csv", f"--workdir={tmp_path / 'run'}")
    assert answer.stderr.startswith(f"error: config.data.path: got {home}/gone.csv, which cannot be read")
    answer = command_line("--mode=evaluate", "--workdir=~/no run")
    assert answer.stderr.startswith(f"error: workdir: got {home}/no run without a run")
    answer = command_line("--config=~/gone.py", f"--workdir={tmp_path / 'run'}")
    assert f"{home}/gone.py" in answer.stderr


@pytest.mark.parametrize("last", ["--config.model.hidden=64,-1", "--config.model.hidden=(64, -1)"])
def test_the_last_value_of_a_tuple_counts(command_line, tmp_path, last):
    answer = command_line(f"--workdir={tmp_path / 'run'}", "--config.model.hidden=(32,)", last)
    assert answer.stderr.startswith("error: config.model.hidden: got (64, -1), expected integers >= 1")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--config.generate.seed=3"], "config.generate.seed: got a value with --mode=train, expected a setting that"),
        (["--mode=predict", "--config.train.num_epochs=3"], "config.train.num_epochs: got a value with --mode=predict"),
        (["--mode=evaluate", "--resume=force"], "resume: got 'force' with --mode=evaluate"),
        (["--num_processes=2"], "num_processes: got 2, expected it beside --coordinator"),
        (["--process_id=1"], "process_id: got 1, expected it beside --coordinator"),
        *(
            (
                [f"--mode={mode}", "--coordinator=a:1"],
                "no coordinator, since only --mode=train runs on several processes",
            )
            for mode in ("evaluate", "predict", "generate", "select_k")
        ),
    ],
)
def test_flags_that_a_mode_would_ignore_are_refused(command_line, tmp_path, flags, words):
    answer = command_line(f"--workdir={tmp_path / 'run'}", *flags)
    assert answer.returncode == 2
    assert words in answer.stderr
    assert answer.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_workdir_is_required(command_line):
    answer = command_line("--mode=train")
    assert answer.returncode == 2
    assert "--workdir" in answer.stderr
    assert answer.stderr.count("\n") == 1


def test_train_evaluate_and_predict_in_another_folder(command_line, tmp_path):
    flags = [f"--config={ROOT / 'configs' / 'digits.py'}", *TINY[1:], "--workdir=run"]
    flags.append("--config.compilation_cache=compiled")
    command = [sys.executable, ROOT / "main.py", *flags]  # with all that Python does at its start and end
    trained = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    assert list((tmp_path / "compiled").iterdir())
    for name in ("accuracy", "NMI", "ARI", "ELBO", "log p(x)"):
        assert name in trained.stdout
    assert trained.stdout.splitlines()[-2:] == [
        "see run/assignments.npz",
        f"for new rows: python {ROOT / 'main.py'} --mode=predict --workdir=run --config.data.path=FILE",
    ]
    assert "pretrain: 100%" in trained.stderr
    assert "cluster: 100%" in trained.stderr
    assert " I" not in trained.stderr.replace(" 0/", "")  # no log lines from libraries
    evaluated = command_line("--mode=evaluate", "--workdir=run", folder=tmp_path)
    assert evaluated.returncode == 0
    table = [line for line in trained.stdout.splitlines() if not line.startswith(("seconds", "config."))]
    assert [line for line in evaluated.stdout.splitlines() if not line.startswith("seconds")] == table
    flags = ["--config.evaluate.bound_rows=7", "--config.evaluate.bound_samples=3"]
    changed = command_line("--mode=evaluate", "--workdir=run", *flags, folder=tmp_path)
    assert changed.returncode == 0, changed.stderr
    assert "(L = 3, 7 rows)" in changed.stdout
    assert json.loads((tmp_path / "run" / "config.json").read_text())["evaluate"]["bound_rows"] == 7
    refused = command_line("--mode=evaluate", "--workdir=run", "--config.data.path=x.npy", folder=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: config.data.path: got 'x.npy', expected no path, since the data set")
    predicted = command_line("--mode=predict", "--workdir=run", "--config.predict.output=out.npz", folder=tmp_path)
    assert predicted.returncode == 0
    assert predicted.stdout == "wrote out.npz\n"
    with np.load(tmp_path / "out.npz") as answer, np.load(tmp_path / "run" / "assignments.npz") as assignments:
        np.testing.assert_array_equal(answer["cluster"], assignments["cluster"])


def test_a_diverged_run_exits_with_3(command_line, tmp_path):
    answer = command_line(
        f"--workdir={tmp_path}", *TINY, "--config.model.likelihood=gaussian", "--config.pretrain.learning_rate=1e30"
    )
    assert answer.returncode == 3
    assert "error: " in answer.stderr
    assert "not_finite" in answer.stderr


CONFIG_THAT_TELLS = """
import atexit, sys
from vade_jax.configs.digits import get_config
atexit.register(lambda: print("imported", "tensorflow" in sys.modules))
"""


def test_a_run_from_prepared_data_does_not_import_tensorflow(command_line, tfds_dir, tmp_path):
    (tmp_path / "config.py").write_text(CONFIG_THAT_TELLS)
    rows = ["--config.data.name=mnist", f"--config.data.dir={tfds_dir}", "--config.data.train_split=test[:200]"]
    answer = command_line(f"--config={tmp_path / 'config.py'}", *TINY[1:], *rows, f"--workdir={tmp_path / 'run'}")
    assert answer.returncode == 0, answer.stderr[-2000:]
    assert "accuracy" in answer.stdout
    assert answer.stdout.endswith("imported False\n")
