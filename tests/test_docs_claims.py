"""Each claim of docs/ about cut-off runs and about several hosts names the tests that show it."""

import re
from pathlib import Path

import pytest
from helpers.pages import without_tables_and_code

ROOT = Path(__file__).parent.parent
PAGES = ("docs/resuming.md", "docs/large_data.md")

# By section: the beginning of a sentence, or of a row of a table -> the tests, in folders of tests/.
CLAIMS = {
    "When a run is cut off": {
        "If a run is interrupted, rerun the same command.": [
            "commands/test_train.py::test_resumed_run_ends_with_the_same_parameters",
            "benchmarks/test_faults.py::test_killed_runs_end_like_the_undisturbed_run",
        ],
        "On the same hardware the result is bit-identical": [
            "runs/test_train_one_run.py::test_a_run_that_a_signal_stopped_ends_like_an_undisturbed_one",
            "benchmarks/test_faults.py::test_killed_runs_end_like_the_undisturbed_run",
            "training/test_data_feed.py::test_a_resumed_streamed_run_is_bit_identical",
        ],
        "Files are always replaced completely.": [
            "system/test_atomic_files.py::test_atomic_write_replaces_the_old_file",
            "system/test_atomic_files.py::test_failed_write_keeps_the_old_file",
            "system/test_array_files.py::test_an_interrupted_write_keeps_the_old_file",
        ],
        "Checkpoints are written while training continues": [
            "runs/test_checkpoints.py::test_training_continues_while_a_checkpoint_is_written",
            "runs/test_checkpoints.py::test_a_checkpoint_is_not_changed_by_later_epochs",
            "runs/test_checkpoints.py::test_restore_returns_the_saved_state_and_progress",
            "runs/test_damaged_checkpoints.py::test_restore_detects_changed_content",
        ],
        "| SIGTERM, SIGINT |": [
            "runs/test_train_one_run.py::test_a_signal_saves_after_the_current_epoch",
            "system/test_signals.py::test_signal_interrupts_at_once",
            "system/test_signals.py::test_busy_process_ends_after_the_grace_period_or_a_second_signal",
            "system/test_signals.py::test_the_grace_period_is_five_seconds",
            "benchmarks/test_faults.py::test_stopped_runs_end_like_the_undisturbed_run",
        ],
        "| SIGKILL, power loss |": [
            "benchmarks/test_faults.py::test_killed_runs_end_like_the_undisturbed_run",
            "runs/test_train_one_run.py::test_checkpoints_are_saved_every_so_many_epochs_and_at_the_end_of_each_stage",
            "runs/test_checkpoints.py::test_unfinished_checkpoints_are_deleted_only_with_exclusive_access",
            "system/test_atomic_files.py::test_remove_partial_deletes_files_of_killed_processes",
        ],
        "| a damaged checkpoint |": [
            "runs/test_damaged_checkpoints.py::test_restore_reads_the_checkpoint_before_a_damaged_one",
            "runs/test_checkpoints.py::test_the_last_checkpoints_are_kept_and_the_latest_is_restored",
            "runs/test_damaged_checkpoints.py::test_restore_raises_if_no_checkpoint_can_be_read",
            "test_main.py::test_what_cannot_be_read_or_written_exits_with_4",
        ],
        "| another damaged file of the run |": [
            "runs/test_workdir.py::test_a_damaged_cache_is_made_again",
            "runs/test_workdir.py::test_a_damaged_file_is_named",
            "test_main.py::test_what_cannot_be_read_or_written_exits_with_4",
            "benchmarks/test_faults.py::test_damaged_files_are_recovered_or_named",
        ],
        "| a full disk, an output that cannot be written or has a name that is too long |": [
            "runs/test_workdir.py::test_a_full_disk_is_reported_and_the_run_resumes_with_more_space",
            "test_storage.py::test_an_output_on_a_full_disk_is_named",
            "test_storage.py::test_an_output_is_checked_before_the_work",
            "test_main.py::test_what_cannot_be_read_or_written_exits_with_4",
        ],
        "| a workdir without our `config.json` that has files named like a run's |": [
            "runs/test_workdir.py::test_a_folder_of_another_program_is_not_touched",
            "test_main.py::test_a_folder_of_another_program_exits_with_2_and_is_not_touched",
        ],
        "| the workdir is not writable, has a name that is too long, is used by another process, or has a run": [
            "runs/test_workdir.py::test_a_read_only_disk_is_reported",
            "runs/test_workdir.py::test_a_long_name_works_or_is_refused_before_the_rows_are_read",
            "runs/test_workdir.py::test_a_workdir_is_locked_until_its_process_ends",
            "runs/test_workdir.py::test_other_settings_are_refused_unless_forced",
            "runs/test_workdir.py::test_a_stage_that_has_begun_cannot_be_forced_away",
            "commands/test_load_rows.py::test_changed_rows_are_refused_in_one_line_and_nothing_is_written",
            "test_main.py::test_an_unusable_file_prints_one_line_and_exits_with_2",
        ],
        "| a `.npy` of rows becomes shorter while it is read |": [
            "data/test_mapped_files.py::test_rows_of_a_file_that_was_cut_off_are_refused",
            "data/test_mapped_files.py::test_a_streamed_epoch_over_a_file_that_was_cut_off_ends_with_one_line",
            "test_main.py::test_an_unusable_file_prints_one_line_and_exits_with_2",
        ],
        "| the rows of a run have changed or are not there |": [
            "commands/test_load_rows.py::test_changed_rows_are_refused_in_one_line_and_nothing_is_written",
            "commands/test_load_rows.py::test_rows_that_have_moved_are_found_where_the_user_says",
            "test_main.py::test_an_unusable_file_prints_one_line_and_exits_with_2",
        ],
    },
    "How this was tested": {
        "`python -m benchmarks.faults` tests these faults": [
            "benchmarks/test_faults.py::test_killed_runs_end_like_the_undisturbed_run",
            "benchmarks/test_faults.py::test_stopped_runs_end_like_the_undisturbed_run",
            "benchmarks/test_faults.py::test_damaged_files_are_recovered_or_named",
        ],
        "*The same end* means": [
            "benchmarks/test_faults.py::test_difference_finds_other_metrics",
        ],
        "For settings and files, it means": [
            "benchmarks/test_faults.py::test_invalid_settings_are_named",
            "benchmarks/test_faults.py::test_damaged_data_files_are_read_or_named",
        ],
        "*Injected errors* are calls of the file system": [
            "benchmarks/test_storage_errors.py::test_one_call_fails_once",
            "benchmarks/test_storage_errors.py::test_all_calls_that_can_meet_the_error_fail_from_then_on",
            "benchmarks/test_storage_errors.py::test_faults_are_drawn_for_every_kind_of_call_and_file",
        ],
        "Afterwards the same command must come to the same result": [
            "benchmarks/test_storage_errors.py::test_runs_with_failing_calls_end_like_the_undisturbed_run",
        ],
        "*Wrong rows* are rows of every kind": [
            "benchmarks/test_wrong_rows.py::test_rows_of_every_kind_are_answered_or_refused",
            "benchmarks/test_wrong_rows.py::test_an_answer_must_be_right_or_a_refusal_in_words",
        ],
        "*The same end* there is finite probabilities": [
            "benchmarks/test_wrong_rows.py::test_an_answer_must_be_right_or_a_refusal_in_words",
        ],
        "`python -m benchmarks.long_process` measures": [
            "benchmarks/test_long_process.py::test_maps_do_not_grow",
            "benchmarks/test_long_process.py::test_fits_in_threads_equal_those_in_turn",
            "benchmarks/test_long_process.py::test_far_rows_are_outliers_with_finite_probabilities",
        ],
    },
    "What checkpoints cost": {
        "It includes imports and compilation; `python -m benchmarks.checkpointing`": [
            "benchmarks/test_checkpointing.py::test_resume_of_a_killed_run_is_timed",
        ],
        "The cost of checkpoints on 70,000 rows": [
            "benchmarks/test_checkpointing.py::test_cost_is_relative_to_the_epochs_between_two_checkpoints",
            "benchmarks/test_checkpointing.py::test_resume_of_a_killed_run_is_timed",
        ],
    },
    "Several hosts": {
        "Start the same command once for each process": [
            "system/test_processes.py::test_two_processes_train_the_run_of_two_devices",
        ],
        "The processes share each batch.": [
            "system/test_processes.py::test_two_processes_train_the_run_of_two_devices",
            "system/test_processes.py::test_several_processes_train_the_run_of_one",
        ],
        "The run is the one that a single process": [
            "system/test_processes.py::test_two_processes_train_the_run_of_two_devices",
            "system/test_processes.py::test_several_processes_train_the_run_of_one",
        ],
        "Each process reads its part of the rows and gathers the others' on its devices": [
            "training/test_data_feed.py::test_each_process_reads_its_part_of_the_rows",
            "system/test_processes_in_step.py::test_only_the_first_process_finds_clusters_and_writes_to_the_workdir",
            "system/test_processes.py::test_several_processes_train_the_run_of_one",
        ],
        "If a process ends, the others end within a minute": [
            "system/test_processes.py::test_a_killed_process_ends_the_others_and_the_run_goes_on_with_another_number",
            "system/test_processes_in_step.py::test_a_barrier_with_a_dead_process_fails",
        ],
        "The same commands resume from the last checkpoint": [
            "system/test_processes.py::test_a_killed_process_ends_the_others_and_the_run_goes_on_with_another_number",
        ],
        "A process may load its rows minutes longer than another": [
            "system/test_processes.py::test_a_process_may_load_its_rows_a_minute_longer_than_another",
        ],
        "If one keeps the others waiting for a minute": [
            "system/test_processes_in_step.py::test_processes_that_are_missing_at_a_barrier_are_named",
        ],
        "Process 0 finds clusters, writes and scores, and decides on cures": [
            "system/test_processes_in_step.py::test_the_first_process_decides",
            "system/test_processes_in_step.py::test_all_processes_apply_the_cure_of_the_first",
            "system/test_processes.py::test_if_one_process_finds_a_collapse_all_do_as_the_first_says",
        ],
        "Only `--mode=train` runs on several processes": [
            "test_main.py::test_flags_that_a_mode_would_ignore_are_refused",
        ],
        "| a TPU pod slice |": [
            "system/test_processes_in_step.py::test_auto_leaves_the_addresses_to_jax_which_knows_the_clusters",
        ],
        "| SLURM |": [
            "system/test_processes.py::test_tasks_of_slurm_find_each_other",
        ],
        "| Kubernetes |": [
            "system/test_processes_in_step.py::test_auto_leaves_the_addresses_to_jax_which_knows_the_clusters",
            "system/test_processes.py::test_two_processes_train_the_run_of_two_devices",
        ],
        "Measured on the loopback of one machine with two cores only": [
            "benchmarks/test_scaling.py::test_several_processes_are_timed",
            "benchmarks/test_scaling.py::test_the_record_is_of_one_machine_with_two_cores",
        ],
        "[How a step grows with processes](benchmarks.md#how-a-step-grows-with-processes)": [
            "test_docs_claims.py::test_how_a_step_grows_is_worked_out",
        ],
    },
}


def claims_of(section):
    """The sentences and the rows of tables in a section, without what programs write and code."""
    pages = "\n".join((ROOT / page).read_text() for page in PAGES)
    text = without_tables_and_code(pages).partition(f"\n## {section}\n")[2]
    text = re.split(r"^#+ ", text, flags=re.MULTILINE)[0]
    found = []
    for paragraph in text.split("\n\n"):
        lines = paragraph.strip().splitlines()
        if lines and lines[0].startswith("|"):
            found += lines[2:]  # after the names of the columns
        else:
            found += re.split(r"(?<=[.:]) (?=[A-Z*`\[])", " ".join(lines))
    return [claim for claim in found if claim]


@pytest.mark.parametrize("section", CLAIMS)
def test_every_claim_names_its_tests(section):
    claims, beginnings = claims_of(section), CLAIMS[section]
    assert [claim for claim in claims if not any(map(claim.startswith, beginnings))] == []
    assert [text for text in beginnings if sum(claim.startswith(text) for claim in claims) != 1] == []


def test_the_named_tests_exist():
    nodes = {node for claims in CLAIMS.values() for nodes in claims.values() for node in nodes}
    sources = {path: (ROOT / "tests" / path).read_text() for path in {node.split("::")[0] for node in nodes}}
    parts = [node.split("::") for node in sorted(nodes)]
    assert [name for path, name in parts if f"\ndef {name}(" not in sources[path]] == []


def test_how_a_step_grows_is_worked_out():
    text = (ROOT / "benchmarks" / "README.md").read_text()
    _, _, section = text.partition("\n## How a step grows with processes\n")
    assert "This section is a calculation, not a measurement: we had no pod." in section
