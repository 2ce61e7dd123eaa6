"""The encoder and decoder networks, and the model that joins them to a likelihood."""

from vade_jax.networks.encoders_decoders import NETWORKS, ConvDecoder, ConvEncoder, MLPDecoder, MLPEncoder, Shapes

__all__ = ["NETWORKS", "ConvDecoder", "ConvEncoder", "MLPDecoder", "MLPEncoder", "Shapes"]
