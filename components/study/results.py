"""The study's table and plot: mean over seeds, gain over the baseline with its paired interval, for any task."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from components.errors import DataError
from components.metrics.detection import ImageCounts, f1_gain_interval, pooled
from components.metrics.task import headline_of
from components.store.atomic import atomic_file
from components.store.counts import counts_of
from components.store.schemas.metrics import Metrics
from components.study.columns import columns_of
from components.study.plan import Arm, Run, Study, runs_of
from components.study.run import finished_names


@dataclass(frozen=True, slots=True)
class RunScores:
    """What `score` wrote of one run: a sample a row, the same in each run of a study."""

    sample_ids: list[str]
    counts: list[ImageCounts]
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class ArmResult:
    """One arm over its finished seeds."""

    arm: Arm
    runs: list[RunScores]  # seeds
    gains: list[float]
    """The headline less the baseline's, a seed each."""
    interval: tuple[float, float] | None
    """95 % paired bootstrap over samples of the mean gain; None for the baseline itself."""

    def mean(self, value: Callable[[Metrics], float | None]) -> float | None:
        """Mean over seeds of one number of metrics.json; None where a seed has none."""
        found = [one for one in (value(run.metrics) for run in self.runs) if one is not None]
        return float(np.mean(found)) if len(found) == len(self.runs) else None


def collect(study: Study) -> list[ArmResult]:
    """Every arm whose seeds have all been run, in the study's order.

    Raises DataError where the baseline is not there, or another arm answers other samples than it does.
    """
    done = finished_names()
    runs = list(runs_of(study))
    complete = [arm for arm in study.arms if all(run.name in done for run in runs if run.arm is arm)]
    read = {arm.name: [_read(run) for run in runs if run.arm is arm] for arm in complete}
    if study.baseline not in read:
        raise DataError(f"the baseline {study.baseline} of {study.name} has not been run; `lookout study` runs it")
    return [arm_result(arm, read[arm.name], read[study.baseline], study) for arm in complete]


def _read(run: Run) -> RunScores:
    import dvc.api
    import pyarrow.parquet as pq

    folder = f"reports/scores/{run.arm.model}"
    metrics = json.loads(dvc.api.read(f"{folder}/metrics.json", rev=run.name))
    table = pq.read_table(io.BytesIO(dvc.api.read(f"{folder}/per_image.parquet", rev=run.name, mode="rb")))
    counts = counts_of(table.to_pylist())
    return RunScores(list(counts), list(counts.values()), metrics)


def arm_result(arm: Arm, runs: list[RunScores], baseline: list[RunScores], study: Study) -> ArmResult:
    """runs, baseline: one a seed, in the same order. Raises DataError where their samples or headlines differ."""
    for own, other in zip(runs, baseline, strict=True):
        _check_comparable(arm, own, other, study)
    before, after = [run.counts for run in baseline], [run.counts for run in runs]
    gains = [(pooled(a)["f1"] or 0.0) - (pooled(b)["f1"] or 0.0) for a, b in zip(after, before, strict=True)]
    is_baseline = arm.name == study.baseline
    interval = None if is_baseline else f1_gain_interval(before, after, study.bootstrap_samples, seed=0)
    return ArmResult(arm, runs, gains, interval)


def _check_comparable(arm: Arm, own: RunScores, other: RunScores, study: Study) -> None:
    """A gold answer over the prompts' limit takes its sample out of one arm's test set, not out of another's."""
    names = [headline_of(run.metrics).name for run in (own, other)]
    if names[0] != names[1]:
        raise DataError(f"the arm {arm.name} is judged by {names[0]}, the baseline {study.baseline} by {names[1]}")
    if own.sample_ids != other.sample_ids:
        differing = len(set(own.sample_ids) ^ set(other.sample_ids))
        raise DataError(
            f"the arm {arm.name} answers {len(own.sample_ids)} samples, the baseline {study.baseline} "
            f"{len(other.sample_ids)}; {differing} of them are not in both: is prompts.max_completion_tokens too small?"
        )


def table(results: Sequence[ArmResult], study: Study) -> str:
    """Markdown: an arm a row."""
    first = results[0].runs[0]
    name, shown = headline_of(first.metrics).name, columns_of(first.metrics)
    titles = ["arm", name, "gain [95 %]", "gain by seed", *(column.title for column in shown.columns)]
    lines = [
        f"# {study.title}",
        "",
        f"`lookout study conf/study/{study.name}.yaml` makes this page; profile {study.profile}, seeds "
        f"{', '.join(map(str, study.seeds))}, {len(first.counts)} held-out {shown.drawn}, greedy answers. Numbers are "
        f"means over seeds. Gain: {name} less that of the arm `{study.baseline}` under the same seed, with the "
        f"95 % paired bootstrap interval over {shown.drawn} of the mean gain, and each seed's own gain.",
        "",
        "| " + " | ".join(titles) + " |",
        "|" + "---|" * len(titles),
    ]
    for result in results:
        cells = [result.arm.title, _number(result.mean(lambda metrics: headline_of(metrics).value)), _gain(result)]
        cells.append(" ".join(f"{gain:+.3f}" for gain in result.gains) if result.interval else "")
        lines.append("| " + " | ".join(cells + [_number(result.mean(one.value)) for one in shown.columns]) + " |")
    missing = [arm.title for arm in study.arms if arm.name not in {result.arm.name for result in results}]
    if missing:
        lines += ["", f"Not all seeds run yet: {'; '.join(missing)}."]
    return "\n".join([*lines, "", f"![{name}, gain of each arm]({study.name}.png)", ""])


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.3f}".replace("0.", ".", 1) if 0 <= value < 1 else f"{value:.2f}"


def _gain(result: ArmResult) -> str:
    if result.interval is None:
        return "baseline"
    low, high = result.interval
    return f"{np.mean(result.gains):+.3f} [{low:+.3f}, {high:+.3f}]"


def write_results(results: Sequence[ArmResult], study: Study, folder: Path) -> None:
    """<folder>/<name>.md and <name>.png."""
    first = results[0].runs[0].metrics
    name, drawn = headline_of(first).name, columns_of(first).drawn
    label = f"{name}, gain over “{_title(study, study.baseline)}”\nring: a seed, bar: 95 % interval over {drawn}"
    with atomic_file(folder / f"{study.name}.md") as partial:
        partial.write_text(table(results, study))
    with atomic_file(folder / f"{study.name}.png") as partial:
        _plot([result for result in results if result.interval], label, partial)


def _plot(results: Sequence[ArmResult], label: str, path: Path) -> None:
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
    axes.set_xlabel(label)
    axes.grid(axis="x", color="#dddddd", linewidth=0.7)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.savefig(path, dpi=130, format="png", metadata={"Software": None})
    plt.close(figure)


def _title(study: Study, name: str) -> str:
    return next(arm.title for arm in study.arms if arm.name == name)
