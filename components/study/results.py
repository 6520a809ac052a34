"""The study's table and plot: mean over seeds, gain over the baseline with its paired interval."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.errors import DataError
from components.metrics.detection import ImageCounts, f1_gain_interval, pooled
from components.store.atomic import atomic_file
from components.study.plan import Arm, Run, Study, runs_of
from components.study.run import finished_names

COLUMNS = ("matched_count", "predicted_count", "truth_count", "matched_iou_sum")


@dataclass(frozen=True, slots=True)
class ArmResult:
    """One arm over its finished seeds."""

    arm: Arm
    counts: list[list[ImageCounts]]  # seeds x images
    metrics: list[dict[str, Any]]  # seeds
    gains: list[float]
    """F1 less the baseline's, a seed each."""
    interval: tuple[float, float] | None
    """95 % paired bootstrap over images of the mean gain; None for the baseline itself."""

    def mean(self, *keys: str) -> float:
        """Mean over seeds of one number of metrics.json."""
        values: list[Any] = list(self.metrics)
        for key in keys:
            values = [value[key] for value in values]
        return float(np.mean([value or 0.0 for value in values]))


def collect(study: Study) -> list[ArmResult]:
    """Every arm whose seeds have all been run, the baseline first. Raises DataError where the baseline is not there."""
    done = finished_names()
    runs = list(runs_of(study))
    complete = [arm for arm in study.arms if all(run.name in done for run in runs if run.arm is arm)]
    read = {arm.name: [_read(run) for run in runs if run.arm is arm] for arm in complete}
    if study.baseline not in read:
        raise DataError(f"the baseline {study.baseline} of {study.name} has not been run; `lookout study` runs it")
    before = [counts for counts, _ in read[study.baseline]]
    return [_result(arm, read[arm.name], before, study) for arm in complete]


def _read(run: Run) -> tuple[list[ImageCounts], dict[str, Any]]:
    import dvc.api
    import pyarrow.parquet as pq

    folder = f"reports/scores/{run.arm.model}"
    metrics = json.loads(dvc.api.read(f"{folder}/metrics.json", rev=run.name))
    table = pq.read_table(io.BytesIO(dvc.api.read(f"{folder}/per_image.parquet", rev=run.name, mode="rb")))
    columns = [table.column(name).to_pylist() for name in COLUMNS]
    return [ImageCounts(*row) for row in zip(*columns, strict=True)], metrics


def _result(
    arm: Arm, read: list[tuple[list[ImageCounts], dict[str, Any]]], before: list[list[ImageCounts]], study: Study
) -> ArmResult:
    counts = [one for one, _ in read]
    gains = [(pooled(a)["f1"] or 0.0) - (pooled(b)["f1"] or 0.0) for a, b in zip(counts, before, strict=True)]
    is_baseline = arm.name == study.baseline
    interval = None if is_baseline else f1_gain_interval(before, counts, study.bootstrap_samples, seed=0)
    return ArmResult(arm, counts, [metrics for _, metrics in read], gains, interval)


def table(results: Sequence[ArmResult], study: Study) -> str:
    """Markdown: an arm a row."""
    lines = [
        f"# {study.title}",
        "",
        f"`lookout study conf/study/{study.name}.yaml` makes this page; profile {study.profile}, seeds "
        f"{', '.join(map(str, study.seeds))}, {len(results[0].counts[0])} held-out images, greedy answers. Numbers are "
        f"means over seeds. Gain: F1 at IoU .5 less that of the arm `{study.baseline}` under the same seed, with the "
        "95 % paired bootstrap interval over images of the mean gain, and each seed's own gain.",
        "",
        "| arm | F1 | gain [95 %] | gain by seed | precision | recall | AP50 | count error |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        numbers = [result.mean("detection", key) for key in ("precision", "recall")]
        numbers += [result.mean("coco", "AP50"), result.mean("detection", "count_mae")]
        cells = [result.arm.title, _number(result.mean("detection", "f1")), _gain(result)]
        cells.append(" ".join(f"{gain:+.3f}" for gain in result.gains) if result.interval else "")
        lines.append("| " + " | ".join(cells + [_number(value) for value in numbers]) + " |")
    missing = [arm.title for arm in study.arms if arm.name not in {result.arm.name for result in results}]
    if missing:
        lines += ["", f"Not all seeds run yet: {'; '.join(missing)}."]
    return "\n".join([*lines, "", f"![gain in F1 of each arm]({study.name}.png)", ""])


def _number(value: float) -> str:
    return f"{value:.3f}".replace("0.", ".", 1) if 0 <= value < 1 else f"{value:.2f}"


def _gain(result: ArmResult) -> str:
    if result.interval is None:
        return "baseline"
    low, high = result.interval
    return f"{np.mean(result.gains):+.3f} [{low:+.3f}, {high:+.3f}]"


def write_results(results: Sequence[ArmResult], study: Study, folder: Path) -> None:
    """<folder>/<name>.md and <name>.png."""
    with atomic_file(folder / f"{study.name}.md") as partial:
        partial.write_text(table(results, study))
    with atomic_file(folder / f"{study.name}.png") as partial:
        _plot([result for result in results if result.interval], study, partial)


def _plot(results: Sequence[ArmResult], study: Study, path: Path) -> None:
    """Gain of each arm: a bar of its interval, a dot for the mean, a small ring a seed."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 1.1 + 0.42 * len(results)), layout="constrained")
    rows = range(len(results) - 1, -1, -1)
    for row, result in zip(rows, results, strict=True):
        low, high = result.interval or (0.0, 0.0)
        axes.plot([low, high], [row, row], color="#2f6db3", linewidth=5, alpha=0.35, solid_capstyle="butt")
        axes.plot(result.gains, [row] * len(result.gains), "o", color="#2f6db3", markersize=4, fillstyle="none")
        axes.plot([float(np.mean(result.gains))], [row], "o", color="#12385f", markersize=7)
    axes.axvline(0, color="#555555", linewidth=1)
    axes.set_yticks(list(rows), [result.arm.title for result in results])
    axes.set_ylim(-0.6, len(results) - 0.4)
    axes.set_xlabel(f"gain in F1 over “{_title(study, study.baseline)}”\nring: a seed, bar: 95 % interval over images")
    axes.grid(axis="x", color="#dddddd", linewidth=0.7)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.savefig(path, dpi=130, format="png", metadata={"Software": None})
    plt.close(figure)


def _title(study: Study, name: str) -> str:
    return next(arm.title for arm in study.arms if arm.name == name)
