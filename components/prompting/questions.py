"""What is asked about an image, by task: the truth of each question, its words, and the prompt around them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path

import numpy as np

from components.core.boxes import areas, as_boxes, clip
from components.core.envelope import wrapped
from components.core.grammars import GRAMMARS
from components.core.points import Points, as_points, centres
from components.core.scene import AnyTruth, CountTruth, TextTruth, Truth
from components.core.tasks import TASKS
from components.core.words import Thinking
from components.errors import DataError, ParamsError
from components.params.datasets import DatasetParams
from components.prompting.truth import CORNERS, truth_of
from components.store.schemas.ingested import AskRow, BoxRow, SceneRow


@dataclass(frozen=True, slots=True, eq=False)
class ScenePart:
    """One scene's rows: itself, its boxes, its own questions."""

    row: SceneRow
    boxes: list[BoxRow]
    asks: list[AskRow]

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height. Raises DataError where the image could not be read."""
        width, height = self.row["width_px"], self.row["height_px"]
        if width is None or height is None:
            raise self._unread("size")
        return width, height

    @property
    def sha256(self) -> str:
        """As `size_px`, of the file's bytes."""
        if self.row["sha256"] is None:
            raise self._unread("SHA-256")
        return self.row["sha256"]

    def _unread(self, what: str) -> DataError:
        return DataError(f"{self.row['annotation']}: the image has no {what}, yet was not refused; run validate again")


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """One question about an image. `phrase` fills the template, `ask` is its place in the dataset's own questions."""

    truth: AnyTruth
    phrase: str | None = None
    ask: int | None = None


Ask = Callable[[ScenePart, DatasetParams], list[Question]]
"""(scene, the dataset's entry) -> questions; none where the image has no answer to give."""


def _detect(scene: ScenePart, dataset: DatasetParams) -> list[Question]:
    return [Question(truth_of(scene.boxes, *scene.size_px, dataset))]


def _ground(scene: ScenePart, dataset: DatasetParams) -> list[Question]:
    """A question a sentence; the one box that it refers to, clipped to the image."""
    del dataset
    width, height = scene.size_px
    places = {box["box_index"]: [box[key] for key in CORNERS] for box in scene.boxes}
    questions: list[Question] = []
    for ask in scene.asks:
        if ask["box_index"] is None or ask["phrase"] is None:
            continue
        meant = clip(as_boxes([places[ask["box_index"]]]), width, height)
        if areas(meant)[0] > 0:
            truth = Truth(meant, (ask["phrase"],), as_boxes([]), width, height)
            questions.append(Question(truth, ask["phrase"], ask["ask_index"]))
    return questions


def _count(scene: ScenePart, dataset: DatasetParams) -> list[Question]:
    """The dataset's own questions, or its boxes counted: their centres are the points."""
    size = scene.size_px
    if not scene.asks:
        found = truth_of(scene.boxes, *size, dataset).boxes
        return [Question(CountTruth(len(found), centres(found), *size))]
    return [
        Question(CountTruth(ask["count"], _points(ask), *size), ask["phrase"], ask["ask_index"])
        for ask in scene.asks
        if ask["count"] is not None
    ]


def _points(ask: AskRow) -> Points | None:
    return None if ask["points"] is None else as_points(np.array(ask["points"], dtype=np.float64).reshape(-1, 2))


def _read(scene: ScenePart, dataset: DatasetParams) -> list[Question]:
    del dataset
    return [
        Question(TextTruth(ask["text"]), ask["phrase"], ask["ask_index"])
        for ask in scene.asks
        if ask["text"] is not None
    ]


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


@dataclass(frozen=True, slots=True)
class Template:
    """A prompt to be filled in."""

    path: Path
    text: str
    sha256: str
    """Of the file's bytes."""


def read_template(path: Path) -> Template:
    """The file as it is now. Raises ParamsError where it is missing."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ParamsError(f"prompts.template: {path} is not there") from None
    return Template(path, TextIOWrapper(BytesIO(content)).read().strip(), hashlib.sha256(content).hexdigest())


def prompt_text(
    template: Template,
    labels: list[str],
    phrase: str | None = None,
    grammar: str = "boxes",
    thinking: Thinking = "look",
) -> str:
    """The user's message. Raises ParamsError where the template has an unknown field.

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
        return template.text.format(**fields)
    except (KeyError, IndexError, ValueError) as error:
        known = ", ".join(f"{{{name}}}" for name in fields)
        raise ParamsError(f"{template.path}: unknown field {error}; want {known}, and {{{{ for {{") from None
