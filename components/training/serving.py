"""The registered model: images in, boxes in original pixels out. MLflow runs this file when the model is loaded."""

from __future__ import annotations

import base64
import binascii
import io
from pathlib import Path
from typing import Any

import mlflow

BATCH = 16


class LookoutModel(mlflow.pyfunc.PythonModel):
    """predict(rows with image (path or base64) or image_bytes, and perhaps prompt) -> one dict a row."""

    def load_context(self, context: Any) -> None:
        from components.training.predict import Policy

        self._policy = Policy(Path(context.artifacts["policy"]), context.model_config["max_new_tokens"])

    def predict(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> list[dict[str, Any]]:
        """boxes (N, 4) x1 y1 x2 y2, labels, scores in (0, 1], think; failure says why an answer was unreadable."""
        rows = model_input.to_dict("records") if hasattr(model_input, "to_dict") else list(model_input)
        answers: list[dict[str, Any]] = []
        for start in range(0, len(rows), BATCH):
            answers += self._answer(rows[start : start + BATCH], context.model_config)
        return answers

    def _answer(self, rows: list[dict[str, Any]], config: dict[str, Any]) -> list[dict[str, Any]]:
        images = [_image(row, number) for number, row in enumerate(rows)]
        prompts = [[{"role": "user", "content": row.get("prompt") or config["prompt"]}] for row in rows]
        lines = self._policy.complete(images, prompts)
        return [self._read(line, image, config["frame"]) for line, image in zip(lines, images, strict=True)]

    def _read(self, line: dict[str, Any], image: Any, frame: Any) -> dict[str, Any]:
        from components.core.completion import Answer, parse, span_confidence
        from components.core.frames import ImageView, smart_resize

        images = self._policy.processor.image_processor
        bounds = (images.size["shortest_edge"], images.size["longest_edge"])
        model_size = smart_resize(image.width, image.height, images.patch_size * images.merge_size, *bounds)
        answer = parse(line["text"], ImageView(image.width, image.height, frame, model_size))
        if not isinstance(answer, Answer):
            return {"boxes": [], "labels": [], "scores": [], "think": None, "failure": answer.reason}
        scores = [span_confidence(span, line["answer_tokens"]) for span in answer.spans]
        boxes = [[float(value) for value in box] for box in answer.boxes]
        return {"boxes": boxes, "labels": list(answer.labels), "scores": scores, "think": answer.think, "failure": None}


def _image(row: dict[str, Any], number: int) -> Any:
    """The row's image, upright, RGB. Raises ValueError with one sentence where it cannot be read."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    content, given = row.get("image_bytes"), row.get("image")
    if not isinstance(content, bytes):
        if not isinstance(given, str):
            raise ValueError(f"row {number} has no image: want image (a path or base64) or image_bytes")
        path = Path(given) if len(given) < 4096 else None
        try:
            is_file = path is not None and path.is_file()
            content = path.read_bytes() if path is not None and is_file else base64.b64decode(given, validate=True)
        except (binascii.Error, ValueError, OSError):
            raise ValueError(f"row {number}: {given[:80]!r} is neither a file that is there nor base64") from None
    try:
        with Image.open(io.BytesIO(content)) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"row {number}: the image cannot be decoded ({error})") from None


mlflow.models.set_model(LookoutModel())
