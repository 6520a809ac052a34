"""Groups of completions from GRPO's training: where they disagreed, what each earned."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from components.core.completion import Answer, ParseFailure
from components.core.grammars import AnyParsed
from components.core.grammars.answers import CountAnswer, TextAnswer
from components.report.gallery import Images, Picture, drawing
from components.report.tasks import TASK_PAGES
from components.store.samples import read_sample
from components.store.schemas.prompts import PROMPTS, PromptRow
from components.store.schemas.rollouts import ROLLOUTS, RolloutRow
from components.store.tables import read_rows

MOST_GROUPS = 12
MOST_CHARS = 120
"""Of each text that was said."""


def groups_section(rollouts: Path, prompts: Path, shown: Images) -> str:
    """A section with a card a kept group, first to last step; empty where none was kept."""
    groups: dict[str, list[RolloutRow]] = {}
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


def _card(group: list[RolloutRow], sample: PromptRow, shown: Images) -> str:
    key = shown.key(Path(sample["image_path"]))
    if key is None or sample["tile"] is not None:
        return ""
    parsed = [read_sample(row["text"], sample) for row in group]
    answers = [one for one in parsed if not isinstance(one, ParseFailure)]
    boxes = [box for one in answers if isinstance(one, Answer) for box in one.boxes.tolist()]
    look = [box for one in answers for box in one.look.tolist()]
    points = [one.points for one in answers if isinstance(one, CountAnswer) and one.points is not None]
    picture = Picture(
        sample["sample_id"], Path(sample["image_path"]), sample["width_px"], sample["height_px"], sample["truth_boxes"],
        sample["ignore_boxes"], boxes, look, None, 0.0, (), group[0]["disagreement"],
        truth_points=sample["truth_points"] or [], answer_points=[point for one in points for point in one.tolist()],
    )  # fmt: skip
    totals = [row["total"] for row in group]
    spoken = f"training group at step {group[0]['step']}: {len(answers)} readable answers of {len(group)}"
    meant = TASK_PAGES[sample["task"]].meant(sample)
    layers = (("truth", picture.truth), ("look faint", look), ("answer faint", boxes))
    return (
        f"<article class='card'>{drawing(picture, key, spoken, layers)}<p><b>step {group[0]['step']}: rewards "
        f"{min(totals):.2f} to {max(totals):.2f}</b></p><p>{meant}</p>{_said(answers)}"
        f"<p class='note'>{len(answers)} of {len(group)} answers readable; "
        f"{html.escape(sample['sample_id'])}</p></article>"
    )


def _said(answers: Sequence[AnyParsed]) -> str:
    """HTML: what a group's counts or texts were and how often each, the most frequent first; nothing of boxes."""
    said = Counter(
        one.text.strip() if isinstance(one, TextAnswer) else str(one.count)
        for one in answers
        if isinstance(one, TextAnswer | CountAnswer)
    )
    shown = ", ".join(f"<q>{html.escape(text[:MOST_CHARS])}</q> × {count}" for text, count in said.most_common())
    return f"<p>{shown}</p>" if shown else ""
