"""What stands under a picture: the answer beside the truth, as its task deserves (report.tasks has the table)."""

from __future__ import annotations

import html
from collections.abc import Callable

from rapidfuzz.distance import Levenshtein

from components.core.reasons import why
from components.core.text import plain
from components.store.schemas.metrics import Unreadable
from components.store.schemas.prompts import PromptRow
from components.store.schemas.scores import PerImageRow

Caption = Callable[[PromptRow, PerImageRow, int], str]
"""(prompts' row, per_image's row, boxes said) -> HTML: what was said, and what it should have been."""
Meant = Callable[[PromptRow], str]
"""prompts' row -> HTML: what a question is about, where the answer cannot be read."""
MOST_CHARS = 600
NEAR = 4
"""Agreement shorter than this between two differences is shown as part of them: single letters tell nothing."""


def counted(number: int, one: str, many: str) -> str:
    """1 person, 2 people."""
    return f"{number} {one if number == 1 else many}"


def boxes_caption(sample: PromptRow, image: PerImageRow, boxes: int) -> str:
    """How many boxes were said of how many, and their F1."""
    total = image["predicted_count"] + image["truth_count"]
    f1 = 2 * image["matched_count"] / total if total else 1.0
    return f"{counted(boxes, 'box', 'boxes')} for {things_meant(sample)}, F1 {f1:.2f}"


def things_meant(sample: PromptRow) -> str:
    """How many people or things are to be found."""
    words = ("person", "people") if set(sample["truth_labels"]) <= {"person"} else ("thing", "things")
    return counted(len(sample["truth_boxes"]), *words)


def unread(reason: str, said: Unreadable | None) -> str:
    """An answer that cannot be read: why, in words, and its text with the place marked."""
    about = f"unreadable ({html.escape(reason)}): {html.escape(why(reason))}"
    if said is None:
        return about
    place = f"from character {said['offset']} on" if said["after"].strip() else "at its end"
    return (
        f"{about}, {place}<br><code class='said' tabindex='0'>{html.escape(said['before'])}"
        f"<mark>{html.escape(said['after'])}</mark></code>"
    )


def count_caption(sample: PromptRow, image: PerImageRow, boxes: int) -> str:
    """The count that was said beside the true one."""
    del boxes
    return f"says {image['answer_count']}, {number_meant(sample)}"


def number_meant(sample: PromptRow) -> str:
    """The true count, and of what."""
    return f"{sample['truth_count']} in truth ({html.escape(sample['phrase'] or 'things')})"


def sentence_caption(sample: PromptRow, image: PerImageRow, boxes: int) -> str:
    """The sentence, and how far the box overlaps the one that is meant."""
    del boxes
    return f"{sentence_meant(sample)}, IoU {image['matched_iou_sum']:.2f}"


def sentence_meant(sample: PromptRow) -> str:
    """The sentence."""
    return f"“{html.escape(sample['phrase'] or '')}”"


def text_caption(sample: PromptRow, image: PerImageRow, boxes: int) -> str:
    """How many edits away the text is, and where."""
    del boxes
    said, true = plain(image["answer_text"] or ""), plain(sample["truth_text"] or "")
    distance = Levenshtein.distance(said, true)
    edits = f"{counted(distance, 'edit', 'edits')} of {max(len(said), len(true))}"
    return f"{edits}<br><span class='diff'>{diff(said, true)}</span>"


def text_meant(sample: PromptRow) -> str:
    """The text, as what is missing."""
    return f"<span class='diff'>{diff('', plain(sample['truth_text'] or ''))}</span>"


def diff(said: str, true: str) -> str:
    """HTML: what was said and is right as it is, what was said and is wrong as <ins>, what is missing as <del>."""
    parts: list[str] = []
    wrong, missing = "", ""
    for step in Levenshtein.opcodes(said, true):
        here, there = said[step.src_start : step.src_end], true[step.dest_start : step.dest_end]
        if step.tag == "equal" and (len(here) >= NEAR or not (wrong or missing)):
            parts += [_marked("ins", wrong), _marked("del", missing), html.escape(here)]
            wrong, missing = "", ""
        else:
            wrong, missing = wrong + here, missing + there
        if sum(map(len, parts)) > MOST_CHARS * 4:
            parts.append(" …")
            break
    return "".join([*parts, _marked("ins", wrong), _marked("del", missing)])


def _marked(tag: str, text: str) -> str:
    return f"<{tag}>{html.escape(text[:MOST_CHARS])}</{tag}>" if text else ""
