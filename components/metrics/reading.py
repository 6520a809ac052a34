"""How near a text is to what is written in the image: by characters, by its set of words, by their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from components.core.extras import INSTALL, has_ocr_extra
from components.core.grammars import AnyParsed
from components.core.grammars.answers import TextAnswer
from components.core.scene import AnyTruth, TextTruth
from components.core.text import edit_distance, plain
from components.metrics.detection import ImageCounts
from components.metrics.page_words import bleu_4, has_chinese, jieba_words, meteor_exact_stem
from components.metrics.task import Table, TaskNumbers

NAMES = ("edit_distance", "exact", "precision", "recall", "f1")
OF_EXTRA = ("bleu_4", "meteor_exact_stem")
"""None without the extra `ocr`."""
JIEBA_PAGES = "jieba_pages"
"""Share of the pages whose words jieba split; those of all others end at white space."""


@dataclass(frozen=True, slots=True)
class _Page:
    said: str | None
    true: str
    said_words: list[str]
    true_words: list[str]
    chinese: bool


def reading_numbers(answers: Sequence[AnyParsed], truths: Sequence[AnyTruth]) -> TaskNumbers:
    """Means over pages: edit_distance over the longer length, exact, precision, recall and f1 of the sets of words;
    with the extra `ocr` bleu_4 and meteor_exact_stem, else None. A note says which words were meant.

    Precision is the share of what was said. An empty or unreadable answer says nothing: distance 1, the rest 0,
    unless nothing is written. None without pages. White space and Unicode forms do not count. With the extra, jieba
    splits the words of a page where either side has Chinese, and jieba_pages is the share of such pages.
    """
    extra = has_ocr_extra()
    pages = [
        _page(plain(answer.text) if isinstance(answer, TextAnswer) else None, plain(truth.text), extra)
        for answer, truth in zip(answers, truths, strict=True)
        if isinstance(truth, TextTruth)
    ]
    if not pages:
        return TaskNumbers(dict.fromkeys((*NAMES, *OF_EXTRA, JIEBA_PAGES)), [])
    names = (*NAMES, *OF_EXTRA) if extra else NAMES
    means = np.array([_numbers(page, extra) for page in pages], dtype=float).mean(axis=0).tolist()
    chinese = sum(page.chinese for page in pages)
    table: dict[str, float | None] = dict.fromkeys((*NAMES, *OF_EXTRA))
    table |= dict(zip(names, means, strict=True))
    table[JIEBA_PAGES] = chinese / len(pages) if extra else 0.0
    return TaskNumbers(table, [_counts(page) for page in pages], _notes(chinese, len(pages), extra))


def by_true_length(answers: Sequence[AnyParsed], truths: Sequence[AnyTruth]) -> Table:
    """characters_from, pages, edit_distance, exact of the pages by the length of their text.

    Up to 8 characters each length stands alone, then every power of two begins a group.
    """
    groups: dict[int, list[_Page]] = {}
    for answer, truth in zip(answers, truths, strict=True):
        if isinstance(truth, TextTruth):
            page = _page(plain(answer.text) if isinstance(answer, TextAnswer) else None, plain(truth.text), False)
            length = len(page.true)
            groups.setdefault(length if length <= 8 else 2 ** (length.bit_length() - 1), []).append(page)
    rows: Table = []
    for least, pages in sorted(groups.items()):
        distance, exact, *_ = np.array([_numbers(page, False) for page in pages], dtype=float).mean(axis=0).tolist()
        rows.append({"characters_from": least, "pages": len(pages), "edit_distance": distance, "exact": exact})
    return rows


def _page(said: str | None, true: str, extra: bool) -> _Page:
    chinese = has_chinese(true) or has_chinese(said or "")
    split = jieba_words if chinese and extra else str.split
    return _Page(said, true, split(said or ""), split(true), chinese)


def _notes(chinese: int, pages: int, extra: bool) -> tuple[str, ...]:
    """Which words were meant, and how to get what is missing."""
    if extra:
        by_jieba = f"; those of the {chinese} of {pages} pages with Chinese are jieba's" if chinese else ""
        return (f"words end at white space{by_jieba}",)
    still = f", also in the {chinese} of {pages} pages with Chinese" if chinese else ""
    missing = f"{' and '.join(OF_EXTRA)}{' and the words of Chinese' if chinese else ''}"
    return f"words end at white space{still}", f"{missing} need the extra ocr: {INSTALL}"


def _numbers(page: _Page, extra: bool) -> tuple[float, ...]:
    """The columns of NAMES, and with the extra those of OF_EXTRA, for one page."""
    said, true = page.said, page.true
    if not said or not true:
        right = float(said == true)
        return 1 - right, *[right] * (len(NAMES) - 1 + (len(OF_EXTRA) if extra else 0))
    counts = _counts(page)
    precision, recall = counts.matched / counts.predicted, counts.matched / counts.truth
    f1 = 2 * counts.matched / (counts.predicted + counts.truth)
    numbers = edit_distance(said, true) / max(len(said), len(true)), float(said == true), precision, recall, f1
    if not extra:
        return numbers
    return *numbers, bleu_4(page.said_words, page.true_words), meteor_exact_stem(page.said_words, page.true_words)


def _counts(page: _Page) -> ImageCounts:
    """Distinct words in common, said, written. A page without words is right or wrong as a whole."""
    if not page.true:
        return ImageCounts(int(page.said == page.true), 1, 1, 0.0)
    found, wanted = set(page.said_words), set(page.true_words)
    return ImageCounts(len(found & wanted), len(found), len(wanted), 0.0)
