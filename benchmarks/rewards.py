"""What does a group's reward cost, parse included? Beside it a COCOeval reward, one evaluation a completion.

The peer is how detection rewards are often computed: pycocotools' COCOeval over one image, for each completion
anew. Both score the same 16 completions on one core, taking turns. `python -m benchmarks.rewards` prints one table.
"""

from __future__ import annotations

import contextlib
import io

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from benchmarks.measuring import REPEATS, Cell, Form, Table, medians, run_script
from components.core.boxes import as_boxes
from components.core.completion import Answer, parse, render
from components.core.frames import ImageView
from components.core.scene import Truth
from components.params.reading import load_section
from components.params.rewards import RewardsParams
from components.rewards import REWARDS

GROUP = 16
WIDTH, HEIGHT = 1280, 960
VIEW = ImageView(WIDTH, HEIGHT)
PEOPLE: dict[Form, tuple[int, ...]] = {"full": (25, 200), "quick": (25, 200), "smoke": (3,)}
DIP_R1 = ("reasoning", "looking", "looking_instances", "precision_recall")


def crowd(people: int) -> tuple[list[str], Truth]:
    """A group of completions whose boxes wander around the truth by a few pixels."""
    random = np.random.default_rng(people)
    side = np.stack([random.uniform(20, 80, people), random.uniform(60, 200, people)], axis=1)
    corner = random.uniform(0, 1, (people, 2)) * ([WIDTH, HEIGHT] - side)
    boxes = np.concatenate([corner, corner + side], axis=1)
    texts = []
    for _ in range(GROUP):
        shaken = np.clip(boxes + random.normal(0, 6, boxes.shape), 0, [WIDTH, HEIGHT] * 2)
        shaken[:, 2:] = np.maximum(shaken[:, 2:], shaken[:, :2] + 5)
        texts.append(render("a crowd", as_boxes(shaken[:5]), as_boxes(shaken), ["person"] * people, VIEW))
    return texts, Truth(as_boxes(boxes), ("person",) * people, as_boxes([]), WIDTH, HEIGHT)


def ours(texts: list[str], truth: Truth, params: RewardsParams) -> list[float]:
    answers = [parse(text, VIEW) for text in texts]
    scores = {name: REWARDS[name](params)(answers, truth) for name in DIP_R1}
    return scores["precision_recall"].tolist()


def coco_eval(texts: list[str], truth: Truth) -> list[float]:
    """AP of each completion: a truth index, a result index and an evaluation, each time."""
    scores = []
    for text in texts:
        answer = parse(text, VIEW)
        assert isinstance(answer, Answer)
        with contextlib.redirect_stdout(io.StringIO()):
            scores.append(_one_eval(answer, truth))
    return scores


def _one_eval(answer: Answer, truth: Truth) -> float:
    coco = COCO()
    coco.dataset = {
        "images": [{"id": 1, "width": WIDTH, "height": HEIGHT}],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [
            {"id": i, "image_id": 1, "category_id": 1, "bbox": _xywh(box), "area": float(_xywh(box)[2] * _xywh(box)[3]),
             "iscrowd": 0}
            for i, box in enumerate(truth.boxes, 1)
        ],
    }  # fmt: skip
    coco.createIndex()
    found = coco.loadRes([{"image_id": 1, "category_id": 1, "bbox": _xywh(b), "score": 1.0} for b in answer.boxes])
    evaluation = COCOeval(coco, found, "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return float(evaluation.stats[0])


def _xywh(box: np.ndarray) -> list[float]:
    x1, y1, x2, y2 = (float(value) for value in box)
    return [x1, y1, x2 - x1, y2 - y1]


def tables(form: Form) -> list[Table]:
    params = load_section(RewardsParams)
    rows: list[tuple[Cell, ...]] = []
    for people in PEOPLE[form]:
        texts, truth = crowd(people)
        sides = {
            "ours": lambda texts=texts, truth=truth: ours(texts, truth, params),
            "peer": lambda texts=texts, truth=truth: coco_eval(texts, truth),
        }
        took = medians(sides, REPEATS[form], 0.0 if form == "smoke" else 0.3)
        rows.append((people, took["ours"] * 1000, took["peer"] * 1000, took["peer"] / took["ours"]))
    columns = ("boxes", "ours, ms", "COCOeval, ms", "COCOeval / ours")
    note = f"{GROUP} completions, all four rewards, parse included; COCOeval computes one AP a completion. One core."
    return [Table("A group's rewards", columns, tuple(rows), note)]


if __name__ == "__main__":
    run_script(tables, __doc__)
