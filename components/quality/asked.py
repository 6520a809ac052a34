"""Which boxes are asked for once the entry's map has been at work, and that every split has some."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from components.core.class_words import IGNORE, OTHER, PERSON, REST, ClassWords, proposed_classes
from components.core.tiles import tile_grid
from components.errors import QualityError
from components.params.datasets import DatasetParams, TilingParams
from components.store.image_files import MOST_ASPECT
from components.store.schemas.ingested import NoteRow

Table = Any
"""A pandas DataFrame."""
MOST_WORDS = 12


def add_asked(boxes: Table, dataset: DatasetParams, labels: Sequence[str]) -> None:
    """asked_as: the label that a box is asked as, "ignore" or "other"; asked: whether it is to be found.

    unknown_word: the word, where neither the labels nor the entry's classes know it; null where they do.
    """
    words = ClassWords.of(dataset.classes, labels)
    pairs = list(zip(boxes["label"], boxes["ignore"], strict=True))
    known = {pair: words.label(*pair) for pair in set(pairs)}
    boxes["asked_as"] = [known[pair] for pair in pairs]
    boxes["asked"] = boxes["asked_as"].isin(list(words.labels.values())) & (boxes["asked_as"] != IGNORE)
    strange = {word for word, ignored in known if not ignored and not words.knows(word)}
    boxes["unknown_word"] = boxes["label"].where(boxes["label"].isin(strange) & ~boxes["ignore"], None)


def noun_of(boxes: Table, labels: Sequence[str]) -> str:
    """people, where nothing else is asked for."""
    return "people" if len(boxes) and set(labels) == {PERSON} else "things"


def check_asked(
    name: str, scenes: Table, boxes: Table, dataset: DatasetParams, labels: Sequence[str], notes: list[NoteRow]
) -> None:
    """Raises QualityError where a split of boxes has none that is asked for: every answer to it would be empty."""
    strays = ClassWords.of(dataset.classes, labels).strays
    if strays:
        word, label = next(iter(strays.items()))
        raise QualityError(
            f"datasets.{name}.classes maps {word!r} to {label!r}, which is none of the labels {', '.join(labels)}; "
            "want one of them, ignore or other"
        )
    for split in scenes["split"].unique():
        of_split = boxes[boxes["split"] == split]
        if not of_split["asked"].any():
            raise QualityError(f"{name}: {_nothing_asked(name, split, scenes, of_split, dataset, labels, notes)}")
    if dataset.box != "full" and boxes.loc[boxes["asked"], f"{dataset.box}_x1"].isna().all():
        raise QualityError(
            f"{name}: none of its {int(boxes['asked'].sum())} boxes has a {dataset.box} box, so nobody could be found; "
            f"datasets.{name}.box says which box is asked for"
        )


def check_tiles(name: str, scenes: Table, tiling: TilingParams | None) -> None:
    """Raises QualityError where tiles would be of a shape that no model takes."""
    if tiling is None:
        return
    whole = scenes[scenes["image_defect"].isna()].drop_duplicates(["width_px", "height_px"])
    for scene in whole.itertuples():
        width, height = int(scene.width_px), int(scene.height_px)
        for x1, y1, x2, y2 in tile_grid(width, height, tiling.rows, tiling.columns, tiling.overlap_frac):
            short, long = sorted((x2 - x1, y2 - y1))
            if long > MOST_ASPECT * short:
                raise QualityError(
                    f"datasets.{name}.tiling cuts {scene.scene_id} ({width} x {height} px) into tiles of {x2 - x1} x "
                    f"{y2 - y1} px, and no model here takes a side over {MOST_ASPECT} times the other; take fewer "
                    f"{'columns' if x2 - x1 < y2 - y1 else 'rows'}"
                )


def _nothing_asked(
    name: str,
    split: str,
    scenes: Table,
    boxes: Table,
    dataset: DatasetParams,
    labels: Sequence[str],
    notes: list[NoteRow],
) -> str:
    words = ClassWords.of(dataset.classes, labels)
    images = int((scenes["split"] == split).sum())
    noted = [note for note in notes if note["split"] == split and note["kind"] in ("skipped", "flagged")]
    first = f"; {len(noted)} rows were noted, the first: {noted[0]['where']}: {noted[0]['reason']}" if noted else ""
    if not len(boxes):
        return (
            f"the {split} split has no box at all in its {images} images{first or '; does its file hold annotations?'}"
        )
    counts = Counter(zip(boxes["label"], boxes["ignore"], strict=True))
    shown = [f"{word!r} ({count}{', ignored' if flag else ''})" for (word, flag), count in counts.most_common()]
    more = f" and {len(shown) - MOST_WORDS} more" if len(shown) > MOST_WORDS else ""
    proposed = proposed_classes(boxes["label"].unique(), labels) or {"WORD": labels[0], REST: OTHER}
    todo = f"map its words in datasets.{name}.classes, for instance {_as_yaml(proposed)}"
    if all(words.asks_for(word) for word, _ in counts):
        todo = "all of them are flagged to be ignored"
    return (
        f"the {split} split has no box that is asked for ({', '.join(labels)}), so every answer would be empty: its "
        f"{len(boxes)} boxes are called {', '.join(shown[:MOST_WORDS])}{more}; {todo}{first}"
    )


def _as_yaml(classes: dict[str, str]) -> str:
    return "{" + ", ".join(f"{word!r}: {label}" for word, label in classes.items()) + "}"
