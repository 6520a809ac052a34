"""A group's image is opened, resized and cut into patches once, and what comes out is what stock gives."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers.models.qwen2_vl import image_processing_pil_qwen2_vl as stock

from components.policy import images
from components.policy.processor import load_processor
from components.training.shared_prefix.images_once import each_image_once


@pytest.fixture
def resized(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shape of every image that was resized."""
    seen: list[tuple[int, ...]] = []
    resize = stock.Qwen2VLImageProcessorPil.resize

    def counting(self: Any, image: np.ndarray, *args: Any, **kwargs: Any) -> np.ndarray:
        seen.append(image.shape)
        return resize(self, image, *args, **kwargs)

    monkeypatch.setattr(stock.Qwen2VLImageProcessorPil, "resize", counting)
    return seen


@pytest.mark.parametrize("tensors", ["pt", "np"])
def test_equal_images_are_prepared_once_and_all_rows_are_stocks(
    prepared: Path, resized: list[tuple[int, ...]], tensors: str
) -> None:
    random = np.random.default_rng(0)
    one, two, wide = (Image.fromarray(random.integers(0, 255, (*size, 3), dtype=np.uint8))
                      for size in ((64, 64), (64, 64), (64, 96)))  # fmt: skip
    rows = [one, two, one, wide, one.copy(), wide, two]
    theirs = load_processor(prepared / "models/base").image_processor
    wanted = theirs(images=rows, return_tensors=tensors)
    assert len(resized) == len(rows)
    resized.clear()
    got = each_image_once(theirs)(images=rows, return_tensors=tensors)
    assert len(resized) == 3
    for name in ("pixel_values", "image_grid_thw"):
        assert type(got[name]) is type(wanted[name])
        assert got[name].dtype == wanted[name].dtype
        assert torch.equal(torch.as_tensor(got[name]), torch.as_tensor(wanted[name]))


def test_what_is_saved_names_the_stock_one(prepared: Path, tmp_path: Path) -> None:
    theirs = load_processor(prepared / "models/base").image_processor
    for name, one in (("stock", theirs), ("ours", each_image_once(theirs))):
        one.save_pretrained(tmp_path / name)
    saved = [json.loads((tmp_path / name / "preprocessor_config.json").read_text()) for name in ("stock", "ours")]
    assert saved[0] == saved[1]
    assert saved[0]["size"]


def test_rows_of_one_image_open_its_file_once(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(prepared)
    opened: Counter[str] = Counter()
    prompt_image = images.prompt_image

    def counting(path: Path, sha256: str | None = None) -> Image.Image:
        opened[path.name] += 1
        return prompt_image(path, sha256)

    monkeypatch.setattr(images, "prompt_image", counting)
    dataset = images.load_prompts(Path("data/prompts/grpo.parquet"))
    first, second = dataset[0]["image"], dataset[1]["image"]
    opened.clear()
    rows = dataset[[0, 0, 1, 0, 1]]["image"]
    assert set(opened.values()) == {1}
    assert len(opened) == 2
    assert [one.tobytes() for one in rows] == [one.tobytes() for one in (first, first, second, first, second)]
