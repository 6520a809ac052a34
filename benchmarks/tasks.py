"""What do the tasks' rewards cost, and the ingest of RefCOCO? Beside them what a plain script would do.

OCR: 16 completions of 5,000 characters, beside a Levenshtein distance in plain Python. Counting: 300 points against
300, beside scipy's assignment over the dense matrix of distances. Both with the parse. RefCOCO: 19,994 images, 50,000
references, 142,210 sentences (120,624 of them in the training split) and 196,771 outlines, as the published pickle and
as Parquet, beside the least that any reader does: pickle and json, each image decoded by Pillow. The quick form takes a
tenth of RefCOCO. `python -m benchmarks.tasks` prints two tables.
"""

from __future__ import annotations

import json
import os
import pickle
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image
from scipy import optimize

from benchmarks.measuring import REPEATS, Cell, Form, Table, measure_child, medians, peak_mb, run_script, seconds_of
from components.core.frames import ImageView
from components.core.grammars import read_completion
from components.core.points import as_points, distances
from components.core.scene import CountTruth, TextTruth
from components.params.datasets import DatasetParams
from components.params.reading import load_section
from components.params.rewards import RewardsParams
from components.rewards import REWARDS
from components.rewards.reward import Reward
from components.sources import ingest

GROUP = 16
VIEW = ImageView(1280, 960)
LETTERS = np.array(list("abcdefghijklmnopqrstuvwxyz     "))
CHARACTERS: dict[Form, int] = {"full": 5_000, "quick": 5_000, "smoke": 100}
POINTS: dict[Form, tuple[int, ...]] = {"full": (300, 1_000), "quick": (300,), "smoke": (5,)}
LIMITS_MS = {"ocr": 150, "counting": 50}
"""What was asked of a group of texts, and of one completion of 300 points."""

SHARES: dict[Form, float] = {"full": 1.0, "quick": 0.1, "smoke": 0.002}
SPLITS = {"train": (16_994, 42_404, 120_624), "val": (1_500, 3_811, 10_834), "testA": (750, 1_975, 5_657),
          "testB": (750, 1_810, 5_095)}  # fmt: skip
"""RefCOCO's own numbers: images, references, sentences."""
OUTLINES_AN_IMAGE = 196_771 / 19_994
LIMIT_S = 60
STAGES = {"peer": "pickle, json and Pillow", "pickle": "ingest of the pickle", "parquet": "ingest of Parquet"}


# --- rewards


def texts(length: int) -> tuple[list[str], TextTruth]:
    """A page and a group of readings of it, a sixth of whose characters are wrong."""
    random = np.random.default_rng(length)
    true = random.choice(LETTERS, length)
    read = []
    for _ in range(GROUP):
        copy = true.copy()
        copy[random.integers(0, length, length // 6)] = random.choice(LETTERS, length // 6)
        read.append(f"<answer>{''.join(copy)}</answer>")
    return read, TextTruth("".join(true))


def pointed(count: int) -> tuple[list[str], CountTruth]:
    """A crowd and a group of answers that point a few pixels beside everybody, and at a tenth of them wrongly."""
    random = np.random.default_rng(count)
    size = [VIEW.width_px, VIEW.height_px]
    true = random.uniform(0, size, (count, 2))
    answers = []
    for _ in range(GROUP):
        said = true + random.normal(0, 4, true.shape)
        said[: count // 10] = random.uniform(0, size, (count // 10, 2))
        answers.append(f"<answer>{json.dumps(np.clip(said, 0, size).round(1).tolist())}</answer>")
    return answers, CountTruth(count, as_points(true), VIEW.width_px, VIEW.height_px)


def ours(group: list[str], truth: Any, grammar: str, reward: Reward) -> list[float]:
    return reward([read_completion(grammar, text, VIEW, "none") for text in group], truth).tolist()


def dense(group: list[str], truth: CountTruth) -> list[float]:
    """Each completion's mean distance of the best pairs: the parse, all distances, one assignment over them."""
    found = []
    for text in group:
        answer: Any = read_completion("points", text, VIEW, "none")
        far = distances(answer.points, truth.points if truth.points is not None else as_points([]))
        found.append(float(far[optimize.linear_sum_assignment(far)].mean()))
    return found


def plain_levenshtein(one: str, other: str) -> int:
    """The textbook's two rows."""
    above = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        row = [i]
        for j, there in enumerate(other, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (letter != there)))
        above = row
    return above[-1]


def reward_table(form: Form) -> Table:
    rewards, turn_s = load_section(RewardsParams), 0.0 if form == "smoke" else 0.3
    group, truth = texts(CHARACTERS[form])
    reward = REWARDS["ocr"](rewards)
    took = medians({"ours": lambda: ours(group, truth, "text", reward)}, REPEATS[form], turn_s)["ours"]
    peer = GROUP * seconds_of(lambda: plain_levenshtein(group[0][8:-9], truth.text))
    what = f"OCR, {GROUP} completions of {CHARACTERS[form]:,} characters"
    rows: list[tuple[Cell, ...]] = [(what, took * 1000, peer * 1000, peer / took, LIMITS_MS["ocr"])]
    reward = REWARDS["counting"](rewards)
    for count in POINTS[form]:
        answers, crowd = pointed(count)
        sides = {"ours": lambda answers=answers, crowd=crowd: ours(answers, crowd, "points", reward),
                 "peer": lambda answers=answers, crowd=crowd: dense(answers, crowd)}  # fmt: skip
        both = {side: seconds / GROUP for side, seconds in medians(sides, REPEATS[form], turn_s).items()}
        limit = LIMITS_MS["counting"] if count == 300 else None
        row = (both["ours"] * 1000, both["peer"] * 1000, both["peer"] / both["ours"], limit)
        rows.append((f"counting, a completion of {count:,} points against {count:,}", *row))
    note = (
        f"Parse included, one core. Peer of OCR: Levenshtein in plain Python, one completion times {GROUP}; of "
        "counting: scipy's linear_sum_assignment over all distances. Asked: what a reward may take."
    )
    return Table(
        "Rewards of the tasks", ("what", "ours, ms", "peer, ms", "peer / ours", "asked, ms"), tuple(rows), note
    )


# --- RefCOCO


def shares(total: int, parts: int) -> list[int]:
    """`total` in `parts` whole numbers that differ by one at most."""
    return [total * (i + 1) // parts - total * i // parts for i in range(parts)]


def references(share: float) -> Iterator[tuple[str, int, list[list[int]]]]:
    """split, image ID, and for each reference of that image its sentences' IDs."""
    image = sentence = 0
    for split, numbers in SPLITS.items():
        images, refs, sentences = (max(2, round(number * share)) for number in numbers)
        lengths = iter(shares(sentences, refs))
        for count in shares(refs, images):
            said = []
            for length in (next(lengths) for _ in range(count)):
                said.append(list(range(sentence, sentence + length)))
                sentence += length
            yield split, image, said
            image += 1


def draw(root: Path, share: float) -> tuple[int, int, int]:
    """RefCOCO's layout twice, root/pickle and root/parquet; (images, references, sentences).

    One tiny picture stands for all of an image's names, by links: each name is decoded.
    """
    rows, images, annotations = [], [], []
    for split, image, said in references(share):
        name = f"COCO_train2014_{image:012d}.jpg"
        images.append({"license": 1, "file_name": name, "width": 24, "height": 18, "id": image,
                       "coco_url": f"http://mscoco.org/images/{image}"})  # fmt: skip
        outlines = max(len(said), round(OUTLINES_AN_IMAGE * (image + 1)) - round(OUTLINES_AN_IMAGE * image))
        boxes = [[1.25 + place % 8, 2.5, 9.75, 8.5] for place in range(outlines)]
        annotations += [
            {"segmentation": [[round(0.37 * i + place, 2) for i in range(48)]], "area": 80.5, "iscrowd": 0,
             "image_id": image, "bbox": box, "category_id": 1, "id": 100 * image + place}
            for place, box in enumerate(boxes)
        ]  # fmt: skip
        for place, numbers in enumerate(said):
            sentences = [{"tokens": ["the", "person", str(n)], "raw": f"The person {n}.", "sent_id": n,
                          "sent": f"the person {n}"} for n in numbers]  # fmt: skip
            x, y, width, height = boxes[place]
            rows.append({"sent_ids": numbers, "file_name": f"{name[:-4]}_{place}.jpg", "ann_id": 100 * image + place,
                         "ref_id": len(rows), "image_id": image, "split": split, "sentences": sentences,
                         "category_id": 1, "bbox": [x, y, x + width, y + height]})  # fmt: skip
    content = {"info": {}, "images": images, "licenses": [], "annotations": annotations,
               "categories": [{"supercategory": "person", "id": 1, "name": "person"}]}  # fmt: skip
    (root / "pickle/train2014").mkdir(parents=True)
    (root / "parquet").mkdir()
    (root / "pickle/instances.json").write_text(json.dumps(content))
    os.link(root / "pickle/instances.json", root / "parquet/instances.json")
    pq.write_table(pa.Table.from_pylist(rows), root / "parquet/refs.parquet")
    for row in rows:
        del row["bbox"]
    (root / "pickle/refs(unc).p").write_bytes(pickle.dumps(rows, protocol=2))
    Image.new("RGB", (24, 18), "teal").save(root / "one.jpg")
    for image in images:
        os.link(root / "one.jpg", root / "pickle/train2014" / image["file_name"])
    (root / "parquet/train2014").symlink_to(root / "pickle/train2014")
    return len(images), len(rows), sum(len(row["sent_ids"]) for row in rows)


def entry(root: Path, file: str) -> DatasetParams:
    splits = {"train": f"{file}#train", "test": [f"{file}#{split}" for split in SPLITS if split != "train"]}
    values = {"format": "refcoco", "task": "ground", "root": str(root), "annotations": splits, "role": "both"}
    return DatasetParams.model_validate(values | {"licence": "x", "labels": ["object"], "classes": {"*": "object"}})


def read_plainly(root: Path) -> None:
    refs = pickle.loads((root / "refs(unc).p").read_bytes())  # noqa: S301  (drawn above)
    instances = json.loads((root / "instances.json").read_text())
    boxes = {one["id"]: one["bbox"] for one in instances["annotations"]}
    names = {one["id"]: one["file_name"] for one in instances["images"]}
    for ref in refs:
        [(boxes[ref["ann_id"]], one["sent"]) for one in ref["sentences"]]
    for name in names.values():
        with Image.open(root / "train2014" / name) as picture:
            picture.convert("RGB")


def child(what: str, root: Path) -> None:
    begun = time.perf_counter()
    if what == "peer":
        read_plainly(root / "pickle")
    else:
        file = {"pickle": "refs(unc).p", "parquet": "refs.parquet"}[what]
        ingest.run("refs", root / "interim" / what, entry(root / what, file))
    print(time.perf_counter() - begun, peak_mb())


def refcoco_table(form: Form) -> Table:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        images, refs, sentences = draw(root, SHARES[form])
        repeats = 1 if form == "quick" else REPEATS[form]
        runs = [{what: measure_child("benchmarks.tasks", what, root) for what in STAGES} for _ in range(repeats)]
        size_mb = (root / "pickle/instances.json").stat().st_size / 1e6
    seconds = {what: statistics.median(run[what][0] for run in runs) for what in STAGES}
    rows: list[tuple[Cell, ...]] = [
        (shown, seconds[what], seconds[what] / seconds["peer"], sentences / seconds[what],
         statistics.median(run[what][1] for run in runs), LIMIT_S if form == "full" and what != "peer" else None)
        for what, shown in STAGES.items()
    ]  # fmt: skip
    columns = ("stage", "s", "stage / peer", "sentences/s", "peak MB", "asked, s")
    note = (
        f"{images:,} images of 24 x 18 pixels, {refs:,} references, {sentences:,} sentences in four splits, "
        f"instances.json of {size_mb:,.0f} MB. Each row is a fresh process with nothing kept from before."
    )
    return Table("Ingest of RefCOCO", columns, tuple(rows), note)


def tables(form: Form) -> list[Table]:
    return [reward_table(form), refcoco_table(form)]


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(sys.argv[2], Path(sys.argv[3]))
    else:
        run_script(tables, __doc__)
