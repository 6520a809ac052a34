"""The checks on scenes and boxes, as Great Expectations suites over the tables with derived columns.

severity "critical" stops the pipeline; "warning" shows in the report.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from components.params import ValidateParams
from components.store.schemas import BOXES, SCENES
from components.store.tables import read_table

WHERE = "where"
Table = Any
"""A pandas DataFrame; pandas types its own methods too loosely for a checker to help."""


def load_tables(folder: Path) -> tuple[Table, Table]:
    """scenes and boxes of one dataset with the derived columns that the checks look at."""
    scenes = read_table(folder / "scenes.parquet", SCENES).to_pandas()
    boxes = read_table(folder / "boxes.parquet", BOXES).to_pandas()
    people = boxes[~boxes["ignore"]].groupby("scene_id").size()
    scenes["people"] = scenes["scene_id"].map(people).fillna(0).astype(int)
    scenes[WHERE] = scenes["annotation"] + " (" + scenes["image_path"] + ")"
    by_digest = scenes.dropna(subset=["sha256"]).groupby("sha256")["split"].nunique()
    scenes["splits_with_this_image"] = scenes["sha256"].map(by_digest).fillna(1).astype(int)
    return scenes, _with_derived(boxes, scenes)


def _with_derived(boxes: Table, scenes: Table) -> Table:
    place = scenes.drop_duplicates("scene_id").set_index("scene_id")[["annotation", "width_px", "height_px"]]
    boxes = boxes.join(place.add_prefix("image_"), on="scene_id")
    boxes[WHERE] = boxes["image_annotation"] + " box " + boxes["box_index"].astype(str)
    boxes["box_width_px"] = boxes["x2"] - boxes["x1"]
    boxes["box_height_px"] = boxes["y2"] - boxes["y1"]
    width, height = boxes["image_width_px"], boxes["image_height_px"]
    inside_x = boxes["x2"].clip(upper=width) - boxes["x1"].clip(lower=0)
    inside_y = boxes["y2"].clip(upper=height) - boxes["y1"].clip(lower=0)
    # an image of unknown size is in quarantine already: its boxes are not held against it
    unknown = width.isna()
    boxes["px_inside_image"] = np.minimum(inside_x, inside_y).where(~unknown, 1.0)
    boxes["leaves_image"] = (
        (boxes["x1"] < 0) | (boxes["y1"] < 0) | (boxes["x2"] > width) | (boxes["y2"] > height)
    ) & ~unknown
    seen_width = boxes["visible_x2"] - boxes["visible_x1"]
    seen_height = boxes["visible_y2"] - boxes["visible_y1"]
    whole = (boxes["box_width_px"] * boxes["box_height_px"]).replace(0, np.nan)
    boxes["visible_frac"] = seen_width * seen_height / whole
    corners = ["scene_id", "x1", "y1", "x2", "y2"]
    boxes["copies"] = boxes.groupby(corners)["box_index"].transform("size")
    return boxes


def scene_checks(params: ValidateParams) -> list[Any]:
    """Expectations on scenes, a row an image."""
    gxe: Any = import_module("great_expectations.expectations")

    return [
        gxe.ExpectTableRowCountToBeBetween(min_value=1, severity="critical", notes="the dataset holds images"),
        gxe.ExpectColumnValuesToBeUnique(column="scene_id", severity="critical", notes="an image ID stands once"),
        gxe.ExpectColumnValuesToBeNull(
            column="image_defect",
            mostly=1 - params.max_quarantined_frac,
            severity="critical",
            notes="images can be read; single bad ones go to quarantine up to validate.max_quarantined_frac",
        ),
        gxe.ExpectColumnValuesToBeBetween(
            column="splits_with_this_image",
            max_value=1,
            severity="critical",
            notes="no image stands in two splits",
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
            min_value=params.min_mean_people,
            max_value=params.max_mean_people,
            severity="warning",
            notes="mean people an image, as the dataset is known",
        ),
    ]


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
                column=name, min_value=0, strict_min=True, severity="critical", notes="a box has an area"
            )
            for name in ("box_width_px", "box_height_px")
        ],
        gxe.ExpectColumnValuesToBeBetween(
            column="px_inside_image",
            min_value=0,
            strict_min=True,
            severity="critical",
            notes="no box lies wholly outside its image (is this x1 y1 x2 y2 read as x y w h?)",
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
            column="copies", max_value=1, severity="warning", notes="no box stands twice"
        ),
    ]
