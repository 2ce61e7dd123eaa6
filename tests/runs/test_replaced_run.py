"""A run that has ended gives way to another one of its owner, and foreign files stay."""

import contextlib
import json
import shutil
from pathlib import Path

import pytest
from helpers.runs import fields

from vade_jax.runs import workdir
from vade_jax.runs.replaced_run import OWNER, delete_replaced_run
from vade_jax.system.errors import InputError

ROWS = {"num_rows": 9, "num_features": 2, "image_shape": None, "names": (), "digest": "a", OWNER: "me"}
OTHER_ROWS = {**ROWS, "digest": "b"}
WRITTEN = (
    "checkpoints/7/state/d",
    "model/1/state/d",
    "autoencoder/1/progress/d",
    "initialization_guide1.npz",
    "memberships_align.npy",
    "input_neighbors.npz",
    "report/index.html",
    "tensorboard/events.out.tfevents.1.host",
    "select_k.json",
    "assignments.csv",
    "results.json",
)
FOREIGN = ("notes.txt", "report/notes.txt", "checkpoints/notes/x", "model/x.npy", "seed_list/x", "predictions.npz")


def make(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    return folder


def make_run(folder, description, *names):
    workdir.claim(folder, fields(), description)
    return make(folder, *names)


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_only_the_files_of_a_run_are_deleted(tmp_path):
    folder = make_run(tmp_path / "run", ROWS, *WRITTEN, *FOREIGN)
    make_run(folder / "seed3", ROWS, *WRITTEN)
    make_run(folder / "seed4_rate2", ROWS, *WRITTEN, "mine.txt")
    delete_replaced_run(folder, fields(), ROWS)
    assert files(folder) > {*WRITTEN, *FOREIGN}  # it is the same run
    delete_replaced_run(folder, fields(), OTHER_ROWS)
    assert files(folder) == {*FOREIGN, "seed4_rate2/mine.txt", "data.json"}
    kept = {"seed4_rate2", "data.json"}
    assert {path.name for path in folder.iterdir()} == {name.split("/")[0] for name in FOREIGN} | kept
    workdir.claim(folder, fields(), OTHER_ROWS)  # the folder is still ours


def test_a_run_of_the_program_leaves_only_its_description(digits_run, tmp_path):
    folder = shutil.copytree(digits_run[0], tmp_path / "run", ignore=shutil.ignore_patterns("predictions.npz"))
    description = workdir.read(folder)[1] | {OWNER: "me"}
    (folder / "data.json").write_text(json.dumps(description))
    delete_replaced_run(folder, fields(), description)
    assert files(folder) <= {".lock", "data.json"}


def test_an_interrupted_deletion_is_finished_by_the_next_fit(tmp_path, monkeypatch):
    folder = make_run(tmp_path / "run", ROWS, *WRITTEN, "model/mine.txt")
    unlink, deleted = Path.unlink, []

    def unlink_one(path):
        if len(deleted) == most:
            raise KeyboardInterrupt
        deleted.append(path.name)
        unlink(path)

    for number in range(20):
        most = number  # files are deleted in all, then the deletion is interrupted
        with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
            patch.setattr(Path, "unlink", unlink_one)
            delete_replaced_run(folder, fields(), OTHER_ROWS)
    assert deleted[-2:] == ["results.json", "config.json"]
    assert files(folder) == {"model/mine.txt", "data.json"}
    workdir.claim(folder, fields(), OTHER_ROWS)


@pytest.mark.parametrize("owner", ["", "you"])
def test_a_run_of_another_owner_stays(tmp_path, owner):
    folder = make_run(tmp_path / "run", {**ROWS, OWNER: owner}, *WRITTEN)
    before = files(folder)
    for description in (OTHER_ROWS, {**OTHER_ROWS, OWNER: ""}):
        delete_replaced_run(folder, fields(), description)
    assert files(folder) == before


@pytest.mark.parametrize("part", ["", "seed0/"])
def test_a_run_that_can_be_resumed_stays(tmp_path, part):
    folder = make_run(tmp_path / "run", ROWS, f"{part}checkpoints/7/state/d")
    with pytest.raises(InputError, match=r"^workdir: got .*run with an interrupted fit of other rows"):
        delete_replaced_run(folder, fields(seed=1), ROWS)
    assert (folder / part / "checkpoints" / "7").is_dir()
    (folder / "results.json").write_text("{}")
    delete_replaced_run(folder, fields(seed=1), ROWS)
    assert not (folder / "config.json").exists()
