"""Nested sections of settings and their dotted names."""

from collections.abc import Mapping
from typing import Any

STAGES = ("pretrain", "guide", "align", "train")  # the sections of the stages of training


def flatten(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns nested sections as one dict of dotted names."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= flatten(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return flat


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Returns dotted names as nested sections, the inverse of `flatten`."""
    settings: dict[str, Any] = {}
    for name, value in flat.items():
        *sections, field = name.split(".")
        parent = settings
        for section in sections:
            parent = parent.setdefault(section, {})
        parent[field] = value
    return settings
