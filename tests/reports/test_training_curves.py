"""The curves of the report."""

from vade_jax.reports.training_curves import training_curves


def test_a_stage_with_early_stopping_shows_the_held_out_loss_beside_its_own():
    records = [
        {"stage": "pretrain", "epoch": 1, "total_epochs": 1, "loss": 3.0, "held_out_loss": 4.0},
        {"stage": "pretrain", "epoch": 2, "total_epochs": 2, "loss": 2.0, "held_out_loss": 5.0},
        {"stage": "other", "epoch": 1, "total_epochs": 3, "loss": 1.0},
    ]
    with_both, with_one = training_curves(records, 3)
    assert with_both.lines == {"training rows": ([1, 2], [3.0, 2.0]), "held-out rows": ([1, 2], [4.0, 5.0])}
    assert with_one.lines == {"": ([1], [1.0])}
    for curve in (with_both, with_one):
        assert curve.draw()
