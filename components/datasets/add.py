"""`lookout add-dataset`: a downloaded dataset -> an entry in conf/datasets, a new params.yaml, its digest in DVC."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import SingleQuotedScalarString

from components.core.dotted import leaves
from components.core.tasks import TASKS, USUAL
from components.core.words import SPLITS_OF, Role
from components.datasets.labels import classes_for, words_of
from components.datasets.layouts import LAYOUTS, find_annotations, left_out
from components.errors import LookoutError, ParamsError, SourceError
from components.graph.compose import CONF, compose
from components.graph.kept_lock import check
from components.machine.dvc import dvc
from components.machine.git import git
from components.params.datasets import DatasetParams, check_entry
from components.params.names import check_name, reads_as_text
from components.params.whole import load_params
from components.sources import SOURCES
from components.sources.source import RawScene
from components.store.atomic import atomic_file

URL = re.compile(r"[a-z][a-z0-9+]*://")
RAW = Path("data/raw")


Chosen = Mapping[str, str | list[str]]


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user says of a dataset that its files do not."""

    kind: str
    role: Role
    licence: str
    chosen: Chosen = field(default_factory=dict)
    """Annotations by split, where the usual ones do not fit."""
    classes: Mapping[str, str] = field(default_factory=dict)
    """The dataset's words -> labels, where they are not the usual ones."""
    rows_without_class: bool = False


def add_dataset(name: str, root: str, wish: Wish, track: bool = True, force: bool = False) -> tuple[Path, list[str]]:
    """Writes conf/datasets/<name>.yaml, composes params.yaml and tracks the data; the entry's path, what is to be said.

    A root outside the checkout, a folder or the URL of one (s3://, gs://, ssh://, ...), is imported to
    data/raw/<name> with its digest. An entry that is there already and differs is replaced where `force` says so.
    Raises SourceError or ParamsError; then nothing has changed.
    """
    check_name(name)
    if wish.kind not in SOURCES:
        raise ParamsError(f"unknown format {wish.kind!r}; want one of {', '.join(sorted(SOURCES))}")
    params = load_params()
    profile = params.profile
    _refuse_a_profiles_own(name)
    if URL.match(root):
        entry, said = _imported(name, root, wish, params.prompts.labels)
    else:
        entry, said = _entry(Path(root), wish, params.prompts.labels)
        if track:
            entry["root"] = _place(name, Path(root)).as_posix()
    path = CONF / "datasets" / f"{name}.yaml"
    same = path.exists() and not force and _is_same(path, name, entry)
    if track and not URL.match(root):
        _track(Path(root), Path(entry["root"]))
    with _all_or_nothing(path, CONF / "config.yaml"):
        if not same:  # what somebody wrote beside the same values stays
            with atomic_file(path) as partial, partial.open("w") as file:
                file.write(f"# Written by `lookout add-dataset`. {LAYOUTS[wish.kind].note}".rstrip() + "\n")
                _yaml().dump({name: _quoted(entry)}, file)
        _add_to_defaults(name)
        compose(profile)
    return path, said


def remove_dataset(name: str) -> str:
    """Takes the entry of an added dataset out of conf/ and params.yaml; its root. The data stay where they lie.

    Raises ParamsError where nothing was added under that name; then nothing has changed.
    """
    path = CONF / "datasets" / f"{name}.yaml"
    added = sorted(one.stem for one in path.parent.glob("*.yaml"))
    if name not in added:
        raise ParamsError(
            f"no dataset {name!r} was added; added are {', '.join(added) or 'none'} (what a profile has itself stands "
            "in conf/profile)"
        )
    profile, root = load_params().profile, _yaml().load(path.read_text())[name]["root"]
    with _all_or_nothing(path, CONF / "config.yaml"):
        path.unlink()
        _take_from_defaults(name)
        compose(profile)
    return root


def _refuse_a_profiles_own(name: str) -> None:
    """Raises ParamsError where a profile has a dataset of that name: the two would be mixed key by key."""
    owners = [
        one for folder in ("profile", "shared") for one in sorted((CONF / folder).glob("*.yaml"))
        if name in ((_yaml().load(one.read_text()) or {}).get("datasets") or {})
    ]  # fmt: skip
    if owners:
        raise ParamsError(
            f"{owners[0]} has a dataset {name!r} of its own, and the two would be mixed; choose another --name"
        )


def _is_same(path: Path, name: str, entry: dict[str, Any]) -> bool:
    """Whether the entry that is there says the same. Raises ParamsError that names each difference."""
    before, after = _texts(_yaml().load(path.read_text()).get(name) or {}), _texts(entry)
    changes = [
        f"{key}: {before.get(key, 'nothing')} -> {after.get(key, 'nothing')}"
        for key in dict.fromkeys([*before, *after])
        if before.get(key) != after.get(key)
    ]
    if changes:
        raise ParamsError(
            f"{path} is there already, perhaps edited by hand, and would change: {'; '.join(changes)}; "
            f"--force replaces it, `lookout remove-dataset {name}` takes it away, another --name leaves it"
        )
    return True


def _texts(entry: dict[str, Any]) -> dict[str, str]:
    """An entry's values by their dotted keys, as text."""
    return {key: str(list(value) if isinstance(value, list) else value) for key, value in leaves(entry).items()}


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


def _imported(name: str, url: str, wish: Wish, labels: list[str]) -> tuple[dict[str, Any], list[str]]:
    """The entry of a folder that DVC fetched from its URL; what does not fit is taken away again (the cache has it)."""
    target = RAW / name
    if not target.exists():
        RAW.mkdir(parents=True, exist_ok=True)
        _dvc("import-url", url, str(target))
    try:
        return _entry(target, wish, labels)
    except LookoutError:
        _dvc("remove", f"{target}.dvc")
        shutil.rmtree(target) if target.is_dir() else target.unlink()
        raise


def _entry(root: Path, wish: Wish, labels: list[str]) -> tuple[dict[str, Any], list[str]]:
    """The entry of a folder, and what is to be said: which words became what, what was left out."""
    kind, role = wish.kind, wish.role
    if not root.is_dir():
        raise SourceError(
            f"the folder {root} is not there; give the folder that the download was unpacked to, or the URL of one "
            "(an archive is no folder: unpack it first)"
        )
    searched = tuple(split for split in SPLITS_OF[role] if split not in wish.chosen)
    annotations = find_annotations(kind, root, searched) | dict(wish.chosen)
    layout = LAYOUTS[kind]
    entry: dict[str, Any] = {
        "format": kind,
        "root": _relative(root),
        "annotations": {split: annotations[split] for split in ("train", "val", "test") if split in annotations},
        "role": role,
        "licence": wish.licence,
    }
    if layout.task != USUAL:
        entry |= _of_task(layout.task)
    if layout.labels:
        entry["labels"] = labels = list(layout.labels)
    if layout.leakage != "stop" and role != "eval":
        entry["leakage"] = layout.leakage
    if wish.rows_without_class:
        entry["rows_without_class"] = True
    from components.sources.reading import check_layout

    check_layout("new", root, check_entry(entry))
    if kind == "coco" and _first_image_lies(root, entry | {"images": "."}) and not _first_image_lies(root, entry):
        entry["images"] = "."  # LVIS and Objects365 name their images with the folder
    classes, said = dict(wish.classes or layout.classes), list[str]()
    if TASKS[layout.task].finds_all:
        words, notes = words_of(root, check_entry(entry))
        classes, said = classes_for(words, notes, wish.classes, layout.classes, labels, kind)
    if classes:
        entry["classes"] = classes
    taken = [file for split in entry["annotations"] for file in check_entry(entry).files(split)]
    return entry, said + [f"left out: {one}" for one in left_out(kind, root, taken)]


def _of_task(task: str) -> dict[str, Any]:
    """What an entry says of its task: a profile's own template is made for another one."""
    from components.prompting.questions import TASK_QUESTIONS

    grammar, *others = TASKS[task].grammars
    answer = {"answer": grammar} if others else {}
    return {"task": task} | answer | {"template": TASK_QUESTIONS[task].templates[grammar].as_posix()}


def _first_image_lies(root: Path, entry: dict[str, Any]) -> bool:
    """Whether the first annotated image is where this entry says that images are."""
    from components.sources.reading import read_split

    params = DatasetParams.model_validate(entry)
    scenes = (row for row in read_split(root, params, next(iter(params.annotations))) if isinstance(row, RawScene))
    first = next(scenes, None)
    return first is not None and (root / first.image_path).exists()


def _relative(root: Path) -> str:
    try:
        return root.resolve().relative_to(Path.cwd().resolve()).as_posix()
    except ValueError:
        return str(root.resolve())


def _place(name: str, root: Path) -> Path:
    """Where DVC is to track the root: where it lies in the checkout, or data/raw/<name>."""
    inside = Path(_relative(root))
    return RAW / name if inside.is_absolute() else inside


def _track(root: Path, target: Path) -> None:
    """Added where it lies in the checkout, imported with its digest where it does not.

    Raises SourceError where git ignores the place of the digest: then nobody else would get it.
    """
    digest = target.with_name(f"{target.name}.dvc")
    if digest.exists():
        return  # the same command again
    if git("check-ignore", "-q", str(digest)) is not None:
        raise SourceError(
            f"git ignores {digest}, so the digest of the data could not be committed; move the folder to "
            f"{RAW / target.name}, directly below {RAW}, or leave it untracked with --no-track"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    _dvc(
        *(
            ["add", str(target)]
            if root.resolve() == target.resolve()
            else ["import-url", str(root.resolve()), str(target)]
        )
    )


def _dvc(*command: str) -> None:
    check()
    dvc(*command, fails=SourceError)


def _add_to_defaults(name: str) -> None:
    """conf/config.yaml: the entry joins whatever profile is composed, so that `dvc exp run -S` keeps it."""
    _change_defaults(lambda names: names if name in names else [*names, name])


def _take_from_defaults(name: str) -> None:
    _change_defaults(lambda names: [one for one in names if one != name])


def _change_defaults(change: Callable[[list[str]], list[str]]) -> None:
    """The names of datasets in conf/config.yaml become what `change` makes of them."""
    path = CONF / "config.yaml"
    yaml = _yaml()
    config = yaml.load(path.read_text())
    group = next((item for item in config["defaults"] if isinstance(item, dict) and "datasets" in item), None)
    names = change(list(group["datasets"]) if group is not None else [])
    if group is None:
        group = {}
        config["defaults"].append(group)
    group["datasets"] = names
    if not names:
        config["defaults"].remove(group)
    with atomic_file(path) as partial, partial.open("w") as file:
        yaml.dump(config, file)


def _yaml() -> YAML:
    yaml = YAML()
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml
