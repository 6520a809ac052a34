"""CrowdHuman: annotation_<split>.odgt, one JSON a line, and Images/<ID>.jpg (some mirrors: .png).

Boxes are x y w h in pixels; the full box may leave the image by design. A box is to be ignored where its tag
is not "person" or `extra.ignore` is set; `head_attr.ignore` is about heads only.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.core.class_words import PERSON, plain_word
from components.errors import SourceError
from components.sources.plain_json import shallow_json
from components.sources.source import (
    DEFAULTS,
    Note,
    RawBox,
    RawScene,
    ReadOptions,
    corners,
    image_inside,
    is_flagged,
    text_lines,
)


def read(root: Path, annotations: Path, options: ReadOptions = DEFAULTS) -> Iterator[RawScene | Note]:
    """The annotated images of one file, one by one. Raises SourceError that names file and line."""
    for number, line in text_lines(annotations):
        where = f"{annotations}:{number}"
        yield _scene(_json(line, where), root, options.images or "Images", where)


def _json(line: str, where: str) -> dict[str, Any]:
    value = shallow_json(line, f"{where}: the line")
    if (
        not isinstance(value, dict)
        or not isinstance(value.get("ID"), str)
        or not isinstance(value.get("gtboxes"), list)
    ):
        raise SourceError(f"{where}: want an object with ID (text) and gtboxes (list); is this an .odgt of CrowdHuman?")
    return value


def _scene(row: dict[str, Any], root: Path, folder: str, where: str) -> RawScene:
    path = image_inside(folder, f"{row['ID']}.jpg" if row["ID"] else "", f"{where}: ID")
    if not (root / path).exists() and (root / path).with_suffix(".png").exists():
        path = f"{path.removesuffix('.jpg')}.png"
    boxes = tuple(_box(entry, f"{where}: gtboxes[{index}]") for index, entry in enumerate(row["gtboxes"]))
    return RawScene(row["ID"], path, boxes, where)


def _box(entry: Any, where: str) -> RawBox:
    if not isinstance(entry, dict) or not isinstance(entry.get("tag"), str):
        raise SourceError(f"{where}: want an object with tag and fbox, got {str(entry)[:60]}")
    extra = entry.get("extra") or {}
    if not isinstance(extra, dict):
        raise SourceError(f"{where}.extra: want an object, got {str(extra)[:60]}")
    full = corners(entry.get("fbox"), f"{where}.fbox")
    ignore = is_flagged(extra.get("ignore"), f"{where}.extra.ignore")
    return RawBox(
        label=entry["tag"],
        ignore=plain_word(entry["tag"]) != PERSON or ignore,
        full=full,
        visible=corners(entry["vbox"], f"{where}.vbox") if "vbox" in entry else None,
        head=corners(entry["hbox"], f"{where}.hbox") if "hbox" in entry else None,
    )
