"""What stands under a picture, by task: the answer beside the truth, as that task deserves."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

from rapidfuzz.distance import Levenshtein

from components.core.reasons import why
from components.core.text import plain

Row = dict[str, Any]
Caption = Callable[[Row, Row, int], str]
"""(prompts' row, per_image's row, boxes said) -> HTML: what was said, and what it should have been."""
MOST_CHARS = 600
NEAR = 4
"""Agreement shorter than this between two differences is shown as part of them: single letters tell nothing."""


def counted(number: int, one: str, many: str) -> str:
    """1 person, 2 people."""
    return f"{number} {one if number == 1 else many}"


def _detect(sample: Row, image: Row, boxes: int) -> str:
    total = image["predicted_count"] + image["truth_count"]
    f1 = 2 * image["matched_count"] / total if total else 1.0
    return f"{counted(boxes, 'box', 'boxes')} for {_things(sample)}, F1 {f1:.2f}"


def _things(sample: Row) -> str:
    words = ("person", "people") if set(sample["truth_labels"]) <= {"person"} else ("thing", "things")
    return counted(len(sample["truth_boxes"]), *words)


def unread(reason: str, said: Row | None) -> str:
    """An answer that cannot be read: why, in words, and its text with the place marked."""
    about = f"unreadable ({html.escape(reason)}): {html.escape(why(reason))}"
    if said is None:
        return about
    place = f"from character {said['offset']} on" if said["after"].strip() else "at its end"
    return (
        f"{about}, {place}<br><code class='said' tabindex='0'>{html.escape(said['before'])}"
        f"<mark>{html.escape(said['after'])}</mark></code>"
    )


def _count(sample: Row, image: Row, boxes: int) -> str:
    del boxes
    return f"says {image['answer_count']}, {_number_meant(sample)}"


def _number_meant(sample: Row) -> str:
    return f"{sample['truth_count']} in truth ({html.escape(sample['phrase'] or 'things')})"


def _ground(sample: Row, image: Row, boxes: int) -> str:
    del boxes
    return f"{_sentence(sample)}, IoU {image['matched_iou_sum']:.2f}"


def _sentence(sample: Row) -> str:
    return f"“{html.escape(sample['phrase'] or '')}”"


def _read(sample: Row, image: Row, boxes: int) -> str:
    del boxes
    said, true = plain(image["answer_text"] or ""), plain(sample["truth_text"])
    distance = Levenshtein.distance(said, true)
    edits = f"{counted(distance, 'edit', 'edits')} of {max(len(said), len(true))}"
    return f"{edits}<br><span class='diff'>{diff(said, true)}</span>"


def _text_meant(sample: Row) -> str:
    return f"<span class='diff'>{diff('', plain(sample['truth_text']))}</span>"


CAPTIONS: dict[str, Caption] = {"detect": _detect, "count": _count, "ground": _ground, "read": _read}
MEANT: dict[str, Callable[[Row], str]] = {
    "detect": _things, "count": _number_meant, "ground": _sentence, "read": _text_meant,
}  # fmt: skip
"""task -> HTML: what a question is about, where the answer cannot be read."""


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
