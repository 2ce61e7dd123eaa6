"""Moved images against scipy in float64, and what training with them does to an encoder."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from helpers.runs import tiny
from hypothesis import given
from hypothesis import strategies as st

from vade_jax.commands.train import train
from vade_jax.data import sources, splits
from vade_jax.data.scaling import Scaling
from vade_jax.inference.answers import make_embed
from vade_jax.initialization import modularity, neighbor_graphs
from vade_jax.runs import saved_model, starting_clusters
from vade_jax.runs.run import Run
from vade_jax.system.errors import InputError
from vade_jax.training.augmentation import random_affine
from vade_jax.training.objectives import ENCODER_INPUT, with_augmented_input

MOVE = functools.partial(random_affine, image_shape=(8, 8, 1), max_degrees=10.0, max_shift=0.1)
SHAPES = (8, 8, 1), (5, 7, 3)


def image_of(shape, seed=0):
    return np.random.default_rng(seed).uniform(size=shape).astype(np.float32)


@pytest.mark.parametrize("shape", SHAPES)
def test_moves_are_scipys(shape):
    image, key = image_of(shape), jax.random.key(3)
    found = random_affine(key, jnp.asarray(image.ravel()), shape, max_degrees=30.0, max_shift=0.2)
    down, right, turn = np.float64(jax.random.uniform(key, (3,), minval=-1.0))
    angle = np.deg2rad(30 * turn)
    turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = (np.array(shape[:2]) - 1) / 2
    offset = centre - turned @ (centre + 0.2 * np.array(shape[:2]) * [down, right])
    expected = [
        scipy.ndimage.affine_transform(image[..., c].astype(np.float64), turned, offset, order=1, mode="nearest")
        for c in range(shape[2])
    ]
    np.testing.assert_allclose(np.asarray(found).reshape(shape), np.stack(expected, axis=-1), atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_no_degrees_and_no_shift_leave_an_image_as_it_is(shape):
    image = jnp.asarray(image_of(shape).ravel())
    np.testing.assert_array_equal(random_affine(jax.random.key(0), image, shape, 0.0, 0.0), image)


@given(st.integers(0, 2**31), st.floats(0, 180), st.floats(0, 1))
def test_a_moved_image_stays_within_its_values(seed, max_degrees, max_shift):
    image = image_of(SHAPES[1], seed % 100)
    moved = np.asarray(
        random_affine(jax.random.key(seed), jnp.asarray(image.ravel()), SHAPES[1], max_degrees, max_shift)
    )
    for colour, found in zip(image.reshape(-1, 3).T, moved.reshape(-1, 3).T, strict=True):
        assert colour.min() - 1e-6 <= found.min()
        assert found.max() <= colour.max() + 1e-6


def test_each_row_has_a_move_of_its_own_and_x_stays():
    given_batches = []

    def objective(params, batch, keys, step):
        given_batches.append(batch)
        return jnp.zeros(len(keys)), {}

    x = jnp.tile(jnp.asarray(image_of((8, 8, 1)).ravel()), (4, 1))
    keys = jax.random.split(jax.random.key(0), 4)
    moved = with_augmented_input(objective, MOVE)
    for step in (0, 1):
        moved({}, {"x": x, "memberships": x}, keys, jnp.asarray(step))
    first, again = given_batches
    np.testing.assert_array_equal(first["x"], x)
    np.testing.assert_array_equal(first["memberships"], x)
    np.testing.assert_array_equal(first[ENCODER_INPUT], again[ENCODER_INPUT])  # what is new in a step are the keys
    assert len(np.unique(first[ENCODER_INPUT], axis=0)) == 4


def test_moved_rows_are_joined_to_what_they_are_like():
    """Two images, each in many places: unmoved, a row's neighbours are copies in the same place, of either image."""
    images = np.zeros((2, 8, 8, 1), np.float32)
    images[0, 3:5, 3:5] = images[1, 3:5, 2:6] = 1.0
    rng = np.random.default_rng(0)
    kinds = np.arange(400) % 2
    keys = jax.random.split(jax.random.key(5), 400)
    x = jax.vmap(functools.partial(random_affine, image_shape=(8, 8, 1), max_degrees=0.0, max_shift=0.3))(
        keys, jnp.asarray(images[kinds].reshape(400, -1))
    )
    x = np.asarray(x) + 0.05 * rng.normal(size=x.shape).astype(np.float32)
    scores = []
    for max_shift in (0.0, 0.3):
        config = tiny(augment__max_shift=max_shift)
        run = Run(config, Path(), None, 400, 64, (8, 8, 1))
        graph = starting_clusters.build_input_graph(run, Scaling(jnp.zeros((1, 1)), jnp.ones((1, 1))), x, 10, 400)
        assert graph.shape == (400, 400)
        scores.append(modularity.modularity(graph, np.asarray(x[:, 27] > 0.5).astype(int)))
    assert scores[1] < scores[0]  # clusters of places are worth less


@pytest.mark.parametrize(("max_shift", "part_rows", "count"), [(0.1, 20, 2), (0.1, 0, 1), (0.0, 20, 1)])
def test_clusters_of_moved_images_are_judged_by_images_as_they_are_too(max_shift, part_rows, count, tmp_path):
    x = np.random.default_rng(0).uniform(size=(200, 64)).astype(np.float32)
    options = {"init__method": "manifold", "init__neighbors": "embedding", "init__part_rows": part_rows}
    config = tiny(augment__max_shift=max_shift, **options)
    run = Run(config, tmp_path, None, 200, 64, (8, 8, 1))
    judges = starting_clusters.input_graphs(run, Scaling(jnp.zeros((1, 1)), jnp.ones((1, 1))), x)
    assert len(judges) == count
    _, neighbors = neighbor_graphs.nearest_neighbors_without_hubs(
        x, neighbor_graphs.num_neighbors(200, 10, config.init.neighbor_share)
    )
    unmoved = neighbor_graphs.neighbor_graph(np.arange(200), neighbors, 200)
    assert [(judge != unmoved).nnz > 0 for judge in judges] == [bool(max_shift), False][:count]


def test_only_images_can_be_moved(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).uniform(size=(300, 6)).astype(np.float32))
    changes = {"data__name": "file", "data__path": str(tmp_path / "x.npy")}
    for field in ("max_degrees", "max_shift"):
        with pytest.raises(InputError, match=f"^config.augment.{field}: 0.5 came; only images"):
            train(tiny(**changes, **{f"augment__{field}": 0.5}), tmp_path / "run")


def test_an_encoder_that_saw_images_moved_minds_it_less(tmp_path):
    """By the distance that a move makes in the embedding, in units of the embedding's variance."""
    x = splits.select_split(sources.load("digits"), "all", "").x
    keys = jax.random.split(jax.random.key(1), len(x))
    moved = jax.vmap(lambda key, image: random_affine(key, image, (8, 8, 1), 10.0, 0.1))(
        keys, jnp.asarray(x, jnp.float32)
    )
    shares = []
    for name, changes in (("plain", {}), ("moved", {"augment__max_degrees": 10.0, "augment__max_shift": 0.1})):
        train(tiny(**changes, pretrain__num_epochs=20), tmp_path / name)
        run, state, _ = saved_model.restore(tmp_path / name)
        embed = make_embed(run.model, 256)
        z, z_moved = (embed(state, rows)[0] for rows in (x, np.asarray(moved)))
        shares.append(np.mean((z - z_moved) ** 2) / np.mean(z.var(axis=0)))
    assert shares[1] < 0.8 * shares[0]
