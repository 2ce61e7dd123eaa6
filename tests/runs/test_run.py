"""What a run's settings and rows decide."""

import pytest

from vade_jax.runs.run import stage_length


@pytest.mark.parametrize(
    ("asked", "num_rows", "length"),
    [
        (0, 178, (0, 1)),
        (120, 70_000, (120, 1)),  # enough steps
        (120, 1797, (143, 1)),  # 7 steps a pass: 143 passes
        (10, 1797, (11, 14)),
        (10, 300, (40, 25)),  # at most 25 passes an epoch
        (4, 300, (40, 25)),
    ],
)
def test_few_rows_are_passed_several_times_in_an_epoch(asked, num_rows, length):
    assert stage_length(asked, batch_size=256, num_rows=num_rows, min_steps=1000) == length


def test_no_least_number_of_steps_gives_what_is_asked_for():
    assert stage_length(10, batch_size=100, num_rows=100, min_steps=0) == (10, 1)
