"""completions.jsonl and samples.jsonl -> each image's boxes with every confidence, tiles put together again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.core.boxes import as_boxes
from components.core.completion import Answer, Parsed, ParseFailure, read_items, span_confidence
from components.core.coverage import disagreement_map
from components.core.grammars import AnyParsed
from components.core.scene import Truth
from components.core.tasks import TASKS
from components.core.tiles import merge
from components.errors import DataError
from components.metrics.confidence import consensus, rank
from components.metrics.task import Found, Judged
from components.params.score import ScoreParams
from components.store.json_file import is_object, parse_json
from components.store.samples import image_groups, read_sample, truth_of_sample, view_of_sample, whole_row
from components.store.schemas.completions import COMPLETIONS, SAMPLES, CompletionLine, SampleLine
from components.store.schemas.prompts import PromptRow

DISAGREEMENT_GRID = 32


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """One sample with what was said of it: the greedy line, its answer, and K sampled texts or none."""

    sample: PromptRow
    line: CompletionLine
    answer: AnyParsed
    sampled: list[str]


@dataclass(frozen=True, slots=True, eq=False)
class ImageAnswer:
    """One image with all that was said of it: by one sample, or by its tiles."""

    row: PromptRow
    judged: Judged
    failure: str | None
    look: list[list[float]]
    think: str | None
    disagreement: NDArray[np.float16] | None
    """(grid, grid) where the sampled answers disagree; None without samples, or for a tiled image."""


def image_answers(said: Sequence[Said], params: ScoreParams, ranked: bool) -> list[ImageAnswer]:
    """One a sample in their order, or one an image of tiles. ranked: boxes with their confidences are looked at."""
    if not ranked:
        return [_sure_image(one, params) for one in said]
    groups = image_groups([one.sample for one in said])
    return [_ranked_image([said[place] for place in places], params) for places in groups]


def _sure_image(one: Said, params: ScoreParams) -> ImageAnswer:
    """An answer without confidences: it is sure of what it says."""
    boxes, labels = (one.answer.boxes, one.answer.labels) if isinstance(one.answer, Answer) else (as_boxes([]), ())
    found = Found(boxes, labels, {params.confidence: np.ones(len(boxes))})
    judged = Judged(one.sample["source"], truth_of_sample(one.sample), one.answer, found, found)
    return _image_answer(one.sample, [one], [one.answer], judged, None)


def _ranked_image(said: list[Said], params: ScoreParams) -> ImageAnswer:
    tiles = [one.sample for one in said]
    row = whole_row(tiles[0])
    truth = _boxes_of(row)
    answers = [_as_boxes(_by_convention(one, params), one.sample) for one in said]
    others = [[_as_boxes(_read(text, one.sample, params), one.sample) for text in one.sampled] for one in said]
    parts = list(zip(answers, said, others, strict=True))
    found = _merged([_found(*part, params, salvage=False) for part in parts], tiles)
    failed = any(isinstance(answer, ParseFailure) for answer in answers)
    rescued = _merged([_found(*part, params, salvage=True) for part in parts], tiles) if failed else found
    judged = Judged(row["source"], truth, answers[0], found, rescued)
    whole = row is tiles[0] and others[0]
    disagreement = disagreement_map(others[0], truth, DISAGREEMENT_GRID) if whole else None
    return _image_answer(row, said, answers, judged, disagreement)


def _image_answer(
    row: PromptRow,
    said: list[Said],
    answers: Sequence[AnyParsed],
    judged: Judged,
    disagreement: NDArray[np.float16] | None,
) -> ImageAnswer:
    failures = [answer.reason for answer in answers if isinstance(answer, ParseFailure)]
    thoughts = [answer.think for answer in answers if not isinstance(answer, ParseFailure) and answer.think]
    look = [box for one, answer in zip(said, answers, strict=True) for box in _look(answer, one.sample)]
    return ImageAnswer(row, judged, failures[0] if failures else None, look, " | ".join(thoughts) or None, disagreement)


def _by_convention(said: Said, params: ScoreParams) -> AnyParsed:
    return said.answer if params.convention == "lookout" else _read(said.line["text"], said.sample, params)


def _read(text: str, sample: PromptRow, params: ScoreParams) -> AnyParsed:
    return read_sample(text, sample) if params.convention == "lookout" else read_items(text, view_of_sample(sample))


def _as_boxes(answer: AnyParsed, sample: PromptRow) -> Parsed:
    if not isinstance(answer, Answer | ParseFailure):
        raise DataError(f"{sample['sample_id']} is answered as {sample['answer_as']}, not as boxes; run prompts again")
    return answer


def image_truths(samples: list[PromptRow]) -> dict[str, Truth]:
    """The truth of each image that is asked for boxes, by the name that it has in what score writes."""
    rows = [whole_row(samples[places[0]]) for places in image_groups(samples)]
    return {row["sample_id"]: _boxes_of(row) for row in rows if TASKS[row["task"]].finds_all}


def _boxes_of(row: PromptRow) -> Truth:
    truth = truth_of_sample(row)
    if not isinstance(truth, Truth):
        raise DataError(f"{row['sample_id']} has no boxes as its truth; run prompts again")
    return truth


def _found(answer: Parsed, said: Said, others: Sequence[Parsed], params: ScoreParams, salvage: bool) -> Found:
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
    if others:
        held = [(o.boxes, o.labels) if isinstance(o, Answer) else (as_boxes([]), ()) for o in others]
        scores["consensus"] = consensus(boxes, labels, held, params.min_iou)
    return Found(boxes, labels, scores)


def _merged(found: list[Found], tiles: list[PromptRow]) -> Found:
    """The tiles' boxes as the image's; the one answer where nothing is tiled."""
    rectangles = [(x1, y1, x2, y2) for tile in tiles if tile["tile"] is not None for x1, y1, x2, y2 in [tile["tile"]]]
    if not rectangles:
        return found[0]
    boxes, origin = merge([one.boxes for one in found], [one.labels for one in found], rectangles)
    labels = [label for one in found for label in one.labels]
    scores = {name: np.concatenate([one.scores[name] for one in found])[origin] for name in found[0].scores}
    return Found(boxes, tuple(labels[int(i)] for i in origin), scores)


def _look(answer: AnyParsed, tile: PromptRow) -> list[list[float]]:
    if isinstance(answer, ParseFailure):
        return []
    x, y = tile["tile"][:2] if tile["tile"] is not None else (0, 0)
    return (answer.look + np.array([x, y, x, y], dtype=np.float32)).tolist()


def read_completions(path: Path) -> list[CompletionLine]:
    """The lines of completions.jsonl. Raises DataError where one is not of this schema."""
    return _lines(path, COMPLETIONS)


def _lines(path: Path, schema: str) -> list[Any]:
    if not path.exists():
        raise DataError(f"{path} is not there: predict has not run (dvc repro runs it)")
    # not splitlines(): a model may write U+0085 or U+2028, which JSON leaves inside a string as they are
    texts = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    return [_line(text, f"{path}:{number}", schema) for number, text in enumerate(texts, start=1)]


def _line(text: str, place: str, wanted: str) -> Any:
    line = parse_json(text, place, "run predict again", "a line of JSON")
    schema = line.get("schema") if is_object(line) else None
    if schema != wanted:
        raise DataError(f"{place} has schema {schema}, want {wanted}; run predict again")
    return line


def read_samples(path: Path, sample_ids: Sequence[str]) -> list[list[str]]:
    """The K sampled texts of each sample, in the prompts' order; empty lists where none were drawn."""
    texts: dict[str, list[str]] = {name: [] for name in sample_ids}
    lines: list[SampleLine] = _lines(path, SAMPLES) if path.exists() else []
    for line in lines:
        if line["sample_id"] not in texts:
            raise DataError(f"{path} answers {line['sample_id']}, which is not among the prompts; run predict again")
        texts[line["sample_id"]].append(line["text"])
    return list(texts.values())
