"""Nested mappings by dotted paths, as params.yaml, metrics.json and the registry name what is in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast


def value_at(values: object, path: str) -> Any:
    """The value at a dotted path, None where there is none; a key may itself hold dots.

    >>> value_at({"detection": {"f1": 0.5}, "coco.AP": 0.4}, "detection.f1")
    0.5
    """
    if not isinstance(values, dict):
        return None
    mapping = cast("dict[str, Any]", values)
    if path in mapping:
        return mapping[path]
    key, _, rest = path.partition(".")
    return value_at(mapping.get(key), rest) if rest else None


def leaves(values: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Dotted path -> value, of everything that is no mapping.

    >>> leaves({"score": {"tiles": {"overlap": 0.2}}, "seed": 3})
    {'score.tiles.overlap': 0.2, 'seed': 3}
    """
    flat: dict[str, object] = {}
    for key, value in values.items():
        inner = cast("dict[str, object] | None", value if isinstance(value, dict) else None)
        flat |= {f"{prefix}{key}": value} if inner is None else leaves(inner, f"{prefix}{key}.")
    return flat
