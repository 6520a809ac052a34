"""The registered model: images in, boxes in original pixels out. MLflow runs this file when the model is loaded.

It travels with the model under another package name, so it imports little, and nothing but by `from components...`.
"""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException
from PIL import Image

from components.core.completion import Answer, ParseFailure, span_confidence
from components.core.envelope import SURROGATE
from components.core.frames import ImageView, smart_resize
from components.core.grammars import AnyParsed, read_completion
from components.core.grammars.answers import CountAnswer, TextAnswer
from components.core.reasons import why
from components.core.words import Frame, Thinking
from components.errors import DataError
from components.policy.answering import Policy
from components.serving.drawn import draw_answer
from components.serving.request_images import LACKING, content_of
from components.store.image_files import decode_image
from components.store.schemas.completions import GreedyAnswer

BATCH = 16
CONFIDENCES = ("constant", "rank", "logprob")


@dataclass(frozen=True, slots=True)
class _Asked:
    """One row's question."""

    task: str
    prompt: str
    grammar: str
    thinking: Thinking


class LookoutModel(mlflow.pyfunc.PythonModel):
    """predict(rows with image (base64, data URI) or image_bytes, and perhaps task, phrase, prompt) -> one dict a row.

    phrase: what the question is about, a sentence or the word for what is counted; prompt: instead of the task's own.
    A path as image is read only under the folder that the environment's LOOKOUT_SERVE_ROOT names.

    It answers as it was measured: in the precision and up to the tokens that predict had. `model_config` at loading
    changes that, and the bounds on what a request may ask.
    """

    def load_context(self, context: Any) -> None:
        config = context.model_config
        self._policy = Policy(Path(context.artifacts["policy"]), config["max_new_tokens"], config["bf16"])

    def predict(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """task, boxes (N, 4) x1 y1 x2 y2, labels, scores in (0, 1], count, points (N, 2), text, look boxes, think;
        failure: why it is unreadable. A score is None where the tokens' probabilities cannot be told.

        params: max_new_tokens (0: as measured), confidence (constant, rank or logprob), overlay (True adds a PNG in
        base64). A bad row or option raises MlflowException, which a server answers with status 400.
        """
        config = context.model_config
        options = {"max_new_tokens": 0, "confidence": "logprob", "overlay": False} | (params or {})
        _check_options(options, config)
        rows = model_input.to_dict("records") if hasattr(model_input, "to_dict") else list(model_input)
        if not rows:  # MLflow drops a row without any key that the signature knows
            raise _refused(f"row 0 {LACKING}")
        contents = [_content(row, number, config["most_bytes"]) for number, row in enumerate(rows)]
        asked = [self._asked(row, number, config) for number, row in enumerate(rows)]
        ends = time.monotonic() + config["most_seconds"] if config["most_seconds"] else None
        answers: list[dict[str, Any]] = []
        for images in _batches(contents, config["most_pixels"]):
            batch = asked[len(answers) : len(answers) + len(images)]
            answers += self._answer(images, batch, config, options, ends)
        return answers

    def _answer(
        self,
        images: list[Image.Image],
        asked: list[_Asked],
        config: dict[str, Any],
        options: dict[str, Any],
        ends: float | None,
    ) -> list[dict[str, Any]]:
        prompts = [[{"role": "user", "content": one.prompt}] for one in asked]
        limit = options["max_new_tokens"] or config["max_new_tokens"]
        seconds = None if ends is None else max(0.0, ends - time.monotonic())
        lines = self._policy.complete(images, prompts, limit, seconds)
        cut = any(line["finish_reason"] == "length" and line["token_count"] < limit for line in lines)
        if ends is not None and cut and time.monotonic() >= ends:
            raise _refused(
                f"the request was not answered within {config['most_seconds']} s; ask about fewer images at once, or "
                "with a smaller max_new_tokens"
            )
        found = [
            {"task": one.task} | _said(self._read(line, image, config["frame"], one), line, options)
            for line, image, one in zip(lines, images, asked, strict=True)
        ]
        if options["overlay"]:
            found = [one | {"overlay": _overlay(image, one)} for one, image in zip(found, images, strict=True)]
        return found

    def _asked(self, row: dict[str, Any], number: int, config: dict[str, Any]) -> _Asked:
        """What a row asks for; the model's first task where it does not say. Raises MlflowException."""
        asked = _asked(row, number, config["tasks"])
        if SURROGATE.search(asked.prompt) or len(asked.prompt.encode()) > config["most_prompt_bytes"]:
            raise _refused(
                f"row {number}: the prompt is longer than {config['most_prompt_bytes']} bytes of UTF-8, or no UTF-8"
            )
        special = [str(one) for one in self._policy.processor.tokenizer.added_tokens_decoder.values() if one.special]
        held = next((token for token in special if token in asked.prompt), None)
        if held:
            raise _refused(f"row {number}: the prompt holds {held}, which is no text to this model")
        return asked

    def _read(self, line: GreedyAnswer, image: Image.Image, frame: Frame, asked: _Asked) -> AnyParsed:
        images = self._policy.processor.image_processor
        bounds = (images.size["shortest_edge"], images.size["longest_edge"])
        model_size = smart_resize(image.width, image.height, images.patch_size * images.merge_size, *bounds)
        view = ImageView(image.width, image.height, frame, model_size)
        return read_completion(asked.grammar, line["text"], view, asked.thinking)


def _check_options(options: dict[str, Any], config: dict[str, Any]) -> None:
    """Raises MlflowException where one is unknown or beyond its bound."""
    if options["confidence"] not in CONFIDENCES:
        raise _refused(f"the confidence {options['confidence']!r} is unknown; want one of {', '.join(CONFIDENCES)}")
    most = max(config["most_new_tokens"], config["max_new_tokens"])
    if not 0 <= options["max_new_tokens"] <= most:
        raise _refused(f"max_new_tokens is {options['max_new_tokens']}, want 0 (as measured) to {most}")


def _content(row: dict[str, Any], number: int, most_bytes: int) -> bytes:
    """The file of a row's picture. Raises MlflowException that names the row."""
    try:
        return content_of(row, most_bytes)
    except DataError as error:
        raise _refused(f"row {number} {error}") from None


def _batches(contents: list[bytes], most_pixels: int) -> Iterator[list[Image.Image]]:
    """The pictures, at most BATCH and about so many pixels at a time. Raises MlflowException that names the row."""
    images: list[Image.Image] = []
    pixels = 0
    for number, content in enumerate(contents):
        try:
            image = decode_image(content, f"row {number}: the image", most_pixels)
        except DataError as error:
            raise _refused(str(error)) from None
        images.append(image)
        pixels += image.width * image.height
        if len(images) == BATCH or pixels >= most_pixels:
            yield images
            images, pixels = [], 0
    if images:
        yield images


def _asked(row: dict[str, Any], number: int, tasks: dict[str, dict[str, Any]]) -> _Asked:
    """What a row asks for; the model's first task where it does not say. Raises MlflowException."""
    said = {key: row[key] for key in ("task", "phrase", "prompt") if isinstance(row.get(key), str) and row[key]}
    task = said.get("task", next(iter(tasks)))  # a table has NaN where a row leaves it open
    if task not in tasks:
        raise _refused(f"row {number}: the task {task!r} is not this model's; it answers {', '.join(tasks)}")
    known = tasks[task]
    form = known["prompt_form"].replace("{phrase}", said.get("phrase", known["phrase"] or ""))
    return _Asked(task, said.get("prompt", form), known["answer_as"], known["thinking"])


def _said(answer: AnyParsed, line: GreedyAnswer, options: dict[str, Any]) -> dict[str, Any]:
    """An answer of any task in the same keys; what a task does not have is empty, or None."""
    said: dict[str, Any] = {"boxes": [], "labels": [], "scores": [], "count": 0, "points": [], "text": None, "look": []}
    if isinstance(answer, ParseFailure):
        return said | {"think": None, "failure": answer.reason, "why": why(answer.reason), "said": line["text"]}
    said |= {"look": _floats(answer.look), "think": answer.think, "failure": None, "why": None, "said": None}
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


def _floats(rows: Iterable[Iterable[float]]) -> list[list[float]]:
    return [[float(value) for value in row] for row in rows]


def _scores(answer: Answer, line: GreedyAnswer, confidence: str) -> list[float | None]:
    if confidence == "logprob":
        return [span_confidence(span, line["answer_tokens"]) for span in answer.spans]
    places = range(1, len(answer.boxes) + 1)
    return [1.0 if confidence == "constant" else 1 / place for place in places]


def _overlay(image: Image.Image, said: dict[str, Any]) -> str:
    """The image with its boxes and points, a PNG in base64."""
    copy = image.copy()
    draw_answer(copy, said)
    buffer = io.BytesIO()
    copy.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _refused(sentence: str) -> MlflowException:
    return MlflowException.invalid_parameter_value(sentence)


mlflow.models.set_model(LookoutModel())
