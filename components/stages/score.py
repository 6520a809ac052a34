"""score: raw completions -> parsed answers -> metrics, a row an image, and the curves to plot."""

from __future__ import annotations

import argparse
import csv
import json
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.core.boxes import as_boxes
from components.core.completion import Answer, Parsed, ParseFailure, parse, span_confidence
from components.core.frames import ImageView
from components.core.scene import Truth
from components.core.tiles import merge
from components.errors import DataError
from components.metrics import METRICS
from components.metrics.coco import precision_recall_curve
from components.metrics.counting import count_errors
from components.metrics.detection import Detections, ImageCounts, count_image, f1_by_iou, f1_interval, pooled
from components.params import ScoreParams, load_section
from components.stages import run_stage
from components.store.atomic import atomic_file, write_json
from components.store.samples import image_groups, whole_row
from components.store.schemas import DETECTIONS, PER_IMAGE, PROMPTS
from components.store.tables import read_rows, write_table

log = logging.getLogger("lookout.score")
Row = dict[str, Any]
NOTHING = Detections(as_boxes([]), (), np.zeros(0))


def run(model: str, prompts: Path, completions: Path, out: Path, params: ScoreParams) -> dict[str, Any]:
    """Writes metrics.json, per_image.parquet, detections.parquet and plots/. Raises DataError on a mismatch."""
    samples = list(read_rows(prompts, PROMPTS))
    lines = read_completions(completions)
    if [line["sample_id"] for line in lines] != [sample["sample_id"] for sample in samples]:
        raise DataError(f"{completions} does not answer the samples of {prompts} in their order; run predict again")
    answers = [parse(line["text"], view_of_sample(sample)) for line, sample in zip(lines, samples, strict=True)]
    images = _images(samples, answers, lines, params)
    truths, found = [image.truth for image in images], [image.found for image in images]
    counts = [count_image(image.found, image.truth, params.min_iou) for image in images]
    salvaged = [count_image(image.rescued, image.truth, params.min_iou) for image in images]
    by_iou = f1_by_iou(found, truths)
    metrics = _metrics(model, answers, counts, params) | {
        name: metric(found, truths) for name, metric in METRICS.items()
    }
    values = [value for value in by_iou.values() if value is not None]
    metrics["detection"]["mean_f1"] = float(np.mean(values)) if values else None
    metrics["salvaged"] = pooled(salvaged)
    _write_tables(out, images, counts)
    _write_csv(out / "plots" / "f1_by_iou.csv", ["iou", "f1"], list(by_iou.items()))
    curve = precision_recall_curve(found, truths).round(6).tolist()
    _write_csv(out / "plots" / "pr_curve.csv", ["recall", "precision"], curve)
    write_json(out / "metrics.json", metrics)
    return metrics


@dataclass(frozen=True, slots=True, eq=False)
class _Image:
    """One image with all that was said of it: by one sample, or by its tiles."""

    row: Row
    truth: Truth
    found: Detections
    rescued: Detections
    failure: str | None
    look: list[list[float]]
    think: str | None


def _images(samples: list[Row], answers: list[Parsed], lines: list[Row], params: ScoreParams) -> list[_Image]:
    images: list[_Image] = []
    for places in image_groups(samples):
        tiles, said = [samples[place] for place in places], [answers[place] for place in places]
        pairs = [(answers[place], lines[place]) for place in places]
        row = whole_row(tiles[0])
        found, rescued = (
            _merged([_detections(answer, line, params, salvage) for answer, line in pairs], tiles)
            for salvage in (False, True)
        )
        failures = [answer.reason for answer in said if isinstance(answer, ParseFailure)]
        thoughts = [answer.think for answer in said if isinstance(answer, Answer)]
        look = [box for tile, answer in zip(tiles, said, strict=True) for box in _look(answer, tile)]
        think = " | ".join(thoughts) if thoughts else None
        images.append(_Image(row, truth_of_sample(row), found, rescued, failures[0] if failures else None, look, think))
    return images


def _merged(found: list[Detections], tiles: list[Row]) -> Detections:
    """The tiles' detections as the image's; the one detection where nothing is tiled."""
    if tiles[0]["tile"] is None:
        return found[0]
    rectangles = [tuple(tile["tile"]) for tile in tiles]
    boxes, origin = merge([one.boxes for one in found], [one.labels for one in found], rectangles)
    labels, scores = [label for one in found for label in one.labels], np.concatenate([one.scores for one in found])
    return Detections(boxes, tuple(labels[i] for i in origin), scores[origin])


def _look(answer: Parsed, tile: Row) -> list[list[float]]:
    if not isinstance(answer, Answer):
        return []
    x, y = tile["tile"][:2] if tile["tile"] is not None else (0, 0)
    return (answer.look + np.array([x, y, x, y], dtype=np.float32)).tolist()


def read_completions(path: Path) -> list[Row]:
    """The lines of completions.jsonl. Raises DataError where one is not of this schema."""
    if not path.exists():
        raise DataError(f"{path} is not there: predict has not run (dvc repro runs it)")
    # not splitlines(): a model may write U+0085 or U+2028, which JSON leaves inside a string as they are
    texts = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    return [_completion_line(text, f"{path}:{number}") for number, text in enumerate(texts, start=1)]


def _completion_line(text: str, place: str) -> Row:
    try:
        line = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{place} is not a line of JSON ({error}); run predict again") from None
    schema = line.get("schema") if isinstance(line, dict) else None
    if schema != "completions/1":
        raise DataError(f"{place} has schema {schema}, want completions/1; run predict again")
    return line


def truth_of_sample(sample: Row) -> Truth:
    """The truth that rides along with a prompt."""
    return Truth(
        boxes=as_boxes(sample["truth_boxes"]),
        labels=tuple(sample["truth_labels"]),
        ignore=as_boxes(sample["ignore_boxes"]),
        width_px=sample["width_px"],
        height_px=sample["height_px"],
    )


def view_of_sample(sample: Row) -> ImageView:
    """The frame in which the model speaks about this sample."""
    size = (sample["model_width_px"], sample["model_height_px"])
    return ImageView(sample["width_px"], sample["height_px"], sample["frame"], size)


def _detections(answer: Parsed, line: Row, params: ScoreParams, salvage: bool) -> Detections:
    if isinstance(answer, Answer):
        boxes, labels, spans = answer.boxes, answer.labels, answer.spans
    elif salvage:
        boxes, labels, spans = answer.salvaged, answer.salvaged_labels, answer.salvaged_spans
    else:
        return NOTHING
    if params.confidence == "constant":
        return Detections(boxes, labels, np.ones(len(boxes)))
    return Detections(boxes, labels, np.array([span_confidence(span, line["answer_tokens"]) for span in spans]))


def _metrics(model: str, answers: list[Parsed], counts: list[ImageCounts], params: ScoreParams) -> dict[str, Any]:
    failures = Counter(answer.reason for answer in answers if isinstance(answer, ParseFailure))
    interval = f1_interval(counts, params.bootstrap_samples, params.seed)
    return {
        "schema": "metrics/1",
        "model": model,
        "images": len(counts),
        "format_rate": 1 - sum(failures.values()) / len(answers),
        "failures": dict(failures),
        "confidence": params.confidence,
        "detection": pooled(counts) | {"f1_interval": list(interval) if interval else None},
        "counting": count_errors([count.predicted for count in counts], [count.truth for count in counts]),
    }


def _write_tables(out: Path, images: list[_Image], counts: list[ImageCounts]) -> None:
    places = [{key: image.row[key] for key in ("sample_id", "scene_id", "source")} for image in images]
    boxes = [
        place | {"order": order, "label": label, "score": float(score)} | _corners(box)
        for place, image in zip(places, images, strict=True)
        for order, (box, label, score) in enumerate(
            zip(image.found.boxes, image.found.labels, image.found.scores, strict=True)
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
        }
        for place, image, count in zip(places, images, counts, strict=True)
    ]
    write_table(out / "per_image.parquet", PER_IMAGE, rows)


def _corners(box: Any) -> dict[str, float]:
    return {name: float(value) for name, value in zip(("x1", "y1", "x2", "y2"), box, strict=True)}


def _write_csv(path: Path, header: list[str], rows: Sequence[Sequence[Any]]) -> None:
    with atomic_file(path) as partial, partial.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="base, sft or grpo")
    model = parser.parse_args().model
    completions = Path("data/predictions") / model / "completions.jsonl"
    out = Path("reports/scores") / model
    metrics = run(model, Path("data/prompts/test.parquet"), completions, out, load_section(ScoreParams))
    found = metrics["detection"]
    log.info(
        "%s: format rate %.3f, F1 %s, AP50 %s", model, metrics["format_rate"], found["f1"], metrics["coco"]["AP50"]
    )


if __name__ == "__main__":
    run_stage(main)
