"""Which names and paths params may hold: they become folders, keys of YAML, parts of shell lines and of git's refs."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import AfterValidator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from components.errors import ParamsError

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
BAD_IN_PATHS = re.compile(r"""[\x00-\x1f\x7f$`{}"\\;|&<>]""")


def checked_name(name: str) -> str:
    """The name itself. Raises ValueError for another spelling, and for a word that YAML reads as no text.

    >>> checked_name("crowd-2")
    'crowd-2'
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"{name[:64]!r} is no name; want up to 64 lower-case letters, digits, - and _")
    if not reads_as_text(name):
        raise ValueError(f"{name!r} is no name: YAML reads it as a switch, a number, a date or nothing; add a letter")
    return name


def check_name(name: str) -> None:
    """Raises ParamsError where params cannot hold something under this name."""
    try:
        checked_name(name)
    except ValueError as error:
        raise ParamsError(str(error)) from None


def reads_as_text(word: str) -> bool:
    """Whether a bare word is text to DVC (YAML 1.2) and to Hydra (YAML 1.1, where on and no are switches)."""
    return all(_is_text(word, version) for version in ((1, 1), (1, 2)))


def _is_text(word: str, version: tuple[int, int]) -> bool:
    yaml = YAML(typ="safe", pure=True)
    yaml.version = version
    try:
        with warnings.catch_warnings(action="ignore"):  # of a number without its dot
            return isinstance(yaml.load(word), str)
    except (YAMLError, ValueError):  # 2024-13-01 looks like a date and is none
        return False


def checked_path(path: str) -> str:
    """The path itself. Raises ValueError where a shell, DVC's templates or Hydra could read more than a path."""
    found = BAD_IN_PATHS.search(path)
    if found:
        raise ValueError(f"the character {found[0]!r} may not stand in a path; rename the folder or file")
    return path


Name = Annotated[str, AfterValidator(checked_name)]
PathText = Annotated[str, AfterValidator(checked_path)]


def texts_of(value: Any) -> Iterator[str]:
    """Every text in plain values, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from texts_of(key)
            yield from texts_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_of(item)
