"""What a terminal is shown of data's texts, and what a statement without whole answers says."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from components.machine.terminal import plain
from components.model_registry.trace import lineage_tree

HOSTILE = "[/] [link=https://x]here[/link] \x1b[31m"


def lineage(text: str) -> dict:
    dataset = {
        "format": text, "licence": text, "dvc_md5": text, "quarantined": 0, "counts": {"images": 1, "people": 1},
        "validation": {"success": True, "findings": []},
    }  # fmt: skip
    training = {"max_steps": 1, "learning_rate": 1.0, "seed": 1}
    return {
        "version": {"name": text, "version": 1, "recalled": f"recalled: {text}"},
        "key": text,
        "code": {"commit": text, "clean": False, "changed": [text]},
        "weights": {text: text},
        "base": {"kind": text, "name": text, "revision": text, "sha256": {}, "data": {text: dataset}},
        "data": {text: dataset},
        "prompt_summary": {"samples": {text: 1}, "templates": {text: text}},
        "prompts": {text: text},
        "rewards": {text: text},
        "params": {"sft": training, "grpo": training},
        "metrics": {text: {"format_rate": 1.0, "detection": {"f1": 1.0, "f1_interval": None}, "tasks": {}}},
        "environment": {"python": text, "libraries": dict.fromkeys(("torch", "transformers", "trl", "numpy"), text)},
    }


def test_a_lineage_is_printed_as_it_is_whatever_its_texts_are() -> None:
    console = Console(file=io.StringIO(), width=400, highlight=False, force_terminal=True, color_system=None)
    console.print(lineage_tree(lineage(HOSTILE)))
    said = console.file.getvalue()  # type: ignore[attr-defined]
    assert said.count("[/] [link=https://x]here[/link]") >= 20
    assert "\x1b" not in said.replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert "\x1b]8" not in said


def test_a_training_in_another_environment_says_what_was_another_there() -> None:
    here = {"torch": "2", "transformers": "5", "trl": "1", "numpy": "2"}
    own = here | {"numpy": "1", "rapidfuzz": "3", "vllm": "0.30"}
    made = lineage("x") | {"environment": {"python": "3.12", "libraries": here}}
    made["training"] = {"sft": {"run": {"python": "3.12", "libraries": here}},
                        "grpo": {"run": {"python": "3.11", "libraries": own}}, "earlier": {}}  # fmt: skip
    console = Console(file=io.StringIO(), width=400)
    console.print(lineage_tree(made))
    (said,) = [line for line in console.file.getvalue().splitlines() if "of its own" in line]  # type: ignore[attr-defined]
    assert said.endswith("grpo had an interpreter of its own: python 3.11, numpy 1, vllm 0.30")


SHOWN = {"plain ü 人": "plain ü 人", "a\x1bb": "a\\x1bb", "a\u202eb": "a\\u202eb", "\ud800": "\\ud800", "a\nb": "a\\nb"}


@pytest.mark.parametrize("text", SHOWN)
def test_a_character_that_a_terminal_obeys_is_written_out(text: str) -> None:
    assert plain(text) == SHOWN[text]
