"""Validation's pages: frames with boxes, near duplicates side by side, Data Docs of plain links where nothing runs."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from urllib.parse import unquote

from PIL import Image, ImageEnhance

from components.quality.data_docs import POLICY
from components.quality.findings import finding
from components.quality.frames_shown import MOST_FRAMES
from tests.quality.test_validation import run
from tests.support.toys import drawn_crowd, first_line


def test_the_page_shows_frames_and_near_duplicates_and_links_to_every_result(tmp_path: Path) -> None:
    root = drawn_crowd(tmp_path)
    train, test = (f"Images/{first_line(root, split)['ID']}.jpg" for split in ("train", "test"))
    with Image.open(root / train) as picture:
        ImageEnhance.Brightness(picture.convert("RGB")).enhance(1.1).save(root / test, quality=80)
    run(tmp_path, root, near_duplicate_bits=8, max_near_duplicate_frac=0.1)
    page = (tmp_path / "docs/index.html").read_text()
    for split, count in (("train", min(24, MOST_FRAMES)), ("test", 12)):
        shown = re.search(rf"<h3>{split}: (\d+) of", page)
        assert shown is not None
        assert int(shown[1]) == count
    assert page.index(f"{train}:") < page.index("What it looks like")
    with (tmp_path / "docs/near_duplicates.csv").open() as file:
        pairs = [(row["image"], row["other_image"]) for row in csv.DictReader(file)]
    assert sorted(pairs) == sorted([(train, test), (test, train)])
    docs = tmp_path / "docs/data_docs"
    links = [unquote(link) for link in re.findall(r'<li><a href="([^"]+)"', (docs / "index.html").read_text())]
    assert {docs / link for link in links} == set(docs.rglob("*.html")) - {docs / "index.html"}
    for link in links:
        head, _, body = (docs / link).read_text().partition("</head>")
        assert POLICY in head
        assert "<script" not in body
        assert "<button" not in body


def test_a_finding_is_said_with_its_numbers() -> None:
    check = {"column": "leaves_image", "type": "expect_column_mean_to_be_between", "observed": 0.717345,
             "limits": {"max_value": 0.6}, "unexpected_count": 0, "unexpected_frac": 0.0, "table": "boxes"}  # fmt: skip
    assert finding(check) == "71.7 % of the boxes leave their image (limit 60 %)"
    rows = check | {"observed": None, "limits": {"mostly": 0.9}, "unexpected_count": 1, "unexpected_frac": 1 / 40}
    assert finding(rows) == "1 violation, 2.5 % of the boxes (limit 10 %)"
