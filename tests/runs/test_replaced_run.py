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
    "results.json",
)
FOREIGN = ("notes.txt", "report/notes.txt", "checkpoints/notes/x", "model/x.npy", "seed_list/x", "predictions.npz")


def make(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("{}")
    return folder


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_only_the_files_of_a_run_are_deleted(tmp_path):
    folder = make(tmp_path / "run", *WRITTEN, *FOREIGN)
    workdir.claim(folder, fields(), ROWS)
    workdir.claim(make(folder / "seed3", *WRITTEN), fields(), ROWS)
    workdir.claim(make(folder / "seed4_rate2", *WRITTEN, "mine.txt"), fields(), ROWS)
    delete_replaced_run(folder, fields(), ROWS)
    assert files(folder) > {*WRITTEN, *FOREIGN}  # it is the same run
    delete_replaced_run(folder, fields(), OTHER_ROWS)
    assert files(folder) == {*FOREIGN, "seed4_rate2/mine.txt"}
    assert {path.name for path in folder.iterdir()} == {name.split("/")[0] for name in FOREIGN} | {"seed4_rate2"}


def test_a_run_of_the_program_leaves_nothing(digits_run, tmp_path):
    folder = shutil.copytree(digits_run[0], tmp_path / "run", ignore=shutil.ignore_patterns("predictions.npz"))
    description = workdir.read(folder)[1] | {OWNER: "me"}
    (folder / "data.json").write_text(json.dumps(description))
    delete_replaced_run(folder, fields(), description)
    assert files(folder) <= {".lock"}


def test_an_interrupted_deletion_is_finished_by_the_next_fit(tmp_path, monkeypatch):
    folder = make(tmp_path / "run", *WRITTEN, "model/mine.txt")
    workdir.claim(folder, fields(), ROWS)
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
    folder = make(tmp_path / "run", *WRITTEN)
    workdir.claim(folder, fields(), {**ROWS, OWNER: owner})
    before = files(folder)
    for description in (OTHER_ROWS, {**OTHER_ROWS, OWNER: ""}):
        delete_replaced_run(folder, fields(), description)
    assert files(folder) == before


@pytest.mark.parametrize("part", ["", "seed0/"])
def test_a_run_that_can_be_resumed_stays(tmp_path, part):
    folder = make(tmp_path / "run", f"{part}checkpoints/7/state/d")
    workdir.claim(folder, fields(), ROWS)
    with pytest.raises(InputError, match=r"^workdir: got .*run with an interrupted fit of other rows"):
        delete_replaced_run(folder, fields(seed=1), ROWS)
    assert (folder / part / "checkpoints" / "7").is_dir()
    (folder / "results.json").write_text("{}")
    delete_replaced_run(folder, fields(seed=1), ROWS)
    assert not (folder / "config.json").exists()
