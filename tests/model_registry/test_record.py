"""What the registry's database is told: a dozen headline numbers apart from all the others."""

from __future__ import annotations

from typing import Any

from components.model_registry.record import run_metrics


def test_the_headline_numbers_of_each_model_stand_in_a_group_of_their_own() -> None:
    detect = {"headline": {"name": "F1 at .5", "value": 0.5, "interval": None}, "format_rate": 1.0,
              "detection": {"precision": 0.75, "f1": 0.5}, "coco": {"AP": None}}  # fmt: skip
    count: Any = {"headline": {"name": "exact counts", "value": 0.25, "interval": None}, "format_rate": 0.5}
    found = run_metrics({"metrics": {"sft": detect, "grpo": count}})  # pyright: ignore[reportArgumentType]
    assert {name: value for name, value in found.items() if name.startswith("headline/")} == {
        "headline/sft F1 at .5": 0.5, "headline/sft format rate": 1.0, "headline/sft precision": 0.75,
        "headline/grpo exact counts": 0.25, "headline/grpo format rate": 0.5,
    }  # fmt: skip
    assert found["sft.detection.precision"] == 0.75
