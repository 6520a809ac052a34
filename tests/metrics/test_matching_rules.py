"""The rules of matching and ignoring stand twice: for one answer in core, for all images at once in metrics."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.boxes import Boxes
from components.core.matching import Matches, candidate_ious, counted_predictions, in_ignore_region, match_optimal
from components.metrics.detection import Matcher, image_counts
from components.metrics.evaluation_set import Detections, evaluation_set
from components.metrics.pairs import covered
from tests.support.strategies import boxes, truth_of

LABELS = st.sampled_from(["person", " PERSON ", "rider"])
Image = tuple[Boxes, tuple[str, ...], Boxes, Boxes]


@st.composite
def images(draw: st.DrawFn) -> Image:
    """What was said of one image with its labels, the people, the ignore regions."""
    found = draw(boxes())
    return found, tuple(draw(LABELS) for _ in found), draw(boxes()), draw(boxes(max_count=3))


@given(st.lists(images(), min_size=1, max_size=4), st.sampled_from([0.05, 0.3, 0.5, 0.75]))
def test_all_images_at_once_are_matched_as_well_as_each_by_itself(given_images: list[Image], min_iou: float) -> None:
    truths = [truth_of(people, ignore) for _, _, people, ignore in given_images]
    said = [Detections(found, labels, np.ones(len(found))) for found, labels, _, _ in given_images]
    matched = Matcher(evaluation_set(said, truths)).at(min_iou)
    counts = image_counts(matched)
    start = 0
    for (found, labels, people, ignore), truth, count in zip(given_images, truths, counts, strict=True):
        alone = match_optimal(candidate_ious(found, labels, people, truth.labels), min_iou)
        assert count.iou_sum == pytest.approx(alone.iou.sum(), abs=1e-9)
        # equal totals may be made of other pairs: what counts is held to the pairs that were chosen
        own = slice(start, start + len(found))
        hits = np.flatnonzero(matched.partner[own] >= 0)
        chosen = Matches(hits, matched.partner[own][hits], matched.iou[own][hits])
        assert matched.counted[own].tolist() == counted_predictions(found, chosen, ignore).tolist()
        start += len(found)


@given(boxes(), boxes(max_count=3))
def test_a_box_is_in_an_ignore_region_by_the_same_share_of_its_own_area(found: Boxes, ignore: Boxes) -> None:
    places = [np.zeros(len(some), dtype=np.intp) for some in (found, ignore)]
    at_once = covered(found.astype(float), places[0], ignore.astype(float), places[1], 0.5)
    assert at_once.tolist() == in_ignore_region(found, ignore).tolist()
