"""A chart of the report read back: what its axes, lines and words say."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

Values = list[tuple[float, float]]


@dataclass(frozen=True)
class Shown:
    """One chart: what a reader sees, in the units of its axes."""

    spoken: str
    x_label: str
    ticks: list[float]
    lines: dict[str, Values]
    """By the class of the path: line0, line1, ...; pale ones by `line0 pale`."""
    dots: dict[str, Values]
    names: list[str]
    """The legend, in the order of the lines' numbers."""


def charts_of(page: str) -> dict[str, Shown]:
    """By title, every chart of a page or of a part of one."""
    found: dict[str, Shown] = {}
    for text in re.findall(r"<figure>.*?</figure>", page, re.DOTALL):
        figure = ElementTree.fromstring(text)
        drawing = figure.find("svg")
        title = figure.findtext("figcaption") or ""
        if drawing is not None:
            found[title] = _shown(figure, drawing)
    return found


def _shown(figure: Any, drawing: Any) -> Shown:
    words = [(word.text, float(word.get("x")), float(word.get("y"))) for word in drawing.iter("text")]
    *ticks, first, last, label = words
    rows = [float(line.get("y1")) for line in drawing.iter("line")]
    left, right = first[1], last[1]
    assert rows == sorted(rows, reverse=True), "more is higher up, which is a smaller y"
    bottom, top = (rows[0], float(ticks[0][0])), (rows[-1], float(ticks[-1][0]))

    def value(x: float, y: float) -> tuple[float, float]:
        across = (x - left) / (right - left) * (float(last[0]) - float(first[0])) + float(first[0])
        return across, bottom[1] + (y - bottom[0]) / (top[0] - bottom[0]) * (top[1] - bottom[1])

    lines: dict[str, Values] = {}
    for path in drawing.iter("path"):
        places = re.findall(r"[ML](\S+) (\S+)", path.get("d"))
        lines[path.get("class").removeprefix("curve ")] = [value(float(x), float(y)) for x, y in places]
    dots: dict[str, Values] = {}
    for dot in drawing.iter("circle"):
        place = value(float(dot.get("cx")), float(dot.get("cy")))
        dots.setdefault(dot.get("class").removeprefix("dot "), []).append(place)
    names = [key.text for key in figure.iter("span")]
    return Shown(drawing.get("aria-label"), label[0], [float(tick[0]) for tick in ticks], lines, dots, names)
