"""What a validation shows of the images: some of each split with their boxes as read, and near duplicates in pairs."""

from __future__ import annotations

import csv
import html
from pathlib import Path
from typing import Any

from components.quality.pictures import AS_READ, AT_FAULT, IGNORED, Box, thumbnail

MOST_FRAMES = 24
"""A split."""
MOST_PAIRS = 12
FRAME_PX = 220
NEAR_DUPLICATES = "near_duplicates.csv"
ODD = ("leaves_image", "one_past_the_edge")
Table = Any
"""A pandas DataFrame."""


def frames(root: Path, scenes: Table, boxes: Table, out: Path) -> str:
    """The part of the page with pictures; writes every near duplicate to `out`/near_duplicates.csv."""
    of_scene = dict(list(boxes.groupby("scene_id")))
    parts = _pairs(root, scenes, of_scene, out)
    colours = "Green: a box as it was read. Blue: to be ignored. Red: it has no area, or lies outside."
    parts += f"<h2>What it looks like</h2><p>Refused and odd images first. {colours}</p>"
    for split in scenes["split"].unique():
        chosen = _chosen(scenes[scenes["split"] == split], boxes)
        shown = "".join(_figure(root, row, of_scene.get(row["scene_id"])) for row in chosen.to_dict("records"))
        parts += f"<h3>{html.escape(split)}: {len(chosen)} of {int((scenes['split'] == split).sum())}</h3>"
        parts += f'<div class="frames">{shown}</div>'
    return parts


def _chosen(scenes: Table, boxes: Table) -> Table:
    """At most MOST_FRAMES: half of them refused and odd where there are such, the others spread over the split."""
    odd_ids = set(boxes.loc[boxes[list(ODD)].any(axis=1) | (boxes["copies"] > 1), "scene_id"])
    refused: Any = scenes["refusal"].notna() | scenes["near_duplicate"].notna()
    odd: Any = scenes["scene_id"].isin(odd_ids) & ~refused
    first = scenes.loc[[*scenes.index[refused], *scenes.index[odd]][: MOST_FRAMES // 2]]
    rest = scenes.drop(first.index)
    left = MOST_FRAMES - len(first)
    spread = rest.iloc[:: max(1, -(-len(rest) // left))] if len(rest) else rest
    return scenes.loc[[*first.index, *spread.index[:left]]]


def _figure(root: Path, row: dict[str, Any], boxes: Table | None) -> str:
    picture = thumbnail(root / row["image_path"], root, _coloured(boxes), FRAME_PX)
    count = 0 if boxes is None else len(boxes)
    said = f"{row['image_path']}: {count} boxes"
    reason = row["refusal"] or row["near_duplicate"]
    said += f"; {reason}" if isinstance(reason, str) else ""
    image = f"<img src='{picture}' alt='{html.escape(said)}'>" if picture else "<p>no picture</p>"
    return f"<figure class='frame'>{image}<figcaption>{html.escape(said)}</figcaption></figure>"


def _coloured(boxes: Table | None) -> list[tuple[Box, str]]:
    if boxes is None:
        return []
    return [
        ((row["x1"], row["y1"], row["x2"], row["y2"]), _colour(row))
        for row in boxes[["x1", "y1", "x2", "y2", "impossible", "ignore"]].to_dict("records")
    ]


def _colour(row: dict[str, Any]) -> str:
    if isinstance(row["impossible"], str):
        return AT_FAULT
    return IGNORED if row["ignore"] else AS_READ


def _pairs(root: Path, scenes: Table, of_scene: dict[str, Table], out: Path) -> str:
    alike = scenes[scenes["near_duplicate"].notna()]
    with (out / NEAR_DUPLICATES).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["split", "image", "other_split", "other_image", "bits_of_256_that_differ"])
        for row in alike.to_dict("records"):
            other = scenes.iloc[row["near_duplicate_place"]]
            bits = row["near_duplicate_bits"]
            writer.writerow([row["split"], row["image_path"], other["split"], other["image_path"], bits])
    if not len(alike):
        return ""
    shown = ""
    for row in alike.head(MOST_PAIRS).to_dict("records"):
        other = scenes.iloc[row["near_duplicate_place"]].to_dict()
        pair = [_figure(root, one, of_scene.get(one["scene_id"])) for one in (row, other)]
        shown += f'<div class="pair">{"".join(pair)}</div>'
    return (
        f"<h2>Alike in two splits ({len(alike)})</h2><p>The first {min(len(alike), MOST_PAIRS)}; all of them stand in "
        f'<a href="{NEAR_DUPLICATES}">{NEAR_DUPLICATES}</a>.</p>{shown}'
    )
