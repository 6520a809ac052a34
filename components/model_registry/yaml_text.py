"""YAML 1.2 of a version's own files, as plain values and back."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError


def yaml_values(text: str, broken: dict[str, Any]) -> Any:
    """What the text says, `broken` where it is no YAML."""
    try:
        return _yaml().load(text)
    except YAMLError:
        return broken


def yaml_text(values: Mapping[str, object]) -> str:
    """The values as YAML."""
    text = io.StringIO()
    _yaml().dump(values, text)
    return text.getvalue()


def _yaml() -> Any:
    """ruamel.yaml does not type what it reads and writes."""
    return YAML(typ="safe", pure=True)
