"""completions.jsonl and samples.jsonl -> each image's boxes with every confidence, tiles put together again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.core.boxes import Boxes, as_boxes
from components.core.completion import Answer, Parsed, ParseFailure, read_items, span_confidence
from components.core.coverage import disagreement_map
from components.core.grammars import AnyParsed
from components.core.scene import Truth
from components.core.tiles import merge
from components.errors import DataError
from components.metrics.confidence import consensus, rank
from components.metrics.evaluation_set import Detections, Floats
from components.params.score import ScoreParams
from components.store.samples import image_groups, read_sample, truth_of_sample, view_of_sample, whole_row

Row = dict[str, Any]
DISAGREEMENT_GRID = 32


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Boxes (N, 4) in original pixels with their labels, and (N,) scores by the confidence's name; NaN = not known."""

    boxes: Boxes
    labels: tuple[str, ...]
    scores: dict[str, Floats]

    def by(self, confidence: str) -> Detections:
        """Ranked by one of the confidences."""
        return Detections(self.boxes, self.labels, self.scores[confidence])


@dataclass(frozen=True, slots=True, eq=False)
class ImageAnswer:
    """One image with all that was said of it: by one sample, or by its tiles."""

    row: Row
    truth: Truth
    found: Found
    rescued: Found
    """`found`, and what an unreadable answer held of whole boxes."""
    failure: str | None
    look: list[list[float]]
    think: str | None
    disagreement: NDArray[np.float16] | None
    """(grid, grid) where the sampled answers disagree; None without samples, or for a tiled image."""


@dataclass(frozen=True, slots=True, eq=False)
class _Said:
    """One sample's greedy line and sampled lines, parsed."""

    answer: Parsed
    line: Row
    others: list[Parsed]


def image_answers(
    samples: list[Row],
    lines: list[Row],
    answers: Sequence[AnyParsed],
    sampled: list[list[str]],
    params: ScoreParams,
) -> list[ImageAnswer]:
    """samples: prompts' rows; lines: their completions in the same order, which read_sample reads as `answers`;
    sampled: K texts of each, or empty lists.
    """
    lookout = params.convention == "lookout"
    said = [
        _Said(
            _as_boxes(answer, sample) if lookout else read_items(line["text"], view_of_sample(sample)),
            line,
            [_read(text, sample, lookout) for text in texts],
        )
        for sample, line, answer, texts in zip(samples, lines, answers, sampled, strict=True)
    ]
    return [
        _image_answer([samples[place] for place in places], [said[place] for place in places], params)
        for places in image_groups(samples)
    ]


def _read(text: str, sample: Row, lookout: bool) -> Parsed:
    return _as_boxes(read_sample(text, sample), sample) if lookout else read_items(text, view_of_sample(sample))


def _as_boxes(answer: AnyParsed, sample: Row) -> Parsed:
    if not isinstance(answer, Answer | ParseFailure):
        raise DataError(f"{sample['sample_id']} is answered as {sample['answer_as']}, not as boxes; run prompts again")
    return answer


def _image_answer(tiles: list[Row], said: list[_Said], params: ScoreParams) -> ImageAnswer:
    row = whole_row(tiles[0])
    truth = _boxes_of(row)
    answers = [one.answer for one in said]
    failures = [answer.reason for answer in answers if isinstance(answer, ParseFailure)]
    parts = [_found(one, params, salvage=False) for one in said]
    found = _merged(parts, tiles)
    salvaged = [
        _found(one, params, salvage=True) if isinstance(one.answer, ParseFailure) else part
        for one, part in zip(said, parts, strict=True)
    ]
    rescued = _merged(salvaged, tiles) if failures else found
    thoughts = [answer.think for answer in answers if isinstance(answer, Answer) and answer.think]
    look = [box for tile, answer in zip(tiles, answers, strict=True) for box in _look(answer, tile)]
    whole = row is tiles[0] and said[0].others
    return ImageAnswer(
        row, truth, found, rescued, failures[0] if failures else None, look, " | ".join(thoughts) or None,
        disagreement_map(said[0].others, truth, DISAGREEMENT_GRID) if whole else None,
    )  # fmt: skip


def image_truths(samples: list[Row]) -> dict[str, Truth]:
    """The truth of each image that is asked for boxes, by the name that it has in what score writes."""
    rows = [whole_row(samples[places[0]]) for places in image_groups(samples) if samples[places[0]]["task"] == "detect"]
    return {row["sample_id"]: _boxes_of(row) for row in rows}


def _boxes_of(row: Row) -> Truth:
    truth = truth_of_sample(row)
    if not isinstance(truth, Truth):
        raise DataError(f"{row['sample_id']} has no boxes as its truth; run prompts again")
    return truth


def _found(said: _Said, params: ScoreParams, salvage: bool) -> Found:
    answer = said.answer
    if isinstance(answer, Answer):
        boxes, labels, spans = answer.boxes, answer.labels, answer.spans
    elif salvage:
        boxes, labels, spans = answer.salvaged, answer.salvaged_labels, answer.salvaged_spans
    else:
        boxes, labels, spans = as_boxes([]), (), ()
    tokens = said.line["answer_tokens"]
    scores = {
        "constant": np.ones(len(boxes)),
        "rank": rank(len(boxes)),
        "logprob": np.array([span_confidence(span, tokens) for span in spans], dtype=float),  # None becomes NaN
    }
    if said.others:
        others = [(o.boxes, o.labels) if isinstance(o, Answer) else (as_boxes([]), ()) for o in said.others]
        scores["consensus"] = consensus(boxes, labels, others, params.min_iou)
    return Found(boxes, labels, scores)


def _merged(found: list[Found], tiles: list[Row]) -> Found:
    """The tiles' boxes as the image's; the one answer where nothing is tiled."""
    if tiles[0]["tile"] is None:
        return found[0]
    rectangles = [tuple(tile["tile"]) for tile in tiles]
    boxes, origin = merge([one.boxes for one in found], [one.labels for one in found], rectangles)
    labels = [label for one in found for label in one.labels]
    scores = {name: np.concatenate([one.scores[name] for one in found])[origin] for name in found[0].scores}
    return Found(boxes, tuple(labels[i] for i in origin), scores)


def _look(answer: Parsed, tile: Row) -> list[list[float]]:
    if not isinstance(answer, Answer):
        return []
    x, y = tile["tile"][:2] if tile["tile"] is not None else (0, 0)
    return (answer.look + np.array([x, y, x, y], dtype=np.float32)).tolist()


def read_completions(path: Path, schema: str = "completions/1") -> list[Row]:
    """The lines of completions.jsonl. Raises DataError where one is not of this schema."""
    if not path.exists():
        raise DataError(f"{path} is not there: predict has not run (dvc repro runs it)")
    # not splitlines(): a model may write U+0085 or U+2028, which JSON leaves inside a string as they are
    texts = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    return [_completion_line(text, f"{path}:{number}", schema) for number, text in enumerate(texts, start=1)]


def _completion_line(text: str, place: str, wanted: str) -> Row:
    try:
        line = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{place} is not a line of JSON ({error}); run predict again") from None
    schema = line.get("schema") if isinstance(line, dict) else None
    if schema != wanted:
        raise DataError(f"{place} has schema {schema}, want {wanted}; run predict again")
    return line


def read_samples(path: Path, sample_ids: Sequence[str]) -> list[list[str]]:
    """The K sampled texts of each sample, in the prompts' order; empty lists where none were drawn."""
    texts: dict[str, list[str]] = {name: [] for name in sample_ids}
    for line in read_completions(path, "samples/1") if path.exists() else ():
        if line["sample_id"] not in texts:
            raise DataError(f"{path} answers {line['sample_id']}, which is not among the prompts; run predict again")
        texts[line["sample_id"]].append(line["text"])
    return list(texts.values())
