"""Pages of text: Fox's layout, Parquet and JSON Lines; what is too long is refused with a count, never cut."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.errors import SourceError
from components.params.datasets import DatasetParams
from components.params.whole import load_params
from components.prompting import build as prompts_stage
from components.scoring import score
from components.sources import SOURCES, ingest
from components.sources.source import DEFAULTS, RawScene
from components.store.schemas.prompts import PROMPTS
from components.store.schemas.scores import PER_IMAGE
from components.store.tables import read_rows
from tests.support.layouts import picture
from tests.support.scored import SCORE, gold_lines, write_lines


def fox(root: Path, pages: list[Any]) -> Path:
    (root / "en_page_ocr.json").write_text(json.dumps(pages))
    return root / "en_page_ocr.json"


def page(image: str, text: str) -> dict[str, Any]:
    return {"image": image, "conversations": [{"from": "human", "value": "Read"}, {"from": "gpt", "value": text}]}


def read(kind: str, path: Path) -> list[Any]:
    return list(SOURCES[kind](path.parent, path, DEFAULTS))


def test_foxs_pages_are_read_with_their_texts(tmp_path: Path) -> None:
    one, two = read("fox", fox(tmp_path, [page("en_1.png", "a b\nc"), page("en_2.png", "")]))
    assert isinstance(one, RawScene)
    assert (one.scene_id, one.image_path, one.asks[0].text) == ("en_page_ocr/en_1.png", "en_pdf_png/en_1.png", "a b\nc")
    assert two.asks[0].text == ""


def test_parquet_and_json_lines_read_the_same(tmp_path: Path) -> None:
    rows = [{"image": "a.png", "text": "1 2"}, {"image": "b/c.png", "text": "é"}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "train.parquet")
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = [[(one.scene_id, one.image_path, one.asks[0].text) for one in read("image_text", tmp_path / name)]
             for name in ("train.parquet", "train.jsonl")]  # fmt: skip
    assert found[0] == found[1] == [("train/a.png", "images/a.png", "1 2"), ("train/b/c.png", "images/b/c.png", "é")]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({}, "holds dict, want Fox's list of pages"),
        ([{"image": "a.png", "conversations": [{"value": "x"}]}], "page 0: want an image's name and its text"),
        (["x"], "page 0: want an image's name and its text"),
        ([page("../a.png", "x")], "page 0: the image name '../a.png' leaves the folder"),
    ],
)
def test_what_is_no_page_is_named(tmp_path: Path, content: Any, sentence: str) -> None:
    with pytest.raises(SourceError, match=sentence):
        read("fox", fox(tmp_path, content))


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"image": "a.png", "text": "\ud800"}, r"t\.jsonl:1: '\\ud800' holds U\+D800, half of a character"),
        ({"image": "\udfff.png", "text": "x"}, r"t\.jsonl:1: .* holds U\+DFFF, half of a character"),
        (
            {"image": "a" * 300, "text": "x"},
            r"t\.jsonl:1: the image name 'a+'\.\.\. is longer than a file's name can be",
        ),
        ({"image": ["a"], "text": 10**400}, r"t\.jsonl:1: want an image's name and its text, got \['a'\] and 1000"),
    ],
)
def test_what_no_file_and_no_tokenizer_can_take_is_one_sentence(tmp_path: Path, row: Any, sentence: str) -> None:
    (tmp_path / "t.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(SourceError, match=sentence):
        read("image_text", tmp_path / "t.jsonl")


def test_a_broken_row_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"image": "a.png", "text": "x"}\n{"image": "b.png"}\n')
    with pytest.raises(SourceError, match=r"t\.jsonl:2: want an image's name and its text"):
        read("image_text", tmp_path / "t.jsonl")
    pq.write_table(pa.table({"image": ["a"], "txt": ["x"]}), tmp_path / "t.parquet")
    with pytest.raises(SourceError, match="has no column text; it has image, txt"):
        read("image_text", tmp_path / "t.parquet")


def texts(root: Path, rows: dict[str, list[str]]) -> DatasetParams:
    for split, lines in rows.items():
        found = []
        for number, text in enumerate(lines):
            picture(root / f"images/{split}{number}.png", hash((split, number)) % 10_000)
            found.append(json.dumps({"image": f"{split}{number}.png", "text": text}))
        (root / f"{split}.jsonl").write_text("\n".join(found) + "\n")
    values = {"format": "image_text", "task": "read", "root": str(root), "role": "both", "licence": "x"}
    return DatasetParams.model_validate(values | {"annotations": {split: f"{split}.jsonl" for split in rows}})


def test_a_page_that_is_too_long_or_holds_a_control_token_is_refused_with_a_count(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "workspace"
    shutil.copytree(prepared, folder, symlinks=True)
    monkeypatch.chdir(folder)
    dataset = texts(
        folder / "data/raw/texts", {"train": ["short", "x" * 500, "a <|image_pad|> b"], "test": ["12", "3 4", "y" * 90]}
    )
    ingest.run("texts", Path("data/interim/texts"), dataset)
    shutil.copytree("data/validated/crowd", "data/validated/texts")
    settings = load_params().prompts.model_copy(update={"template": None, "thinking": "none", "max_refused_frac": 0.7})
    prompts_stage.run(Path("models/base"), tmp_path, {"texts": dataset}, settings)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["samples"] == {"train": 1, "val": 0, "test": 3}
    assert summary["refused_too_long"] == {"train": 1}
    assert summary["asked_though_too_long"] == {"test": 1}
    reason = "it holds a control token of the model, like <|image_pad|>"
    assert summary["refused"]["train"] == {"gold answer too long": 1, reason: 1}
    rows = list(read_rows(tmp_path / "test.parquet", PROMPTS))
    assert {row["completion"][0]["content"] for row in rows} == {
        f"<answer>{text}</answer>" for text in ("12", "3 4", "y" * 90)
    }
    lines = gold_lines(tmp_path / "test.parquet")
    metrics = score.run(
        "gold", tmp_path / "test.parquet", write_lines(tmp_path / "gold", lines), tmp_path / "scores", SCORE
    )
    assert metrics["tasks"]["read"]["numbers"]["edit_distance"] == 0.0
    assert metrics["tasks"]["read"]["notes"][0] == "words end at white space"
    assert metrics["headline"] == {"name": "F1 of words", "value": 1.0, "interval": [1.0, 1.0]}
    assert {row["answer_text"] for row in read_rows(tmp_path / "scores/per_image.parquet", PER_IMAGE)} == {
        "12",
        "3 4",
        "y" * 90,
    }
