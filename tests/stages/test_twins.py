"""The tiny twins of Perception-R1's tasks: drawn, read by the published formats' readers, validated, asked, scored."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.errors import ParamsError
from components.graph.compose import composed
from components.params.whole import Params, check_params
from components.prompting import build as prompts
from components.scoring import score
from components.sources import ingest
from components.stages import base, synthesize, validate
from components.store.schemas.prompts import PROMPTS
from components.store.tables import read_rows
from tests.support.scored import SCORE, gold_lines, write_lines
from tests.support.workspace import REPO

SIZES = {"train": 40, "val": 4, "test": 12}
TWINS = {"tiny-grounding": "ground", "tiny-ocr": "read", "tiny-kinds": "detect", "tiny-counting": "count"}
SHIRTS = {"red": 0, "green": 1, "blue": 2}
"""The channel that is brightest in the shirt."""


def twin(profile: str) -> tuple[str, Params]:
    """The profile's params: few images, a policy built anew in place of a registered one."""
    from ruamel.yaml import YAML

    values = YAML(typ="safe", pure=True).load(composed(profile))
    (name,) = values["synthetic"]
    values["synthetic"][name] |= {"images": SIZES}
    values["prompts"]["max_samples"] = SIZES
    if values["base"]["pretrained"]:
        values["base"] = YAML(typ="safe", pure=True).load(composed("tiny"))["base"]
    return name, check_params(values, Path("params.yaml"))


@pytest.mark.parametrize("profile", TWINS)
def test_a_twin_goes_through_its_formats_reader_and_its_gold_answers_score_one(
    profile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPO)
    name, params = twin(profile)
    dataset = params.datasets[name]
    synthesize.run(tmp_path / dataset.root, params.synthetic[name])
    (tmp_path / "conf").symlink_to(REPO / "conf")
    monkeypatch.chdir(tmp_path)
    interim, validated = Path("data/interim") / name, Path("data/validated") / name
    ingest.run(name, interim, dataset)
    labels = dataset.labels or params.prompts.labels
    validate.run(name, interim, validated, tmp_path / "docs", dataset, labels, params.validate_, params.base)
    base.run(tmp_path / "base", params.base, pytest.fail)
    prompts.run(tmp_path / "base", tmp_path / "prompts", params.datasets, params.prompts)
    rows = list(read_rows(tmp_path / "prompts/test.parquet", PROMPTS))
    assert len(rows) == SIZES["test"]
    assert {row["task"] for row in rows} == {TWINS[profile]}
    lines = write_lines(tmp_path / "gold", gold_lines(tmp_path / "prompts/test.parquet"))
    metrics = score.run("gold", tmp_path / "prompts/test.parquet", lines, tmp_path / "scores", SCORE)
    assert metrics["headline"]["value"] == metrics["format_rate"] == 1.0
    assert list((tmp_path / "scores/plots").glob("*.csv"))
    assert json.loads((tmp_path / "prompts/summary.json").read_text())["refused"] == {}


def test_the_sentence_names_the_shirt_of_the_one_person_whose_box_is_true(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from components.sources.refcoco import read

    monkeypatch.chdir(REPO)
    name, params = twin("tiny-grounding")
    synthesize.run(tmp_path / "raw", params.synthetic[name])
    scenes = list(read(tmp_path / "raw", tmp_path / "raw/refs.parquet#train"))
    assert len(scenes) == SIZES["train"]
    for scene in scenes:
        (ask,) = scene.asks
        x1, y1, x2, y2 = (int(side) for side in scene.boxes[ask.box_index or 0].full)
        picture = np.asarray(Image.open(tmp_path / "raw" / scene.image_path).convert("RGB"), dtype=float)
        height, width = y2 - y1, x2 - x1
        body = picture[y1 + height // 3 : y1 + height // 2, x1 + width // 3 : x2 - width // 3].mean(axis=(0, 1))
        if height > 20 and width > 6:  # of one at the edge there is little to see
            assert int(body.argmax()) == SHIRTS[(ask.phrase or "").rpartition(" ")[2]]


def test_each_kind_has_its_own_shape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from components.sources.coco import read
    from components.sources.source import RawScene

    monkeypatch.chdir(REPO)
    name, params = twin("tiny-kinds")
    synthesize.run(tmp_path / "raw", params.synthetic[name])
    annotations = tmp_path / "raw/annotations/instances_train.json"
    boxes = [box for scene in read(tmp_path / "raw", annotations) if isinstance(scene, RawScene) for box in scene.boxes]
    assert {box.label for box in boxes} == {"person", "ball", "car"}
    inner = [box for box in boxes if min(box.full[:2]) > 0 and max(box.full[2:]) < 64]
    shape = {
        kind: np.median([(b.full[2] - b.full[0]) / (b.full[3] - b.full[1]) for b in inner if b.label == kind])
        for kind in ("person", "ball", "car")
    }
    assert shape["person"] < 0.7 < shape["ball"] < 1.4 < shape["car"]


def test_letters_stand_in_the_order_of_their_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPO)
    name, params = twin("tiny-ocr")
    drawing = params.synthetic[name].model_copy(update={"noise": 0.0, "jitter_px": 0.0})
    synthesize.run(tmp_path / "raw", drawing)
    for line in (tmp_path / "raw/train.jsonl").read_text().splitlines():
        row = json.loads(line)
        cells = np.asarray(Image.open(tmp_path / "raw/images" / row["image"]).convert("L"), dtype=float)
        ink = [bool(cell.min() < 120) for cell in np.split(cells, 4, axis=1)]
        assert ink == [True] * len(row["text"]) + [False] * (4 - len(row["text"]))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"colours": []}, "the layout refcoco tells people apart by colours"),
        ({"people_min": 0}, "the layout refcoco asks for somebody in every image"),
        ({"people_max": 5}, "people_max 5 is above the number of colours 3"),
        ({"kinds": ["car"]}, "only the layout coco has other kinds than person, not refcoco"),
        ({"layout": "voc"}, "synthetic.references is"),
        ({"peopel_max": 5}, "synthetic.references.peopel_max is not a parameter"),
    ],
)
def test_what_cannot_be_drawn_is_one_sentence(changes: dict, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from ruamel.yaml import YAML

    monkeypatch.chdir(REPO)
    values = YAML(typ="safe", pure=True).load(composed("tiny-grounding"))
    values["synthetic"]["references"] |= changes
    with pytest.raises(ParamsError) as caught:
        check_params(values, Path("params.yaml"))
    assert sentence in str(caught.value)
