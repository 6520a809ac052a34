"""Training images that are held out elsewhere: across datasets, by rule, and each rule has a name.

Within a dataset validation finds the same file in two splits; here the datasets meet.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from components.errors import QualityError
from components.store.schemas.ingested import SceneRow

_COCO_IMAGE = re.compile(r"(?:^|_|/)(\d{12})\.(?:jpg|jpeg|png)$")
REFERRING = "refcoco"


def _file(row: SceneRow) -> str | None:
    return row["sha256"]


def _coco_image(row: SceneRow) -> int | None:
    """The integer image ID of COCO's file names, whatever their prefix."""
    found = _COCO_IMAGE.search(row["image_path"])
    return int(found[1]) if found else None


RULES: dict[str, tuple[Callable[[SceneRow], str | int | None], frozenset[str] | None]] = {
    "same-file": (_file, None),
    "refcoco-held-out": (_coco_image, frozenset({REFERRING})),
}
"""rule -> what two images share that are one, and the formats whose val and test images it protects (None: all).

refcoco-held-out: no image of a val or test split of RefCOCO, RefCOCO+ or RefCOCOg trains anything, joined on COCO's
integer image ID: their images are COCO train2014's, and lie inside train2017.
"""


class HeldOut:
    """The keys of every image that is evaluated on, by rule."""

    def __init__(self, scenes: Mapping[str, Iterable[SceneRow]], formats: Mapping[str, str]) -> None:
        """scenes: rows of val and test by dataset; formats: of each dataset."""
        self._keys: dict[str, set[str | int]] = {rule: set() for rule in RULES}
        for name, rows in scenes.items():
            for row in rows:
                for rule, (key, protected) in RULES.items():
                    found = key(row) if protected is None or formats[name] in protected else None
                    if found is not None:
                        self._keys[rule].add(found)

    def rule(self, row: SceneRow) -> str | None:
        """The first rule by which this training image is held out; None where it may train."""
        for rule, (key, _) in RULES.items():
            found = key(row)
            if found is not None and found in self._keys[rule]:
                return rule
        return None


def check_leaks(name: str, leaks: Counter[str], drop: bool) -> None:
    """Raises QualityError where a dataset's training images are held out and its entry does not say to drop them."""
    if leaks and not drop:
        rules = ", ".join(f"{rule} {count}" for rule, count in sorted(leaks.items()))
        raise QualityError(
            f"datasets.{name}: training images are held out in val or test ({rules}, by rule); "
            f"leakage: drop in its entry leaves them out, and counts them"
        )
