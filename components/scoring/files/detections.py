"""`lookout score`: any detector's results against a COCO-style truth file, under every protocol."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from components.core.flags import WANTED, flag_of
from components.core.number_text import number_text
from components.errors import DataError
from components.metrics.evaluation_set import Annotated, EvaluationSet, Floats, Predicted, corners
from components.metrics.protocols import PROTOCOLS, RANKED, tie_shuffles
from components.metrics.thresholds import best_threshold
from components.sources.source import is_identity, shown, typed
from components.store.json_file import is_list, is_object, parse_json

Row = dict[str, Any]
Key = tuple[str, Any]
FLAGS = ("iscrowd", "ignore")
UNRANKED = "detection"
"""The protocol whose numbers depend on no score."""
NO_SCORE = "has no score, which ranks the boxes (--protocol detection without --min-score needs none)"
MOST_OUTSIDE = 0.5
"""A larger share of boxes that leave their image is a doubt about the file's form."""


def score_files(
    truth: Path,
    predictions: Path,
    protocol: str = "all",
    lenient: bool = False,
    shuffles: int = 20,
    min_score: float = 0.0,
) -> dict[str, Any]:
    """Tables by protocol; `tie_shuffles` where all scores are equal; `dropped`: what `lenient` left out, by reason.

    truth: COCO instances, whose annotations may carry ignore, iscrowd, vis_ratio or vis_bbox; predictions: COCO
    results, which need no score for the protocol `detection`. Boxes below `min_score` are left out and counted. Raises
    DataError with the first offender where the two do not fit.
    """
    ranked = protocol != UNRANKED or min_score > 0
    data, dropped, scored = _read(truth, predictions, lenient, ranked)
    warnings = [*_doubts(data.size_px, data.truth, "true"), *_doubts(data.size_px, data.found, "predicted")]
    all_boxes = len(data.found.order)
    data = replace(data, found=data.found.only(data.found.score >= min_score))
    chosen = PROTOCOLS if protocol == "all" else {protocol: PROTOCOLS[protocol]}
    tables: dict[str, Any] = {name: table for one in chosen.values() for name, table in one(data).items()}
    score = data.found.score
    constant = len(score) > 0 and bool((score == score[0]).all())
    tables["confidence"] = ("constant" if constant else "given") if scored else "none"
    if scored and UNRANKED in chosen:
        tables["best_threshold"] = best_threshold(data)
    if constant and shuffles and protocol in ("all", "coco", "crowdhuman"):
        tables["tie_shuffles"] = tie_shuffles(data, shuffles) | {"seeds": shuffles}
    counts = {
        "people": int((~data.truth.ignore).sum()), "ignored": int(data.truth.ignore.sum()),
        "boxes": len(data.found.order), "boxes_below_min_score": all_boxes - len(data.found.order),
    }  # fmt: skip
    return tables | counts | {"images": data.images, "warnings": warnings, "dropped": dict(dropped)}


def _doubts(sizes: Floats, boxes: Annotated | Predicted, whose: str) -> list[str]:
    """A line where most boxes leave their image."""
    beyond = boxes.xyxy[:, 2:] > sizes[boxes.image] + 1
    share = float((beyond | (boxes.xywh[:, :2] < -1)).any(axis=1).mean()) if len(beyond) else 0.0
    if share <= MOST_OUTSIDE:
        return []
    return [
        f"{100 * share:.0f} % of the {whose} boxes leave their image; are they x1 y1 x2 y2? COCO's are x y width height"
    ]


def table(scores: dict[str, Any]) -> str:
    """The same in lines for a terminal; a dash for what is undefined."""
    below, best = scores["boxes_below_min_score"], scores.get("best_threshold")
    lines = [
        f"{scores['images']} images, {scores['people']} people and {scores['ignored']} ignore regions, "
        f"{scores['boxes']} boxes{f' ({below} below --min-score)' if below else ''}, confidences {scores['confidence']}"
    ]
    lines += [f"warning: {one}" for one in scores["warnings"]]
    if best is not None:
        lines.append(
            f"F1 at .5 counts every box; it is best, {best['f1']:.4f}, for boxes of {best['threshold']:.4g} and more "
            "(--min-score leaves the others out)"
        )
    lines += [f"dropped: {count} {reason}" for reason, count in scores["dropped"].items()]
    for name, numbers in scores.items():
        if name == "tie_shuffles":
            lines.append(f"{numbers['seeds']} random orders among equal scores, mean and sd")
            pairs = ((key, value) for key, value in numbers.items() if key != "seeds")
            lines += [f"  {key:<24}{value['mean']:.4f}  {value['sd']:.4f}" for key, value in pairs]
        elif name in (*RANKED, UNRANKED):
            lines.append(name)
            lines += [f"  {key:<24}{number_text(value, 4)}" for key, value in numbers.items()]
    return "\n".join(lines)


def read_evaluation_set(truth: Path, predictions: Path, lenient: bool = False) -> tuple[EvaluationSet, Counter[str]]:
    """The two files, checked, and how many rows `lenient` dropped for which reason. Raises DataError."""
    data, dropped, _ = _read(truth, predictions, lenient, True)
    return data, dropped


def _read(truth: Path, predictions: Path, lenient: bool, ranked: bool) -> tuple[EvaluationSet, Counter[str], bool]:
    """The same, and whether every prediction has a score; `ranked`: it must have one."""
    content, results = _load(truth), _load(predictions)
    if not is_object(content) or not all(is_list(content.get(key)) for key in ("images", "annotations", "categories")):
        raise DataError(f"{truth} is no COCO file; want an object with the lists images, annotations and categories")
    if not is_list(results):
        raise DataError(f"{predictions} holds {type(results).__name__}; want COCO results, a list of objects")
    if not content["images"]:
        raise DataError(f"{truth} names no image; there is nothing to score")
    checks = _Checks(lenient)
    images = list(checks.sound(content["images"], truth, "images", _image_fault(set())))
    images.sort(key=lambda row: (type(row["id"]).__name__, row["id"]))  # by id, as COCO's own evaluation
    places = {row["id"]: place for place, row in enumerate(images)}
    categories = list(checks.sound(content["categories"], truth, "categories", _category_fault(set())))
    labels = {row["id"]: number for number, row in enumerate(categories)}
    people = list(checks.sound(content["annotations"], truth, "annotations", _annotation_fault(places, labels, set())))
    found = list(checks.sound(results, predictions, "predictions", _prediction_fault(places, labels, ranked)))
    sizes = np.array([[row["width"], row["height"]] for row in images], dtype=float).reshape(-1, 2)
    names = tuple(str(row.get("name", row["id"])) for row in categories)
    data = EvaluationSet(sizes, names, _annotated(people, places, labels), _predicted(found, places, labels))
    return data, checks.dropped, all(row.get("score") is not None for row in found)


def _load(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read ({error}); want a JSON file") from None
    if not text.strip():
        raise DataError(f"{path} is empty; want JSON (a detector that found nothing writes [])")
    return parse_json(text, str(path), "is it cut, or another file?")


class _Checks:
    """Hands on the sound rows; the first that is not raises, or all that are not are counted."""

    def __init__(self, lenient: bool) -> None:
        self.lenient = lenient
        self.dropped: Counter[str] = Counter()

    def sound(self, rows: list[Any], path: Path, kind: str, fault: Callable[[Row], str | None]) -> Iterator[Row]:
        first, count = "", 0
        for place, row in enumerate(rows):
            reason = fault(row) if is_object(row) else "is no object"
            if reason is None:
                yield row
                continue
            count += 1
            self.dropped[f"{kind}: {reason.split(':')[0]}"] += 1
            first = first or f"{kind}[{place}] {reason}"
        if count and not self.lenient:
            raise DataError(f"{path}: {first}; {count} of {len(rows)} {kind} cannot be used (--lenient drops them)")


def _image_fault(seen: set[Key]) -> Callable[[Row], str | None]:
    def fault(row: Row) -> str | None:
        repeated = _identity_fault(row, seen)
        if repeated:
            return repeated
        sides = row.get("width"), row.get("height")
        good = all(_finite(side) and side > 0 for side in sides)  # CrowdHuman clips boxes to the image
        return None if good else f"has no size in numbers: width and height are {typed(sides[0])} and {typed(sides[1])}"

    return fault


def _category_fault(seen: set[Key]) -> Callable[[Row], str | None]:
    return lambda row: _identity_fault(row, seen)


def _annotation_fault(images: Row, labels: Row, seen: set[Key]) -> Callable[[Row], str | None]:
    def fault(row: Row) -> str | None:
        visible, area = row.get("vis_ratio"), row.get("area")
        return (
            _identity_fault(row, seen)
            or _place_fault(row, images, labels)
            or _box_fault(row.get("bbox"), "bbox")
            or (_box_fault(row["vis_bbox"], "vis_bbox") if row.get("vis_bbox") is not None else None)
            or next((fault for key in FLAGS if (fault := _flag_fault(key, row.get(key)))), None)
            or (None if visible is None else _number_fault("vis_ratio", visible, 1))
            or (None if area is None else _number_fault("area", area, math.inf))
        )

    return fault


def _flag_fault(key: str, value: Any) -> str | None:
    return f"has the flag {key}, which is not {WANTED}: {typed(value)}" if flag_of(value) is None else None


def _a(name: str) -> str:
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


def _number_fault(name: str, value: Any, most: float) -> str | None:
    """A number from 0 to `most` is wanted."""
    if not _finite(value):
        return f"has {_a(name)} that is no number: {typed(value)}"
    if 0 <= value <= most:
        return None
    return f"has {_a(name)} below 0: {value}" if math.isinf(most) else f"has {_a(name)} outside 0 to {most:g}: {value}"


def _prediction_fault(images: Row, labels: Row, ranked: bool) -> Callable[[Row], str | None]:
    def fault(row: Row) -> str | None:
        score = row.get("score")
        return (
            _place_fault(row, images, labels)
            or _box_fault(row.get("bbox"), "bbox")
            or ((NO_SCORE if ranked else None) if score is None else _number_fault("score", score, 1))
        )

    return fault


def _identity_fault(row: Row, seen: set[Key]) -> str | None:
    identity = row.get("id")
    if not is_identity(identity):
        return f"has no id: {shown(identity)}"
    if ("id", identity) in seen:
        return f"repeats an id: {typed(identity)}"
    seen.add(("id", identity))
    return None


def _place_fault(row: Row, images: Row, labels: Row) -> str | None:
    for key, known, kind in (("image_id", images, "image"), ("category_id", labels, "category")):
        value = row.get(key)
        if not is_identity(value) or value not in known:
            other = next(iter(known), None)
            kinds = "" if isinstance(other, str) == isinstance(value, str) else f", the truth has {typed(other)}"
            return f"names an unknown {kind}: {key} {typed(value)}{kinds}"
    return None


def _box_fault(box: Any, name: str) -> str | None:
    if not is_list(box) or len(box) != 4 or not all(_finite(value) for value in box):
        return f"has no {name} of four finite numbers: {shown(box)}"
    return f"has a {name} of negative size: {box}" if box[2] < 0 or box[3] < 0 else None


def _finite(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _annotated(rows: list[Row], places: Row, labels: Row) -> Annotated:
    rows = sorted(rows, key=lambda row: places[row["image_id"]])  # stable: the file's order within an image
    xywh = _boxes(rows)
    crowd, marked = (np.array([flag_of(row.get(key)) for row in rows], dtype=bool) for key in FLAGS)
    ignore = crowd | marked
    area = np.array([_area(row) for row in rows], dtype=float)
    visible = np.array([_visible(row) for row in rows], dtype=float)
    image, label = _column(rows, "image_id", places), _column(rows, "category_id", labels)
    return Annotated(corners(xywh), xywh, image, label, ignore, crowd, area, visible)


def _area(row: Row) -> float:
    """COCO's own area, which for masks is not the box's; the box's where it is not there."""
    return float(row["bbox"][2] * row["bbox"][3] if row.get("area") is None else row["area"])


def _visible(row: Row) -> float:
    """vis_ratio, or the visible box's share of the whole one; 1 where neither is there."""
    if row.get("vis_ratio") is not None:
        return float(row["vis_ratio"])
    seen, whole = row.get("vis_bbox"), row["bbox"][2] * row["bbox"][3]
    return min(1.0, seen[2] * seen[3] / whole) if seen is not None and whole > 0 else 1.0


def _predicted(rows: list[Row], places: Row, labels: Row) -> Predicted:
    image = _column(rows, "image_id", places)
    order = np.argsort(image, kind="stable")
    score = np.array([1.0 if row.get("score") is None else row["score"] for row in rows], dtype=float)
    xywh = _boxes(rows)
    columns: tuple[Any, ...] = (corners(xywh), xywh, image, _column(rows, "category_id", labels), score)
    return Predicted(*(column[order] for column in columns), order=order)


def _boxes(rows: list[Row]) -> Floats:
    return np.array([row["bbox"] for row in rows], dtype=float).reshape(-1, 4)


def _column(rows: list[Row], key: str, numbers: Row) -> Any:
    return np.array([numbers[row[key]] for row in rows], dtype=np.intp)
