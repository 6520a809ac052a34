"""Numbers held to pycocotools, by hand, and at the edges."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest

from components.core.boxes import as_boxes
from components.core.scene import Truth
from components.metrics.citypersons import SUBSETS, citypersons_metrics
from components.metrics.coco import MAX_DETS, coco_metrics, coco_results, coco_truth, evaluate, precision_recall_curve
from components.metrics.crowdhuman import crowdhuman_metrics
from components.metrics.detection import (
    ImageCounts,
    Matcher,
    by_crowd_size,
    by_height,
    by_visible,
    count_errors,
    detection_metrics,
    f1_by_iou,
    f1_gain_interval,
    f1_interval,
    image_counts,
    pooled,
)
from components.metrics.evaluation_set import Detections, EvaluationSet, evaluation_set
from components.metrics.pairs import match_best
from components.metrics.protocols import all_metrics, tie_shuffles
from tests.support import reference_metrics as reference


def random_case(seed: int, images: int = 12, constant: bool = False) -> EvaluationSet:
    """Crowds whose people overlap, with doubles, misses, false boxes, equal scores and ignore regions."""
    random = np.random.default_rng(seed)
    found, truths = [], []
    for _ in range(images):
        count = int(random.integers(0, 14))
        low = random.uniform(-20, 260, (count, 2))
        height = random.uniform(15, 160, (count, 1))
        people = as_boxes(np.concatenate([low, low + np.concatenate([0.5 * height, height], axis=1)], axis=1))
        kept = np.concatenate([np.flatnonzero(random.uniform(size=count) < 0.8), random.permutation(count)[:3]])
        moved = people[kept] + random.normal(0, 5, (len(kept), 4))
        boxes = as_boxes(np.concatenate([moved[:, :2], np.maximum(moved[:, 2:], moved[:, :2] + 2)], axis=1))
        scores = np.ones(len(boxes)) if constant else random.uniform(size=len(boxes)).round(1)
        ignore = as_boxes([[0, 0, 90, 120], [200, 200, 300, 330]] if random.uniform() < 0.5 else [])
        visible = random.uniform(0.1, 1, count).astype(np.float32)
        truths.append(Truth(people, ("person",) * count, ignore, 300, 300, visible))
        found.append(Detections(boxes, ("person",) * len(boxes), scores))
    return evaluation_set(found, truths)


def one_image(people: list[list[float]], boxes: list[list[float]], labels: tuple[str, ...] = ()) -> EvaluationSet:
    """People and predictions with score 1 in an image of 64 x 64 pixels."""
    truth = Truth(as_boxes(people), ("person",) * len(people), as_boxes([]), 64, 64)
    words = labels or ("person",) * len(boxes)
    return evaluation_set([Detections(as_boxes(boxes), words, np.ones(len(boxes)))], [truth])


# fmt: off
PLACES = {  # (IoU thresholds, area, place of max_dets) of COCO's precision and recall tables
    "AP": (slice(None), 0), "AP50": (0, 0), "AP75": (5, 0), "APs": (slice(None), 1), "APm": (slice(None), 2),
    "APl": (slice(None), 3),
}
# fmt: on


def pycocotools_tables(data: EvaluationSet) -> tuple[np.ndarray, np.ndarray]:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = coco_truth(data)
        coco.createIndex()
        evaluator = COCOeval(coco, coco.loadRes(coco_results(data)), "bbox")
        evaluator.params.maxDets = list(MAX_DETS)
        evaluator.evaluate()
        evaluator.accumulate()
    return evaluator.eval["precision"], evaluator.eval["recall"]


def known_mean(values: np.ndarray) -> float:
    return float(values[values > -1].mean())


@pytest.mark.parametrize("seed", range(4))
def test_coco_equals_pycocotools(seed: int) -> None:
    data = random_case(seed)
    precision, recall = pycocotools_tables(data)
    for most, place in (("coco", 2), ("coco_500", 3)):
        ours = coco_metrics(data)[most]
        wanted = {name: precision[iou, ..., area, place] for name, (iou, area) in PLACES.items()}
        wanted |= {"AR1": recall[..., 0, 0], "AR10": recall[..., 0, 1], "ARm": recall[..., 2, place]}
        wanted |= {"AR100" if place == 2 else "AR500": recall[..., 0, place]}
        for name, values in wanted.items():
            assert ours[name] == (pytest.approx(known_mean(values), abs=1e-12) if (values > -1).any() else None)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("constant", [False, True])
def test_crowdhuman_equals_the_plain_reading_of_it(seed: int, constant: bool) -> None:
    data = random_case(seed, constant=constant)
    assert crowdhuman_metrics(data) == pytest.approx(reference.crowdhuman(data), abs=1e-12)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("name", SUBSETS)
def test_citypersons_equals_the_plain_reading_of_it(seed: int, name: str) -> None:
    data = random_case(seed)
    assert citypersons_metrics(data)[name] == pytest.approx(reference.citypersons(data, SUBSETS[name]), abs=1e-12)


def test_a_perfect_detector() -> None:
    data = one_image([[0, 0, 20, 60], [30, 0, 50, 60], [2, 2, 21, 60], [40, 3, 62, 64]], [
        [0, 0, 20, 60], [30, 0, 50, 60], [2, 2, 21, 60], [40, 3, 62, 64]])  # fmt: skip
    assert coco_metrics(data)["coco"]["AP"] == pytest.approx(1.0)
    # four points from recall 1/4 on, without a start at 0: three quarters
    assert crowdhuman_metrics(data) == {"AP": 0.75, "MR": 0.0, "JI": 1.0}
    assert citypersons_metrics(data) == {"Reasonable": 0.0, "Small": 0.0, "Heavy": None, "All": 0.0}
    assert detection_metrics(data)["f1"] == 1.0


def test_the_matching_is_the_best_there_is() -> None:
    from scipy.optimize import linear_sum_assignment  # pyright: ignore

    random = np.random.default_rng(0)
    for _ in range(300):
        rows, columns = random.integers(1, 9, 2)
        gain = np.where(random.uniform(size=(rows, columns)) < 0.5, random.uniform(size=(rows, columns)).round(1), 0)
        a, b = np.nonzero(gain)
        chosen = match_best(a, b, gain[a, b], (rows, columns))
        assert len(set(a[chosen])) == len(set(b[chosen])) == len(chosen)
        assert gain[a, b][chosen].sum() == pytest.approx(gain[linear_sum_assignment(-gain)].sum())


def test_a_crowd_of_150_is_cut_at_100_and_whole_at_500() -> None:
    corners = np.array([[20 * (i % 15), 20 * (i // 15)] for i in range(150)])
    people = as_boxes(np.concatenate([corners, corners + 15], axis=1))
    truth = Truth(people, ("person",) * 150, as_boxes([]), 400, 400)
    tables = coco_metrics(evaluation_set([Detections(people, ("person",) * 150, np.ones(150))], [truth]))
    assert tables["coco"]["AP"] == pytest.approx(0.663, abs=1e-3)
    assert tables["coco_500"]["AP"] == pytest.approx(1.0)


def test_nothing_found_is_zero_and_nothing_to_find_is_undefined() -> None:
    missed, empty, false = one_image([[0, 0, 20, 60]], []), one_image([], []), one_image([], [[0, 0, 9, 9]])
    tables = all_metrics(missed)
    assert tables["coco"]["AP"] == tables["coco_500"]["AR500"] == 0.0
    assert tables["coco"]["APm"] == 0.0  # 20 x 60 pixels
    assert tables["coco"]["APs"] is tables["coco"]["ARl"] is None
    assert tables["crowdhuman"] == {"AP": 0.0, "MR": 1.0, "JI": 0.0}
    assert tables["citypersons"]["Reasonable"] == 1.0
    assert precision_recall_curve(evaluate(missed))[:, 1].sum() == 0
    for data in (empty, false):
        tables = all_metrics(data)
        assert set(tables["coco"].values()) == set(tables["crowdhuman"].values()) == {None}
        assert set(tables["citypersons"].values()) == {None}
        assert tables["detection"]["recall"] is None
    assert all_metrics(empty)["detection"]["f1"] is None
    assert all_metrics(false)["detection"]["precision"] == 0.0
    assert tie_shuffles(empty, 2) == {}


def test_a_label_that_only_the_model_uses_costs_precision_and_does_not_halve_the_curve() -> None:
    data = one_image([[0, 0, 9, 9]], [[0, 0, 9, 9], [20, 20, 40, 40]], ("person", "dog"))
    assert detection_metrics(data)["precision"] == 0.5
    assert coco_metrics(data)["coco"]["AP"] == pytest.approx(1.0)
    assert precision_recall_curve(evaluate(data))[:, 1].mean() == pytest.approx(1.0)


def test_pooling_counts_boxes_and_not_images() -> None:
    places = [[0, 0, 9, 9], [20, 0, 29, 9], [40, 0, 49, 9]]
    truths = [Truth(as_boxes(places[:n]), ("person",) * n, as_boxes([]), 64, 64) for n in (1, 3)]
    found = [Detections(truths[0].boxes, ("person",), np.ones(1)), Detections(as_boxes([]), (), np.zeros(0))]
    counts = image_counts(Matcher(evaluation_set(found, truths)).at(0.5))
    assert pooled(counts) == {"precision": 1.0, "recall": 0.25, "f1": 0.4}


def test_f1_falls_with_the_threshold() -> None:
    scores = f1_by_iou(Matcher(one_image([[0, 0, 10, 10]], [[0, 0, 10, 7]])))
    assert scores[0.5] == 1.0
    assert scores[0.75] == 0.0


def test_the_parts_hold_everybody_once() -> None:
    data = random_case(3, images=30)
    matched = Matcher(data).at(0.5)
    people, found = int((~data.truth.ignore).sum()), int(matched.seen.sum())
    for parts in (by_crowd_size(matched), by_height(matched), by_visible(matched)):
        assert sum(part["people"] for part in parts) == people
        assert sum(part["people"] * (part["recall"] or 0) for part in parts) == pytest.approx(found)
    few = next(part for part in by_visible(matched) if part["from"] == 0.2)
    assert few["people"] == ((data.truth.visible_frac >= 0.2) & (data.truth.visible_frac < 0.35)).sum()


def test_ties_broken_at_random_move_the_ranking_of_constant_scores_and_nothing_else() -> None:
    data = random_case(5, images=40, constant=True)
    spread = tie_shuffles(data, 8)
    assert set(spread) == {"coco.AP", "coco.AP50", "crowdhuman.AP", "crowdhuman.MR"}
    assert 0 < spread["coco.AP"]["sd"] < 0.1
    assert spread == tie_shuffles(data, 8)
    scored = data.with_scores(np.linspace(0.1, 0.9, len(data.found.order)))
    assert tie_shuffles(scored, 3)["coco.AP"]["sd"] == pytest.approx(0, abs=1e-12)
    assert tie_shuffles(scored, 3)["coco.AP"]["mean"] == pytest.approx(coco_metrics(scored)["coco"]["AP"])


def test_the_interval_holds_the_pooled_value_and_widens_with_fewer_images() -> None:
    counts = image_counts(Matcher(random_case(1, images=40)).at(0.5))
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
    errors = count_errors([ImageCounts(0, said, true, 0) for said, true in ((10, 10), (0, 3), (21, 20))])
    assert errors == {"count_mae": pytest.approx(4 / 3), "count_rmse": pytest.approx((10 / 3) ** 0.5),
                      "count_within_10_percent": 2 / 3}  # fmt: skip
    assert count_errors([])["count_mae"] is None
