"""The checks on scenes and boxes, as Great Expectations suites over the tables with derived columns.

severity "critical" stops the pipeline; "warning" shows in the report.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from components.core.boxes import visible_frac
from components.params.datasets import DatasetParams, ExpectedParams
from components.params.validate import ValidateParams
from components.quality.asked import add_asked
from components.quality.near_duplicates import add_near_duplicates
from components.store.schemas.ingested import ASKS, BOXES, SCENES
from components.store.tables import read_table

WHERE = "where"
LARGEST_NORMALISED = 2.0
MOST_ONES_A_TWO = 3
SAME_FILE = "rule same-file"
"""The leakage rule that `leakage: drop` enforces within a dataset, as quarantine and report name it."""
Table = Any
"""A pandas DataFrame; pandas types its own methods too loosely for a checker to help."""


def load_asks(folder: Path, scenes: Table, boxes: Table) -> Table:
    """asks of one dataset with the derived columns that the checks look at; empty for detection."""
    asks = read_table(folder / "asks.parquet", ASKS).to_pandas()
    sizes = scenes.drop_duplicates("scene_id").set_index("scene_id")[["width_px", "height_px"]]
    known = set(zip(boxes["scene_id"], boxes["box_index"], strict=True))
    asks = asks.join(sizes, on="scene_id")
    asks[WHERE] = asks["annotation"] + " question " + asks["ask_index"].astype(str)
    rows = asks.to_dict("records")
    asks["no_answer"] = [_no_answer(row, known) for row in rows]
    asks["other_number"] = [_other_number(row) for row in rows]
    asks["point_outside"] = [_point_outside(row) for row in rows]
    asks["same_question"] = asks.groupby(["scene_id", "phrase"], dropna=False)["ask_index"].transform("size")
    return asks


def _no_answer(row: dict[str, Any], boxes: set[tuple[str, int]]) -> str | None:
    if row["text"] is not None or not np.isnan(_number(row["count"])):
        return None
    place = _number(row["box_index"])
    if np.isnan(place):
        return "neither a count, a text nor a box"
    return None if (row["scene_id"], int(place)) in boxes else f"box {int(place)} is not there"


def _other_number(row: dict[str, Any]) -> str | None:
    points = row["points"]
    if points is None or len(points) == row["count"]:
        return None
    return f"{len(points)} points for a count of {row['count']:g}"


def _point_outside(row: dict[str, Any]) -> str | None:
    width, height = _number(row["width_px"]), _number(row["height_px"])
    for x, y in row["points"] if row["points"] is not None else ():
        if not (0 <= x <= width and 0 <= y <= height) and not np.isnan(width):
            return f"{x:g}, {y:g} in {width:g} x {height:g}"
    return None


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def load_tables(folder: Path, dataset: DatasetParams, labels: list[str], params: ValidateParams) -> tuple[Table, Table]:
    """scenes and boxes of one dataset with the derived columns that the checks look at."""
    scenes = read_table(folder / "scenes.parquet", SCENES).to_pandas()
    boxes = read_table(folder / "boxes.parquet", BOXES).to_pandas()
    add_asked(boxes, dataset, labels)
    people = boxes[boxes["asked"]].groupby("scene_id").size()
    scenes["people"] = scenes["scene_id"].map(people).fillna(0).astype(int)
    scenes[WHERE] = scenes["annotation"] + " (" + scenes["image_path"] + ")"
    scenes["leak"] = _leaks(scenes) if dataset.leakage == "drop" else None
    by_digest = scenes[scenes["leak"].isna()].dropna(subset=["sha256"]).groupby("sha256")["split"].nunique()
    scenes["splits_with_this_image"] = scenes["sha256"].map(by_digest).fillna(1).astype(int)
    stated = scenes[["stated_width_px", "stated_height_px"]]
    differs = (stated.to_numpy() != scenes[["width_px", "height_px"]].to_numpy()).any(axis=1)
    scenes["size_differs"] = differs & stated.notna().all(axis=1) & scenes["width_px"].notna()
    add_near_duplicates(scenes, params.near_duplicate_bits)
    boxes = _with_derived(boxes, scenes)
    _add_refusals(scenes, boxes)
    return scenes, boxes


def _leaks(scenes: Table) -> Table:
    """Why a training image is left out: its very file stands in val or test; null where it does not."""
    held_out = scenes[scenes["split"] != "train"].dropna(subset=["sha256"]).drop_duplicates("sha256")
    split = scenes["sha256"].map(held_out.set_index("sha256")["split"])
    reason = f"{SAME_FILE}: the same file stands in " + split
    return reason.where((scenes["split"] == "train") & split.notna(), None)


def _add_refusals(scenes: Table, boxes: Table) -> None:
    """refusal: why an image cannot be used, null where it can; the first reason that holds."""
    reasons = scenes["image_defect"].copy()
    wrong_size = (
        "stated as " + scenes["stated_width_px"].astype(str) + " x " + scenes["stated_height_px"].astype(str)
        + ", decoded as " + scenes["width_px"].astype(str) + " x " + scenes["height_px"].astype(str)
    )  # fmt: skip
    reasons = reasons.where(reasons.notna() | ~scenes["size_differs"], wrong_size)
    other = scenes["stated_sha256"].notna() & (scenes["stated_sha256"] != scenes["sha256"])
    reasons = reasons.where(reasons.notna() | ~other, "its bytes are not those whose SHA-256 the annotations state")
    impossible = boxes[boxes["impossible"].notna()].drop_duplicates("scene_id").set_index("scene_id")
    by_box = scenes["scene_id"].map("box " + impossible["box_index"].astype(str) + " " + impossible["impossible"])
    scenes["refusal"] = reasons.where(reasons.notna(), by_box)


def _with_derived(boxes: Table, scenes: Table) -> Table:
    place = scenes.drop_duplicates("scene_id").set_index("scene_id")[["annotation", "width_px", "height_px"]]
    boxes = boxes.join(place.add_prefix("image_"), on="scene_id")
    boxes[WHERE] = boxes["image_annotation"] + " box " + boxes["box_index"].astype(str)
    boxes["box_width_px"] = boxes["x2"] - boxes["x1"]
    boxes["box_height_px"] = boxes["y2"] - boxes["y1"]
    width, height = boxes["image_width_px"], boxes["image_height_px"]
    inside_x = boxes["x2"].clip(upper=width) - boxes["x1"].clip(lower=0)
    inside_y = boxes["y2"].clip(upper=height) - boxes["y1"].clip(lower=0)
    # an image of unknown size is refused already: its boxes are not held against it
    unknown = width.isna()
    boxes["px_inside_image"] = np.minimum(inside_x, inside_y).where(~unknown, 1.0)
    low, far_x, far_y = boxes[["x1", "y1"]].min(axis=1), boxes["x2"] - width, boxes["y2"] - height
    boxes["leaves_image"] = ((low < 0) | (far_x > 0) | (far_y > 0)) & ~unknown
    one, two = (((far_x == px) | (far_y == px)) & (low >= 1) for px in (1, 2))
    # people who walk out of the image leave it by two pixels as often as by one; those who count from 1 do not
    boxes["one_past_the_edge"] = one & (one.sum() > MOST_ONES_A_TWO * two.sum())
    boxes["looks_normalised"] = boxes[["x1", "y1", "x2", "y2"]].abs().max(axis=1) <= LARGEST_NORMALISED
    boxes["sides_away"] = np.maximum(np.maximum(-low, 0) / width, np.maximum(far_x / width, far_y / height)).fillna(0)
    sides = ("x1", "y1", "x2", "y2")
    boxes["visible_frac"] = visible_frac(
        *(boxes[[f"{of}{side}" for side in sides]].to_numpy(dtype=float) for of in ("visible_", ""))
    )
    beyond = [boxes["x1"] - boxes["visible_x1"], boxes["y1"] - boxes["visible_y1"]]
    beyond += [boxes["visible_x2"] - boxes["x2"], boxes["visible_y2"] - boxes["y2"]]
    boxes["visible_px_outside_full"] = np.maximum.reduce([part.fillna(0).to_numpy() for part in beyond])
    corners = ["scene_id", "x1", "y1", "x2", "y2"]
    boxes["copies"] = boxes.groupby(corners)["box_index"].transform("size")
    flat = (boxes["box_width_px"] <= 0) | (boxes["box_height_px"] <= 0)
    outside = ~flat & (boxes["px_inside_image"] <= 0)
    boxes["impossible"] = np.select([flat, outside], ["has no area", "lies wholly outside the image"], default="")
    boxes["impossible"] = boxes["impossible"].where(boxes["impossible"] != "", None)
    return boxes


def scene_checks(params: ValidateParams, expected: ExpectedParams) -> list[Any]:
    """Expectations on scenes, a row an image."""
    gxe: Any = import_module("great_expectations.expectations")

    return [
        gxe.ExpectTableRowCountToBeBetween(min_value=1, severity="critical", notes="the dataset holds images"),
        gxe.ExpectColumnValuesToBeUnique(column="scene_id", severity="critical", notes="an image ID stands once"),
        gxe.ExpectColumnValuesToBeNull(
            column="refusal",
            mostly=1 - params.max_quarantined_frac,
            severity="critical",
            notes="images can be used, with their boxes; single bad ones are refused, up to max_quarantined_frac",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="splits_with_this_image",
            max_value=1,
            severity="critical",
            notes="no image stands in two splits",
        ),
        gxe.ExpectColumnValuesToBeNull(
            column="near_duplicate",
            mostly=1 - params.max_near_duplicate_frac,
            severity="critical",
            notes="no image looks the same as one of another split, or is the next frame of its video",
        ),
        gxe.ExpectColumnValuesToBeInSet(
            column="exif_orientation",
            value_set=[1],
            severity="warning",
            notes="images are stored upright; turned ones are read upright, annotations must agree",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="people", max_value=params.max_people, severity="warning", notes="people in an image"
        ),
        gxe.ExpectColumnMeanToBeBetween(
            column="people",
            min_value=_first_of(expected.min_mean_people, params.min_mean_people),
            max_value=_first_of(expected.max_mean_people, params.max_mean_people),
            severity="warning",
            notes="people an image on average, within the limits for this dataset",
        ),
        *[
            gxe.ExpectColumnMeanToBeBetween(
                column=f"images_of_{split}",
                min_value=count,
                max_value=count,
                severity="critical",
                notes=f"the {split} split has as many images as the dataset's entry expects",
            )
            for split, count in expected.images.items()
        ],
    ]


def ask_checks() -> list[Any]:
    """Expectations on a dataset's own questions, a row each."""
    gxe: Any = import_module("great_expectations.expectations")

    return [
        gxe.ExpectColumnValuesToBeNull(column=column, severity="critical", notes=note)
        for column, note in (
            ("no_answer", "every question has its answer: a count, a text, or a box that is there"),
            ("other_number", "a count and its points agree"),
        )
    ] + [
        gxe.ExpectColumnValuesToBeNull(
            column="point_outside", severity="warning", notes="points lie inside their image (are they percentages?)"
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="same_question", max_value=1, severity="warning", notes="an image is asked a question once"
        ),
    ]


def _first_of(own: float | None, general: float) -> float:
    return general if own is None else own


def box_checks(params: ValidateParams) -> list[Any]:
    """Expectations on boxes, a row a box."""
    gxe: Any = import_module("great_expectations.expectations")

    return [
        *[
            gxe.ExpectColumnValuesToNotBeNull(column=name, severity="critical", notes="coordinates are numbers")
            for name in ("x1", "y1", "x2", "y2")
        ],
        *[
            gxe.ExpectColumnValuesToBeBetween(
                column=name, min_value=0, strict_min=True, severity="warning", notes="a box has an area"
            )
            for name in ("box_width_px", "box_height_px")
        ],
        gxe.ExpectColumnValuesToBeBetween(
            column="px_inside_image",
            min_value=0,
            strict_min=True,
            severity="warning",
            notes="no box lies wholly outside its image",
        ),
        gxe.ExpectColumnMeanToBeBetween(
            column="leaves_image",
            max_value=params.max_format_doubt_frac,
            severity="critical",
            notes="most boxes lie inside their images (if not, x1 y1 x2 y2 was read as x y w h)",
        ),
        gxe.ExpectColumnMeanToBeBetween(
            column="looks_normalised",
            max_value=params.max_format_doubt_frac,
            severity="critical",
            notes="coordinates are pixels (if not, they are shares of the sides, 0 to 1)",
        ),
        gxe.ExpectColumnMeanToBeBetween(
            column="one_past_the_edge",
            max_value=params.max_one_based_frac,
            severity="warning",
            notes="boxes end at the image's edge, not one pixel behind it (if not, they count from 1)",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="sides_away",
            max_value=params.max_sides_away,
            severity="critical",
            notes="no coordinate lies many image sides away (an integer that overflowed?)",
        ),
        gxe.ExpectColumnValuesToBeNull(
            column="unknown_word",
            severity="critical",
            notes="every word for a class is a prompt label, or in the dataset's classes:",
        ),
        gxe.ExpectColumnValuesToBeInSet(
            column="leaves_image",
            value_set=[False],
            mostly=1 - params.max_outside_frac,
            severity="warning",
            notes="boxes that leave the image; they are clipped for training, the raw box is kept",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="visible_frac", min_value=0, max_value=1, severity="warning", notes="visible share of a person"
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="visible_px_outside_full",
            max_value=0.5,
            severity="warning",
            notes="the visible box lies inside the full one",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="copies", max_value=1, severity="warning", notes="no box stands twice"
        ),
    ]
