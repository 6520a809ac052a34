"""Where each format keeps its annotations, and how its words map to labels, as the datasets are published."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from components.errors import SourceError

FROM_VALIDATION = "the published test split has no annotations: the validation split is tested on"


@dataclass(frozen=True, slots=True)
class Layout:
    """Candidates for each split's annotations, the first that is there is taken; the usual words and box."""

    train: tuple[str, ...]
    test: tuple[str, ...]
    classes: dict[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] | None = None
    note: str = ""
    task: str = "detect"


_PEOPLE_ONLY = {"person": "person", "*": "other"}
LAYOUTS = {
    "crowdhuman": Layout(("annotation_train.odgt",), ("annotation_val.odgt",), note=FROM_VALIDATION),
    "citypersons": Layout(
        ("annotations/anno_train.mat", "anno_train.mat", "gtBboxCityPersons/train"),
        ("annotations/anno_val.mat", "anno_val.mat", "gtBboxCityPersons/val"),
        {"pedestrian": "person", "rider": "ignore", "sitting person": "ignore", "person (other)": "ignore"},
        note=FROM_VALIDATION,
    ),
    "wider_pedestrian": Layout(
        ("train_annotations.txt", "annotations/train_annotations.txt"),
        ("val_annotations.txt", "annotations/val_annotations.txt"),
        {"pedestrian": "person", "cyclist": "person"},
        note=FROM_VALIDATION,
    ),
    "uavdt": Layout(("M_attr/train",), ("M_attr/test",), labels=("car", "truck", "bus")),
    "coco": Layout(
        ("annotations/instances_train*.json", "annotations/*_train.json"),
        ("annotations/instances_val*.json", "annotations/*_val.json"),
        _PEOPLE_ONLY,
        note=FROM_VALIDATION,
    ),
    "pixmo_count": Layout(
        ("data/train-*.parquet",),
        ("data/test-*.parquet",),
        note="`lookout fetch-images` brings the images",
        task="count",
    ),
    "refcoco": Layout(
        ("refs(unc).p#train", "refs(umd).p#train"),
        ("refs(unc).p#testA", "refs(umd).p#test"),
        {"*": "object"},
        labels=("object",),
        task="ground",
    ),
    "fox": Layout(("no training split",), ("en_page_ocr.json",), task="read", note="for evaluation, non-commercial"),
    "image_text": Layout(("train.parquet", "train.jsonl"), ("test.parquet", "test.jsonl"), task="read"),
}


def find_annotations(kind: str, root: Path, splits: tuple[str, ...]) -> dict[str, str | list[str]]:
    """Each split's annotations, relative to the root. Raises SourceError: what was looked for, and what lies there."""
    layout, found = LAYOUTS[kind], dict[str, str | list[str]]()
    for split in splits:
        candidates = layout.train if split == "train" else layout.test
        matches = next((match for name in candidates if (match := _matching(root, name))), [])
        if not matches:
            there = ", ".join(sorted(path.name for path in islice(root.iterdir(), 12))) or "nothing"
            looked = " or ".join(candidates)
            raise SourceError(
                f"{root} does not look like {kind}: looked for {looked} (the {split} annotations), there lies {there}; "
                f"name the files with --split {split}=FILE"
            )
        if len(matches) > 1:
            names = ", ".join(path.name for path in matches)
            raise SourceError(f"{root}: {names} could all be the {split} annotations; choose with --split {split}=FILE")
        found[split] = _sequences(matches[0], root) if kind == "uavdt" else matches[0].relative_to(root).as_posix()
    return found


def _matching(root: Path, name: str) -> list[Path]:
    """The files of that pattern, each with the split that stands behind its #."""
    pattern, mark, split = name.partition("#")
    found = [root / pattern] if (root / pattern).exists() else sorted(root.glob(pattern))
    return [path.with_name(f"{path.name}{mark}{split}") for path in found]


def _sequences(attributes: Path, root: Path) -> list[str]:
    """UAVDT's official split: a file of attributes for each of its sequences."""
    names = sorted(path.name.split("_")[0] for path in attributes.glob("*_attr.txt"))
    if not names:
        raise SourceError(f"{attributes} holds no *_attr.txt, which name the split's sequences")
    missing = [name for name in names if not (root / f"GT/{name}_gt_whole.txt").exists()]
    if missing:
        raise SourceError(f"{root}/GT has no {missing[0]}_gt_whole.txt, which {attributes} asks for")
    return [f"GT/{name}_gt_whole.txt" for name in names]
