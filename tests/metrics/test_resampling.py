"""A number of images drawn again is the metric of those images: matched once or anew."""

from __future__ import annotations

import numpy as np
import pytest

from components.core.boxes import as_boxes
from components.core.scene import Truth
from components.metrics.detection import Matcher, drawings, image_counts
from components.metrics.evaluation_set import Detections, EvaluationSet, evaluation_set
from components.metrics.protocols import all_metrics
from components.metrics.resampling import LESS_IS_BETTER, POOLED, of_boxes, of_counts

IMAGES = 12


def random_boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    corner, size = rng.uniform(0, 300, (count, 2)), rng.uniform(20, 120, (count, 2))
    return as_boxes(np.concatenate([corner, corner + size], axis=1))


def one_image(rng: np.random.Generator, people: int) -> tuple[Detections, Truth]:
    """Most people found roughly, some boxes of nobody, an ignore region, two labels."""
    truth, labels = random_boxes(rng, people), tuple(rng.choice(["person", "rider"], people).tolist())
    close = as_boxes(truth[: people // 2 + 1] + rng.normal(0, 4, (len(truth[: people // 2 + 1]), 4)))
    found = as_boxes(np.concatenate([close, random_boxes(rng, 2)]))
    said = Detections(found, (*labels[: len(close)], "person", "person"), rng.uniform(0, 1, len(found)))
    seen = rng.uniform(0.2, 1, people).astype(np.float32)
    return said, Truth(truth, labels, random_boxes(rng, 1), 420, 420, seen)


def crowd() -> list[tuple[Detections, Truth]]:
    rng = np.random.default_rng(3)
    return [one_image(rng, people) for people in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 3, 4)]


def together(pairs: list[tuple[Detections, Truth]]) -> EvaluationSet:
    return evaluation_set([found for found, _ in pairs], [truth for _, truth in pairs])


def every_number(data: EvaluationSet, drawn: np.ndarray) -> dict[str, float | None]:
    counts = image_counts(Matcher(data).at(0.5))
    return {
        f"{table}.{name}": of_counts(counts, name)(drawn)
        if table == "detection" and name in POOLED
        else of_boxes(data, table, name)(drawn)
        for table, numbers in all_metrics(data).items()
        for name in numbers
    }


def flat(data: EvaluationSet) -> dict[str, float | None]:
    return {f"{table}.{name}": value for table, numbers in all_metrics(data).items() for name, value in numbers.items()}


@pytest.mark.parametrize("seed", [0, 1])
def test_every_number_of_drawn_images_is_that_of_a_set_made_of_them(seed: int) -> None:
    pairs = crowd()
    (drawn,) = drawings(IMAGES, 1, seed)
    assert drawn.sum() == IMAGES
    wanted = flat(together([pairs[place] for place in np.repeat(np.arange(IMAGES), drawn)]))
    assert every_number(together(pairs), drawn) == pytest.approx(wanted, abs=1e-12)


def test_images_drawn_once_give_the_numbers_of_the_whole_set() -> None:
    data = together(crowd())
    assert every_number(data, data.once) == flat(data)


def test_a_part_of_the_images_is_a_drawing_too() -> None:
    pairs, half = crowd(), np.arange(IMAGES) < 6
    assert every_number(together(pairs), half.astype(int)) == pytest.approx(flat(together(pairs[:6])), abs=1e-12)


def test_nothing_found_is_a_result_and_nobody_to_find_is_none() -> None:
    nothing = Detections(as_boxes([]), (), np.zeros(0))
    pairs = [(nothing, truth) for _, truth in crowd()]
    data, only_empty = together(pairs), (np.arange(IMAGES) == 0).astype(int)
    assert every_number(data, data.once) == flat(data)
    for name in ("AP", "APs", "AR100"):
        assert of_boxes(data, "coco", name)(only_empty) is None
    assert of_boxes(data, "crowdhuman", "MR")(only_empty) is None
    assert of_boxes(data, "citypersons", "All")(only_empty) is None


def test_miss_rates_and_errors_are_the_numbers_of_which_less_is_better() -> None:
    worse = {"crowdhuman.MR", "detection.count_mae", "detection.count_rmse", "citypersons.Reasonable",
             "citypersons.Small", "citypersons.Heavy", "citypersons.All"}  # fmt: skip
    assert worse == LESS_IS_BETTER
    names = set(flat(together(crowd())))
    assert names >= LESS_IS_BETTER
    perfect = together(
        [(Detections(truth.boxes, truth.labels, np.ones(len(truth.boxes))), truth) for _, truth in crowd()]
    )
    before, after = flat(together(crowd())), flat(perfect)
    for name in names:
        if before[name] is not None and before[name] != after[name]:
            assert (after[name] < before[name]) == (name in LESS_IS_BETTER), name
