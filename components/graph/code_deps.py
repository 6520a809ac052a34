"""Code is a dependency too: dvc.yaml lists the files that a stage's module imports, a folder where it imports all.

An `__init__` that holds a docstring and nothing else decides nothing, and is not listed.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path, PurePosixPath
from typing import Any

from ruamel.yaml import YAML

from components.errors import ParamsError
from components.graph.closure import ROOT, code_files
from components.graph.stages import DVC_FILE, stage_bodies


def code_deps(stage: str) -> list[str]:
    """What dvc.yaml must list of a stage's code: sorted files, and in place of all of a folder's files the folder."""
    files = code_files(stage)
    outside = [file for file in files if not file.startswith(f"{ROOT}/") and not _is_bare(Path(file))]
    return sorted(outside + _folded(files, ROOT))


def _folded(files: list[str], folder: Path) -> list[str]:
    deps: list[str] = []
    for path in folder.iterdir():
        name = path.as_posix()
        if path.is_dir():
            inside = [file for file in files if file.startswith(f"{name}/")]
            listed = _folded(inside, path)
            deps += [name] if len(listed) > 1 and set(inside) == _counted(path) else listed
        elif name in files and not _is_bare(path):
            deps.append(name)
    return deps


def _is_bare(path: Path) -> bool:
    """Whether it is an `__init__` without code."""
    return path.name == "__init__.py" and all(_is_text(line) for line in ast.parse(path.read_text()).body)


def _is_text(line: ast.stmt) -> bool:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant)


def _counted(folder: Path) -> set[str]:
    """Files of a folder that DVC counts: .dvcignore leaves out what Python and editors write beside the code."""
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.as_posix() for path in found if not path.name.startswith(".") and not path.name.endswith("~")}


def with_code_deps(graph: Any) -> Any:
    """The content of dvc.yaml with each stage's code dependencies replaced by its import closure."""
    for name, stage in graph["stages"].items():
        body = stage.get("do", stage)
        kept = [dep for dep in body.get("deps", []) if not dep.startswith(f"{ROOT}/") and not dep.endswith(".py")]
        body["deps"] = kept + code_deps(name)
    return graph


def body_of(stage: str) -> dict[str, Any]:
    """What dvc.yaml says of a stage, of each of them where it runs for several; empty where it knows none."""
    body = stage_bodies().get(stage, {}) if DVC_FILE.exists() else {}
    return body.get("do", body)


def check_listed(stage: str) -> None:
    """Raises ParamsError where dvc.yaml lacks a file that the stage's module imports: an edit of it would go unseen."""
    body = body_of(stage)
    listed = set(body.get("deps", []))
    wanted = [file for file in code_files(stage) if body and not _is_bare(Path(file))]
    missing = [file for file in wanted if not listed & _or_a_folder_above(file)]
    if missing:
        raise ParamsError(
            f"dvc.yaml does not list {', '.join(missing[:3])} among the dependencies of {stage}, which imports "
            f"{'it' if len(missing) == 1 else f'{len(missing)} such files'}: a later edit would change nothing; "
            "`make deps` lists it, then run again"
        )


def _or_a_folder_above(file: str) -> set[str]:
    return {file, *(str(folder) for folder in PurePosixPath(file).parents)}


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
