"""Small datasets in CrowdHuman's layout and small params, made by the real generator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from components.params.datasets import DatasetParams
from components.params.drawing import DrawnPeopleParams
from components.params.whole import load_params
from components.sources import ingest
from components.stages import synthesize

ANNOTATIONS = {"train": "annotation_train.odgt", "val": "annotation_val.odgt", "test": "annotation_test.odgt"}


def synthetic(root: Path, **changes: Any) -> DrawnPeopleParams:
    """The committed generator's params, fewer images."""
    values = load_params().synthetic["crowd"].model_dump() | {"root": str(root)}
    return DrawnPeopleParams.model_validate(values | {"images": {"train": 24, "val": 4, "test": 12}} | changes)


def dataset(root: Path) -> DatasetParams:
    return DatasetParams.model_validate(
        {"format": "crowdhuman", "root": str(root), "annotations": ANNOTATIONS, "role": "both", "licence": "CC0-1.0"}
    )


def drawn_crowd(folder: Path) -> Path:
    """A drawn dataset; its root."""
    root = folder / "raw"
    synthesize.run(root, synthetic(root))
    return root


def ingested(root: Path, out: Path) -> Path:
    ingest.run("crowd", out, dataset(root))
    return out


def first_line(root: Path, split: str = "train") -> dict[str, Any]:
    return json.loads((root / ANNOTATIONS[split]).read_text().splitlines()[0])


def with_first_line(root: Path, line: str | dict[str, Any], split: str = "train") -> None:
    """Puts `line` in place of a file's first line."""
    path = root / ANNOTATIONS[split]
    rest = path.read_text().splitlines()[1:]
    text = line if isinstance(line, str) else json.dumps(line)
    path.write_text("\n".join([text, *rest]) + "\n")
