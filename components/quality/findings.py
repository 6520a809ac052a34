"""What a check found, in a sentence with its numbers: "71.7 % of the boxes leave their image (limit 60 %)"."""

from __future__ import annotations

from components.store.schemas.validated import Check

_SHARES = {
    "leaves_image": "of the boxes leave their image",
    "looks_normalised": "of the boxes have numbers up to 2 only, as shares of the sides have",
    "one_past_the_edge": "of the boxes end exactly one pixel behind the image's edge",
}
"""Columns of true and false whose mean is held against a limit."""


def finding(check: Check) -> str:
    """The numbers of a check in words; empty where its first offender says it all."""
    column, limits, observed = check["column"], check["limits"], check["observed"]
    if check["type"] == "expect_table_row_count_to_be_between":
        return f"{observed or 0:g} rows"
    if observed is not None and column in _SHARES:
        return f"{percent(observed)} {_SHARES[column]} (limit {percent(limits['max_value'])})"
    if observed is not None and column.startswith("images_of_"):
        return f"{column.removeprefix('images_of_')} has {observed:g} images (expected: {limits['min_value']:g})"
    if observed is not None and column == "people":
        return f"{observed:.3g} people an image on average (limits {limits['min_value']:g} to {limits['max_value']:g})"
    count = check["unexpected_count"]
    if not count:
        return ""
    allowed = 1 - limits["mostly"] if "mostly" in limits else 0.0
    share = f"{percent(check['unexpected_frac'])} of the {check['table']}"
    said = f"{count} violation{'' if count == 1 else 's'}, {share}"
    return f"{said} (limit {percent(allowed)})" if allowed else said


def percent(share: float) -> str:
    """0.717345 -> 71.7 %.

    >>> percent(0.717345), percent(0.6), percent(0.00004)
    ('71.7 %', '60 %', '0.004 %')
    """
    return f"{100 * share:.3g} %"
