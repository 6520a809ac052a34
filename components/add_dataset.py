"""`lookout add-dataset`: a downloaded dataset -> an entry in conf/datasets, a new params.yaml, its digest in DVC."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import SingleQuotedScalarString

from components.compose import CONF, compose
from components.errors import LookoutError, ParamsError, SourceError
from components.kept_lock import check
from components.names import reads_as_text
from components.params import DatasetParams, check_entry, check_name, load_params
from components.sources import SOURCES
from components.sources.layouts import LAYOUTS, find_annotations
from components.sources.source import RawScene
from components.store.atomic import atomic_file

URL = re.compile(r"[a-z][a-z0-9+]*://")
RAW = Path("data/raw")


Chosen = Mapping[str, str | list[str]]


def add_dataset(name: str, kind: str, root: str, role: str, licence: str, chosen: Chosen, track: bool) -> Path:
    """Writes conf/datasets/<name>.yaml, composes params.yaml and tracks the data; the entry's path.

    `chosen` names annotations by split where the usual ones do not fit. A root outside the checkout, a folder or the
    URL of one (s3://, gs://, ssh://, ...), is imported to data/raw/<name> with its digest. Raises SourceError or
    ParamsError; then nothing has changed.
    """
    check_name(name)
    if kind not in SOURCES:
        raise ParamsError(f"unknown format {kind!r}; want one of {', '.join(sorted(SOURCES))}")
    profile = load_params().profile
    if URL.match(root):
        entry = _imported(name, kind, root, role, licence, chosen)
    else:
        entry = _entry(kind, Path(root), role, licence, chosen)
        if track:
            entry["root"] = _tracked(name, Path(root))
    path = CONF / "datasets" / f"{name}.yaml"
    with _all_or_nothing(path, CONF / "config.yaml"):
        with atomic_file(path) as partial, partial.open("w") as file:
            file.write(f"# Written by `lookout add-dataset`. {LAYOUTS[kind].note}".rstrip() + "\n")
            _yaml().dump({name: _quoted(entry)}, file)
        _add_to_defaults(name)
        compose(profile)
    return path


@contextmanager
def _all_or_nothing(*files: Path) -> Iterator[None]:
    """Puts the files back as they were where composing from them fails: else conf/ would stay broken."""
    before = {file: file.read_bytes() if file.exists() else None for file in files}
    try:
        yield
    except BaseException:
        for file, content in before.items():
            file.unlink(missing_ok=True) if content is None else file.write_bytes(content)
        raise


def _quoted(value: Any) -> Any:
    """Plain values whose texts Hydra's YAML 1.1 reads as texts, too: `licence: no` would be a switch there."""
    if isinstance(value, dict):
        return {_quoted(key): _quoted(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_quoted(item) for item in value]
    return SingleQuotedScalarString(value) if isinstance(value, str) and not reads_as_text(value) else value


def _imported(name: str, kind: str, url: str, role: str, licence: str, chosen: Chosen) -> dict[str, Any]:
    """The entry of a folder that DVC fetched from its URL; what does not fit is taken away again (the cache has it)."""
    target = RAW / name
    if not target.exists():
        RAW.mkdir(parents=True, exist_ok=True)
        _dvc("import-url", url, str(target))
    try:
        return _entry(kind, target, role, licence, chosen)
    except LookoutError:
        _dvc("remove", f"{target}.dvc")
        shutil.rmtree(target) if target.is_dir() else target.unlink()
        raise


def _entry(kind: str, root: Path, role: str, licence: str, chosen: Chosen) -> dict[str, Any]:
    if not root.is_dir():
        raise SourceError(
            f"the folder {root} is not there; give the folder that the download was unpacked to, or the URL of one "
            "(an archive is no folder: unpack it first)"
        )
    wanted = {"train": ("train",), "eval": ("val", "test"), "both": ("train", "val", "test")}[role]
    searched = tuple(split for split in wanted if split not in chosen)
    annotations = find_annotations(kind, root, searched) | dict(chosen)
    layout = LAYOUTS[kind]
    entry: dict[str, Any] = {
        "format": kind,
        "root": _relative(root),
        "annotations": {split: annotations[split] for split in ("train", "val", "test") if split in annotations},
        "role": role,
        "licence": licence,
    }
    if layout.task != "detect":
        entry |= _of_task(layout.task)
    if layout.classes:
        entry["classes"] = dict(layout.classes)
    if layout.labels:
        entry["labels"] = list(layout.labels)
    if layout.leakage != "stop" and role != "eval":
        entry["leakage"] = layout.leakage
    from components.stages.ingest import check_layout

    check_layout("new", root, check_entry(entry))
    if kind == "coco" and _first_image_lies(root, entry | {"images": "."}) and not _first_image_lies(root, entry):
        entry["images"] = "."  # LVIS and Objects365 name their images with the folder
    return entry


def _of_task(task: str) -> dict[str, Any]:
    """What an entry says of its task: a profile's own template is made for another one."""
    from components.core.grammars import TASK_GRAMMARS
    from components.prompting.questions import TEMPLATES

    grammar, *others = TASK_GRAMMARS[task]
    answer = {"answer": grammar} if others else {}
    return {"task": task} | answer | {"template": TEMPLATES[grammar].as_posix()}


def _first_image_lies(root: Path, entry: dict[str, Any]) -> bool:
    """Whether the first annotated image is where this entry says that images are."""
    from components.stages.ingest import read_split

    params = DatasetParams.model_validate(entry)
    scenes = (row for row in read_split(root, params, next(iter(params.annotations))) if isinstance(row, RawScene))
    first = next(scenes, None)
    return first is not None and (root / first.image_path).exists()


def _relative(root: Path) -> str:
    try:
        return root.resolve().relative_to(Path.cwd().resolve()).as_posix()
    except ValueError:
        return str(root.resolve())


def _tracked(name: str, root: Path) -> str:
    """The root as DVC tracks it: added where it lies in the checkout, imported with its digest where it does not."""
    inside = not Path(_relative(root)).is_absolute()
    target = Path(_relative(root)) if inside else RAW / name
    if target.with_name(f"{target.name}.dvc").exists():
        return target.as_posix()  # the same command again
    target.parent.mkdir(parents=True, exist_ok=True)
    _dvc(*(["add", str(target)] if inside else ["import-url", str(root.resolve()), str(target)]))
    return target.as_posix()


def _dvc(*command: str) -> None:
    check()
    answer = subprocess.run(
        [sys.executable, "-m", "dvc", *command],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"DVC_NO_ANALYTICS": "1"},
    )
    if answer.returncode:
        raise SourceError(f"dvc {' '.join(command)} failed: {' '.join(answer.stderr.split())[-300:]}")


def _add_to_defaults(name: str) -> None:
    """conf/config.yaml: the entry joins whatever profile is composed, so that `dvc exp run -S` keeps it."""
    path = CONF / "config.yaml"
    yaml = _yaml()
    config = yaml.load(path.read_text())
    group = next((item for item in config["defaults"] if isinstance(item, dict) and "datasets" in item), None)
    if group is None:
        group = {"datasets": []}
        config["defaults"].append(group)
    if name not in group["datasets"]:
        group["datasets"].append(name)
        with atomic_file(path) as partial, partial.open("w") as file:
            yaml.dump(config, file)


def _yaml() -> YAML:
    yaml = YAML()
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml
