"""The plan of the house: every module of components/ stands in a room, every room in import-linter's layers."""

from __future__ import annotations

import tomllib

from tests.support.workspace import REPO

LOOSE = {"__init__.py", "errors.py"}


def layers() -> list[str]:
    """The rooms of components/ that the contract of layers names; a layer may hold several, side by side."""
    contracts = tomllib.loads((REPO / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (found,) = [one for one in contracts if one["type"] == "layers"]
    names = [name.strip() for layer in found["layers"] for name in layer.split("|")]
    return [name.removeprefix("components.") for name in names if name.startswith("components.")]


def rooms() -> set[str]:
    return {path.name for path in (REPO / "components").iterdir() if path.is_dir() and any(path.glob("*.py"))}


def test_every_module_stands_in_a_room() -> None:
    assert {path.name for path in (REPO / "components").glob("*.py")} == LOOSE


def test_every_room_stands_once_in_the_layers() -> None:
    assert sorted(layers()) == sorted(rooms() | {"errors"})


def test_what_has_no_module_is_no_room() -> None:
    empty = [
        path.name
        for path in (REPO / "components").iterdir()
        if path.is_dir() and path.name not in rooms() and any(path.rglob("*.py"))
    ]
    assert empty == []
