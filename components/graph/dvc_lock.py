"""dvc.lock as plain values, by the one reader that says what is wrong with it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from components.errors import DataError

LOCK_FILE = Path("dvc.lock")
REPAIR = "`lookout doctor --repair` puts the last whole one back"
_MARKER = re.compile(r"^(<{7}|={7}|>{7})( |$)", re.MULTILINE)


class LockedPath(TypedDict):
    """A dependency or an output as it was when the stage ran."""

    path: str
    md5: NotRequired[str]


class LockedStage(TypedDict):
    """What a stage ran with, and what came out."""

    cmd: str
    deps: NotRequired[list[LockedPath]]
    outs: NotRequired[list[LockedPath]]
    params: NotRequired[dict[str, dict[str, object]]]  # file -> dotted key -> value


class Lock(TypedDict):
    """dvc.lock."""

    schema: str
    stages: dict[str, LockedStage]


def lock_values(text: str, name: str = LOCK_FILE.name) -> Lock:
    """The text of a dvc.lock as plain values.

    YAML 1.2: PyYAML reads 2e-06 as text. Raises DataError for conflict markers of git's, and for half a file, as a
    kill in the moment of writing leaves it.
    """
    marker = _MARKER.search(text)
    if marker:
        line = text.count("\n", 0, marker.start()) + 1
        raise DataError(
            f"{name}:{line}: git left its conflict markers ({marker[1]}); take one side whole "
            f"(`git checkout HEAD -- {name}`), or delete it, and run dvc repro"
        )
    try:
        lock = YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        at = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise DataError(torn(f"{name}{at}", error.problem or "no YAML")) from None
    except YAMLError as error:
        raise DataError(torn(name, " ".join(str(error).split())[:120])) from None
    wrong = _wrong(lock) or ("" if text.endswith("\n") else "its last line is cut")
    if wrong:
        raise DataError(torn(name, wrong))
    return lock


def read_lock_file(path: Path = LOCK_FILE) -> Lock:
    """The file's values. Raises DataError where it is not there, torn or in conflict."""
    try:
        text = path.read_bytes().decode()
    except FileNotFoundError:
        raise DataError(f"{path} is not there: nothing says what was made from what; run dvc repro") from None
    except UnicodeDecodeError as error:
        raise DataError(torn(str(path), f"byte {error.start} is no UTF-8")) from None
    return lock_values(text, str(path))


def out_digests(lock: Lock, stage: str | None = None) -> dict[str, str]:
    """Path -> DVC's digest of every output, or of one stage's; an output that has none is left out."""
    stages = lock["stages"].values() if stage is None else [lock["stages"][stage]] if stage in lock["stages"] else []
    return {out["path"]: out["md5"] for body in stages for out in body.get("outs", []) if "md5" in out}


def lock_in_conflict(text: str) -> bool:
    """Whether a merge that git could not finish has left its markers."""
    return _MARKER.search(text) is not None


def torn(where: str, what: str) -> str:
    """The sentence for half a file."""
    return f"{where}: it is not whole ({what}), perhaps dvc was killed while it wrote; {REPAIR}"


def _wrong(lock: Any) -> str:
    """What is not as DVC writes it, empty where nothing is."""
    if not isinstance(lock, dict) or not isinstance(lock.get("stages"), dict):
        return "no stages: in it"
    for name, stage in lock["stages"].items():
        if not isinstance(stage, dict):
            return f"the stage {name} is empty"
        for key in ("deps", "outs"):
            entries = stage.get(key, [])
            if not isinstance(entries, list) or not all(isinstance(one, dict) and "path" in one for one in entries):
                return f"the {key} of the stage {name} are cut"
    return ""
