"""What is asked about an image, by task: the truth of each question, its words, and the prompt around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.core.boxes import areas, as_boxes, clip
from components.core.envelope import wrapped
from components.core.grammars import GRAMMARS
from components.core.points import as_points, centres
from components.core.scene import AnyTruth, CountTruth, TextTruth, Truth
from components.core.tasks import TASKS
from components.core.words import Thinking
from components.errors import ParamsError
from components.params.datasets import DatasetParams
from components.prompting.truth import CORNERS, truth_of

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """One question about an image. `phrase` fills the template, `ask` is its place in the dataset's own questions."""

    truth: AnyTruth
    phrase: str | None = None
    ask: int | None = None


Ask = Callable[[Row, list[Row], list[Row], DatasetParams], list[Question]]
"""(scene, its boxes, its asks, the dataset's entry) -> questions; none where the image has no answer to give."""


def _detect(scene: Row, boxes: list[Row], asks: list[Row], dataset: DatasetParams) -> list[Question]:
    del asks
    return [Question(truth_of(boxes, scene["width_px"], scene["height_px"], dataset))]


def _ground(scene: Row, boxes: list[Row], asks: list[Row], dataset: DatasetParams) -> list[Question]:
    """A question a sentence; the one box that it refers to, clipped to the image."""
    del dataset
    width, height = scene["width_px"], scene["height_px"]
    places = {box["box_index"]: [box[key] for key in CORNERS] for box in boxes}
    questions: list[Question] = []
    for ask in asks:
        if ask["box_index"] is None:
            continue
        meant = clip(as_boxes([places[ask["box_index"]]]), width, height)
        if areas(meant)[0] > 0:
            truth = Truth(meant, (ask["phrase"],), as_boxes([]), width, height)
            questions.append(Question(truth, ask["phrase"], ask["ask_index"]))
    return questions


def _count(scene: Row, boxes: list[Row], asks: list[Row], dataset: DatasetParams) -> list[Question]:
    """The dataset's own questions, or its boxes counted: their centres are the points."""
    size = scene["width_px"], scene["height_px"]
    if not asks:
        found = truth_of(boxes, *size, dataset).boxes
        return [Question(CountTruth(len(found), centres(found), *size))]
    return [
        Question(CountTruth(ask["count"], _points(ask), *size), ask["phrase"], ask["ask_index"])
        for ask in asks
        if ask["count"] is not None
    ]


def _points(ask: Row) -> Any:
    return None if ask["points"] is None else as_points(np.array(ask["points"], dtype=np.float64).reshape(-1, 2))


def _read(scene: Row, boxes: list[Row], asks: list[Row], dataset: DatasetParams) -> list[Question]:
    del scene, boxes, dataset
    found = [ask for ask in asks if ask["text"] is not None]
    return [Question(TextTruth(ask["text"]), ask["phrase"], ask["ask_index"]) for ask in found]


@dataclass(frozen=True, slots=True)
class TaskQuestions:
    """How a task asks: `made_from` says what of a dataset its questions are made from, in words.

    `templates`: grammar -> the prompt, where neither the dataset nor prompts.template names one.
    """

    ask: Ask
    made_from: str
    templates: dict[str, Path]


_COUNT = {"points": Path("conf/prompts/count.txt"), "number": Path("conf/prompts/count_number.txt")}
TASK_QUESTIONS: dict[str, TaskQuestions] = {
    "detect": TaskQuestions(_detect, "boxes", {"boxes": Path("conf/prompts/detect.txt")}),
    "ground": TaskQuestions(_ground, "sentences with a box each", {"box": Path("conf/prompts/ground.txt")}),
    "count": TaskQuestions(_count, "counts", _COUNT),
    "read": TaskQuestions(_read, "texts", {"text": Path("conf/prompts/read.txt")}),
}


def grammar_of(name: str, dataset: DatasetParams) -> str:
    """How this dataset's questions are to be answered. Raises ParamsError where its task is not answered so."""
    possible = TASKS[dataset.task].grammars
    grammar = dataset.answer or possible[0]
    if grammar not in possible:
        raise ParamsError(
            f"datasets.{name}.answer is {grammar}, but the task {dataset.task} is answered as {' or '.join(possible)}"
        )
    return grammar


def template_of(dataset: DatasetParams, template: str | None, grammar: str) -> Path:
    """The dataset's own template, the profile's, or the usual one of such answers."""
    chosen = dataset.template or template
    return Path(chosen) if chosen else TASK_QUESTIONS[dataset.task].templates[grammar]


def read_template(path: Path) -> str:
    """The file's text, to be filled in. Raises ParamsError where it is missing."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        raise ParamsError(f"prompts.template: {path} is not there") from None


def prompt_text(
    template: str,
    path: Path,
    labels: list[str],
    phrase: str | None = None,
    grammar: str = "boxes",
    thinking: Thinking = "look",
) -> str:
    """The user's message. Raises ParamsError where the template, read from `path`, has an unknown field.

    Its fields: {labels} and {label}; {phrase}, what a sentence refers to or what is counted; {format}, how to answer.
    """
    shape = GRAMMARS[grammar].shape.replace("{label}", labels[0])
    fields = {
        "labels": ", ".join(labels),
        "label": labels[0],
        "phrase": phrase or labels[0],
        "format": wrapped(thinking, "what you see", "[[x1,y1,x2,y2], ...]", shape),
    }
    try:
        return template.format(**fields)
    except (KeyError, IndexError, ValueError) as error:
        known = ", ".join(f"{{{name}}}" for name in fields)
        raise ParamsError(f"{path}: unknown field {error}; want {known}, and {{{{ for {{") from None
