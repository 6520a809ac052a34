"""One dataset with a defect of every kind that ingest lets through: the report names each of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from PIL import Image, ImageEnhance

from components.errors import QualityError
from components.params.datasets import ExpectedParams
from tests.quality.test_validation import run
from tests.support.toys import ANNOTATIONS, drawn_crowd


def plant(root: Path) -> None:
    """Sixteen defects, each in an image of its own."""
    rows = {
        split: [json.loads(line) for line in (root / file).read_text().splitlines()]
        for split, file in ANNOTATIONS.items()
    }
    train, test = rows["train"], rows["test"]
    image = [root / f"Images/{row['ID']}.jpg" for row in train]
    image[0].unlink()  # 1 missing
    image[1].write_bytes(image[1].read_bytes()[:700])  # 2 truncated
    image[2].write_bytes(b"")  # 3 empty
    Image.open(image[3]).convert("RGB").save(image[3].with_suffix(".png"))
    image[3].write_bytes(image[3].with_suffix(".png").read_bytes())  # 4 a PNG called .jpg
    image[3].with_suffix(".png").unlink()
    turned = Image.Exif()
    turned[274] = 6
    Image.open(image[4]).save(image[4], exif=turned)  # 5 EXIF orientation
    train[5]["gtboxes"][0]["fbox"] = [10, 10, 0, 20]  # 6 no area
    train[6]["gtboxes"][0]["fbox"] = [90, 10, 10, 20]  # 7 wholly outside
    train[7]["gtboxes"][0]["fbox"] = [-5, 10, 70, 20]  # 8 partly outside
    train[8]["gtboxes"][0]["vbox"] = [0, 0, 64, 64]  # 9 visible box larger than the full one
    train[9]["gtboxes"] *= 2  # 10 exact copies
    other = root / f"Images/{test[0]['ID']}.jpg"
    other.write_bytes(image[10].read_bytes())  # 11 the same file in two splits
    look = ImageEnhance.Brightness(Image.open(image[11]).convert("RGB")).enhance(1.05)
    look.save(root / f"Images/{test[1]['ID']}.jpg", quality=90)  # 12 a near duplicate in two splits
    train[12]["gtboxes"][0]["fbox"] = [1, 1, 65520, 20]  # 13 an integer overflow
    train[13]["gtboxes"] = []  # 14 nobody: legal, counted
    (root / "Images/nobody-names-me.jpg").write_bytes(image[14].read_bytes())  # 15 orphan
    train[15]["gtboxes"] = [{"fbox": [i % 8 * 7, i // 8 * 7, 7, 7], "tag": "person"} for i in range(60)]  # 16 a throng
    for split, file in ANNOTATIONS.items():
        (root / file).write_text("".join(json.dumps(row) + "\n" for row in rows[split]))


FAILED = {
    "exif_orientation", "box_width_px", "px_inside_image", "leaves_image", "visible_frac",
    "visible_px_outside_full", "copies", "splits_with_this_image", "near_duplicate", "sides_away",
    "people", "images_of_train",
}  # fmt: skip


def test_every_planted_defect_is_named(tmp_path: Path) -> None:
    root = drawn_crowd(tmp_path)
    plant(root)
    limits = {"max_quarantined_frac": 0.5, "near_duplicate_bits": 8, "max_people": 50, "max_outside_frac": 0.0}
    with pytest.raises(QualityError) as caught:
        run(tmp_path, root, {"expected": ExpectedParams(images={"train": 25})}, **limits)
    page = Path(str(caught.value).rpartition("; see ")[2])
    content = json.loads((page.parents[1] / "validation.json").read_text())
    assert {check["column"] for check in content["checks"] if not check["success"]} >= FAILED
    text = page.read_text()
    for reason in ("missing", "truncated", "empty", "wrong_type", "box 0 has no area", "lies wholly outside the image"):
        assert f"<td>{reason}</td>" in text or re.search(rf"<td>[^<]*{reason}", text), reason
    assert "orphan: an image that no annotation of this entry names (it takes train" in text
    assert content["counts"]["images_without_people"] == 1
    assert content["quarantined"] == 6
