"""The registered model: images in, boxes in original pixels out. MLflow runs this file when the model is loaded.

It travels with the model under another package name, so it imports little, and nothing but by `from components...`.
"""

from __future__ import annotations

import base64
import binascii
import io
from pathlib import Path
from typing import Any

import mlflow
from mlflow.exceptions import MlflowException

from components.core.completion import Answer, parse, span_confidence
from components.core.frames import ImageView, smart_resize
from components.training.answering import Policy

BATCH = 16
CONFIDENCES = ("constant", "rank", "logprob")
COLOUR = "#ff7a1a"


class LookoutModel(mlflow.pyfunc.PythonModel):
    """predict(rows with image (path or base64) or image_bytes, and perhaps prompt) -> one dict a row."""

    def load_context(self, context: Any) -> None:
        self._policy = Policy(Path(context.artifacts["policy"]), context.model_config["max_new_tokens"])

    def predict(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """boxes (N, 4) x1 y1 x2 y2, labels, scores in (0, 1], count, look boxes, think; failure: why it is unreadable.

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
        prompts = [[{"role": "user", "content": row.get("prompt") or config["prompt"]}] for row in rows]
        lines = self._policy.complete(images, prompts, options["max_new_tokens"] or None)
        found = [self._read(line, image, config["frame"], options) for line, image in zip(lines, images, strict=True)]
        if options["overlay"]:
            found = [one | {"overlay": _overlay(image, one["boxes"])} for one, image in zip(found, images, strict=True)]
        return found

    def _read(self, line: dict[str, Any], image: Any, frame: Any, options: dict[str, Any]) -> dict[str, Any]:
        images = self._policy.processor.image_processor
        bounds = (images.size["shortest_edge"], images.size["longest_edge"])
        model_size = smart_resize(image.width, image.height, images.patch_size * images.merge_size, *bounds)
        answer = parse(line["text"], ImageView(image.width, image.height, frame, model_size))
        if not isinstance(answer, Answer):
            nothing = {"boxes": [], "labels": [], "scores": [], "count": 0, "look": []}
            return nothing | {"think": None, "failure": answer.reason}
        count = len(answer.boxes)
        scores = {
            "constant": [1.0] * count,
            "rank": [1 / place for place in range(1, count + 1)],
            "logprob": [span_confidence(span, line["answer_tokens"]) for span in answer.spans],
        }[options["confidence"]]
        boxes, look = ([[float(value) for value in box] for box in found] for found in (answer.boxes, answer.look))
        return {"boxes": boxes, "labels": list(answer.labels), "scores": scores, "count": count, "look": look,
                "think": answer.think, "failure": None}  # fmt: skip


def _overlay(image: Any, boxes: list[list[float]]) -> str:
    """The image with its boxes, a PNG in base64."""
    from PIL import ImageDraw

    copy = image.copy()
    draw: Any = ImageDraw.Draw(copy)
    for box in boxes:
        draw.rectangle(box, outline=COLOUR, width=max(1, round(max(copy.size) / 300)))
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
