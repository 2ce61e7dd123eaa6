"""Says what a kept file was made from, so that a run resumed with other settings never uses a stale one."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np


def basis(settings: Mapping[str, Any], *arrays: np.ndarray) -> str:
    """Returns a digest of the settings and the arrays that a file is made from.

    Args:
      settings: values that JSON can hold, by name.
      *arrays: of any shape and dtype.
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for array in arrays:
        digest.update(f"{array.shape} {array.dtype}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def is_of(arrays: Mapping[str, Any], expected: str) -> bool:
    """Returns whether the arrays of a file have this basis; files of older versions have none, and count as right."""
    return "basis" not in arrays or str(arrays["basis"]) == expected
