"""Text as it is compared: one Unicode form, single spaces."""

from __future__ import annotations

import unicodedata

from rapidfuzz.distance import Levenshtein

MOST_MARKS = 30
"""Combining characters in a row that a text may have: NFC sorts each run, in a time that grows with its square.

Source: Unicode Standard Annex 15, Stream-Safe Text Format.
"""
JOINER = "\u034f"
"""COMBINING GRAPHEME JOINER: it ends a run and shows nothing."""


def plain(text: str) -> str:
    """NFC, every run of white space one space, none at the ends; a run of combining characters is parted every 30."""
    return " ".join(unicodedata.normalize("NFC", text if text.isascii() else _stream_safe(text)).split())


def _stream_safe(text: str) -> str:
    """The text with a joiner behind every MOST_MARKS combining characters in a row."""
    marks = 0
    safe: list[str] = []
    for letter in text:
        marks = marks + 1 if unicodedata.combining(letter) else 0
        if marks > MOST_MARKS:
            safe.append(JOINER)
            marks = 1
        safe.append(letter)
    return "".join(safe)


def edit_distance(one: str, other: str) -> int:
    """Levenshtein: the fewest characters to insert, remove or replace."""
    return Levenshtein.distance(one, other)
