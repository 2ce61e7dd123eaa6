"""The help and the docs say what each setting means."""

from vade_jax.settings import defaults
from vade_jax.settings.field_names import flatten
from vade_jax.settings.meanings import meanings


def test_every_field_has_a_meaning():
    found = meanings()
    fields = flatten(defaults.get_config().to_dict())
    assert fields.keys() <= found.keys()
    assert [name for name in fields if not found[name]] == []


def test_a_meaning_is_the_comment_above_or_behind():
    found = meanings()
    assert found["model.latent_dim"] == "J"
    assert found["data.normalize"].startswith("What is done to the cells of an .h5ad. 'counts': scale each cell to")
    assert found["data.normalize"].endswith("else 'none'.")
    assert found["pretrain"] == "stage 1: the autoencoder"
