"""Random affine augmentation against scipy in float64, and its effect on training."""

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
from vade_jax.networks.likelihoods import Bernoulli
from vade_jax.networks.model import Model
from vade_jax.runs import input_graphs, saved_model
from vade_jax.runs.run import Run
from vade_jax.system.errors import InputError
from vade_jax.training.augmentation import random_affine
from vade_jax.training.objectives import ENCODER_INPUT, with_augmented_input

AUGMENTATION = functools.partial(random_affine, image_shape=(8, 8, 1), max_degrees=10.0, max_shift=0.1)
SHAPES = (8, 8, 1), (5, 7, 3)
MODEL = Model(None, None, Bernoulli())


def image_of(shape, seed=0):
    return np.random.default_rng(seed).uniform(size=shape).astype(np.float32)


@pytest.mark.parametrize("shape", SHAPES)
def test_random_affine_matches_scipy(shape):
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
def test_zero_rotation_and_shift_keep_the_image(shape):
    image = jnp.asarray(image_of(shape).ravel())
    np.testing.assert_array_equal(random_affine(jax.random.key(0), image, shape, 0.0, 0.0), image)


@given(st.integers(0, 2**31), st.floats(0, 180), st.floats(0, 1))
def test_augmented_pixels_stay_within_the_image_range(seed, max_degrees, max_shift):
    image = image_of(SHAPES[1], seed % 100)
    augmented = np.asarray(
        random_affine(jax.random.key(seed), jnp.asarray(image.ravel()), SHAPES[1], max_degrees, max_shift)
    )
    for channel, found in zip(image.reshape(-1, 3).T, augmented.reshape(-1, 3).T, strict=True):
        assert channel.min() - 1e-6 <= found.min()
        assert found.max() <= channel.max() + 1e-6


def test_each_row_has_its_own_augmentation_and_x_is_kept():
    given_batches = []

    def objective(params, batch, keys, step):
        given_batches.append(batch)
        return jnp.zeros(len(keys)), {}

    x = jnp.tile(jnp.asarray(image_of((8, 8, 1)).ravel()), (4, 1))
    keys = jax.random.split(jax.random.key(0), 4)
    augmented = with_augmented_input(objective, AUGMENTATION)
    for step in (0, 1):
        augmented({}, {"x": x, "memberships": x}, keys, jnp.asarray(step))
    first, again = given_batches
    np.testing.assert_array_equal(first["x"], x)
    np.testing.assert_array_equal(first["memberships"], x)
    np.testing.assert_array_equal(first[ENCODER_INPUT], again[ENCODER_INPUT])  # only the keys change between steps
    assert len(np.unique(first[ENCODER_INPUT], axis=0)) == 4


def test_input_graph_of_augmented_images_depends_less_on_position():
    """Two images at many positions. Without augmentation a row's neighbours share its position, not its image."""
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
        run = Run(config, Path(), MODEL, 400, 64, (8, 8, 1))
        graph = input_graphs.build_input_graph(run, np.float32(x), 10, 400)
        assert graph.shape == (400, 400)
        scores.append(modularity.modularity(graph, np.asarray(x[:, 27] > 0.5).astype(int)))
    assert scores[1] < scores[0]  # clusters by position have a lower modularity


@pytest.mark.parametrize(("max_shift", "part_rows", "count"), [(0.1, 20, 2), (0.1, 0, 1), (0.0, 20, 1)])
def test_input_graphs_include_the_original_images(max_shift, part_rows, count, tmp_path):
    x = np.random.default_rng(0).uniform(size=(200, 64)).astype(np.float32)
    options = {"init__method": "manifold", "init__neighbors": "embedding", "init__part_rows": part_rows}
    config = tiny(augment__max_shift=max_shift, **options)
    run = Run(config, tmp_path, MODEL, 200, 64, (8, 8, 1))
    graphs = input_graphs.load_input_graphs(run, Scaling(jnp.zeros((1, 1)), jnp.ones((1, 1))), x)
    assert len(graphs) == count
    _, neighbors = neighbor_graphs.nearest_neighbors_without_hubs(
        x, neighbor_graphs.num_neighbors(200, 10, config.init.neighbor_share)
    )
    original = neighbor_graphs.neighbor_graph(np.arange(200), neighbors, 200)
    assert [(graph != original).nnz > 0 for graph in graphs] == [bool(max_shift), False][:count]


def test_augmentation_requires_images(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).uniform(size=(300, 6)).astype(np.float32))
    changes = {"data__name": "file", "data__path": str(tmp_path / "x.npy")}
    for field in ("max_degrees", "max_shift"):
        with pytest.raises(InputError, match=f"^config.augment.{field}: got 0.5 for rows without an image shape"):
            train(tiny(**changes, **{f"augment__{field}": 0.5}), tmp_path / "run")


def test_augmentation_makes_the_embedding_less_sensitive(tmp_path):
    """The mean squared change of the embedding under augmentation, in units of the embedding's variance, is smaller."""
    x = splits.select_split(sources.load("digits"), "all", "").x
    keys = jax.random.split(jax.random.key(1), len(x))
    augment = jax.jit(jax.vmap(lambda key, image: random_affine(key, image, (8, 8, 1), 10.0, 0.1)))
    augmented = augment(keys, jnp.asarray(x, jnp.float32))
    shares = []
    for name, changes in (("plain", {}), ("augmented", {"augment__max_degrees": 10.0, "augment__max_shift": 0.1})):
        train(tiny(**changes, pretrain__num_epochs=20, checkpoint__every_epochs=20), tmp_path / name)
        run, state, _ = saved_model.restore(tmp_path / name)
        embed = make_embed(run.model, 256)
        z, z_augmented = (embed(state, rows)[0] for rows in (x, np.asarray(augmented)))
        shares.append(np.mean((z - z_augmented) ** 2) / np.mean(z.var(axis=0)))
    assert shares[1] < 0.8 * shares[0]
