"""Small charts as SVG text: the same numbers give the same bytes, and colours follow the page's theme."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 320, 180
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 26
# curves of fewer points are calm enough as they are
SMOOTHED_FROM = 60
Point = tuple[float, float]
SHARE = (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Line:
    """One curve: points (x, y); its place among the lines of a chart gives it its colour."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where a number lands on the drawing."""

    first: float
    last: float
    low: float
    high: float

    def place(self, x: float, y: float) -> Point:
        across = LEFT + (x - self.first) / (self.last - self.first) * (WIDTH - LEFT - RIGHT)
        return across, TOP + (self.high - y) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)


def chart(
    title: str,
    lines: Sequence[Line],
    x_label: str,
    y_range: Point | None = None,
    smooth: bool = False,
    dots: bool = False,
    empty: str = "not logged",
) -> str:
    """A figure with title, axes and lines; without a single finite point it says `empty`.

    `smooth` draws a long curve pale, with its running mean on top; `dots` marks each point.
    """
    kept = [Line(line.name, [point for point in line.points if all(map(math.isfinite, point))]) for line in lines]
    if not any(line.points for line in kept):
        return f"<figure><figcaption>{html.escape(title)}</figcaption><p class='note'>{html.escape(empty)}</p></figure>"
    frame, ticks = _frame([point for line in kept for point in line.points], y_range)
    # a line without points keeps its number: each name has the same colour in every chart
    paths = "".join(_paths(number, line, frame, smooth) for number, line in enumerate(kept) if line.points)
    if dots:
        paths += "".join(_dots(number, line, frame) for number, line in enumerate(kept))
    legend = ""
    if len(kept) > 1:
        keys = "".join(f"<span class='key line{i}'>{html.escape(line.name)}</span>" for i, line in enumerate(kept))
        legend = f"<div class='keys'>{keys}</div>"
    return (
        f"<figure><figcaption>{html.escape(title)}</figcaption>"
        f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' role='img' aria-label='{html.escape(f'{title}: {_spoken(kept)}')}'>"
        f"{''.join(_tick(value, frame) for value in ticks)}{paths}{_ends(frame, x_label)}</svg>{legend}</figure>"
    )


def _frame(points: Sequence[Point], y_range: Point | None) -> tuple[_Frame, list[float]]:
    xs, ys = [x for x, _ in points], [y for _, y in points]
    low, high = y_range or (min(ys), max(ys))
    ticks = round_ticks(min(low, *ys), max(high, *ys))  # a value outside the range is drawn, not cut off
    return _Frame(min(xs), max(*xs, min(xs) + 1e-9), ticks[0], ticks[-1]), ticks


def round_ticks(low: float, high: float) -> list[float]:
    """Three to six round numbers that enclose `low` and `high`."""
    if high - low < 1e-9 * max(abs(low), abs(high), 1e-3):
        pad = 0.5 * abs(high) or 1.0
        low, high = (low - pad, high + pad) if abs(low) > 1e-300 else (0.0, 1.0)  # less has no third
    rough = (high - low) / 3
    scale = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * scale for factor in (1, 2, 2.5, 5, 10) if factor * scale >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    last = max(last, first + 2)
    return [number * step for number in range(first, last + 1)]


def running_mean(points: Sequence[Point], window: int) -> list[Point]:
    """Mean of y over `window` points around each; fewer at the ends."""
    half = window // 2
    return [
        (x, math.fsum(y for _, y in near) / len(near))
        for number, (x, _) in enumerate(points)
        if (near := points[max(0, number - half) : number + half + 1])
    ]


def _paths(number: int, line: Line, frame: _Frame, smooth: bool) -> str:
    if not smooth or len(line.points) < SMOOTHED_FROM:
        return _path(f"line{number}", line.points, frame)
    mean = running_mean(line.points, len(line.points) // 12)
    return _path(f"line{number} pale", line.points, frame) + _path(f"line{number}", mean, frame)


def _path(kind: str, points: Sequence[Point], frame: _Frame) -> str:
    placed = [frame.place(x, y) for x, y in points]
    steps = " ".join(f"{'L' if i else 'M'}{x:.1f} {y:.1f}" for i, (x, y) in enumerate(placed))
    return f"<path d='{steps}' class='curve {kind}'/>"


def _dots(number: int, line: Line, frame: _Frame) -> str:
    placed = (frame.place(x, y) for x, y in line.points)
    return "".join(f"<circle cx='{x:.1f}' cy='{y:.1f}' r='2.6' class='dot line{number}'/>" for x, y in placed)


def _tick(value: float, frame: _Frame) -> str:
    _, y = frame.place(frame.first, value)
    return (
        f"<line x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{y:.1f}' y2='{y:.1f}' class='grid'/>"
        f"<text x='{LEFT - 5}' y='{y + 3:.1f}' class='tick' text-anchor='end'>{value:.4g}</text>"
    )


def _ends(frame: _Frame, x_label: str) -> str:
    at = f"y='{HEIGHT - 8}' class='tick'"
    return (
        f"<text x='{LEFT}' {at}>{frame.first:g}</text>"
        f"<text x='{WIDTH - RIGHT}' {at} text-anchor='end'>{frame.last:g}</text>"
        f"<text x='{(LEFT + WIDTH) / 2:g}' {at} text-anchor='middle'>{html.escape(x_label)}</text>"
    )


def _spoken(lines: Sequence[Line]) -> str:
    drawn = [line for line in lines if line.points]
    return "; ".join(f"{line.name} from {line.points[0][1]:.3g} to {line.points[-1][1]:.3g}" for line in drawn)
