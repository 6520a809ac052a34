"""A section of params.yaml -> its model. A mistyped key fails and names itself."""

from __future__ import annotations

from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from components.errors import ParamsError
from components.params.model import LONGEST_VALUE, StageParams, StrictModel
from components.params.plain_yaml import load_yaml

PARAMS_FILE = Path("params.yaml")


Section = TypeVar("Section", bound=StageParams)
Entry = TypeVar("Entry")


def load_raw(path: Path = PARAMS_FILE) -> dict[str, Any]:
    """params.yaml as plain values. Raises ParamsError where it is missing or no mapping."""
    try:
        values = deepcopy(_parsed(path.read_text()))
    except FileNotFoundError:
        raise ParamsError(f"{path} is not there; `lookout compose tiny` writes the default profile") from None
    except ValueError as error:
        raise ParamsError(f"{path} {error}") from error
    if not isinstance(values, dict):
        raise ParamsError(f"{path} holds {type(values).__name__}, want a mapping of sections")
    return values


@lru_cache(maxsize=4)
def _parsed(text: str) -> Any:
    """A stage asks for several sections; parsing the whole takes tens of milliseconds."""
    return load_yaml(text)


def load_section(model: type[Section], path: Path = PARAMS_FILE) -> Section:
    """One stage's section of params.yaml. Raises ParamsError that names the key."""
    return checked(model, _section(model.section, path), path, model.section)


def load_entries(section: str, entries: type[dict[str, Entry]], path: Path = PARAMS_FILE) -> dict[str, Entry]:
    """A section whose keys people choose, datasets or synthetic, as its type. Raises ParamsError that names the key."""
    try:
        return TypeAdapter(entries).validate_python(_section(section, path))
    except ValidationError as error:
        raise ParamsError(f"{path}: {first_sentence(error, section)}") from None


def entry_of(entries: dict[str, Entry], section: str, name: str) -> Entry:
    """The entry of that name. Raises ParamsError that lists those that are there."""
    if name not in entries:
        raise ParamsError(f"params.yaml has no {section}.{name}; it has {sorted(entries)}")
    return entries[name]


def _section(name: str, path: Path) -> Any:
    values = load_raw(path)
    if name not in values:
        raise ParamsError(f"{path}: the section {name}: is missing; it holds {', '.join(sorted(values))}")
    return values[name]


Model = TypeVar("Model", bound=StrictModel)


def checked(model: type[Model], values: Any, path: Path, prefix: str) -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ParamsError(f"{path}: {first_sentence(error, prefix)}") from None


def first_sentence(error: ValidationError, prefix: str) -> str:
    """The first thing that is wrong, by its key; how many more."""
    # a mistyped key is also a missing one: the mistyped word says more
    first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    where = [*([prefix] if prefix else []), *first["loc"]]
    if where[:1] == ["synthetic"]:
        del where[2:3]  # the layout, which pydantic names too
    key = ".".join(str(part) for part in where if part != "[key]")
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        text = f"{key} is not a parameter; is it mistyped?"
    elif first["type"] == "missing":
        text = f"{key} is missing"
    else:
        text = f"{key} is {_shortened(first['input'])}: {message}" if key else message
    others = error.error_count() - 1
    return text + (f" (and {others} more)" if others else "")


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."
