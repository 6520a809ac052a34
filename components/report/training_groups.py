"""Groups of completions from GRPO's training: where they disagreed, what each earned."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any

from components.core.completion import Answer
from components.report.gallery import Images, Picture, drawing
from components.store.samples import read_sample
from components.store.schemas import PROMPTS, ROLLOUTS
from components.store.tables import read_rows

MOST_GROUPS = 12
Row = dict[str, Any]


def groups_section(rollouts: Path, prompts: Path, shown: Images) -> str:
    """A section with a card a kept group, first to last step; empty where none was kept."""
    groups: dict[str, list[Row]] = {}
    for row in read_rows(rollouts, ROLLOUTS):
        groups.setdefault(row["group_id"], []).append(row)
    step = max(1, len(groups) // MOST_GROUPS)
    kept = list(groups.values())[::step][:MOST_GROUPS]
    wanted = {group[0]["sample_id"] for group in kept}
    samples = {row["sample_id"]: row for row in read_rows(prompts, PROMPTS) if row["sample_id"] in wanted}
    cards = "".join(_card(group, samples[group[0]["sample_id"]], shown) for group in kept)
    if not cards:
        return ""
    return (
        "<section><h2>Groups in training</h2><p class='note'>One image, all of its group's sampled answers on top of "
        "each other (thin), the truth (thick). The button above shows where they disagreed: what the looking reward "
        f"pays attention to.</p><div class='gallery'>{cards}</div></section>"
    )


def _card(group: list[Row], sample: Row, shown: Images) -> str:
    key = shown.key(Path(sample["image_path"]))
    if key is None or sample["tile"] is not None:
        return ""
    answers = [answer for row in group if isinstance(answer := read_sample(row["text"], sample), Answer)]
    boxes, look = ([box for one in answers for box in getattr(one, name).tolist()] for name in ("boxes", "look"))
    picture = Picture(
        sample["sample_id"], Path(sample["image_path"]), sample["width_px"], sample["height_px"], sample["truth_boxes"],
        sample["ignore_boxes"], boxes, look, None, None, 0.0, (), group[0]["disagreement"],
    )  # fmt: skip
    totals = [row["total"] for row in group]
    spoken = f"training group at step {group[0]['step']}: {len(answers)} readable answers of {len(group)}"
    layers = (("truth", picture.truth), ("look faint", look), ("answer faint", boxes))
    return (
        f"<article class='card'>{drawing(picture, key, spoken, layers)}<p><b>step {group[0]['step']}: rewards "
        f"{min(totals):.2f} to {max(totals):.2f}</b></p>"
        f"<p class='note'>{len(answers)} of {len(group)} answers readable; "
        f"{html.escape(sample['sample_id'])}</p></article>"
    )
