"""Code is a dependency too: the files that a stage's module imports, directly or not, as dvc.yaml must list them.

Lazy imports inside functions count, and so do a module named in a text ("components.rewards.mine", for importlib) and
a file of the checkout outside components. Templates and style sheets beside an imported module count with it.
"""

from __future__ import annotations

import ast
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from components.errors import ParamsError

ROOT = Path("components")
STAGES = ROOT / "stages"
DVC_FILE = Path("dvc.yaml")
MODULE = re.compile(rf"{ROOT.name}(\.[a-z_0-9]+)+")


def code_deps(stage: str) -> list[str]:
    """Sorted paths of every file of `components` that the stage's module needs, itself included."""
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


def with_code_deps(graph: Any) -> Any:
    """The content of dvc.yaml with each stage's code dependencies replaced by its import closure."""
    for name, stage in graph["stages"].items():
        body = stage.get("do", stage)
        kept = [dep for dep in body.get("deps", []) if not dep.startswith(f"{ROOT}/") and not dep.endswith(".py")]
        body["deps"] = kept + code_deps(name)
    return graph


def check_listed(stage: str) -> None:
    """Raises ParamsError where dvc.yaml lacks a file that the stage's module imports: an edit of it would go unseen."""
    graph = YAML(typ="safe").load(DVC_FILE.read_text())["stages"] if DVC_FILE.exists() else {}
    if stage not in graph:
        return
    listed = set(graph[stage].get("do", graph[stage]).get("deps", []))
    missing = [file for file in code_deps(stage) if file not in listed]
    if missing:
        raise ParamsError(
            f"dvc.yaml does not list {', '.join(missing[:3])} among the dependencies of {stage}, which imports "
            f"{'it' if len(missing) == 1 else f'{len(missing)} such files'}: a later edit would change nothing; "
            "`make deps` lists it, then run again"
        )


def main() -> None:
    yaml = YAML()
    yaml.width, yaml.preserve_quotes = 120, True
    yaml.indent(mapping=2, sequence=4, offset=2)
    graph = with_code_deps(yaml.load(DVC_FILE.read_text()))
    if "--write" in sys.argv:
        with DVC_FILE.open("w") as file:
            yaml.dump(graph, file)
    else:
        yaml.dump(graph, sys.stdout)


if __name__ == "__main__":
    main()
