"""A dataset's annotation files as its entry names them -> scenes and notes, split by split."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from components.core.words import Split
from components.errors import ParamsError, SourceError
from components.params.datasets import DatasetParams
from components.sources import SOURCES
from components.sources.source import Note, OnceOnly, RawScene, ReadOptions, check_texts


def read_split(root: Path, params: DatasetParams, split: Split) -> Iterator[RawScene | Note]:
    """The split's scenes and notes, file after file. Raises SourceError where an image stands in two of them."""
    options = ReadOptions(params.image_folder(split), params.rows_without_class)
    once = OnceOnly()
    for path in annotation_paths(root, params, split):
        for row in SOURCES[params.format](root, path, options):
            if isinstance(row, RawScene):
                once.add(row.scene_id, row.annotation)
                check_texts(row)
            yield row


def check_layout(name: str, root: Path, params: DatasetParams) -> None:
    """Raises SourceError that says what was looked for and what lies there instead."""
    if params.format not in SOURCES:
        raise ParamsError(f"datasets.{name}.format is {params.format!r}; want one of {sorted(SOURCES)}")
    if not root.is_dir():
        raise SourceError(f"datasets.{name}.root: the folder {root} is not there; download the dataset, or `dvc pull`")
    for split in params.annotations:
        annotation_paths(root, params, split)


def annotation_paths(root: Path, params: DatasetParams, split: Split) -> list[Path]:
    """The split's annotation files and folders, sorted. Raises SourceError where an entry matches nothing."""
    paths: list[Path] = []
    for entry in params.files(split):
        found = sorted(root.glob(entry)) if "*" in entry else [root / entry]
        if not found or not (found[0].exists() or _file_of(found[0]).exists()):
            there = ", ".join(sorted(path.name for path in islice(root.iterdir(), 8))) or "nothing"
            raise SourceError(f"{root / entry} is not there (the {split} annotations); {root} holds {there}")
        paths += found
    return paths


def _file_of(entry: Path) -> Path:
    """The file of an entry that names a split of it: file#split."""
    return entry.with_name(entry.name.rpartition("#")[0] or entry.name)
