"""Numbers held to pycocotools, by hand, and at the edges."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest

from components.core.boxes import as_boxes
from components.core.scene import Truth
from components.metrics.coco import (
    NAMES,
    category_ids,
    coco_metrics,
    coco_results,
    coco_truth,
    precision_recall_curve,
)
from components.metrics.counting import count_errors
from components.metrics.detection import (
    Detections,
    ImageCounts,
    count_image,
    f1_by_iou,
    f1_gain_interval,
    f1_interval,
    pooled,
)


def random_case(seed: int, images: int = 12) -> tuple[list[Detections], list[Truth]]:
    random = np.random.default_rng(seed)
    found, truths = [], []
    for _ in range(images):
        xy = random.uniform(0, 500, (random.integers(0, 12), 2))
        people = as_boxes(np.concatenate([xy, xy + random.uniform(4, 150, xy.shape)], axis=1))
        jitter = as_boxes(people + random.normal(0, 6, people.shape)) if len(people) else people
        scores = random.uniform(size=len(jitter)).round(2)
        ignore = as_boxes([[0, 0, 100, 100]] if random.uniform() < 0.3 else [])
        truths.append(Truth(people, ("person",) * len(people), ignore, 640, 640))
        found.append(Detections(jitter, ("person",) * len(jitter), scores))
    return found, truths


def pycocotools_stats(found: list[Detections], truths: list[Truth], most: int) -> list[float]:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    labels = category_ids(truths, found)
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = coco_truth(truths, labels)
        coco.createIndex()
        evaluator = COCOeval(coco, coco.loadRes(coco_results(found, labels)), "bbox")
        evaluator.params.maxDets = [1, 10, most]
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return [None if value < 0 else float(value) for value in evaluator.stats]


@pytest.mark.parametrize("seed", range(4))
def test_coco_equals_pycocotools(seed: int) -> None:
    found, truths = random_case(seed)
    ours, theirs = coco_metrics(found, truths), pycocotools_stats(found, truths, 100)
    assert list(ours) == [name.format(most=100) for name in NAMES]
    for mine, reference in zip(ours.values(), theirs, strict=True):
        assert mine == (None if reference is None else pytest.approx(reference, abs=1e-9))


def test_a_crowd_of_150_is_cut_at_100_and_whole_at_500() -> None:
    corners = np.array([[20 * (i % 15), 20 * (i // 15)] for i in range(150)])
    people = as_boxes(np.concatenate([corners, corners + 15], axis=1))
    truth = Truth(people, ("person",) * 150, as_boxes([]), 400, 400)
    found = Detections(people, ("person",) * 150, np.ones(150))
    assert coco_metrics([found], [truth])["AP"] == pytest.approx(0.663, abs=1e-3)
    assert coco_metrics([found], [truth], 500)["AP"] == pytest.approx(1.0)


def test_nothing_found_is_zero_and_nothing_to_find_is_undefined() -> None:
    nothing = Detections(as_boxes([]), (), np.zeros(0))
    person, empty = (
        Truth(as_boxes([[0, 0, 9, 9]]), ("person",), as_boxes([]), 64, 64),
        Truth(as_boxes([]), (), as_boxes([]), 64, 64),
    )
    assert coco_metrics([nothing], [person])["AP"] == 0.0
    assert coco_metrics([nothing], [empty])["AP"] is None
    assert precision_recall_curve([nothing], [person])[:, 1].sum() == 0
    assert pooled([count_image(nothing, empty, 0.5)]) == {"precision": None, "recall": None, "f1": None}


def test_a_label_that_only_the_model_uses_costs_precision() -> None:
    truth = Truth(as_boxes([[0, 0, 9, 9]]), ("person",), as_boxes([]), 64, 64)
    boxes = as_boxes([[0, 0, 9, 9], [20, 20, 40, 40]])
    found = Detections(boxes, ("person", "dog"), np.ones(2))
    assert pooled([count_image(found, truth, 0.5)])["precision"] == 0.5


def test_a_label_that_only_the_model_uses_does_not_halve_the_curve() -> None:
    person = Truth(as_boxes([[0, 0, 9, 9]]), ("person",), as_boxes([]), 64, 64)
    found = Detections(as_boxes([[0, 0, 9, 9], [20, 20, 40, 40]]), ("person", "dog"), np.ones(2))
    assert coco_metrics([found], [person])["AP"] == pytest.approx(1.0)
    assert precision_recall_curve([found], [person])[:, 1].mean() == pytest.approx(1.0)


def test_pooling_counts_boxes_and_not_images() -> None:
    one = Truth(as_boxes([[0, 0, 9, 9]]), ("person",), as_boxes([]), 64, 64)
    three = Truth(as_boxes([[0, 0, 9, 9], [20, 0, 29, 9], [40, 0, 49, 9]]), ("person",) * 3, as_boxes([]), 64, 64)
    right = Detections(one.boxes, ("person",), np.ones(1))
    nothing = Detections(as_boxes([]), (), np.zeros(0))
    counts = [count_image(right, one, 0.5), count_image(nothing, three, 0.5)]
    assert pooled(counts) == {"precision": 1.0, "recall": 0.25, "f1": 0.4}


def test_f1_falls_with_the_threshold() -> None:
    truth = Truth(as_boxes([[0, 0, 10, 10]]), ("person",), as_boxes([]), 64, 64)
    found = Detections(as_boxes([[0, 0, 10, 7]]), ("person",), np.ones(1))
    scores = f1_by_iou([found], [truth])
    assert scores[0.5] == 1.0
    assert scores[0.75] == 0.0


def test_the_interval_holds_the_pooled_value_and_widens_with_fewer_images() -> None:
    found, truths = random_case(1, images=40)
    counts = [count_image(one, truth, 0.5) for one, truth in zip(found, truths, strict=True)]
    low, high = f1_interval(counts, 500, seed=0) or (0, 0)
    assert low < (pooled(counts)["f1"] or 0) < high
    few_low, few_high = f1_interval(counts[:8], 500, seed=0) or (0, 0)
    assert few_high - few_low > high - low


def drawn_counts(random: np.random.Generator, images: int, gain: float) -> tuple[list[ImageCounts], list[ImageCounts]]:
    """Two models on the same images, hard ones hard for both; every one predicts as many boxes as there are people."""
    before, after = [], []
    for people, ease in zip(random.integers(1, 7, images), random.uniform(0.2, 0.9, images), strict=True):
        luck = random.uniform(size=people)
        for counts, chance in ((before, ease), (after, ease + gain)):
            counts.append(ImageCounts(int((luck < chance).sum()), int(people), int(people), 0.0))
    return before, after


def test_the_interval_of_a_gain_is_pairwise_and_so_narrower_than_one_models() -> None:
    before, after = drawn_counts(np.random.default_rng(0), 200, 0.05)
    low, high = f1_gain_interval([before], [after], 1000, seed=0) or (0, 0)
    single_low, single_high = f1_interval(before, 1000, seed=0) or (0, 0)
    assert 0 < low < (pooled(after)["f1"] or 0) - (pooled(before)["f1"] or 0) < high
    assert high - low < 0.6 * (single_high - single_low)
    assert f1_gain_interval([before], [before], 1000, seed=0) == (0.0, 0.0)


def test_the_interval_of_a_gain_holds_the_true_gain_about_as_often_as_it_says() -> None:
    random, held = np.random.default_rng(1), 0
    for seed in range(200):
        before, after = drawn_counts(random, 80, 0.05)
        low, high = f1_gain_interval([before], [after], 300, seed) or (0, 0)
        held += low <= 0.05 <= high
    assert 0.88 <= held / 200 <= 0.99


def test_a_gain_over_other_images_is_refused() -> None:
    before, after = drawn_counts(np.random.default_rng(0), 5, 0.0)
    with pytest.raises(ValueError, match=r"1 seeds before, 1 after, with \[4, 5\] images"):
        f1_gain_interval([before], [after[:4]], 10, seed=0)


def test_the_mean_gain_over_seeds_lies_between_theirs_and_is_surer() -> None:
    random = np.random.default_rng(2)
    first, second = drawn_counts(random, 200, 0.04), drawn_counts(random, 200, 0.08)
    (low_1, high_1), (low_2, high_2) = (f1_gain_interval([b], [a], 1000, 0) or (0, 0) for b, a in (first, second))
    low, high = f1_gain_interval([first[0], second[0]], [first[1], second[1]], 1000, 0) or (0, 0)
    assert low_1 < low < high < high_2
    assert high - low < min(high_1 - low_1, high_2 - low_2)


def test_count_errors_by_hand() -> None:
    errors = count_errors([10, 0, 21], [10, 3, 20])
    assert errors == {"mae": pytest.approx(4 / 3), "rmse": pytest.approx((10 / 3) ** 0.5), "within_10_percent": 2 / 3}
    assert count_errors([], [])["mae"] is None
