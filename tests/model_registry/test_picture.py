"""The lineage's page: every digest is whole, and says what it is a digest of."""

from __future__ import annotations

import hashlib
import html
import re
from typing import Any

from components.model_registry.picture import dot, page


def digest(word: str) -> str:
    return hashlib.sha256(word.encode()).hexdigest()


def lineage() -> dict[str, Any]:
    steps = {"max_steps": 3, "seed": 1}
    return {
        "version": {"name": "people", "version": 2},
        "key": digest("key"),
        "code": {"commit": digest("commit")[:40], "clean": True},
        "base": {
            "name": "tiny <b>",
            "kind": "built",
            "sha256": {"config.json": digest("c"), "model.safetensors": digest("b")},
        },
        "data": {"crowd": {"counts": {"images": 4}, "licence": "CC0-1.0", "dvc_md5": digest("crowd")[:32] + ".dir"}},
        "prompts": {f"data/prompts/{name}.parquet": digest(name)[:32] for name in ("grpo", "sft", "test")},
        "prompt_summary": {"samples": {"train": 3, "test": 1}},
        "rewards": {"weights": {"looking": 0.05}, "looking": {"reading": "map"}},
        "params": {"sft": steps, "grpo": steps},
        "training": {stage: {"weights_sha256": digest(f"folder {stage}")} for stage in ("sft", "grpo")},
        "weights": {"model.safetensors": digest("weights")},
        "metrics": {"grpo": {"images": 1, "detection": {"f1": 0.5}, "detection_intervals": {}}},
    }


def test_every_digest_of_the_lineage_stands_whole_in_the_table() -> None:
    table = page(lineage()).partition("<h2>In full</h2>")[2]
    for word in ("key", "c", "b", "weights", "folder sft", "folder grpo"):
        assert digest(word) in table
    for word in ("crowd", "grpo", "sft", "test"):
        assert digest(word)[:32] in table
    assert digest("commit")[:40] in table
    assert "…" not in table


def test_two_digests_of_one_stage_have_two_names() -> None:
    (row,) = re.findall(r"<tr><th scope='row'>GRPO</th><td>(.*?)</td>", page(lineage()))
    named = dict(line.rsplit(": ", 1) for line in row.split("<br>")[1:])
    assert named == {
        "sha256 of the file model.safetensors": digest("weights"),
        "sha256 of the folder: of the list of its weight files and their sha256": digest("folder grpo"),
    }


def test_what_is_cut_in_the_drawing_is_whole_under_the_pointer_and_in_graphviz() -> None:
    drawing = page(lineage()).partition("<h2>In full</h2>")[0]
    assert f">file {digest('weights')[:17]}…</text>" in drawing
    assert f"sha256 of the file model.safetensors: {digest('weights')}" in drawing
    assert f"sha256 of the file model.safetensors: {digest('weights')}" in dot(lineage())
    assert html.escape("tiny <b>") in drawing
    assert "tiny <b>" not in drawing
