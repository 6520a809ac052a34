"""prompts/*.parquet as a Hugging Face dataset whose images are opened when a row is read, never before."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from datasets import Dataset
from PIL import Image

from components.errors import DataError
from components.store.image_files import decode_image, read_image_bytes
from components.store.schemas.prompts import PROMPTS
from components.store.tables import read_table


def load_prompts(path: Path) -> Dataset:
    """The rows with a column `image` (PIL, RGB, upright) on top. Raises DataError as the store's readers do."""
    return Dataset(read_table(path, PROMPTS).replace_schema_metadata(None)).with_transform(_with_images)


def _with_images(batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
    files = zip(batch["image_path"], batch["image_sha256"], batch["tile"], strict=True)
    opened: dict[tuple[str, str | None], Image.Image] = {}
    images: list[Image.Image] = []
    for path, sha, tile in files:  # a group's rows have one image, tiles of a photograph one file
        if (path, sha) not in opened:
            opened[path, sha] = prompt_image(Path(path), sha)
        images.append(opened[path, sha] if tile is None else opened[path, sha].crop(tile))
    return batch | {"image": images}


def prompt_image(path: Path, sha256: str | None = None) -> Image.Image:
    """The image upright in RGB. Raises DataError where it is missing or its bytes are not those of the prompts."""
    content = read_image_bytes(path)
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and found != sha256:
        raise DataError(f"{path} has SHA-256 {found[:12]}, the prompts were made from {sha256[:12]}; run dvc repro")
    return decode_image(content, str(path))
