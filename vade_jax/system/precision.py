"""The precision of matrix products on the device."""

from contextlib import AbstractContextManager, nullcontext

import jax

# name -> what JAX calls the products of float32 matrices so; on a CPU all are float32.
PRECISIONS = {
    "default": None,  # the device's own: tensorfloat32 on an NVIDIA GPU since Ampere, bfloat16 on a TPU
    "float32": "float32",
    "tensorfloat32": "TF32_TF32_F32",
    "bfloat16": "BF16_BF16_F32",
}


def matmul_precision(precision: str) -> AbstractContextManager:
    """A context in which matrices are multiplied in a precision of PRECISIONS; sums and all else stay in float32."""
    if jax.default_backend() == "cpu":
        return nullcontext()
    return jax.default_matmul_precision(PRECISIONS[precision])
