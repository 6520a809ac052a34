"""What must not reach training stops the pipeline, with the check, the count and the first offender."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from components.errors import QualityError
from components.params.base import BaseParams
from components.params.datasets import ExpectedParams
from components.params.reading import load_section
from components.params.validate import ValidateParams
from components.quality.data_docs import offline
from components.quality.near_duplicates import frames_elsewhere, nearest_elsewhere
from components.sources import ingest
from components.sources.images import perceptual_hash
from components.stages import validate
from components.store.schemas.ingested import NOTES
from components.store.schemas.validated import QUARANTINE
from components.store.tables import read_table
from tests.support.layouts import LAYOUTS
from tests.support.toys import ANNOTATIONS, dataset, drawn_crowd, first_line, ingested, with_first_line


def run(tmp_path: Path, root: Path, entry: dict | None = None, **changes: object) -> dict:
    params = load_section(ValidateParams).model_copy(update=changes)
    interim = ingested(root, tmp_path / "interim")
    entry = dataset(root).model_copy(update=entry or {})
    validate.run(
        "crowd", interim, tmp_path / "validated", tmp_path / "docs", entry, ["person"], params, load_section(BaseParams)
    )
    return json.loads((tmp_path / "validated" / "validation.json").read_text())


def test_a_good_set_passes_and_its_pages_need_no_network(tmp_path: Path) -> None:
    content = run(tmp_path, drawn_crowd(tmp_path))
    assert content["success"]
    assert content["counts"]["images"] == 40
    pages = list((tmp_path / "docs").rglob("*.html"))
    assert len(pages) >= 5
    for page in pages:
        text = page.read_text()
        assert "<script src" not in text
        assert 'href="http' not in text.split("</head>")[0]
    assert "fit for training" in (tmp_path / "docs" / "index.html").read_text()


def test_validation_json_is_deterministic(tmp_path: Path) -> None:
    root = drawn_crowd(tmp_path)
    assert run(tmp_path, root) == run(tmp_path, root)


@pytest.mark.parametrize("defect", ["missing", "truncated"])
def test_a_bad_image_stops_the_stage_unless_quarantine_is_allowed(tmp_path: Path, defect: str) -> None:
    root = drawn_crowd(tmp_path)
    image = root / "Images" / f"{first_line(root)['ID']}.jpg"
    if defect == "missing":
        image.unlink()
    else:
        image.write_bytes(image.read_bytes()[:900])
    with pytest.raises(QualityError, match=rf"refusal.*: 1 do not.*odgt:1 .*{defect}") as caught:
        run(tmp_path, root)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "validated").exists()
    assert not (tmp_path / "docs").exists()
    report = Path(str(caught.value).rpartition("; see ")[2])
    assert "stopped" in report.read_text()
    run(tmp_path, root, max_quarantined_frac=0.1)
    (refused,) = read_table(tmp_path / "validated" / "quarantine.parquet", QUARANTINE).to_pylist()
    assert refused["reason"] == defect


@pytest.mark.parametrize(
    ("fbox", "words"),
    [([10, 10, 0, 20], "has no area"), ([80, 10, 20, 20], "lies wholly outside"), ([9, 9, 5, -5], "has no area")],
)
def test_a_box_that_cannot_be_refuses_its_image(tmp_path: Path, fbox: list[int], words: str) -> None:
    root = drawn_crowd(tmp_path)
    line = first_line(root)
    line["gtboxes"][0]["fbox"] = fbox
    with_first_line(root, line)
    with pytest.raises(QualityError, match=rf"refusal: .*: 1 do not.*odgt:1 .*: box 0 {words}"):
        run(tmp_path, root)
    content = run(tmp_path, root, max_quarantined_frac=0.1)
    assert content["quarantined"] == 1


def test_the_same_image_in_two_splits_is_an_error(tmp_path: Path) -> None:
    root = drawn_crowd(tmp_path)
    train, test = (root / "Images" / f"{first_line(root, split)['ID']}.jpg" for split in ("train", "test"))
    test.write_bytes(train.read_bytes())
    with pytest.raises(QualityError, match="no image stands in two splits: 2 do not"):
        run(tmp_path, root)


def test_a_box_that_stands_twice_is_a_warning(tmp_path: Path) -> None:
    root = drawn_crowd(tmp_path)
    line = first_line(root)
    line["gtboxes"].append(line["gtboxes"][0])
    with_first_line(root, line)
    content = run(tmp_path, root)
    assert content["success"]
    assert [check["unexpected_count"] for check in content["checks"] if check["column"] == "copies"] == [2]


def test_offline_takes_out_what_comes_from_elsewhere() -> None:
    page = '<head><link rel="x" href="https://cdn.test/a.css"><script src="//cdn.test/a.js"></script></head><p>kept</p>'
    left = offline(page, "s{}")
    assert "cdn.test" not in left
    assert "default-src 'none'" in left
    assert left.endswith("<style>s{}</style></head><p>kept</p>")


def change_boxes(root: Path, change: Callable[[dict], None], split: str = "train") -> None:
    """Applies `change` to every box of a split's annotations."""
    path = root / ANNOTATIONS[split]
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        for box in row["gtboxes"]:
            change(box)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def corners_for_sides(box: dict) -> None:
    for kind in ("fbox", "vbox"):
        x, y, width, height = box[kind]
        box[kind] = [x, y, x + width, y + height]


def shares(box: dict) -> None:
    for kind in ("fbox", "vbox"):
        box[kind] = [value / 64 for value in box[kind]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            corners_for_sides,
            r"leaves_image: [\d.]+ % of the boxes leave their image \(limit 60 %\); .*x1 y1 x2 y2 was read",
        ),
        (shares, r"100 % of the boxes have numbers up to 2 only.* \(limit 60 %\); wanted: coordinates are pixels"),
    ],
)
def test_a_misread_format_is_an_error_that_says_which(tmp_path: Path, change, words: str) -> None:
    root = drawn_crowd(tmp_path)
    for split in ANNOTATIONS:
        change_boxes(root, change, split)
    with pytest.raises(QualityError, match=words):
        run(tmp_path, root, max_quarantined_frac=1.0)


def test_an_overflown_coordinate_is_an_error(tmp_path: Path) -> None:
    root = drawn_crowd(tmp_path)
    line = first_line(root)
    line["gtboxes"][0]["fbox"] = [10, 10, 65520, 20]
    with_first_line(root, line)
    with pytest.raises(QualityError, match=r"sides_away.*overflowed.*odgt:1 box 0"):
        run(tmp_path, root)


def test_boxes_that_count_from_one_are_a_warning(tmp_path: Path) -> None:
    root = drawn_crowd(tmp_path)
    for split in ANNOTATIONS:
        change_boxes(root, lambda box: box.update(fbox=[2, 2, 63, 30], vbox=[2, 2, 20, 20]), split)
    content = run(tmp_path, root, max_outside_frac=1.0, max_format_doubt_frac=1.0)
    assert failed(content)["one_past_the_edge"] == "warning"


def test_a_visible_box_outside_the_full_one_is_a_warning(tmp_path: Path) -> None:
    root = drawn_crowd(tmp_path)
    line = first_line(root)
    x, y, width, height = line["gtboxes"][0]["fbox"]
    line["gtboxes"][0]["vbox"] = [x - 3, y, width, height]
    with_first_line(root, line)
    assert failed(run(tmp_path, root))["visible_px_outside_full"] == "warning"


def failed(content: dict) -> dict[str, str]:
    return {check["column"]: check["severity"] for check in content["checks"] if not check["success"]}


def test_a_brighter_recompressed_copy_in_another_split_is_an_error(tmp_path: Path) -> None:
    root = drawn_crowd(tmp_path)
    train, test = (root / "Images" / f"{first_line(root, split)['ID']}.jpg" for split in ("train", "test"))
    with Image.open(train) as picture:
        ImageEnhance.Brightness(picture.convert("RGB")).enhance(1.1).save(test, quality=80)
    with pytest.raises(QualityError, match=r"no image looks the same as one of another split.*: 2 do not.*bits differ"):
        run(tmp_path, root, near_duplicate_bits=8)
    assert run(tmp_path, root, near_duplicate_bits=None)["success"]
    assert run(tmp_path, root, near_duplicate_bits=8, max_near_duplicate_frac=0.1)["success"]


def test_counts_that_are_not_the_expected_ones_are_an_error(tmp_path: Path) -> None:
    root = drawn_crowd(tmp_path)
    expected = ExpectedParams(images={"train": 24, "test": 13})
    with pytest.raises(QualityError, match=r"images_of_test: test has 12 images \(expected: 13\)"):
        run(tmp_path, root, {"expected": expected})


def test_another_size_than_stated_refuses_the_image(tmp_path: Path) -> None:
    layout = LAYOUTS["coco"](tmp_path / "raw")
    path = tmp_path / "raw/annotations/instances_val2017.json"
    content = json.loads(path.read_text())
    content["images"][1]["width"] = 63
    path.write_text(json.dumps(content))
    ingest.run("coco", tmp_path / "interim", layout)
    params = load_section(ValidateParams)
    with pytest.raises(QualityError, match=r"refusal.*image 2 .*stated as 63 x 48, decoded as 64 x 48"):
        validate.run(
            "coco",
            tmp_path / "interim",
            tmp_path / "v",
            tmp_path / "docs",
            layout,
            ["person"],
            params,
            load_section(BaseParams),
        )


def test_orphans_and_noted_rows_are_counted(tmp_path: Path) -> None:
    root = drawn_crowd(tmp_path)
    (root / "Images/orphan.png").write_bytes(b"x")
    assert run(tmp_path, root)["counts"]["rows_noted"] == {"flagged": 1}
    (note,) = read_table(tmp_path / "interim/notes.parquet", NOTES).to_pylist()
    assert note["where"].endswith("Images/orphan.png")


def test_the_nearest_picture_is_found_across_splits_only() -> None:
    same, near, far = bytes(32), bytes([1] + [0] * 31), bytes([255] * 32)
    nearest, distance = nearest_elsewhere([same, near, far, None], ["train", "test", "train", "test"])
    assert nearest.tolist() == [1, 0, 1, -1]
    assert distance.tolist()[:3] == [1, 1, 255]
    nearest, _ = nearest_elsewhere([same, same], ["train", "train"])
    assert nearest.tolist() == [-1, -1]


@pytest.mark.parametrize(("moves", "found"), [(True, 2), (False, 0)])
def test_frames_of_a_video_do_not_pass_as_train_and_test(tmp_path: Path, moves: bool, found: int) -> None:
    """A picture that slides through 24 frames, cut in two splits; and as many numbered pictures without any order."""
    random = np.random.default_rng(4)
    wide = Image.fromarray(random.integers(0, 256, (6, 60), dtype=np.uint8)).resize(
        (1600, 64), Image.Resampling.BICUBIC
    )
    hashes = [perceptual_hash(wide.crop((8 * i, 0, 8 * i + 160, 64))) for i in range(24)]
    if not moves:
        hashes = [random.bytes(32) for _ in hashes]
    names = [f"cam/frame_{i:04d}.jpg" for i in range(24)]
    splits = ["train"] * 16 + ["test"] * 8
    assert nearest_elsewhere(hashes, splits)[1].min() > 3
    assert len(frames_elsewhere(names, hashes, splits)) == found
    scattered = [f"{split}/{name}" for split, name in zip(splits, names, strict=True)]
    assert frames_elsewhere(scattered, hashes, splits) == []


def test_people_who_leave_the_image_by_any_number_of_pixels_do_not_count_from_one(tmp_path: Path) -> None:
    root = drawn_crowd(tmp_path)
    widths = iter(range(10**6))
    for split in ANNOTATIONS:
        change_boxes(root, lambda box: box.update(fbox=[2, 2, 63 + next(widths) % 4, 30], vbox=[2, 2, 20, 20]), split)
    content = run(tmp_path, root, max_outside_frac=1.0, max_format_doubt_frac=1.0)
    assert "one_past_the_edge" not in failed(content)
