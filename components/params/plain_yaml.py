"""YAML that people and forms write, read within bounds: size, depth, and what its aliases grow to."""

from __future__ import annotations

from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, ScalarEvent

MOST_CHARACTERS, MOST_LEVELS, MOST_VALUES = 1_000_000, 20, 100_000
"""Values are counted with every alias written out."""


def load_yaml(text: str, most_characters: int = MOST_CHARACTERS) -> Any:
    """Plain values of one YAML 1.2 document. Raises ValueError in half a sentence ("is not valid YAML: ...").

    >>> load_yaml("{beta: 2e-06}")
    {'beta': 2e-06}
    """
    if len(text) > most_characters:
        raise ValueError(f"has {len(text)} characters, at most {most_characters} are read")
    yaml = YAML(typ="safe", pure=True)  # YAML 1.2: PyYAML reads 2e-06 as text
    trouble = _out_of_bounds(yaml, text)
    if trouble:
        raise ValueError(trouble)
    try:
        return yaml.load(text)
    except (YAMLError, ValueError) as error:  # 2024-13-01 looks like a date and is none
        raise ValueError(f"is not valid YAML: {' '.join(str(error).split())[:300]}") from error


def _out_of_bounds(yaml: YAML, text: str) -> str:
    """What is too much, in half a sentence; empty where nothing is. Nothing is built for it."""
    sizes: dict[str, int] = {}
    open_since = [0]  # values that were counted when each collection around us began
    anchors: list[str | None] = [None]
    values = 0
    try:
        for event in yaml.parse(text):
            if isinstance(event, AliasEvent):
                if event.anchor not in sizes:
                    return f"has the alias *{event.anchor} inside itself; write the value out"
                values += sizes[event.anchor]
            elif isinstance(event, CollectionStartEvent):
                open_since.append(values)
                anchors.append(event.anchor)
            elif isinstance(event, CollectionEndEvent):
                begun, anchor = open_since.pop(), anchors.pop()
                values += 1
                if anchor:
                    sizes[anchor] = values - begun
            elif isinstance(event, ScalarEvent):
                values += 1
                if event.anchor:
                    sizes[event.anchor] = 1
            if len(open_since) > MOST_LEVELS + 1:
                return f"is nested more than {MOST_LEVELS} levels deep"
            if values > MOST_VALUES:
                return f"holds more than {MOST_VALUES} values, its aliases written out; write the value out, shorter"
    except YAMLError:
        return ""  # loading says what is wrong
    return ""
