"""CrowdHuman: annotation_<split>.odgt, one JSON a line, and Images/<ID>.jpg (some mirrors: .png).

Boxes are x y w h in pixels; the full box may leave the image by design. A box is to be ignored where its tag
is not "person" or `extra.ignore` is set; `head_attr.ignore` is about heads only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from components.errors import SourceError
from components.sources.source import RawBox, RawScene

BOM = b"\xef\xbb\xbf"


def read(root: Path, annotations: Path) -> Iterator[RawScene]:
    """The annotated images of one file, one by one. Raises SourceError that names file and line."""
    seen: dict[str, int] = {}
    with annotations.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            where = f"{annotations}:{number}"
            if number == 1 and line.startswith(BOM):
                raise SourceError(f"{where}: the file begins with a byte order mark; save it as plain UTF-8")
            if not line.strip():
                continue
            scene = _scene(_json(line, where), root, where)
            if scene.scene_id in seen:
                raise SourceError(f"{where}: ID {scene.scene_id!r} stands in line {seen[scene.scene_id]} already")
            seen[scene.scene_id] = number
            yield scene


def _json(line: bytes, where: str) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SourceError(f"{where}: the line is not JSON ({error}); is the file cut or damaged?") from None
    if (
        not isinstance(value, dict)
        or not isinstance(value.get("ID"), str)
        or not isinstance(value.get("gtboxes"), list)
    ):
        raise SourceError(f"{where}: want an object with ID (text) and gtboxes (list); is this an .odgt of CrowdHuman?")
    return value


def _scene(row: dict[str, Any], root: Path, where: str) -> RawScene:
    identity = row["ID"]
    path = PurePosixPath("Images") / f"{identity}.jpg"
    if not identity or ".." in path.parts or path.parts[0] != "Images" or "\\" in identity or "\0" in identity:
        raise SourceError(f"{where}: ID {identity!r} leaves the folder Images; want a plain file name")
    if not (root / path).exists() and (root / path.with_suffix(".png")).exists():
        path = path.with_suffix(".png")
    boxes = tuple(_box(entry, f"{where}: gtboxes[{index}]") for index, entry in enumerate(row["gtboxes"]))
    return RawScene(identity, path.as_posix(), boxes, where)


def _box(entry: Any, where: str) -> RawBox:
    if not isinstance(entry, dict) or not isinstance(entry.get("tag"), str):
        raise SourceError(f"{where}: want an object with tag and fbox, got {str(entry)[:60]}")
    extra = entry.get("extra") or {}
    if not isinstance(extra, dict):
        raise SourceError(f"{where}.extra: want an object, got {str(extra)[:60]}")
    full = _corners(entry.get("fbox"), f"{where}.fbox")
    return RawBox(
        label=entry["tag"],
        ignore=entry["tag"] != "person" or bool(extra.get("ignore", 0)),
        full=full,
        visible=_corners(entry["vbox"], f"{where}.vbox") if "vbox" in entry else None,
        head=_corners(entry["hbox"], f"{where}.hbox") if "hbox" in entry else None,
    )


def _corners(value: Any, where: str) -> tuple[float, float, float, float]:
    """x y w h -> x1 y1 x2 y2. What is not four finite numbers is refused; odd sizes are validation's business."""
    if not isinstance(value, list) or len(value) != 4:
        raise SourceError(f"{where}: got {str(value)[:60]}, want four numbers x y w h")
    if not all(isinstance(part, int | float) and not isinstance(part, bool) for part in value):
        raise SourceError(f"{where}: got {str(value)[:60]}, want four numbers x y w h")
    if not all(math.isfinite(part) and abs(part) < 1e9 for part in value):
        raise SourceError(f"{where}: got {str(value)[:60]}, want finite numbers below 1e9")
    x, y, width, height = (float(part) for part in value)
    return x, y, x + width, y + height
