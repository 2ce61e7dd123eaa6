"""The cells of the ablation."""

import pytest
from helpers.seed_records import GPU, make_record, make_run, seeds_of

from benchmarks import ablation, records
from vade_jax.configs import base, digits
from vade_jax.settings.field_names import flatten
from vade_jax.settings.rules import check_fields


@pytest.mark.parametrize(("method", "num_rows"), [("manifold", 1797), ("gmm", 70_000)])
def test_ablation_cells_have_valid_settings(method, num_rows):
    flags = [f"--config.init.method={method}"]
    config = records.read_config("configs/digits.py", flags)
    cells = ablation.make_cells(config.to_dict(), num_rows)
    assert cells["recipe"] == []
    settings = []
    for changes in cells.values():
        assert {flag.removeprefix("--config.").partition("=")[0] for flag in changes} <= flatten(
            base.get_config().to_dict()
        ).keys()
        settings.append(records.read_config("configs/digits.py", [*flags, *changes]).to_dict())
        check_fields(settings[-1])
    assert all(one not in settings[:place] for place, one in enumerate(settings))
    assert method not in cells  # it equals the recipe
    starts = {"manifold", "gmm", "gmm_diag", "kmeans", "random"}
    assert {*starts, *(f"{start}_unguided" for start in starts)} - {method} < cells.keys()
    assert {
        "estimator_sample",
        "estimator_mean",
        "pretrain_x0.25",
        "pretrain_x4",
        "rounds_0",
        "rounds_2",
        "no_align",
        "kl_c_weight_1",
    } < cells.keys()
    assert "estimator_optimal" not in cells


def test_pretraining_cells_do_not_change_other_stages():
    recipe = digits.get_config().to_dict()
    few, many = 1797, 70_000
    assert ablation.make_cells(recipe, many)["pretrain_x0.25"] == ["--config.pretrain.num_epochs=9"]
    assert ablation.make_cells(recipe, many)["pretrain_x4"] == ["--config.pretrain.num_epochs=144"]
    # 1000 steps with 64 of 1797 rows are 36 epochs
    assert ablation.make_cells(recipe, few)["pretrain_x4"] == ["--config.pretrain.num_epochs=144"]
    assert ablation.make_cells(recipe, few)["pretrain_x0.25"] == [
        "--config.optimizer.min_steps=0",
        "--config.pretrain.num_epochs=9",
        "--config.guide.num_epochs=36",
        "--config.align.num_epochs=36",
        "--config.train.num_epochs=36",
    ]


def test_ablation_keeps_cells_with_the_same_recipe_and_device():
    flags = ["--config.seed=0"]

    def cell(*runs, changes=(), common=flags):
        return make_record(*runs, flags=[*common, *changes])

    record = ablation.with_cell(None, flags, "recipe", cell(make_run(0, 0.9), make_run(1, 0.7)))
    mean = ["--config.train.estimator=mean"]
    record = ablation.with_cell(record, flags, "mean", cell(make_run(0, 0.5), changes=mean))
    record = ablation.with_cell(record, flags, "recipe", cell(make_run(2, 0.6)))
    assert {name: seeds_of(one) for name, one in record["cells"].items()} == {"recipe": [0, 1, 2], "mean": [0]}
    assert [one["changes"] for one in record["cells"].values()] == [[], mean]
    assert record["cells"]["recipe"]["summary"]["accuracy"] == 0.7
    assert "accuracy_by_epoch" not in record["cells"]["mean"]["runs"][0]
    changed = ablation.with_cell(record, flags, "mean", cell(make_run(1), changes=[*mean, "--config.seed=1"]))
    assert seeds_of(changed["cells"]["mean"]) == [1]
    for change in ({"device": GPU}, {"settings": {"model.latent_dim": 9}}):
        elsewhere = ablation.with_cell(record, flags, "mean", cell(make_run(1, **change), changes=mean))
        assert elsewhere["cells"].keys() == {"mean"}
    settings = {"model.latent_dim": 10, "train.estimator": "mean"}  # its own change keeps the recipe
    beside = ablation.with_cell(record, flags, "mean", cell(make_run(0, settings=settings), changes=mean))
    assert beside["cells"].keys() == {"recipe", "mean"}
    assert ablation.with_cell(record, [], "other", cell(make_run(1), common=[]))["cells"].keys() == {"other"}
    assert [row[:4] for row in ablation._table(record["cells"])[1:]] == [
        ["recipe", "3", "0.7500", "0.7000"],
        ["mean", "1", "0.7500", "0.5000"],
    ]
