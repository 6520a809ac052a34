"""prompts: validated scenes -> chat samples with truth and gold answers, in the base model's frame."""

from __future__ import annotations

import hashlib
import logging
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from components.core.boxes import areas, as_boxes, clip, intersections
from components.core.frames import ImageView, smart_resize
from components.core.gold import gold_completion
from components.core.scene import Truth
from components.errors import DataError, ParamsError
from components.params import DatasetParams, PromptParams, load_params
from components.stages import progress, run_stage
from components.store.atomic import write_json
from components.store.schemas import BOXES, PROMPTS, QUARANTINE, SCENES
from components.store.tables import read_rows, read_table, write_table

log = logging.getLogger("lookout.prompts")
INTERIM, VALIDATED = Path("data/interim"), Path("data/validated")
Row = dict[str, Any]
SPLIT_FILES = {"train": ("sft", "grpo"), "val": ("val",), "test": ("test",)}
ROLES = {"train": {"train"}, "eval": {"val", "test"}, "both": {"train", "val", "test"}}


def run(base: Path, out: Path, datasets: dict[str, DatasetParams], params: PromptParams) -> None:
    """Writes sft, grpo, val and test.parquet and summary.json. Raises DataError where a split is left empty."""
    from components.training.processor import load_processor

    processor = load_processor(base)
    text = prompt_text(Path(params.template), params.labels)
    refused: Counter[str] = Counter()
    lengths: list[int] = []
    splits: dict[str, list[Row]] = {"train": [], "val": [], "test": []}
    for name, dataset in datasets.items():
        for split, scene, boxes in _scenes(name, ROLES[dataset.role]):
            sample: Row = {"prompt": _message("user", text)} | _sample(scene, boxes, dataset, processor, params)
            lengths.append(sample["gold_tokens"])
            if sample["gold_tokens"] > params.max_completion_tokens:
                refused[split] += 1
            else:
                splits[split].append(sample)
    if not splits["train"] or not splits["test"]:
        raise DataError(f"no sample is left for training or test: {refused} refused for max_completion_tokens")
    kept = {split: _chosen(rows, split, params) for split, rows in splits.items()}
    for split, rows in kept.items():
        for file in SPLIT_FILES[split]:
            write_table(out / f"{file}.parquet", PROMPTS, rows)
    summary = {
        "schema": "prompts/1",
        "samples": {split: len(rows) for split, rows in kept.items()},
        "refused_too_long": dict(refused),
        "gold_tokens": _distribution(lengths),
        "template": params.template,
        "template_sha256": hashlib.sha256(Path(params.template).read_bytes()).hexdigest(),
    }
    write_json(out / "summary.json", summary)
    log.info("samples %s, refused %s, gold tokens %s", summary["samples"], dict(refused), summary["gold_tokens"])


def prompt_text(template: Path, labels: list[str]) -> str:
    """The user's message. Raises ParamsError where the template is missing or has an unknown field."""
    try:
        return template.read_text().strip().format(labels=", ".join(labels), label=labels[0])
    except FileNotFoundError:
        raise ParamsError(f"prompts.template: {template} is not there") from None
    except (KeyError, IndexError, ValueError) as error:
        raise ParamsError(f"{template}: unknown field {error}; want {{labels}} or {{label}}, and {{{{ for {{") from None


def _scenes(name: str, wanted: set[str]) -> Iterator[tuple[str, Row, list[Row]]]:
    """(split, scene, its boxes) of every image that validation let through."""
    folder = INTERIM / name
    refused = set(read_table(VALIDATED / name / "quarantine.parquet", QUARANTINE)["scene_id"].to_pylist())
    boxes: dict[str, list[Row]] = defaultdict(list)
    for box in read_rows(folder / "boxes.parquet", BOXES):
        boxes[box["scene_id"]].append(box)
    scenes = list(read_rows(folder / "scenes.parquet", SCENES))
    for scene in progress(scenes, f"prompts {name}"):
        if scene["scene_id"] not in refused and scene["split"] in wanted:
            yield scene["split"], scene, boxes[scene["scene_id"]]


def _sample(scene: Row, boxes: list[Row], dataset: DatasetParams, processor: Any, params: PromptParams) -> Row:
    width, height = scene["width_px"], scene["height_px"]
    images = processor.image_processor
    size = images.size
    model_size = smart_resize(
        width, height, images.patch_size * images.merge_size, size["shortest_edge"], size["longest_edge"]
    )
    view = ImageView(width, height, params.frame, model_size)
    truth = truth_of(boxes, width, height)
    text = gold_completion(truth, view, params.look_iou)
    visible = truth.visible_frac if truth.visible_frac is not None else np.ones(len(truth.boxes))
    return {
        "sample_id": f"{scene['source']}/{scene['scene_id']}",
        "scene_id": scene["scene_id"],
        "source": scene["source"],
        "task": "detect",
        "image_path": os.path.join(dataset.root, scene["image_path"]),  # noqa: PTH118  (an absolute root stays one)
        "image_sha256": scene["sha256"],
        "width_px": width,
        "height_px": height,
        "frame": params.frame,
        "model_width_px": model_size[0],
        "model_height_px": model_size[1],
        "completion": _message("assistant", text),
        "gold_tokens": len(processor.tokenizer(text)["input_ids"]) + 1,  # and the end
        "truth_boxes": truth.boxes.tolist(),
        "truth_labels": list(truth.labels),
        "truth_visible_frac": np.asarray(visible).tolist(),
        "ignore_boxes": truth.ignore.tolist(),
    }


def truth_of(boxes: list[Row], width: int, height: int) -> Truth:
    """The boxes to be found and those to be ignored, clipped to the image; visible share of each person."""
    full = as_boxes([[box["x1"], box["y1"], box["x2"], box["y2"]] for box in boxes])
    clipped = clip(full, width, height)
    inside = areas(clipped) > 0
    ignored = np.array([box["ignore"] for box in boxes], dtype=bool)
    people = np.flatnonzero(inside & ~ignored)
    return Truth(
        boxes=as_boxes(clipped[people]),
        labels=tuple(boxes[i]["label"] for i in people),
        ignore=as_boxes(clipped[inside & ignored]),
        width_px=width,
        height_px=height,
        visible_frac=np.array([_visible_frac(boxes[i], full[i]) for i in people], dtype=np.float32),
    )


def _visible_frac(box: Row, full: Any) -> float:
    if box["visible_x1"] is None:
        return 1.0
    visible = as_boxes([[box[f"visible_{key}"] for key in ("x1", "y1", "x2", "y2")]])
    whole = as_boxes([full])
    return float(intersections(visible, whole)[0, 0] / max(float(areas(whole)[0]), 1e-9))


def _message(role: str, content: str) -> list[dict[str, str]]:
    return [{"role": role, "content": content}]


def _chosen(rows: list[Row], split: str, params: PromptParams) -> list[Row]:
    """At most `max_samples` rows, the first of a seeded shuffle."""
    order = np.random.default_rng([params.seed, len(split)]).permutation(len(rows))
    return [rows[i] for i in order[: getattr(params.max_samples, split)]]


def _distribution(lengths: list[int]) -> dict[str, int]:
    quantiles = {"p50": 50, "p90": 90, "p99": 99, "max": 100}
    return {name: int(np.percentile(lengths, q, method="higher")) for name, q in quantiles.items()}


def main() -> None:
    params = load_params()
    run(Path("models/base"), Path("data/prompts"), params.datasets, params.prompts)


if __name__ == "__main__":
    run_stage(main)
