"""Text as it is compared: one Unicode form, single spaces."""

from __future__ import annotations

import unicodedata

from rapidfuzz.distance import Levenshtein


def plain(text: str) -> str:
    """NFC, every run of white space one space, none at the ends."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def edit_distance(one: str, other: str) -> int:
    """Levenshtein: the fewest characters to insert, remove or replace."""
    return Levenshtein.distance(one, other)
