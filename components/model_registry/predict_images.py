"""`lookout predict`: a registered model on pictures of one's own.

The pictures are read here and handed to the model as bytes: the model itself reads no path.
"""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from components.core.envelope import SURROGATE
from components.errors import DataError, ImageError, RegistryError
from components.model_registry.registry import connect, explained, find_version, package_folder, uri_of
from components.model_registry.verify import refuse_altered
from components.serving.drawn import draw_answer
from components.store.atomic import atomic_file
from components.store.image_files import decode_image, open_image, read_image_bytes

AT_ONCE = 16
MADE_BY = "lookout predict"
"""Stands in each copy: only such a file is replaced."""
LONGEST_STEM = 180
"""Bytes; most file systems take names of 255, and a file in the making has a longer one."""


def predict_images(
    reference: str, images: Sequence[Path], out: Path, asked: dict[str, str] | None = None
) -> list[dict[str, Any]]:
    """What the model says of each picture, and `picture`: the copy with its boxes and points in `out`.

    asked: task and phrase, where they are not the model's own.

    reference: as registry.find_version reads it, or a packaged model's folder, which needs no registry. Raises
    DataError for a picture that cannot be read or a copy that cannot be written (none is answered then) and
    RegistryError for a model that is not there.
    """
    for name, words in (asked or {}).items():
        if SURROGATE.search(words):
            raise DataError(f"--{name} {words!r} is no UTF-8, which the model cannot read; does the terminal write it?")
    for path in images:
        open_image(path)
    _check_folder(out)
    targets = [out / name for name in _names(images)]
    for target in targets:
        _check_target(target, images)
    model = _load(reference)
    answers: list[dict[str, Any]] = []
    for start in range(0, len(images), AT_ONCE):
        paths = images[start : start + AT_ONCE]
        contents = [read_image_bytes(path) for path in paths]
        found = _answers(model, [{"image_bytes": content} | (asked or {}) for content in contents])
        places = zip(paths, contents, targets[start:], found, strict=False)
        answers += [
            {"image": str(path), "picture": str(_draw(decode_image(content, str(path)), answer, target))} | answer
            for path, content, target, answer in places
        ]
    return answers


def _check_folder(out: Path) -> None:
    """Raises DataError where copies cannot be written there."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise DataError(f"{out} is a file, and --out wants a folder for the copies; name another") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{out} cannot be made for the copies ({error}); name another folder as --out") from None
    if not os.access(out, os.W_OK | os.X_OK):
        raise DataError(f"{out} cannot be written to, and the copies go there; name another folder as --out")


def _check_target(target: Path, images: Sequence[Path]) -> None:
    """Raises DataError where something stands there that is not a copy made by an earlier call."""
    from PIL import Image

    if not os.path.lexists(target):
        return
    try:
        with Image.open(io.BytesIO(read_image_bytes(target)), formats=["PNG"]) as image:
            made = image.info.get("Software", "")
    except (ImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # no picture of ours
        made = ""
    if made != MADE_BY or any(target.exists() and target.samefile(path) for path in images):
        raise DataError(f"{target} is there and is no copy that this command may replace; name another folder as --out")


def _load(reference: str) -> Any:
    import mlflow

    uri = reference
    if not (Path(reference) / "MLmodel").is_file():  # a version, whose statement says what may be loaded
        version = find_version(connect(), reference)
        uri = uri_of(version)
        refuse_altered(version, package_folder(version))
    try:
        with explained():
            # who asks at this machine waits as long as he likes
            return mlflow.pyfunc.load_model(uri, model_config={"most_seconds": 0})
    except (mlflow.MlflowException, OSError) as error:
        said = " ".join(str(error).split())[:200]
        raise RegistryError(f"{reference} cannot be loaded ({said}); `lookout summary` names a version") from None
    except (ValueError, TypeError, ImportError, AttributeError) as error:
        said = " ".join(str(error).split())[:120]
        raise RegistryError(
            f"{reference} was registered by another version of Lookout ({said}); check out its commit, which "
            "`lookout trace` names"
        ) from error


def _answers(model: Any, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    from mlflow import MlflowException

    try:
        return model.predict(rows)
    except MlflowException as error:
        raise DataError(" ".join(str(error).split())[:200]) from None


def _names(images: Sequence[Path]) -> list[str]:
    """File names of the copies, all different, in small letters too; a number in front where two pictures share one."""
    stems = [_short(path.stem) for path in images]
    shared = Counter(stem.casefold() for stem in stems)
    taken = {stem for stem, count in shared.items() if count == 1}
    names: list[str] = []
    for place, stem in enumerate(stems):
        name = stem
        while shared[stem.casefold()] > 1 and (name == stem or name.casefold() in taken):
            name = f"{place}-{name}"
        taken.add(name.casefold())
        names.append(f"{name}.png")
    return names


def _short(stem: str) -> str:
    """A stem that leaves room in a file's name."""
    written = os.fsencode(stem)
    return stem if len(written) <= LONGEST_STEM else written[:LONGEST_STEM].decode("utf-8", "ignore")


def _draw(image: Any, answer: dict[str, Any], target: Path) -> Path:
    from PIL import PngImagePlugin

    small = min(image.size) < 200  # on it the numbers would hide the people
    draw_answer(image, answer, () if small else answer["scores"])
    note = PngImagePlugin.PngInfo()
    note.add_text("Software", MADE_BY)
    try:
        with atomic_file(target) as partial:
            image.save(partial, "PNG", pnginfo=note)
    except OSError as error:
        raise DataError(
            f"{target} cannot be written ({error.strerror or error}); name another folder as --out"
        ) from None
    return target
