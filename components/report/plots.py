"""Small charts as SVG text: the same numbers give the same bytes, and colours follow the page's theme."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 320, 180
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 26


@dataclass(frozen=True, slots=True)
class Line:
    """One curve: points (x, y), and the CSS class that colours it."""

    name: str
    points: Sequence[tuple[float, float]]


def chart(title: str, lines: Sequence[Line], x_label: str, y_range: tuple[float, float] | None = None) -> str:
    """A figure with title, axes and up to four lines; a line without points is left out."""
    lines = [line for line in lines if line.points]
    if not lines:
        return f"<figure><figcaption>{html.escape(title)}</figcaption><p class='note'>not logged</p></figure>"
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for line in lines for _, y in line.points]
    low, high = y_range or _padded(min(ys), max(ys))
    first, last = min(xs), max(*xs, min(xs) + 1e-9)

    def place(x: float, y: float) -> tuple[float, float]:
        across = LEFT + (x - first) / (last - first) * (WIDTH - LEFT - RIGHT)
        return across, TOP + (high - y) / (high - low) * (HEIGHT - TOP - BOTTOM)

    ticks = "".join(_tick(value, place(first, value)[1]) for value in (low, (low + high) / 2, high))
    paths = "".join(_path(number, [place(x, y) for x, y in line.points]) for number, line in enumerate(lines))
    middle = (LEFT + WIDTH) / 2
    ends = (
        f"<text x='{LEFT}' y='{HEIGHT - 8}' class='tick'>{first:g}</text>"
        f"<text x='{WIDTH - RIGHT}' y='{HEIGHT - 8}' class='tick' text-anchor='end'>{last:g}</text>"
        f"<text x='{middle}' y='{HEIGHT - 8}' class='tick' text-anchor='middle'>{html.escape(x_label)}</text>"
    )
    legend = ""
    if len(lines) > 1:
        keys = "".join(f"<span class='key line{i}'>{html.escape(line.name)}</span>" for i, line in enumerate(lines))
        legend = f"<div class='keys'>{keys}</div>"
    spoken = "; ".join(f"{line.name} from {line.points[0][1]:.3g} to {line.points[-1][1]:.3g}" for line in lines)
    return (
        f"<figure><figcaption>{html.escape(title)}</figcaption>"
        f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' role='img' aria-label='{html.escape(title)}: {html.escape(spoken)}'>"
        f"{ticks}{paths}{ends}</svg>{legend}</figure>"
    )


def _padded(low: float, high: float) -> tuple[float, float]:
    pad = 0.06 * (high - low) or max(0.5 * abs(high), 1e-3)
    return low - pad, high + pad


def _tick(value: float, y: float) -> str:
    return (
        f"<line x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{y:.1f}' y2='{y:.1f}' class='grid'/>"
        f"<text x='{LEFT - 5}' y='{y + 3:.1f}' class='tick' text-anchor='end'>{value:.3g}</text>"
    )


def _path(number: int, points: Sequence[tuple[float, float]]) -> str:
    steps = " ".join(f"{'L' if i else 'M'}{x:.1f} {y:.1f}" for i, (x, y) in enumerate(points))
    return f"<path d='{steps}' class='curve line{number}'/>"
