"""Which images a gallery shows, what counts as looking well, how the heat is drawn, and the budget of bytes."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
from PIL import Image

from components.core.envelope import FailureReason
from components.core.reasons import WORDS, around
from components.report.captions import unread
from components.report.detection import subset_people
from components.report.gallery import Images, Picture, card, chosen, heat_uri, looked_well
from components.report.plots import Line, chart
from components.report.tables import crowd


def quarter() -> bytes:
    """Disagreement 1 in the upper left quarter of a 4 x 4 grid."""
    values = np.zeros((4, 4), dtype=np.float16)
    values[:2, :2] = 1
    return values.tobytes()


def test_looking_where_answers_disagree_is_well_and_looking_everywhere_is_not() -> None:
    assert looked_well([[0, 0, 40, 30]], quarter(), 80, 60)  # Dice 1
    assert looked_well([[0, 0, 80, 30]], quarter(), 80, 60)  # 2 * 4 / (4 + 8) = .67
    assert not looked_well([[0, 0, 80, 60]], quarter(), 80, 60)  # 2 * 4 / (4 + 16) = .4
    assert looked_well([[0, 0, 20, 30]], quarter(), 80, 60)  # 2 * 2 / (4 + 2) = .67
    assert not looked_well([[0, 0, 10, 60]], quarter(), 80, 60)  # half cells, as the reward has it: 2 * 1 / (4 + 2)
    assert not looked_well([[40, 30, 80, 60]], quarter(), 80, 60)
    assert not looked_well([], quarter(), 80, 60)
    assert not looked_well([[0, 0, 40, 30]], None, 80, 60)
    assert not looked_well([[0, 0, 40, 30]], bytes(32), 80, 60)  # nobody disagrees


def test_the_heat_is_transparent_where_all_agree() -> None:
    png = base64.b64decode(heat_uri(quarter()).split(",")[1])
    alpha = np.asarray(Image.open(io.BytesIO(png)))[..., 3]
    assert (alpha[:2, :2] > 150).all()
    assert alpha.sum() == alpha[:2, :2].sum()


def picture(number: int, f1: float, *kinds: str) -> Picture:
    return Picture(f"s{number}", Path("x"), 8, 8, [], [], [], [], None, f1, kinds)


def test_the_gallery_is_worst_first_and_keeps_a_quarter_for_those_that_looked_well() -> None:
    pictures = [picture(n, n / 100, *(["looked-well"] if n > 90 else [])) for n in range(100)]
    names = [one.sample_id for one in chosen(pictures[::-1], 8)]
    assert names == ["s0", "s1", "s2", "s3", "s4", "s5", "s91", "s92"]
    plain = [picture(n, n / 100) for n in range(100)]
    assert [one.sample_id for one in chosen(plain, 4)] == ["s0", "s1", "s2", "s3"]
    assert len(chosen(plain[:3], 8)) == 3


def test_an_image_stands_once_in_the_page_and_the_budget_holds(tmp_path: Path) -> None:
    for name in ("a", "b"):
        Image.effect_noise((64, 64), 80).convert("RGB").save(tmp_path / f"{name}.png")
    images = Images(10_000)
    assert images.key(tmp_path / "a.png") == images.key(tmp_path / "a.png") == "i0"
    used = len(images.uris["i0"])
    assert images.left == 10_000 - used
    small = Images(used)
    assert small.key(tmp_path / "a.png") == "i0"
    assert small.key(tmp_path / "b.png") is None
    assert small.key(tmp_path / "a.png") == "i0"
    assert images.fits("x" * 100)
    assert images.left == 10_000 - used - 100
    assert not images.fits("x" * 10_000)


def test_boxes_of_several_kinds_say_what_they_are_and_others_do_not() -> None:
    boxes = {"truth": [[0, 0, 4, 4]], "answer": [[0, 0, 4, 4], [4, 4, 8, 8]]}
    kinds = replace(picture(1, 0.5), **boxes, truth_labels=["car"], answer_labels=["ball", "<b>"])
    shown = card(kinds, "i0")
    assert shown.count("class='word truth'>car<") == shown.count("class='word answer'>ball<") == 1
    assert "class='word answer'>&lt;b&gt;<" in shown
    assert "class='word" not in card(replace(picture(1, 0.5), **boxes), "i0")


def test_a_chart_without_a_point_says_why() -> None:
    assert "not logged" in chart("KL", [Line("grpo", [])], "step")
    page = chart("F1 by height", [Line("grpo", [])], "px", empty="every group lacks either people or boxes")
    assert "every group lacks either people or boxes" in page
    assert "not logged" not in page


def test_the_subsets_of_the_crowd_table_say_how_many_people_they_have() -> None:
    sample = {"task": "detect", "truth_boxes": [[0, 0, 20, 60], [0, 0, 20, 60], [0, 0, 9, 30]],
              "truth_visible_frac": [1.0, 0.5, 1.0]}  # fmt: skip
    people = subset_people([sample, {"task": "count"}])
    assert people == {"Reasonable": 1, "Small": 1, "Heavy": 1, "All": 3}
    assert "Heavy <small>1 people</small>" in crowd({"grpo": {}}, people)


def test_an_unreadable_answer_shows_why_in_words_and_its_text_with_the_place_marked() -> None:
    before, after = around("<answer><b>nobody</answer>", 8)
    caption = unread("bad_json", {"reason": "bad_json", "offset": 8, "before": before, "after": after})
    assert caption.startswith("unreadable (bad_json): what stands in a tag is not the JSON that was asked for")
    assert ", from character 8 on<br>" in caption
    assert "&lt;answer&gt;<mark>&lt;b&gt;nobody&lt;/answer&gt;</mark>" in caption


def test_every_reason_has_words_and_a_long_text_is_cut_on_both_sides() -> None:
    assert set(WORDS) == set(get_args(FailureReason))
    before, after = around("a" * 1000 + "b" * 1000, 1000)
    assert (before, after) == ("..." + "a" * 200, "b" * 200 + "...")
    assert around("abc", 9) == ("abc", "")
