"""The drawn crowd is deterministic and true to its boxes; the reader refuses what is broken, by file and line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.drawing.crowd import write_crowd
from components.errors import ParamsError, SourceError
from components.sources import ingest
from components.sources.crowdhuman import read
from components.sources.images import inspect_image
from components.store.schemas.ingested import BOXES, SCENES
from components.store.tables import read_table
from tests.support.toys import dataset, drawn_crowd, first_line, ingested, synthetic, with_first_line


def test_the_same_seed_draws_the_same_files_whatever_the_number_of_processes(tmp_path: Path) -> None:
    params = synthetic(tmp_path)
    write_crowd(tmp_path / "a", params, workers=1)
    write_crowd(tmp_path / "b", params, workers=2)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert len(files) == 24 + 4 + 12 + 3
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)


def test_another_seed_draws_another_crowd(tmp_path: Path) -> None:
    write_crowd(tmp_path / "a", synthetic(tmp_path), workers=1)
    write_crowd(tmp_path / "b", synthetic(tmp_path, seed=99), workers=1)
    one, other = ((tmp_path / name / "annotation_test.odgt").read_text() for name in "ab")
    assert one != other


def test_people_stay_within_their_number_and_overlap(tmp_path: Path) -> None:
    params = synthetic(tmp_path, images={"train": 60, "val": 1, "test": 1}, people_median=4.0)
    write_crowd(tmp_path / "a", params, workers=2)
    rows = [json.loads(line) for line in (tmp_path / "a" / "annotation_train.odgt").read_text().splitlines()]
    assert {len(row["gtboxes"]) for row in rows} <= set(range(1, 7))
    hidden = [box for row in rows for box in row["gtboxes"] if box["vbox"] != box["fbox"]]
    assert len(hidden) > 20


def test_a_crowdhuman_like_set_has_crowdhumans_crowds(tmp_path: Path) -> None:
    params = synthetic(
        tmp_path,
        images={"train": 40, "val": 1, "test": 1},
        width_px=512,
        height_px=384,
        people_median=15.5,
        people_sigma=0.87,
        people_max=400,
        person_height_frac=0.22,
        person_height_sigma=0.9,
        cluster_people=4.0,
        max_pair_iou=1.0,
    )
    write_crowd(tmp_path / "a", params, workers=2)
    rows = [json.loads(line) for line in (tmp_path / "a" / "annotation_train.odgt").read_text().splitlines()]
    assert 14 < np.mean([len(row["gtboxes"]) for row in rows]) < 34  # CrowdHuman: 22.6; 40 images are few


def test_what_is_drawn_comes_through_the_reader_whole(tmp_path: Path) -> None:
    root = drawn_crowd(tmp_path)
    out = ingested(root, tmp_path / "interim")
    scenes = read_table(out / "scenes.parquet", SCENES).to_pylist()
    boxes = read_table(out / "boxes.parquet", BOXES).to_pylist()
    lines = [json.loads(line) for path in root.glob("*.odgt") for line in path.read_text().splitlines()]
    assert len(scenes) == len(lines) == 40
    assert len(boxes) == sum(len(line["gtboxes"]) for line in lines)
    assert {(scene["width_px"], scene["height_px"], scene["image_defect"]) for scene in scenes} == {(64, 64, None)}
    x, y, width, height = first_line(root)["gtboxes"][0]["fbox"]
    mine = next(box for box in boxes if box["scene_id"] == first_line(root)["ID"] and box["box_index"] == 0)
    assert [mine[key] for key in ("x1", "y1", "x2", "y2")] == [x, y, x + width, y + height]


def test_ignore_is_a_tag_or_a_flag_and_never_the_heads(tmp_path: Path) -> None:
    box = {"fbox": [1, 2, 3, 4], "tag": "person"}
    flagged, mask = box | {"extra": {"ignore": 1}}, box | {"tag": "mask"}
    head = box | {"head_attr": {"ignore": 1}}
    (tmp_path / "a.odgt").write_text(json.dumps({"ID": "x,1", "gtboxes": [box, flagged, mask, head]}))
    (scene,) = read(tmp_path, tmp_path / "a.odgt")
    assert [one.ignore for one in scene.boxes] == [False, True, True, False]
    assert scene.image_path == "Images/x,1.jpg"


BOX = '{"fbox":[1,2,3,4],"tag":"person"}'
BROKEN = [
    ('{"ID": "a", "gtboxes": [', "not JSON"),
    ("[1]", "want an object with ID"),
    ('{"ID": "../../etc/x", "gtboxes": []}', "leaves the folder"),
    ('{"ID": "/etc/passwd", "gtboxes": []}', "leaves the folder"),
    ('{"ID": "a\\\\..\\\\b", "gtboxes": []}', "leaves the folder"),
    ('{"ID": "", "gtboxes": []}', "leaves the folder"),
    ('{"ID": "a", "gtboxes": [{"tag": "person", "fbox": [1, 2, NaN, 4]}]}', "finite"),
    ('{"ID": "a", "gtboxes": [{"tag": "person", "fbox": [1, 2, 3]}]}', "want four numbers"),
    ('{"ID": "a", "gtboxes": [{"tag": "person", "fbox": [1, 2, 3, "4"]}]}', "want four numbers"),
    ('{"ID": "a", "gtboxes": [{"fbox": [1, 2, 3, 4]}]}', "want an object with tag"),
    ("\ufeff" + '{"ID": "a", "gtboxes": []}', "byte order mark"),
]


@pytest.mark.parametrize(("line", "words"), BROKEN)
def test_a_broken_line_is_named_and_leaves_the_old_output_whole(tmp_path: Path, line: str, words: str) -> None:
    root = drawn_crowd(tmp_path)
    out = ingested(root, tmp_path / "interim")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with_first_line(root, line)
    with pytest.raises(SourceError, match=r"annotation_train\.odgt:1.*" + words) as caught:
        ingest.run("crowd", out, dataset(root))
    assert "\n" not in str(caught.value)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".partial-")] == []


def test_an_id_that_stands_twice_is_refused(tmp_path: Path) -> None:
    root = drawn_crowd(tmp_path)
    path = root / "annotation_train.odgt"
    path.write_text(path.read_text() + path.read_text().splitlines()[0] + "\n")
    with pytest.raises(SourceError, match=r"odgt:25: image .* stands in .*odgt:1 already"):
        ingested(root, tmp_path / "interim")


def test_a_missing_and_an_empty_root_say_what_lies_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nowhere is not there"):
        ingested(tmp_path / "nowhere", tmp_path / "interim")
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        SourceError, match=r"annotation_train\.odgt is not there \(the train annotations\); .*empty holds nothing"
    ):
        ingested(tmp_path / "empty", tmp_path / "interim")


def test_an_unknown_format_names_the_known_ones(tmp_path: Path) -> None:
    root = drawn_crowd(tmp_path)
    params = dataset(root).model_copy(update={"format": "kitti"})
    with pytest.raises(ParamsError, match=r"'kitti'; want one of \['citypersons', 'coco', 'crowdhuman',"):
        ingest.run("crowd", tmp_path / "interim", params)


def test_image_defects_are_told_apart(tmp_path: Path) -> None:
    picture = Image.effect_noise((64, 48), 80).convert("RGB")
    picture.save(tmp_path / "good.jpg")
    content = (tmp_path / "good.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(content[: len(content) // 2])
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_bytes(b"hello, I am not a picture")
    (tmp_path / "really.png").write_bytes(content)
    names = {"good": "jpg", "cut": "jpg", "empty": "jpg", "text": "jpg", "really": "png", "none": "jpg"}
    defects = {name: inspect_image(tmp_path / f"{name}.{kind}").defect for name, kind in names.items()}
    assert defects == {
        "good": None, "cut": "truncated", "empty": "empty", "text": "unreadable", "really": "wrong_type",
        "none": "missing",
    }  # fmt: skip


def test_a_turned_image_has_its_upright_size(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (64, 48)).save(tmp_path / "turned.jpg", exif=exif)
    facts = inspect_image(tmp_path / "turned.jpg")
    assert (facts.width_px, facts.height_px, facts.exif_orientation) == (48, 64, 6)
