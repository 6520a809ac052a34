"""Where each format keeps its annotations, and how its words map to labels, as the datasets are published."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from components.core.tasks import USUAL
from components.errors import SourceError
from components.sources.coco import stream
from components.sources.refcoco import INSTANCES, LEAKS, LEAKS_RULE, split_names

FROM_VALIDATION = "the published test split has no annotations: without any, the validation split is tested on"


@dataclass(frozen=True, slots=True)
class Layout:
    """Candidates for each split's annotations, the first that is there is taken; the usual words and box."""

    train: tuple[str, ...]
    test: tuple[str, ...]
    classes: dict[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] | None = None
    note: str = ""
    task: str = USUAL
    val: tuple[str, ...] = ()
    """Taken where one of them is there."""
    tested_on_val: bool = False
    """Whether the val annotations are tested on where there are no test annotations."""
    leakage: str = "stop"
    """drop where the published training split is known to hold images of the others."""
    next_step: str = ""
    """What is to be done before its images can be read; {name} is the dataset's."""

    def candidates(self, split: str) -> tuple[str, ...]:
        """What a split's annotations are usually called."""
        return {"train": self.train, "val": self.val, "test": self.test}[split]


LAYOUTS = {
    "crowdhuman": Layout(
        ("annotation_train.odgt",),
        ("annotation_test.odgt",),
        note=FROM_VALIDATION,
        val=("annotation_val.odgt",),
        tested_on_val=True,
    ),
    "citypersons": Layout(
        ("annotations/anno_train.mat", "anno_train.mat", "gtBboxCityPersons/train"),
        ("annotations/anno_test.mat", "anno_test.mat", "gtBboxCityPersons/test"),
        {"pedestrian": "person", "rider": "ignore", "sitting person": "ignore", "person (other)": "ignore"},
        note=FROM_VALIDATION,
        val=("annotations/anno_val.mat", "anno_val.mat", "gtBboxCityPersons/val"),
        tested_on_val=True,
    ),
    "wider_pedestrian": Layout(
        ("train_annotations.txt", "annotations/train_annotations.txt"),
        ("test_annotations.txt", "annotations/test_annotations.txt"),
        {"pedestrian": "person", "cyclist": "person"},
        note=FROM_VALIDATION,
        val=("val_annotations.txt", "annotations/val_annotations.txt"),
        tested_on_val=True,
    ),
    "uavdt": Layout(("M_attr/train",), ("M_attr/test",), labels=("car", "truck", "bus")),
    "coco": Layout(
        ("annotations/instances_train*.json", "annotations/*_train.json", "annotations/train.json"),
        ("annotations/instances_test*.json", "annotations/*_test.json", "annotations/test.json"),
        note=FROM_VALIDATION,
        val=("annotations/instances_val*.json", "annotations/*_val.json", "annotations/val.json"),
        tested_on_val=True,
    ),
    "pixmo_count": Layout(
        ("data/train-*.parquet",),
        ("data/test-*.parquet",),
        note="`lookout fetch-images` brings the images",
        task="count",
        val=("data/validation-*.parquet",),
        leakage="drop",
        next_step="lookout fetch-images --dataset {name}",
    ),
    "refcoco": Layout(
        ("refs(unc).p", "refs(umd).p", "*.parquet"),  # each file holds every split
        ("refs(unc).p", "refs(umd).p", "*.parquet"),
        {"*": "object"},
        labels=("object",),
        task="ground",
        note="val, testA, testB (RefCOCOg: val, test) are all tested on",
        leakage="drop",
    ),
    "fox": Layout((), ("en_page_ocr.json", "cn_page_ocr.json"), task="read", note="for evaluation, non-commercial"),
    "image_text": Layout(
        ("train.parquet", "train.jsonl"),
        ("test.parquet", "test.jsonl"),
        task="read",
        val=("val.parquet", "val.jsonl"),
    ),
}
EVALUATED = ("val", "testA", "testB", "test")
"""RefCOCO's splits that are tested on."""
SHARD = re.compile(r"(.*)-\d{5}-of-(\d{5})(.*)")
"""data/train-00001-of-00004.parquet: one of the files that a split is cut into."""


def find_annotations(kind: str, root: Path, splits: tuple[str, ...]) -> dict[str, str | list[str]]:
    """Each split's annotations, relative to the root. Raises SourceError: what was looked for, and what lies there."""
    layout, found = LAYOUTS[kind], dict[str, str | list[str]]()
    for split in splits:
        candidates = layout.candidates(split)
        matches = _annotated(kind, root, candidates)
        if not matches and split == "val":
            continue
        if not matches and split == "test" and layout.tested_on_val and "val" in found:
            found["test"] = found.pop("val")
            continue
        if not matches:
            also = layout.val if split == "test" and layout.tested_on_val else ()
            raise SourceError(_nothing_found(kind, root, split, candidates + also))
        if kind == "uavdt":
            found[split] = _sequences(_only(matches, root, split), root)
        elif kind == "refcoco":
            found[split] = _references(matches, root, split)
        elif len(matches) > 1 and _are_shards(matches):
            found[split] = [path.relative_to(root).as_posix() for path in matches]
        else:
            found[split] = _only(matches, root, split).relative_to(root).as_posix()
    return found


def left_out(kind: str, root: Path, taken: Iterable[str]) -> list[str]:
    """Annotation files of the format that lie there and are not taken, each with its split."""
    files, layout = {entry.partition("#")[0] for entry in taken}, LAYOUTS[kind]
    lines: list[str] = []
    for split in ("train", "val", "test"):
        for path in (path for name in layout.candidates(split) for path in _matching(root, name)):
            place = path.relative_to(root).as_posix()
            if place not in files and kind != "uavdt":
                files.add(place)
                why = "" if _holds_annotations(kind, path) else ", which holds no annotations"
                lines.append(f"{place} ({split}{why})")
    return lines


def _annotated(kind: str, root: Path, candidates: tuple[str, ...]) -> list[Path]:
    """What the first candidate that is there matches; a COCO file without annotations is none: its images are."""
    for name in candidates:
        matches = [path for path in _matching(root, name) if _holds_annotations(kind, path)]
        if matches:
            return matches
    return []


def _holds_annotations(kind: str, path: Path) -> bool:
    return kind != "coco" or next(stream(path, "annotations"), None) is not None


def _matching(root: Path, pattern: str) -> list[Path]:
    return [root / pattern] if (root / pattern).exists() else sorted(root.glob(pattern))


def _nothing_found(kind: str, root: Path, split: str, candidates: tuple[str, ...]) -> str:
    if not candidates:
        return f"{kind} has no {split} annotations ({LAYOUTS[kind].note}): add it with --role eval"
    there = ", ".join(sorted(path.name for path in islice(root.iterdir(), 12))) or "nothing"
    rule = f" (rule {LEAKS_RULE}: {LEAKS} is not taken)" if kind == "refcoco" and (root / LEAKS).exists() else ""
    return (
        f"{root} does not look like {kind}: looked for {' or '.join(candidates)} (the {split} annotations), there lies "
        f"{there}{rule}; name the files with --split {split}=FILE"
    )


def _only(matches: list[Path], root: Path, split: str) -> Path:
    if len(matches) > 1:
        names = ", ".join(path.name for path in matches)
        raise SourceError(f"{root}: {names} could all be the {split} annotations; choose with --split {split}=FILE")
    return matches[0]


def _are_shards(matches: list[Path]) -> bool:
    """Whether they are the files that one split is cut into: the same name, a number each."""
    names = [SHARD.fullmatch(path.name) for path in matches]
    return len({name and name.group(1, 2, 3) for name in names}) == 1 and None not in names


def _references(files: list[Path], root: Path, split: str) -> list[str]:
    """RefCOCO's entries file#split: train, or all that is tested on. Raises SourceError that names the splits found."""
    if not (root / INSTANCES).exists():
        raise SourceError(f"{root / INSTANCES} is not there: the raw COCO annotations say where each thing is")
    there = [(path.relative_to(root).as_posix(), name) for path in files for name in split_names(path)]
    wanted = ("train",) if split == "train" else EVALUATED
    found = [f"{path}#{name}" for one in wanted for path, name in there if name == one]
    if not found:
        names = ", ".join(dict.fromkeys(name for _, name in there)) or "none"
        raise SourceError(
            f"{root}: {', '.join(path.name for path in files)} has the splits {names}, for {split} want "
            f"{' or '.join(wanted)}; choose with --split {split}=FILE#SPLIT"
        )
    return found


def _sequences(attributes: Path, root: Path) -> list[str]:
    """UAVDT's official split: a file of attributes for each of its sequences."""
    names = sorted(path.name.split("_")[0] for path in attributes.glob("*_attr.txt"))
    if not names:
        raise SourceError(f"{attributes} holds no *_attr.txt, which name the split's sequences")
    missing = [name for name in names if not (root / f"GT/{name}_gt_whole.txt").exists()]
    if missing:
        raise SourceError(f"{root}/GT has no {missing[0]}_gt_whole.txt, which {attributes} asks for")
    return [f"GT/{name}_gt_whole.txt" for name in names]
