"""Texts from data on a terminal: no markup, no control sequences."""

from __future__ import annotations


def plain(text: object) -> str:
    """The text with every character that a terminal would obey written as its escape.

    >>> plain("a\\x1b[31mb")
    'a\\\\x1b[31mb'
    """
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in str(text))
