"""Barriers, and decisions that one process makes for all; without further processes."""

from types import SimpleNamespace

import jax
import pytest
from jax._src.clusters import ClusterEnv  # not public, but nothing else says which clusters JAX knows

from vade_jax.runs.train_one_run import _decided_by_first
from vade_jax.system import processes
from vade_jax.training.collapse import Diagnosis


@pytest.mark.parametrize(
    ("coordinator", "passed"), [("auto", (None, None, None)), ("vade-0.vade:8476", ("vade-0.vade:8476", 4, 3))]
)
def test_auto_leaves_the_addresses_to_jax_which_knows_the_clusters(monkeypatch, coordinator, passed):
    seen = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda *args, **_: seen.append(args))
    processes.initialize_distributed(coordinator, 4, 3)
    assert seen == [passed]
    assert {"slurm", "gcetpu"} <= {cluster.name for cluster in ClusterEnv._cluster_types}


def test_only_the_first_process_finds_clusters_and_writes_to_the_workdir(monkeypatch, tmp_path):
    done = []
    for number in range(2):
        monkeypatch.setattr(jax, "process_index", lambda number=number: number)
        processes.on_first_process(lambda number=number: done.append(number), "clusters")
        with processes.writable_folder(tmp_path) as folder:
            assert (folder == tmp_path) == (number == 0)
            assert folder.is_dir()
        assert folder.exists() == (number == 0)
    assert done == [0]


def test_processes_that_are_missing_at_a_barrier_are_named(monkeypatch, capfd):
    waited = []

    def wait_at_barrier(identity, milliseconds):
        waited.append((identity, milliseconds))
        if len(waited) < 3:
            raise jax.errors.JaxRuntimeError(
                "DEADLINE_EXCEEDED: Barrier timed out. Id: x. # of tasks that reached the barrier: 1/3.\n"
                "The first task at the barrier: 0. Some timed out task names:\n1\n2\n\n\nRPC: /xla.coordination [3]"
            )

    monkeypatch.setattr(processes, "is_distributed", lambda: True)
    monkeypatch.setattr(processes, "_barrier_numbers", iter([7]))
    monkeypatch.setattr(processes.distributed.global_state, "client", SimpleNamespace(wait_at_barrier=wait_at_barrier))
    processes.barrier("claimed")
    assert waited == [("claimed/7/0", 60_000), ("claimed/7/1", 120_000), ("claimed/7/2", 240_000)]
    assert capfd.readouterr().err == (
        "waiting at 'claimed' for processes 1, 2, 60 seconds more\n"
        "waiting at 'claimed' for processes 1, 2, 120 seconds more\n"
    )


def test_a_barrier_with_a_dead_process_fails(monkeypatch):
    def wait_at_barrier(identity, milliseconds):
        raise jax.errors.JaxRuntimeError("UNAVAILABLE: another task died")

    monkeypatch.setattr(processes, "is_distributed", lambda: True)
    monkeypatch.setattr(processes.distributed.global_state, "client", SimpleNamespace(wait_at_barrier=wait_at_barrier))
    with pytest.raises(jax.errors.JaxRuntimeError, match="another task died"):
        processes.barrier("claimed")


@pytest.mark.parametrize("text", ["", "empty_clusters\n2 of 5 clusters are empty", "x" * 2000, "é" * 600])
def test_the_first_process_decides(monkeypatch, text):
    sent = []
    monkeypatch.setattr(processes, "is_distributed", lambda: True)
    monkeypatch.setattr(processes.multihost_utils, "broadcast_one_to_all", lambda array: sent.append(array) or sent[0])
    expected = text.encode()[:1000].decode(errors="ignore")
    assert processes.decided_by_first(text) == expected
    assert processes.decided_by_first("another text") == expected  # as another process calls it
    assert {array.shape for array in sent} == {(1000,)}


def test_all_processes_apply_the_cure_of_the_first(monkeypatch):
    monkeypatch.setattr(
        processes, "decided_by_first", lambda text: "one_cluster\none of 3 clusters has 100% of the rows"
    )
    for own in (None, Diagnosis("empty_clusters", "1 of 3")):
        assert _decided_by_first(own) == Diagnosis("one_cluster", "one of 3 clusters has 100% of the rows")
    monkeypatch.setattr(processes, "decided_by_first", lambda text: "")
    assert _decided_by_first(Diagnosis("empty_clusters", "1 of 3")) is None
