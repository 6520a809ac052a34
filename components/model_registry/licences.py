"""What a dataset's licence allows, read from the words that its owner or the person who added it wrote."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from functools import cache
from importlib import import_module
from typing import Any, Literal

Terms = Literal["free", "non-commercial", "unknown"]
RANK: tuple[Terms, ...] = ("free", "unknown", "non-commercial")
LISTED = ("own", "public-domain", "cc0")
"""Names beside SPDX that say enough: one's own data, and what is given to everybody."""
FORBIDS = re.compile(
    r"\b(nc|ncgl|by-?nc(-?(sa|nd))?|cc-?by-?nc\w*|non-?commercial|(no|not|without)(-\w+){0,3}-commercial|research|"
    r"academic|educational?|evaluation|personal|private|student|scholarly)\b"
)
"""In words joined by dashes: a use that is not for business."""


def terms(licence: str, allowed: Collection[str] = ()) -> Terms:
    """What the licence allows: an SPDX expression or a listed name is known, words that forbid business are told apart,
    everything else, and nothing at all, is unknown. `allowed`: licences that a person has read, word for word.

    >>> [terms(one) for one in ("CC BY-NC 4.0", "Apache-2.0 OR MIT", "as the pages are")]
    ['non-commercial', 'free', 'unknown']
    """
    if licence in allowed:
        return "free"
    words = _words(licence)
    known = _spdx(licence) or _spdx(words) or _spdx(words.removesuffix("-license").removesuffix("-licence"))
    if known:
        return known
    if FORBIDS.search(words):
        return "non-commercial"
    return "free" if words in LISTED else "unknown"


def _words(text: str) -> str:
    """Lower case, and one dash for spaces, underscores and dashes of every kind; the point of a number stays."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    plain = "".join("-" if unicodedata.category(one) in ("Pd", "Cf") or one == "\u2212" else one for one in plain)
    return re.sub(r"[^\w.]+|_+", "-", plain).strip("-.")


@cache
def _licensing() -> Any:
    return import_module("license_expression").get_spdx_licensing()


def _spdx(text: str) -> Terms | None:
    """The terms of an SPDX expression, None where the text is none."""
    boolean: Any = import_module("boolean")
    expressions: Any = import_module("license_expression")
    try:
        tree = _licensing().parse(text, validate=True, strict=True)
    except (expressions.ExpressionError, boolean.ParseError):
        return None
    return None if tree is None else _of(tree)


def _of(tree: Any) -> Terms:
    """AND is as strict as its strictest part, OR as free as its freest; a licence of one's own naming is unknown."""
    parts = [_of(part) for part in getattr(tree, "args", ())]
    if parts:
        freest = isinstance(tree, _licensing().OR)
        return RANK[(min if freest else max)(RANK.index(part) for part in parts)]
    key = str(getattr(tree, "license_symbol", tree).key)
    if FORBIDS.search(_words(key)):
        return "non-commercial"
    return "unknown" if key.startswith("LicenseRef") else "free"
