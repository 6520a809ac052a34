"""`lookout new-profile`: a profile whose sizes and limits fit datasets that are there, measured on their images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.core.tasks import TASKS
from components.core.words import SPLITS_OF, Role
from components.errors import DataError, LookoutError, ParamsError
from components.graph.compose import CONF, composed, profiles
from components.params.base import BaseParams
from components.params.names import check_name
from components.params.plain_yaml import load_yaml
from components.params.prompts import PromptParams
from components.params.whole import Params, check_params
from components.store.atomic import atomic_file

SMALLEST_PERCENT = 5
"""So many of 100 people may stay lower than the least height: to lift the very last one costs the most pixels."""
MOST_PIXELS_BUILT = 262_144
"""512 x 512: a policy built from nothing gets no larger images without being told."""
STEP = 8
"""Token limits are rounded up to multiples of it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One value that was set, and why."""

    key: str
    value: Any
    why: str


def new_profile(name: str, start: str, datasets: Sequence[str], only: bool) -> tuple[Path, list[Choice]]:
    """Writes conf/profile/<name>.yaml: the profile `start` with values that fit the datasets; what was chosen.

    only: no other dataset trains or is evaluated on. Raises ParamsError or DataError; then nothing is written.
    """
    check_name(name)
    path = CONF / "profile" / f"{name}.yaml"
    if name in profiles():
        raise ParamsError(f"{path} is there already; choose another name, or remove it")
    values = load_yaml(composed(start))
    before = check_params(values, CONF / "profile" / f"{start}.yaml")
    _check_tasks(start, before, datasets, only)
    if only:
        values["datasets"] = {key: value for key, value in values["datasets"].items() if key in datasets}
        values["synthetic"] = {key: value for key, value in values["synthetic"].items() if key in datasets}
    values["profile"] = name
    values["register"]["model_name"] = f"lookout-{name}"[:64]
    choices = list(_choices(before, list(values["datasets"])))
    for choice in choices:
        _put(values, choice.key.split("."), choice.value)
    check_params(values, path)
    from omegaconf import OmegaConf

    body = OmegaConf.to_yaml(OmegaConf.create(values))
    with atomic_file(path) as partial:
        said = "\n".join(f"# {choice.key} {choice.value}: {choice.why}" for choice in choices)
        partial.write_text(f"# @package _global_\n# Written by `lookout new-profile`, from {start}.\n{said}\n{body}")
    try:
        composed(name)
    except LookoutError:
        path.unlink()
        raise
    return path, choices


def _check_tasks(start: str, params: Params, datasets: Sequence[str], only: bool) -> None:
    lost = [one for one in datasets if one not in params.datasets]
    if lost or not datasets:
        raise ParamsError(f"{start} has no dataset {', '.join(lost) or 'given'}; it has {', '.join(params.datasets)}; "
                          "`lookout add-dataset` adds one")  # fmt: skip
    tasks = {dataset.task for one, dataset in params.datasets.items() if one not in datasets}
    other = [one for one in datasets if tasks and params.datasets[one].task not in tasks]
    if other:
        raise ParamsError(f"datasets.{other[0]} has the task {params.datasets[other[0]].task}, and {start} is made for "
                          f"{', '.join(sorted(tasks))}; begin from a profile of that task, like tiny-ocr")  # fmt: skip
    config = load_yaml((CONF / "config.yaml").read_text())["defaults"]
    added = [one for item in config if isinstance(item, dict) for one in item.get("datasets", [])]
    rest = [one for one in added if one not in datasets]
    if only and rest:
        raise ParamsError(f"conf/config.yaml adds {', '.join(rest)} to every profile, so it cannot be left out here; "
                          "take its line away there")  # fmt: skip


def _choices(params: Params, names: Sequence[str]) -> list[Choice]:
    sizes, heights = _people(params, names)
    factor, smallest, before = params.base.image_bounds
    least = _least_height(params.base)
    pixels = _pixels(sizes, heights, least, factor, smallest, before if params.base.pretrained else MOST_PIXELS_BUILT)
    kind = "build" if params.base.build else "pretrained"
    small = sum(height * _scale(size, pixels) < least for size, height in heights) / max(1, len(heights))
    found = [
        Choice("prompts.min_height_px", least, "the model sees in squares of this side"),
        Choice(f"base.{kind}.max_pixels", pixels,
               f"{100 * small:.1f} % of {len(heights)} people are then lower than that"),
    ]  # fmt: skip
    if kind == "build" and smallest > pixels:
        found.append(Choice("base.build.min_pixels", pixels, "at most max_pixels"))
    sides = [side for size in sizes for side in _model_size(size, factor, smallest, pixels)]
    if params.base.build:
        most = max(params.base.build.max_number if params.prompts.frame != "resized" else 10, *sides)
        found.append(Choice("base.build.max_number", most, "the longest side of an image for the model"))
    changed = _with(params, found)
    answer = _longest_answer(changed, names)
    limit = math.ceil(answer / STEP) * STEP
    why = f"the longest of the datasets' own answers has {answer} tokens"
    found += [Choice(key, limit, why) for key in
              ("prompts.max_completion_tokens", "grpo.max_completion_length", "predict.max_new_tokens")]  # fmt: skip
    if params.base.build:
        image = max(_area(_model_size(size, factor, smallest, pixels)) for size in sizes) // factor**2
        length = math.ceil((image + limit + 128) / 64) * 64
        found.append(Choice("base.build.max_length", length, f"an image of up to {image} tokens, prompt and answer"))
    return found


def _people(params: Params, names: Sequence[str]) -> tuple[list[tuple[int, int]], list[tuple[tuple[int, int], float]]]:
    """Size of every image, and (its image's size, height in its pixels) of everybody to be found."""
    from components.prompting.truth import truth_of

    sizes: set[tuple[int, int]] = set()
    heights: list[tuple[tuple[int, int], float]] = []
    for name in names:
        dataset = params.datasets[name]
        settled = dataset.model_copy(update={"labels": dataset.labels or params.prompts.labels})
        for scene in _scenes(name, dataset.role):
            size = (scene.row["width_px"], scene.row["height_px"])
            sizes.add(size)
            if TASKS[dataset.task].finds_all:
                truth = truth_of(scene.boxes, *size, settled)
                heights += [(size, float(box[3] - box[1])) for box in truth.boxes]
    if not sizes:
        raise DataError(f"no image of {', '.join(names)} passed validation; reports/validation/ says why")
    return sorted(sizes), heights


def _scenes(name: str, role: Role) -> list[Any]:
    from components.prompting.build import VALIDATED, scenes_of

    if not (VALIDATED / name / "quarantine.parquet").exists():
        raise DataError(f"{name} is not validated yet, so nothing is known of its images; "
                        f"run: lookout validate --dataset {name}")  # fmt: skip
    return list(scenes_of(name, SPLITS_OF[role]))


def _least_height(base: BaseParams) -> float:
    return float(base.build.vision.patch_size if base.build else base.image_bounds[0] // 2)


def _pixels(
    sizes: Sequence[tuple[int, int]], heights: Sequence[tuple[tuple[int, int], float]], least: float, factor: int,
    smallest: int, most: int,
) -> int:  # fmt: skip
    """Pixels of an image that lift all but a few people to the least height; no more than the images have."""
    whole = max(_area(size) for size in sizes)
    needed = [_area(size) * (least / max(height, 1e-6)) ** 2 for size, height in heights] or [whole]
    wanted = min(float(np.percentile(needed, 100 - SMALLEST_PERCENT)), whole, most)
    side = math.ceil(math.sqrt(max(wanted, factor**2)) / factor) * factor
    return max(min(side * side, max(most, factor**2)), min(smallest, most))


def _scale(size: tuple[int, int], pixels: int) -> float:
    return min(1.0, math.sqrt(pixels / _area(size)))


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def _model_size(size: tuple[int, int], factor: int, smallest: int, pixels: int) -> tuple[int, int]:
    from components.core.frames import smart_resize

    return smart_resize(*size, factor, min(smallest, pixels), pixels)


def _with(params: Params, choices: Sequence[Choice]) -> Params:
    values = params.model_dump(by_alias=True)
    for choice in choices:
        _put(values, choice.key.split("."), choice.value)
    return check_params(values, CONF)


def _longest_answer(params: Params, names: Sequence[str]) -> int:
    """Tokens of the longest gold answer, by the tokenizer that the base will have."""
    from components.prompting.questions import grammar_of
    from components.prompting.samples import Asker

    asks: PromptParams = params.prompts
    processor, longest = _processor(params.base), 1
    for name in names:
        dataset = params.datasets[name]
        settled = dataset.model_copy(update={"labels": dataset.labels or asks.labels})
        asker = Asker(settled, grammar_of(name, dataset), processor, asks)
        for scene in _scenes(name, dataset.role):
            longest = max([longest, *(sample["gold_tokens"] for sample in asker.samples(scene))])
    return longest


def _processor(base: BaseParams) -> Any:
    if base.build:
        from components.policy.tiny import build_processor

        return build_processor(base.build)
    from components.policy.processor import load_processor

    folder = Path("models/base")
    if not folder.is_dir():
        raise DataError(f"{folder} is not there, and its tokenizer counts the answers; run: dvc repro base")
    _, smallest, most = base.image_bounds
    return load_processor(folder, smallest, most)


def _put(values: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        values = values[key]
    values[keys[-1]] = value
