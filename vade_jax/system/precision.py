"""The precision of matrix products on the device."""

from contextlib import AbstractContextManager, nullcontext

import jax

# JAX's name of each precision for products of float32 matrices; a CPU always computes in float32.
PRECISIONS: dict[str, str | None] = {
    "default": None,  # chosen by the device: tensorfloat32 on an NVIDIA GPU since Ampere, bfloat16 on a TPU
    "float32": "float32",
    "tensorfloat32": "TF32_TF32_F32",
    "bfloat16": "BF16_BF16_F32",
}


def matmul_precision(precision: str) -> AbstractContextManager[None]:
    """A context with the matrix products in a precision of PRECISIONS; all other operations stay in float32."""
    if jax.default_backend() == "cpu":
        return nullcontext()
    return jax.default_matmul_precision(PRECISIONS[precision])
