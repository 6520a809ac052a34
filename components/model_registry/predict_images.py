"""`lookout predict`: a registered model on pictures of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from components.errors import DataError, RegistryError
from components.model_registry.registry import connect, explained, find_version, uri_of
from components.store.atomic import atomic_file
from components.store.image_files import open_image

COLOUR = "#ff7a1a"


def predict_images(
    reference: str, images: Sequence[Path], out: Path, asked: dict[str, str] | None = None
) -> list[dict[str, Any]]:
    """What the model says of each picture, and `picture`: the copy with its boxes and points in `out`.

    asked: task and phrase, where they are not the model's own.

    reference: as registry.find_version reads it, or a packaged model's folder, which needs no registry. Raises
    DataError for a picture that cannot be read (none is answered then) and RegistryError for a model that is not there.
    """
    for path in images:
        open_image(path)
    model = _load(reference)
    answers: list[dict[str, Any]] = _answers(model, [{"image": str(path)} | (asked or {}) for path in images])
    names = _names(images)
    return [
        {"image": str(path), "picture": str(_draw(path, answer, out / name))} | answer
        for path, name, answer in zip(images, names, answers, strict=True)
    ]


def _load(reference: str) -> Any:
    import mlflow

    packaged = (Path(reference) / "MLmodel").is_file()
    uri = reference if packaged else uri_of(find_version(connect(), reference))
    try:
        with explained():
            return mlflow.pyfunc.load_model(uri)
    except (mlflow.MlflowException, OSError) as error:
        said = " ".join(str(error).split())[:200]
        raise RegistryError(f"{reference} cannot be loaded ({said}); `lookout summary` names a version") from None
    except (ValueError, TypeError, ImportError, AttributeError) as error:
        said = " ".join(str(error).split())[:120]
        raise RegistryError(
            f"{reference} was registered by another version of Lookout ({said}); check out its commit, which "
            "`lookout trace` names"
        ) from error


def _answers(model: Any, rows: list[dict[str, str]]) -> list[dict[str, Any]]:
    from mlflow import MlflowException

    try:
        return model.predict(rows)
    except MlflowException as error:
        raise DataError(" ".join(str(error).split())[:200]) from None


def _names(images: Sequence[Path]) -> list[str]:
    """File names of the copies; a number in front where two pictures share one."""
    names = [f"{path.stem}.png" for path in images]
    return [name if names.count(name) == 1 else f"{place}-{name}" for place, name in enumerate(names)]


def _draw(path: Path, answer: dict[str, Any], target: Path) -> Path:
    from PIL import ImageDraw

    image = open_image(path)
    draw: Any = ImageDraw.Draw(image)
    width = max(1, round(max(image.size) / 300))
    for box, score in zip(answer["boxes"], answer["scores"], strict=True):
        draw.rectangle(box, outline=COLOUR, width=width)
        if score is not None and min(image.size) >= 200:  # on a smaller picture the number would hide the person
            draw.text((box[0] + width + 1, box[1] + width), f"{score:.2f}", fill=COLOUR)
    for x, y in answer.get("points", []):
        draw.ellipse((x - 2 * width, y - 2 * width, x + 2 * width, y + 2 * width), fill=COLOUR)
    with atomic_file(target) as partial:
        image.save(partial, "PNG")
    return target
