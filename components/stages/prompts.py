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

from components.core.frames import ImageView, smart_resize
from components.core.gold import gold_completion
from components.core.scene import Truth
from components.core.tiles import split_truth, tile_grid
from components.errors import DataError, ParamsError
from components.params import DatasetParams, PromptParams, load_params
from components.prompting.budget import person_heights, pixels_factor, token_budget
from components.prompting.choice import chosen
from components.prompting.truth import truth_of
from components.stages import progress, run_stage
from components.store.atomic import write_json
from components.store.schemas import BOXES, PROMPTS, QUARANTINE, SCENES
from components.store.tables import read_rows, read_table, write_table

log = logging.getLogger("lookout.prompts")
INTERIM, VALIDATED = Path("data/interim"), Path("data/validated")
Row = dict[str, Any]
SPLIT_FILES = {"train": ("sft", "grpo"), "val": ("val",), "test": ("test",)}
MOST_SMALL = 0.01
OF_TILES = ("tile", "whole_size_px", "whole_truth_boxes", "whole_truth_labels", "whole_ignore_boxes")
ROLES = {"train": {"train"}, "eval": {"val", "test"}, "both": {"train", "val", "test"}}


def run(base: Path, out: Path, datasets: dict[str, DatasetParams], params: PromptParams) -> None:
    """Writes sft, grpo, val and test.parquet and summary.json. Raises DataError where a split is left empty."""
    from components.training.processor import load_processor

    processor = load_processor(base)
    samples: dict[str, list[Row]] = {"train": [], "val": [], "test": []}
    for name, dataset in datasets.items():
        text = prompt_text(Path(dataset.template or params.template), dataset.labels or params.labels)
        for split, scene, boxes in _scenes(name, ROLES[dataset.role]):
            message = {"prompt": _message("user", text)}
            samples[split] += [message | sample for sample in _samples(scene, boxes, dataset, processor, params)]
    fitting = {
        split: [row for row in rows if row["gold_tokens"] <= params.max_completion_tokens]
        for split, rows in samples.items()
    }
    summary = _summary(samples, fitting, datasets, params)
    if not fitting["train"] or not fitting["test"]:
        raise DataError(
            f"no sample is left for training or test: {summary['refused_too_long']} have gold answers of more than "
            f"prompts.max_completion_tokens {params.max_completion_tokens}; {summary['gold_tokens']['p99']} keeps 99 %"
        )
    weights = {name: dataset.sampling_weight for name, dataset in datasets.items()}
    caps = {name: dataset.max_samples for name, dataset in datasets.items()}
    for split, rows in fitting.items():
        most, seed = getattr(params.max_samples, split), (params.seed, len(split))
        kept = chosen(rows, most, seed, weights, caps if split == "train" else {})
        summary["samples"][split] = len(kept)
        summary["samples_by_dataset"][split] = dict(sorted(Counter(row["source"] for row in kept).items()))
        for file in SPLIT_FILES[split]:
            write_table(out / f"{file}.parquet", PROMPTS, kept)
    write_json(out / "summary.json", summary)
    _log(summary)


def _summary(
    samples: dict[str, list[Row]],
    fitting: dict[str, list[Row]],
    datasets: dict[str, DatasetParams],
    params: PromptParams,
) -> Row:
    everyone = [row for rows in samples.values() for row in rows]
    lengths = [row["gold_tokens"] for row in everyone] or [0]
    heights = [
        (box[3] - box[1]) * row["model_height_px"] / row["height_px"] for row in everyone for box in row["truth_boxes"]
    ]
    templates = sorted({dataset.template or params.template for dataset in datasets.values()})
    refused = {split: len(rows) - len(fitting[split]) for split, rows in samples.items()}
    return {
        "schema": "prompts/2",
        "samples": {},
        "samples_by_dataset": {},
        "refused_too_long": {split: count for split, count in refused.items() if count},
        "gold_tokens": token_budget(lengths, params.max_completion_tokens),
        "person_height_in_model_px": person_heights(heights, params.min_height_px),
        "pixels_factor_for_min_height": round(pixels_factor(heights, params.min_height_px), 2),
        "templates": {template: hashlib.sha256(Path(template).read_bytes()).hexdigest() for template in templates},
    }


def _log(summary: Row) -> None:
    tokens, heights = summary["gold_tokens"], summary["person_height_in_model_px"]
    log.info("samples %s, gold tokens p50 %d, p99 %d", summary["samples_by_dataset"], tokens["p50"], tokens["p99"])
    if summary["refused_too_long"]:
        log.warning(
            "%s gold answers are longer than prompts.max_completion_tokens %d and are refused; %d keeps 99 %%",
            summary["refused_too_long"], tokens["limit"], tokens["limit_that_keeps_99_percent"],
        )  # fmt: skip
    if heights and heights["below_frac"] > MOST_SMALL:
        log.warning(
            "%.0f %% of the people are lower than %g model pixels; %.1f times the max_pixels would lift 99 %% above it",
            100 * heights["below_frac"], heights["min_height_px"], summary["pixels_factor_for_min_height"],
        )  # fmt: skip


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


def _samples(
    scene: Row, boxes: list[Row], dataset: DatasetParams, processor: Any, params: PromptParams
) -> Iterator[Row]:
    """One sample of the whole image, or one a tile where the dataset is tiled."""
    whole = truth_of(boxes, scene["width_px"], scene["height_px"], dataset)
    if dataset.tiling is None:
        yield _sample(scene, whole, dataset, processor, params)
        return
    tiling = dataset.tiling
    tiles = tile_grid(whole.width_px, whole.height_px, tiling.rows, tiling.columns, tiling.overlap_frac)
    of_image = {
        "whole_size_px": [whole.width_px, whole.height_px],
        "whole_truth_boxes": whole.boxes.tolist(),
        "whole_truth_labels": list(whole.labels),
        "whole_ignore_boxes": whole.ignore.tolist(),
    }
    for number, (tile, truth) in enumerate(zip(tiles, split_truth(whole, tiles), strict=True)):
        sample = _sample(scene, truth, dataset, processor, params)
        yield sample | of_image | {"sample_id": f"{sample['sample_id']}#{number}", "tile": list(tile)}


def _sample(scene: Row, truth: Truth, dataset: DatasetParams, processor: Any, params: PromptParams) -> Row:
    width, height = truth.width_px, truth.height_px
    images = processor.image_processor
    size = images.size
    model_size = smart_resize(
        width, height, images.patch_size * images.merge_size, size["shortest_edge"], size["longest_edge"]
    )
    view = ImageView(width, height, params.frame, model_size)
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
    } | dict.fromkeys(OF_TILES)


def _message(role: str, content: str) -> list[dict[str, str]]:
    return [{"role": role, "content": content}]


def main() -> None:
    params = load_params()
    run(Path("models/base"), Path("data/prompts"), params.datasets, params.prompts)


if __name__ == "__main__":
    run_stage(main)
