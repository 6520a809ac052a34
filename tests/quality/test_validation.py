"""What must not reach training stops the pipeline, with the check, the count and the first offender."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from components.errors import QualityError
from components.params import ValidateParams, load_section
from components.quality.data_docs import offline
from components.stages import validate
from components.store.schemas import QUARANTINE
from components.store.tables import read_table
from tests.toys import drawn_crowd, first_line, ingested, with_first_line


def run(tmp_path: Path, root: Path, **changes: object) -> dict:
    params = load_section(ValidateParams).model_copy(update=changes)
    interim = ingested(root, tmp_path / "interim")
    validate.run("crowd", interim, tmp_path / "validated", tmp_path / "docs", params)
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
    with pytest.raises(QualityError, match=rf"image_defect.*: 1 do not.*odgt:1 .*{defect}") as caught:
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
    [([10, 10, 0, 20], "a box has an area"), ([500, 10, 20, 20], "wholly outside"), ([9, 9, 5, -5], "has an area")],
)
def test_a_box_that_cannot_be_is_an_error(tmp_path: Path, fbox: list[int], words: str) -> None:
    root = drawn_crowd(tmp_path)
    line = first_line(root)
    line["gtboxes"][0]["fbox"] = fbox
    with_first_line(root, line)
    with pytest.raises(QualityError, match=rf"{words}.*: 1 do not.*odgt:1 box 0"):
        run(tmp_path, root)


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
    assert offline(page, "s{}") == "<head><style>s{}</style></head><p>kept</p>"
