"""The files that a module of components imports, directly or not.

Lazy imports inside functions count, and so do a module named in a text ("components.rewards.mine", for importlib) and
a file of the checkout outside components. Templates and style sheets beside an imported module count with it.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path("components")
STAGES = ROOT / "stages"
MODULE = re.compile(rf"{ROOT.name}(\.[a-z_0-9]+)+")


def code_files(stage: str) -> list[str]:
    """Sorted paths of every file that the stage's module needs, itself included."""
    seen = import_closure(STAGES / f"{stage}.py")
    data = {file for path in seen if path.name != "__init__.py" for file in _data_files(path.parent)}
    return sorted(path.as_posix() for path in seen | data)


def import_closure(start: Path) -> set[Path]:
    """Every file of `components` that a file of it imports, directly or not, itself included."""
    seen: set[Path] = set()
    waiting = [start]
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting += _imported(path)
    return seen


def _data_files(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.suffix in {".html", ".css", ".js", ".jinja"}]


@cache
def _imported(path: Path) -> tuple[Path, ...]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and MODULE.fullmatch(node.value):
            names.add(node.value)
    return tuple(file for name in sorted(names) for file in _files_of(name))


def _files_of(module: str) -> list[Path]:
    """The module's file and the __init__ of each package above it; nothing for what is no module of the checkout."""
    parts = module.split(".")
    packages = [Path(*parts[:depth], "__init__.py") for depth in range(1, len(parts) + 1)]
    return [file for file in [*packages, Path(*parts).with_suffix(".py")] if file.is_file()]
