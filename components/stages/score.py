"""score: raw completions -> parsed answers -> metrics, a row an image, and the curves to plot."""

from __future__ import annotations

import argparse
import csv
import json
import logging
from collections import Counter
from pathlib import Path
from typing import Any

from components.core.completion import ParseFailure, parse
from components.errors import DataError
from components.metrics.detection import ImageCounts
from components.params import ScoreParams, load_section
from components.scoring.answers import ImageAnswer, image_answers, read_completions, read_samples, view_of_sample
from components.scoring.numbers import numbers_of
from components.stages import run_stage
from components.store.atomic import atomic_file, write_json
from components.store.schemas import DETECTIONS, PER_IMAGE, PROMPTS
from components.store.tables import read_rows, write_table

log = logging.getLogger("lookout.score")
Row = dict[str, Any]


def run(model: str, prompts: Path, predictions: Path, out: Path, params: ScoreParams) -> Row:
    """Writes metrics.json, per_image.parquet, detections.parquet and plots/. Raises DataError on a mismatch."""
    samples = list(read_rows(prompts, PROMPTS))
    lines = read_completions(predictions / "completions.jsonl")
    names = [sample["sample_id"] for sample in samples]
    if [line["sample_id"] for line in lines] != names:
        raise DataError(f"{predictions} does not answer the samples of {prompts} in their order; run predict again")
    sampled = read_samples(predictions / "samples.jsonl", names)
    images = image_answers(samples, lines, sampled, params)
    parsed = [parse(line["text"], view_of_sample(sample)) for line, sample in zip(lines, samples, strict=True)]
    failures = Counter(answer.reason for answer in parsed if isinstance(answer, ParseFailure))
    numbers = numbers_of(images, failures, len(lines), params)
    metrics = {"model": model} | numbers.metrics | {"prediction": _prediction(predictions)}
    _write_tables(out, images, numbers.counts, params)
    for name, rows in numbers.plots.items():
        _write_csv(out / "plots" / f"{name}.csv", rows)
    write_json(out / "metrics.json", metrics)
    return metrics


def _prediction(predictions: Path) -> Row | None:
    """Throughput and cut answers, as predict measured them."""
    path = predictions / "summary.json"
    return json.loads(path.read_text()) if path.exists() else None


def _write_tables(out: Path, images: list[ImageAnswer], counts: list[ImageCounts], params: ScoreParams) -> None:
    places = [{key: image.row[key] for key in ("sample_id", "scene_id", "source")} for image in images]
    boxes = [
        place | {"order": order, "label": label, "score": float(score)} | _corners(box)
        for place, image in zip(places, images, strict=True)
        for order, (box, label, score) in enumerate(
            zip(image.found.boxes, image.found.labels, image.found.scores[params.confidence], strict=True)
        )
    ]
    write_table(out / "detections.parquet", DETECTIONS, boxes)
    rows = [
        place
        | {
            "failure": image.failure,
            "truth_count": count.truth,
            "predicted_count": count.predicted,
            "matched_count": count.matched,
            "matched_iou_sum": count.iou_sum,
            "look_boxes": image.look,
            "think": image.think,
            "disagreement": None if image.disagreement is None else image.disagreement.tobytes(),
        }
        for place, image, count in zip(places, images, counts, strict=True)
    ]
    write_table(out / "per_image.parquet", PER_IMAGE, rows)


def _corners(box: Any) -> dict[str, float]:
    return {name: float(value) for name, value in zip(("x1", "y1", "x2", "y2"), box, strict=True)}


def _write_csv(path: Path, rows: list[Row]) -> None:
    """A blank cell is an undefined number. Without rows the file has no header either."""
    with atomic_file(path) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="base, sft or grpo")
    model = parser.parse_args().model
    predictions, out = Path("data/predictions") / model, Path("reports/scores") / model
    metrics = run(model, Path("data/prompts/test.parquet"), predictions, out, load_section(ScoreParams))
    found = metrics["detection"]
    log.info(
        "%s: format rate %.3f, F1 %s, AP50 %s by %s", model, metrics["format_rate"], found["f1"],
        metrics["coco"]["AP50"], metrics["confidence"],
    )  # fmt: skip


if __name__ == "__main__":
    run_stage(main)
