"""How does the time of a GRPO step, of ingest and of score grow?

A GRPO step against G, image tokens, people an image and processes, by short real trainings (grpo_runs.py); ingest and
score against 1, 3 and 10 times the data. Each has a table and a plot with its fitted exponent: 1 means twice the time
for twice as much, less means that a fixed cost is shared. `python -m benchmarks.scaling --plots FOLDER`.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.grpo_runs import Run, Setting, run_settings
from benchmarks.ingest import draw, measure
from benchmarks.measuring import REPEATS, Cell, Curve, Form, Table, medians, run_script
from components.core.boxes import as_boxes
from components.core.completion import render
from components.core.frames import ImageView
from components.params.reading import load_section
from components.params.score import ScoreParams
from components.scoring import score
from components.store.schemas.prompts import PROMPTS
from components.store.tables import write_table

STEPS: dict[Form, int] = {"full": 5, "quick": 3, "smoke": 1}
GROUPS: dict[Form, tuple[int, ...]] = {"full": (2, 4, 8, 16, 32), "quick": (2, 4, 8, 16), "smoke": (2,)}
IMAGES_PX: dict[Form, tuple[int, ...]] = {"full": (64, 128, 256, 384), "quick": (64, 128, 256), "smoke": (64,)}
PEOPLE: dict[Form, tuple[int, ...]] = {"full": (2, 6, 18, 54), "quick": (2, 6, 18, 54), "smoke": (2,)}
PROCESSES = (1, 2)
INGESTED: dict[Form, int] = {"full": 2000, "quick": 600, "smoke": 6}
SCORED: dict[Form, int] = {"full": 500, "quick": 100, "smoke": 6}
"""Images of the smallest set."""
TIMES = (1, 3, 10)
BOXES_AN_IMAGE = 10
STEP_S = "step, s"


@dataclass(frozen=True, slots=True)
class Sweep:
    """GRPO settings along one axis."""

    name: str
    title: str
    x: str
    settings: dict[int, Setting]
    note: str


def tokens_of(people: int) -> int:
    """Tokens of an answer that finds so many people who stand apart: five a box, the tags and thoughts eight."""
    return 8 + 5 * people


def sweeps(form: Form) -> list[Sweep]:
    base = Setting(group=2, prompts=2, completion_tokens=8) if form == "smoke" else Setting()
    fixed = f"{base.prompts} prompts a step"
    return [
        Sweep("grpo-group", "GRPO step over G", "G, completions a prompt",
              {group: replace(base, group=group) for group in GROUPS[form]},
              f"{fixed}, {base.image_tokens} image tokens, completions of up to {base.completion_tokens} tokens."),
        Sweep("grpo-image-tokens", "GRPO step over image tokens", "image tokens a prompt",
              {(px // 16) ** 2: replace(base, image_px=px) for px in IMAGES_PX[form]},
              f"{fixed}, G = {base.group}, completions of up to {base.completion_tokens} tokens."),
        Sweep("grpo-people", "GRPO step over people", "people an image",
              {people: replace(base, completion_tokens=tokens_of(people)) for people in PEOPLE[form]},
              f"{fixed}, G = {base.group}, {base.image_tokens} image tokens; the length limit is that of an answer "
              "which finds so many people: 8 + 5 tokens a person."),
    ]  # fmt: skip


def tables(form: Form) -> list[Table]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = [*grpo_tables(folder, form), ingest_table(folder, form), score_table(folder, form)]
    curves = [table.curve for table in found if table.curve]
    rows = tuple((curve.title, curve.x, curve.exponent) for curve in curves)
    note = "k of seconds ~ x^k, by least squares on the logarithms."
    return [Table("Fitted exponents", ("what", "over", "exponent"), rows, note), *found]


def grpo_tables(folder: Path, form: Form) -> list[Table]:
    """One launch for all sweeps and the step on one process; one more for the step on two."""
    chosen = sweeps(form)
    alone = chosen[0].settings[min(chosen[0].settings)] if form == "smoke" else Setting(prompts=8)
    wanted = list(dict.fromkeys([alone, *(setting for sweep in chosen for setting in sweep.settings.values())]))
    runs = dict(zip(wanted, run_settings(folder, wanted, STEPS[form]), strict=True))
    found = [_sweep_table(sweep, runs) for sweep in chosen]
    if form == "smoke":
        return found  # two processes take half a minute to start
    together = {1: runs[alone], 2: run_settings(folder, [alone], STEPS[form], 2)[0]}
    return [*found, _processes_table(alone, together)]


def _sweep_table(sweep: Sweep, runs: dict[Setting, Run]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for x, setting in sweep.settings.items():
        run, completions = runs[setting], setting.prompts * setting.group
        seconds = statistics.median(run.step_s)
        rows.append((x, completions, run.mean_tokens, seconds, 1000 * seconds / completions))
    points = tuple((float(row[0] or 0), float(row[3] or 0)) for row in rows)
    columns = (sweep.x, "completions", "mean tokens", STEP_S, "a completion, ms")
    curve = Curve(sweep.name, sweep.title, sweep.x, STEP_S, points) if len(points) > 1 else None
    return Table(sweep.title, columns, tuple(rows), sweep.note, curve)


def _processes_table(setting: Setting, runs: dict[int, Run]) -> Table:
    seconds = {processes: statistics.median(run.step_s) for processes, run in runs.items()}
    rows = tuple((processes, s, seconds[1] / s) for processes, s in seconds.items())
    title, x = "GRPO step over processes", "processes, one thread each"
    note = (
        f"{setting.prompts * setting.group} completions a step in groups of {setting.group}, shared out between them."
    )
    curve = Curve("grpo-processes", title, x, STEP_S, tuple((float(p), s) for p, s in seconds.items()))
    return Table(title, (x, STEP_S, "times as fast as one"), rows, note, curve)


def ingest_table(folder: Path, form: Form) -> Table:
    works: dict[int, list[float]] = {}
    roots = {n: draw(folder / f"ingest-{n}/raw", n, BOXES_AN_IMAGE * n) for n in sizes(INGESTED[form])}
    for _ in range(REPEATS[form]):
        for images, root in roots.items():
            works.setdefault(images, []).append(measure("ingest", root)[0])
    took = {images: statistics.median(seconds) for images, seconds in works.items()}
    return _data_table("ingest", took, "The stage's run() in a fresh process, images of 24 x 18 pixels.")


def score_table(folder: Path, form: Form) -> Table:
    params = load_section(ScoreParams)
    if form == "smoke":
        params = params.model_copy(update={"tie_shuffles": 1, "bootstrap_samples": 2})
    works: dict[str, Callable[[], object]] = {}
    for images in sizes(SCORED[form]):
        place = answered(folder / f"score-{images}", images)
        works[str(images)] = lambda place=place: score.run(
            "grpo", place / "prompts.parquet", place, place / "out", params
        )
    took = {int(images): seconds for images, seconds in medians(works, REPEATS[form]).items()}
    note = "The stage's run() with the committed params: parsing, every metric, tie shuffles, bootstrap."
    return _data_table("score", took, note)


def sizes(smallest: int) -> list[int]:
    return [smallest * times for times in TIMES]


def _data_table(stage: str, took: dict[int, float], note: str) -> Table:
    rows = tuple((images, seconds, 1000 * seconds / images) for images, seconds in took.items())
    title = f"{stage.capitalize()} over images"
    curve = Curve(stage, title, "images", f"{stage}, s", tuple((float(n), s) for n, s in took.items()))
    note = f"{note} {BOXES_AN_IMAGE} boxes an image."
    return Table(title, ("images", f"{stage}, s", "an image, ms"), rows, note, curve)


def answered(folder: Path, images: int) -> Path:
    """prompts.parquet with so many crowds, and completions.jsonl whose boxes wander some pixels around the truth."""
    random = np.random.default_rng(images)
    folder.mkdir(parents=True)
    rows, lines = zip(*(_answered_image(random, number) for number in range(images)), strict=True)
    write_table(folder / "prompts.parquet", PROMPTS, list(rows))
    (folder / "completions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def _answered_image(random: np.random.Generator, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
    view, people = ImageView(640, 480), ["person"] * BOXES_AN_IMAGE
    corner = random.uniform(0, [560, 320], (BOXES_AN_IMAGE, 2))
    truth = np.concatenate([corner, corner + random.uniform(30, [80, 160], corner.shape)], axis=1)
    moved = np.clip(truth + random.normal(0, 4, truth.shape), 0, [640, 480, 640, 480])
    row = {
        "sample_id": f"crowd/{number}", "scene_id": str(number), "source": "crowd", "task": "detect",
        "answer_as": "boxes", "thinking": "look", "prompt_form": "Find every person.",
        "image_path": "none.jpg", "image_sha256": "0" * 64, "width_px": 640, "height_px": 480, "frame": "original",
        "model_width_px": 640, "model_height_px": 480, "prompt": [], "completion": [], "gold_tokens": 100,
        "truth_boxes": truth.tolist(), "truth_labels": people, "truth_visible_frac": [1.0] * BOXES_AN_IMAGE,
        "ignore_boxes": [],
    }  # fmt: skip
    blank = ("tile", "whole_size_px", "whole_truth_boxes", "whole_truth_labels", "whole_ignore_boxes")
    text = render("a crowd", as_boxes([]), as_boxes(moved), people, view)
    line = {
        "schema": "completions/1", "sample_id": row["sample_id"], "finish_reason": "stop", "token_count": 100,
        "text": text, "answer_tokens": [(0, len(text), -0.1)],
    }  # fmt: skip
    return row | dict.fromkeys(blank), line


if __name__ == "__main__":
    run_script(tables, __doc__)
