"""Workdirs: one process at a time, one set of settings, damaged files and full disks."""

import gc
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.disks import mounted
from helpers.runs import assert_same_bits, contents, params_of, stop_after, tiny

from vade_jax.commands.train import train
from vade_jax.data import sources
from vade_jax.runs import workdir
from vade_jax.runs.metrics_log import read_metrics
from vade_jax.system.errors import InputError, StorageError

ROOT = Path(__file__).parents[2]
HOLD = """
import sys, time
from pathlib import Path
from vade_jax.runs import workdir
with workdir.locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_workdir_is_locked_until_its_process_ends(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InputError, match=r"^workdir: .* another running process uses, .* Wait until"):
            train(tiny(), tmp_path)
    finally:
        holder.kill()
        holder.communicate()
    with workdir.locked(tmp_path), pytest.raises(InputError), workdir.locked(tmp_path):
        pass
    with workdir.locked(tmp_path):
        pass


@pytest.mark.parametrize(
    "name",
    ["data.json", "metrics.jsonl", "tensorboard/events.out.tfevents.1", "model/x", "checkpoints/1/x", "results.json"],
)
def test_a_folder_of_another_program_is_not_touched(tmp_path, name):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text('{"mine": 1}')
    for use in (lambda: train(tiny(), tmp_path), lambda: workdir.claim(tmp_path, {}, {})):
        with pytest.raises(
            InputError, match=rf"^workdir: got .* with {name.split('/')[0]} but without our config.json"
        ):
            use()
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()] == [name]
    assert (tmp_path / name).read_text() == '{"mine": 1}'


def test_a_claim_that_was_killed_is_finished_by_the_next(tmp_path):
    description = {"num_rows": 9, "num_features": 2, "digest": "a"}
    (tmp_path / "data.json").write_text(json.dumps(description))  # it is written before config.json
    workdir.claim(tmp_path, tiny().to_dict(), description)


@pytest.mark.parametrize("length", [250, 300])
def test_a_long_name_works_or_is_refused_before_the_rows_are_read(tmp_path, monkeypatch, length):
    monkeypatch.setattr(sources, "load", lambda *_, **__: pytest.fail("read"))
    with pytest.raises((InputError, pytest.fail.Exception), match="File name too long" if length > 255 else "read"):
        train(tiny(), tmp_path / ("w" * length))
    assert not list(tmp_path.iterdir())


def test_other_settings_are_refused_unless_forced(tmp_path, monkeypatch):
    stop_after(4, monkeypatch, lambda: train(tiny(), tmp_path))
    changed = tiny(train__num_epochs=4)
    with pytest.raises(InputError, match=r"train.num_epochs \(3 there, 4 here\).*--resume=force"):
        train(changed, tmp_path)
    train(changed, tmp_path, force=True)
    assert json.loads((tmp_path / "config.json").read_text())["train"]["num_epochs"] == 4
    assert [record["total_epochs"] for record in read_metrics(tmp_path / "metrics.jsonl")] == [1, 2, 3, 4, 5, 6, 7]


def test_networks_of_another_size_cannot_be_forced(tmp_path, monkeypatch):
    stop_after(2, monkeypatch, lambda: train(tiny(), tmp_path))
    with pytest.raises(StorageError, match=r"or were made with other settings"):
        train(tiny(model__latent_dim=4), tmp_path, force=True)


def test_a_field_newer_than_the_run_is_no_other_setting(tmp_path, monkeypatch):
    stop_after(2, monkeypatch, lambda: train(tiny(), tmp_path))
    path = tmp_path / "config.json"
    settings = json.loads(path.read_text())
    del settings["doctor"]["not_finite"]
    path.write_text(json.dumps(settings))
    train(tiny(), tmp_path)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A run that was interrupted in its guide stage, and the parameters it ends with if it is resumed."""
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.MonkeyPatch.context() as patch:
        stop_after(4, patch, lambda: train(tiny(guide__num_rounds=1), folder))
    resumed = folder.parent / f"{folder.name}_resumed"
    shutil.copytree(folder, resumed)
    train(tiny(guide__num_rounds=1), resumed)
    return folder, params_of(resumed)


@pytest.mark.parametrize(
    "changes", [{"guide__num_rounds": 0}, {"guide__num_rounds": 0, "align__num_epochs": 1}], ids=str
)
def test_a_stage_that_has_begun_cannot_be_forced_away(stopped, tmp_path, changes):
    folder = shutil.copytree(stopped[0], tmp_path / "run")
    before = contents(folder / "checkpoints"), (folder / "config.json").read_text()
    with pytest.raises(
        InputError, match=r"^resume: got 'force' with .* has begun: pretrain, guide1\. Set .*num_rounds"
    ):
        train(tiny(**changes), folder, force=True)
    assert (contents(folder / "checkpoints"), (folder / "config.json").read_text()) == before
    train(tiny(guide__num_rounds=1), folder)
    assert_same_bits(params_of(folder), stopped[1])


def test_fewer_or_more_epochs_of_a_stage_that_is_over_can_be_forced(stopped, tmp_path):
    """They change nothing that is done, and the clusters of the watched rows stay known."""
    curves = []
    for number in (1, 9):
        folder = shutil.copytree(stopped[0], tmp_path / str(number))
        results = train(tiny(guide__num_rounds=1, pretrain__num_epochs=number), folder, force=True)
        assert_same_bits(params_of(folder), stopped[1])
        curves.append(results["accuracy_by_epoch"])
    assert curves[0] == curves[1]
    assert [accuracy is None for accuracy in curves[0]] == [True] * 3 + [False] * 6


@pytest.mark.parametrize("name", ["config.json", "data.json", "initialization_guide1.npz"])
def test_a_damaged_file_is_named(stopped, tmp_path, name):
    folder = tmp_path / "run"
    shutil.copytree(stopped[0], folder)
    path = folder / name
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(StorageError, match=rf"{name} is damaged or missing: .* Restore it"):
        train(tiny(guide__num_rounds=1), folder)


@pytest.mark.parametrize("name", ["input_graph.npz", "trail.npy", "metrics.jsonl", "tensorboard/events*"])
def test_a_damaged_cache_is_made_again(stopped, tmp_path, name):
    folder = tmp_path / "run"
    shutil.copytree(stopped[0], folder)
    path = next(folder.glob(name))
    path.write_bytes(path.read_bytes()[:20] + b"\xff")
    train(tiny(guide__num_rounds=1), folder)
    assert_same_bits(params_of(folder), stopped[1])


@pytest.mark.parametrize("name", ["config.json", "data.json", "metrics.jsonl", "trail.npy", "input_graph.npz"])
def test_a_file_that_cannot_be_read_now_stops_and_nothing_is_deleted(stopped, tmp_path, name):
    folder = tmp_path / "run"
    shutil.copytree(stopped[0], folder)
    shutil.rmtree(folder / "checkpoints")  # so that the beginning, which reads every file, is done again
    path = folder / name
    path.unlink()
    path.symlink_to(path.name)  # a link to itself cannot be opened, not by root either
    with pytest.raises(StorageError, match=rf"{name} cannot be read now: .* nothing was deleted"):
        train(tiny(guide__num_rounds=1), folder)
    assert path.is_symlink()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of coroutines that Orbax never awaits
@pytest.mark.parametrize("kib", [4, 64, 400])
def test_a_full_disk_is_reported_and_the_run_resumes_with_more_space(digits_run, tmp_path, kib):
    disk = tmp_path / "disk"
    with mounted(disk, f"size={kib}k"):
        with pytest.raises(StorageError, match="No space left on device"):
            train(tiny(checkpoint__every_epochs=1), disk / "run")
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        train(tiny(checkpoint__every_epochs=1), disk / "run")
        found = params_of(disk / "run")
    assert_same_bits(found, params_of(digits_run[0]))
    gc.collect()  # within this test's filter


def test_a_read_only_disk_is_reported(tmp_path):
    disk = tmp_path / "disk"
    with mounted(disk, "ro"), pytest.raises(InputError, match=r"^workdir: .*Read-only file system"):
        train(tiny(), disk / "run")
