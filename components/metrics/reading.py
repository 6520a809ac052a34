"""How near a text is to what is written in the image: by characters, and by its set of words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from components.core.grammars import AnyParsed
from components.core.grammars.answers import TextAnswer
from components.core.scene import AnyTruth, TextTruth
from components.core.text import edit_distance, plain
from components.metrics.detection import ImageCounts
from components.metrics.task import TaskNumbers

NAMES = ("edit_distance", "exact", "precision", "recall", "f1")


def reading_numbers(answers: Sequence[AnyParsed], truths: Sequence[AnyTruth]) -> TaskNumbers:
    """Means over pages: edit_distance over the longer length, exact, precision, recall and f1 of the sets of words.

    Precision is the share of what was said. An empty or unreadable answer says nothing: distance 1, the rest 0,
    unless nothing is written. None without pages. White space and Unicode forms do not count.
    """
    pairs = [
        (plain(answer.text) if isinstance(answer, TextAnswer) else None, plain(truth.text))
        for answer, truth in zip(answers, truths, strict=True)
        if isinstance(truth, TextTruth)
    ]
    if not pairs:
        return TaskNumbers(dict.fromkeys(NAMES), [])
    pages = np.array([_page(said, true) for said, true in pairs], dtype=float)
    return TaskNumbers(dict(zip(NAMES, pages.mean(axis=0).tolist(), strict=True)), [_counts(*pair) for pair in pairs])


def _page(said: str | None, true: str) -> tuple[float, ...]:
    """The columns of NAMES for one page."""
    if said is None or not said or not true:
        right = float(said == true)
        return 1 - right, right, right, right, right
    counts = _counts(said, true)
    precision, recall = counts.matched / counts.predicted, counts.matched / counts.truth
    distance = edit_distance(said, true) / max(len(said), len(true))
    return distance, float(said == true), precision, recall, 2 * counts.matched / (counts.predicted + counts.truth)


def _counts(said: str | None, true: str) -> ImageCounts:
    """Distinct words in common, said, written. A page without words is right or wrong as a whole."""
    if not true:
        return ImageCounts(int(said == true), 1, 1, 0.0)
    found, wanted = set((said or "").split()), set(true.split())
    return ImageCounts(len(found & wanted), len(found), len(wanted), 0.0)
