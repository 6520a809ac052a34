"""What every benchmark here shares: its three forms, sides that take turns, tables, curves.

A benchmark is a module with `tables(form) -> list[Table]` that ends with `run_script(tables, __doc__)`;
`python -m benchmarks.rewards --quick` prints its tables, and benchmarks/run.py collects those of all.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

Form = Literal["full", "quick", "smoke"]
"""full: the question's own sizes; quick: a minute or two; smoke: seconds, and its numbers mean nothing."""
REPEATS: dict[Form, int] = {"full": 5, "quick": 3, "smoke": 1}
Cell = str | int | float | None


@dataclass(frozen=True, slots=True)
class Curve:
    """What a plot shows, both axes logarithmic: file name without .png, labels with units, (x, y) points."""

    name: str
    title: str
    x: str
    y: str
    points: tuple[tuple[float, float], ...]

    @property
    def exponent(self) -> float:
        """k of y ~ x^k, by least squares on the logarithms; a fixed cost bends it towards 0."""
        logs = np.log(np.asarray(self.points))
        return float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0])


@dataclass(frozen=True, slots=True)
class Table:
    """A blank cell (None) was not measured. `note` says how it was measured; `curve` is drawn below the table."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    curve: Curve | None = None

    def text(self) -> str:
        lines = [self.columns, *(tuple(map(shown, row)) for row in self.rows)]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.columns))]
        numeric = [all(not isinstance(row[i], str) for row in self.rows) for i in range(len(self.columns))]
        pads = [str.rjust if number else str.ljust for number in numeric]
        body = ["  ".join(pad(cell, w) for pad, cell, w in zip(pads, line, widths, strict=True)) for line in lines]
        return "\n".join([self.title, *(f"  {line.rstrip()}" for line in body), *filter(None, [self.note])])

    def markdown(self) -> str:
        lines = [self.columns, ("---",) * len(self.columns), *(tuple(map(shown, row)) for row in self.rows)]
        body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return "\n\n".join(filter(None, [f"### {self.title}", body, self.note]))


def shown(cell: Cell) -> str:
    """Three digits of a number that was measured, all of one that was counted."""
    if cell is None:
        return "–"
    if not isinstance(cell, float):
        return f"{cell:,}" if isinstance(cell, int) else cell
    if cell == 0 or abs(cell) >= 100:
        return f"{cell:,.0f}"
    return f"{cell:.{max(0, 2 - int(np.floor(np.log10(abs(cell)))))}f}"


def medians(sides: Mapping[str, Callable[[], object]], repeats: int, turn_s: float = 0.0) -> dict[str, float]:
    """Median wall-clock seconds of one call of each side.

    The sides take turns, `repeats` times, so that whatever else the machine does meets all of them; a turn is
    as many calls as fill `turn_s`, at least one.
    """
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, work in sides.items():
            turn = time.perf_counter() + turn_s
            while True:
                seconds[name].append(seconds_of(work))
                if time.perf_counter() >= turn:
                    break
    return {name: statistics.median(times) for name, times in seconds.items()}


def seconds_of(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def measure_child(module: str, *arguments: object) -> tuple[float, float]:
    """Seconds and peak MB that `python -m <module> child <arguments>` prints, with a LOOKOUT_HOME never used before."""
    command = [sys.executable, "-m", module, "child", *map(str, arguments)]
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {"LOOKOUT_HOME": home, "PYTHONPATH": "."}
        answer = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if answer.returncode:
        raise RuntimeError(f"{' '.join(command[2:])} ended with: {answer.stderr[-2000:]}")
    seconds, peak = answer.stdout.split()[-2:]
    return float(seconds), float(peak)


def peak_mb() -> float:
    """The most memory that this process has had; not what its parent had before it, which ru_maxrss starts from."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return next(float(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def save_tables(tables: Sequence[Table], path: Path) -> None:
    path.write_text(json.dumps([asdict(table) for table in tables]))


def load_tables(path: Path) -> list[Table]:
    def table(saved: dict[str, Any]) -> Table:
        curve = saved["curve"]
        if curve is not None:
            curve = Curve(**curve | {"points": tuple(map(tuple, curve["points"]))})
        rows = tuple(map(tuple, saved["rows"]))
        return Table(saved["title"], tuple(saved["columns"]), rows, saved["note"], curve)

    return [table(saved) for saved in json.loads(path.read_text())]


def run_script(tables: Callable[[Form], list[Table]], doc: str | None) -> None:
    """A benchmark's main: prints its tables in the form that the command line asks for."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--quick", dest="form", action="store_const", const="quick", help="a minute or two")
    forms.add_argument("--smoke", dest="form", action="store_const", const="smoke", help="only whether it works")
    parser.add_argument("--save", type=Path, help="also as JSON, for benchmarks/run.py")
    parser.add_argument("--plots", type=Path, help="folder to draw the curves in")
    chosen = parser.parse_args()
    found = tables(chosen.form or "full")
    print("\n\n".join(table.text() for table in found), flush=True)
    if chosen.save:
        save_tables(found, chosen.save)
    if chosen.plots:
        for curve in [table.curve for table in found if table.curve]:
            draw(curve, chosen.plots)


def draw(curve: Curve, folder: Path) -> Path:
    """folder/<name>.png: the points, the fitted power and its exponent in the title."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FuncFormatter, NullLocator

    x, y = np.asarray(curve.points).T
    slope = curve.exponent
    fitted = np.exp(np.log(y).mean() + slope * (np.log(x) - np.log(x).mean()))
    figure, axes = plt.subplots(figsize=(4.6, 3.2), layout="constrained")
    axes.loglog(x, fitted, color="#9aa5b1", linewidth=1.2, linestyle="--", label=f"~ x^{slope:.2f}")
    axes.loglog(x, y, color="#1f5f8b", marker="o", linewidth=1.6, label="measured")
    axes.set(title=f"{curve.title}: exponent {slope:.2f}", xlabel=curve.x, ylabel=curve.y)
    axes.title.set_fontsize(10)
    axes.set_xticks(x)
    room = max(
        1.5, (6 * y.min() / y.max()) ** 0.5
    )  # at least a factor of six in sight: noise shall not look like growth
    low, high = float(y.min()) / room, float(y.max()) * room
    axes.set_yticks(_ticks(low, high))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.set_ylim(low, high)
    axes.margins(x=0.1)
    for place in curve.points:
        axes.annotate(shown(place[1]), place, (0, 7), textcoords="offset points", ha="center", fontsize=8)
    axes.grid(color="#e4e7eb", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{curve.name}.png"
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)
    return path


def _ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 of each decade between two numbers."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    every = [round(step * 10.0**decade, 9) for decade in decades for step in (1, 2, 5)]
    return [tick for tick in every if low <= tick <= high]
