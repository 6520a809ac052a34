"""The registered model: images in, boxes in original pixels out. MLflow runs this file when the model is loaded.

It travels with the model under another package name, so it imports little, and nothing but by `from components...`.
"""

from __future__ import annotations

import base64
import binascii
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException

from components.core.completion import Answer, ParseFailure, span_confidence
from components.core.envelope import Thinking
from components.core.frames import ImageView, smart_resize
from components.core.grammars import AnyParsed, read_completion
from components.core.grammars.answers import CountAnswer, TextAnswer
from components.training.answering import Policy

BATCH = 16
CONFIDENCES = ("constant", "rank", "logprob")
COLOUR = "#ff7a1a"


@dataclass(frozen=True, slots=True)
class _Asked:
    """One row's question."""

    task: str
    prompt: str
    grammar: str
    thinking: Thinking


class LookoutModel(mlflow.pyfunc.PythonModel):
    """predict(rows with image (path or base64) or image_bytes, and perhaps task, phrase, prompt) -> one dict a row.

    phrase: what the question is about, a sentence or the word for what is counted; prompt: instead of the task's own.
    """

    def load_context(self, context: Any) -> None:
        self._policy = Policy(Path(context.artifacts["policy"]), context.model_config["max_new_tokens"])

    def predict(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """task, boxes (N, 4) x1 y1 x2 y2, labels, scores in (0, 1], count, points (N, 2), text, look boxes, think;
        failure: why it is unreadable.

        params: max_new_tokens (0: as trained), confidence (constant, rank or logprob), overlay (True adds a PNG in
        base64). A bad image or option raises MlflowException, which a server answers with status 400.
        """
        options = {"max_new_tokens": 0, "confidence": "logprob", "overlay": False} | (params or {})
        if options["confidence"] not in CONFIDENCES:
            raise _refused(f"the confidence {options['confidence']!r} is unknown; want one of {', '.join(CONFIDENCES)}")
        rows = model_input.to_dict("records") if hasattr(model_input, "to_dict") else list(model_input)
        answers: list[dict[str, Any]] = []
        for start in range(0, len(rows), BATCH):
            answers += self._answer(rows[start : start + BATCH], start, context.model_config, options)
        return answers

    def _answer(
        self, rows: list[dict[str, Any]], first: int, config: dict[str, Any], options: dict[str, Any]
    ) -> list[dict[str, Any]]:
        images = [_image(row, first + number) for number, row in enumerate(rows)]
        asked = [_asked(row, first + number, config["tasks"]) for number, row in enumerate(rows)]
        prompts = [[{"role": "user", "content": one.prompt}] for one in asked]
        lines = self._policy.complete(images, prompts, options["max_new_tokens"] or None)
        found = [
            {"task": one.task} | _said(self._read(line, image, config["frame"], one), line, options)
            for line, image, one in zip(lines, images, asked, strict=True)
        ]
        if options["overlay"]:
            found = [one | {"overlay": _overlay(image, one)} for one, image in zip(found, images, strict=True)]
        return found

    def _read(self, line: dict[str, Any], image: Any, frame: Any, asked: _Asked) -> AnyParsed:
        images = self._policy.processor.image_processor
        bounds = (images.size["shortest_edge"], images.size["longest_edge"])
        model_size = smart_resize(image.width, image.height, images.patch_size * images.merge_size, *bounds)
        view = ImageView(image.width, image.height, frame, model_size)
        return read_completion(asked.grammar, line["text"], view, asked.thinking)


def _asked(row: dict[str, Any], number: int, tasks: dict[str, dict[str, Any]]) -> _Asked:
    """What a row asks for; the model's first task where it does not say. Raises MlflowException."""
    said = {key: row[key] for key in ("task", "phrase", "prompt") if isinstance(row.get(key), str) and row[key]}
    task = said.get("task", next(iter(tasks)))  # a table has NaN where a row leaves it open
    if task not in tasks:
        raise _refused(f"row {number}: the task {task!r} is not this model's; it answers {', '.join(tasks)}")
    known = tasks[task]
    form = known["prompt_form"].replace("{phrase}", said.get("phrase", known["phrase"] or ""))
    return _Asked(task, said.get("prompt", form), known["answer_as"], known["thinking"])


def _said(answer: AnyParsed, line: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    """An answer of any task in the same keys; what a task does not have is empty, or None."""
    said: dict[str, Any] = {"boxes": [], "labels": [], "scores": [], "count": 0, "points": [], "text": None, "look": []}
    if isinstance(answer, ParseFailure):
        return said | {"think": None, "failure": answer.reason}
    said |= {"look": _floats(answer.look), "think": answer.think, "failure": None}
    if isinstance(answer, CountAnswer):
        return said | {"count": answer.count, "points": [] if answer.points is None else _floats(answer.points)}
    if isinstance(answer, TextAnswer):
        return said | {"text": answer.text}
    return said | {
        "boxes": _floats(answer.boxes),
        "labels": list(answer.labels),
        "scores": _scores(answer, line, options["confidence"]),
        "count": len(answer.boxes),
    }


def _floats(rows: Any) -> list[list[float]]:
    return [[float(value) for value in row] for row in rows]


def _scores(answer: Answer, line: dict[str, Any], confidence: str) -> list[float | None]:
    if confidence == "logprob":
        return [span_confidence(span, line["answer_tokens"]) for span in answer.spans]
    places = range(1, len(answer.boxes) + 1)
    return [1.0 if confidence == "constant" else 1 / place for place in places]


def _overlay(image: Any, said: dict[str, Any]) -> str:
    """The image with its boxes and points, a PNG in base64."""
    from PIL import ImageDraw

    copy = image.copy()
    draw: Any = ImageDraw.Draw(copy)
    width = max(1, round(max(copy.size) / 300))
    for box in said["boxes"]:
        draw.rectangle(box, outline=COLOUR, width=width)
    for x, y in said["points"]:
        draw.ellipse((x - 2 * width, y - 2 * width, x + 2 * width, y + 2 * width), fill=COLOUR)
    buffer = io.BytesIO()
    copy.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _refused(sentence: str) -> MlflowException:
    return MlflowException.invalid_parameter_value(sentence)


def _image(row: dict[str, Any], number: int) -> Any:
    """The row's image, upright, RGB. Raises MlflowException with one sentence where it cannot be read."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    content, given = row.get("image_bytes"), row.get("image")
    if not isinstance(content, bytes):
        if not isinstance(given, str):
            raise _refused(f"row {number} has no image: want image (a path or base64) or image_bytes")
        path = Path(given) if len(given) < 4096 else None
        try:
            is_file = path is not None and path.is_file()
            content = path.read_bytes() if path is not None and is_file else base64.b64decode(given, validate=True)
        except (binascii.Error, ValueError, OSError):
            raise _refused(f"row {number}: {given[:80]!r} is neither a file that is there nor base64") from None
    try:
        with Image.open(io.BytesIO(content)) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise _refused(f"row {number}: the image cannot be decoded ({error})") from None


mlflow.models.set_model(LookoutModel())
