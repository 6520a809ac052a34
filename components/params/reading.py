"""A section of params.yaml -> its model. A mistyped key fails and names itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from components.errors import ParamsError
from components.params.datasets import DatasetParams
from components.params.model import LONGEST_VALUE, StageParams, StrictModel
from components.params.names import checked_name
from components.params.plain_yaml import load_yaml

PARAMS_FILE = Path("params.yaml")


Section = TypeVar("Section", bound=StageParams)


def load_raw(path: Path = PARAMS_FILE) -> dict[str, Any]:
    """params.yaml as plain values. Raises ParamsError where it is missing or no mapping."""
    try:
        values = load_yaml(path.read_text())
    except FileNotFoundError:
        raise ParamsError(f"{path} is not there; `lookout compose tiny` writes the default profile") from None
    except ValueError as error:
        raise ParamsError(f"{path} {error}") from error
    if not isinstance(values, dict):
        raise ParamsError(f"{path} holds {type(values).__name__}, want a mapping of sections")
    return values


def load_section(model: type[Section], path: Path = PARAMS_FILE) -> Section:
    """One stage's section of params.yaml. Raises ParamsError that names the key."""
    values = load_raw(path)
    if model.section not in values:
        raise ParamsError(f"{path}: the section {model.section}: is missing; it holds {', '.join(sorted(values))}")
    return checked(model, values[model.section], path, model.section)


def check_name(name: str) -> None:
    """Raises ParamsError where params cannot hold something under this name."""
    try:
        checked_name(name)
    except ValueError as error:
        raise ParamsError(str(error)) from None


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


def check_entry(entry: dict[str, Any]) -> DatasetParams:
    """A new entry of `datasets:`. Raises ParamsError that names the key."""
    return checked(DatasetParams, entry, Path("the dataset's entry"), "")
