"""Pages to be read: Fox's en_page_ocr.json, or rows of image and text in Parquet or JSON Lines.

Fox: [{"image", "conversations": [{"value": prompt}, {"value": text}]}], images in en_pdf_png (cn_pdf_png) beside it.
Parquet and JSON Lines: columns image (a path) and text; images in `images` where the entry names no other folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from components.errors import SourceError
from components.sources.parquet import parquet_rows
from components.sources.plain_json import shallow_json
from components.sources.source import (
    DEFAULTS,
    RawAsk,
    RawScene,
    ReadOptions,
    image_inside,
    shown,
    text_lines,
    whole_text,
)

FOX_IMAGES = {"en": "en_pdf_png", "cn": "cn_pdf_png"}
IMAGES = "images"


def read_fox(root: Path, annotations: Path, options: ReadOptions = DEFAULTS) -> Iterator[RawScene]:
    """The pages of one file, in its order. Raises SourceError that names the entry."""
    del root
    folder = options.images or FOX_IMAGES.get(annotations.name.partition("_")[0], IMAGES)
    content = shallow_json(annotations.read_bytes(), str(annotations))
    if not isinstance(content, list):
        raise SourceError(f"{annotations}: holds {type(content).__name__}, want Fox's list of pages")
    for number, page in enumerate(content):
        where = f"{annotations}: page {number}"
        turns = page.get("conversations") if isinstance(page, dict) else None
        said = (
            turns[1].get("value")
            if isinstance(turns, list) and len(turns) == 2 and isinstance(turns[1], dict)
            else None
        )
        yield _scene(annotations, page.get("image") if isinstance(page, dict) else None, said, folder, where)


def read_rows(root: Path, annotations: Path, options: ReadOptions = DEFAULTS) -> Iterator[RawScene]:
    """The pages of one Parquet or JSON Lines file, in its order. Raises SourceError that names the row."""
    del root
    rows = (
        parquet_rows(annotations, ("image", "text")) if annotations.suffix == ".parquet" else _json_lines(annotations)
    )
    for where, row in rows:
        yield _scene(annotations, row.get("image"), row.get("text"), options.images or IMAGES, where)


def _scene(annotations: Path, image: Any, text: Any, folder: str, where: str) -> RawScene:
    if not isinstance(image, str) or not isinstance(text, str):
        raise SourceError(f"{where}: want an image's name and its text, got {shown(image)} and {shown(text)}")
    path = image_inside(folder, image, where)
    return RawScene(f"{annotations.stem}/{image}", path, (), where, asks=(RawAsk(where, text=whole_text(text, where)),))


def _json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for number, line in text_lines(path):
        where = f"{path}:{number}"
        row = shallow_json(line, f"{where}: the line")
        if not isinstance(row, dict):
            raise SourceError(f"{where}: want an object with image and text, got {line[:60]}")
        yield where, row
