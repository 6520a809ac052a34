"""validated scenes -> chat samples with truth and gold answers, in the base model's frame."""

from __future__ import annotations

import logging
import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TypeVar

from components.core.completion import ParseFailure
from components.core.words import SPLITS_OF
from components.errors import DataError
from components.machine.progress import progress
from components.params.base import BaseParams
from components.params.datasets import DatasetParams
from components.params.prompts import PromptParams
from components.prompting.budget import check_numbers, person_heights, pixels_factor, token_budget
from components.prompting.choice import chosen
from components.prompting.leakage import HeldOut, check_leaks
from components.prompting.questions import TASK_QUESTIONS, ScenePart, grammar_of
from components.prompting.samples import Asker
from components.store.atomic import write_json
from components.store.samples import read_sample
from components.store.schemas.ingested import ASKS, BOXES, SCENES, AskRow, BoxRow
from components.store.schemas.prompt_summary import PromptSummary
from components.store.schemas.prompts import PROMPTS, PromptRow
from components.store.schemas.validated import QUARANTINE
from components.store.tables import TableSchema, read_rows, write_table

log = logging.getLogger("lookout.prompts")
INTERIM, VALIDATED = Path("data/interim"), Path("data/validated")
RowT = TypeVar("RowT", BoxRow, AskRow)
SPLIT_FILES = {"train": ("sft", "grpo"), "val": ("val",), "test": ("test",)}
MOST_SMALL = 0.01
TOO_LONG = "gold answer too long"
NO_POINTS = "a count without points cannot teach to point (answer: number in its entry can do without)"
CONTROL = re.compile(r"<\|\w+\|>")
"""What a text from outside must not hold: the tokenizer would read it as an image, or as the end."""


def run(
    base: Path, out: Path, datasets: dict[str, DatasetParams], params: PromptParams, of_base: BaseParams | None = None
) -> None:
    """Writes sft, grpo, val and test.parquet and summary.json. Raises DataError where a split is left empty.

    of_base: the params that the base was made with, which messages name.
    """
    from components.policy.families import check_frame
    from components.policy.processor import load_processor

    check_frame(base, params.frame)
    processor = load_processor(base)
    samples: dict[str, list[PromptRow]] = {"train": [], "val": [], "test": []}
    held_out, leaks, templates = _held_out(datasets), dict[str, Counter[str]](), dict[str, str]()
    for name, dataset in datasets.items():
        settled = dataset.model_copy(update={"labels": dataset.labels or params.labels})
        asker = Asker(settled, grammar_of(name, dataset), processor, params)
        found, leaks[name] = _samples(name, asker, held_out)
        templates[str(asker.template.path)] = asker.template.sha256
        for split, rows in found.items():
            samples[split] += rows
        check_leaks(name, leaks[name], dataset.leakage == "drop")
    fitting, refusals = _fitting(samples, params)
    summary = _summary(samples, refusals, leaks, templates, datasets, params)
    if not fitting["train"] or not fitting["test"]:
        raise DataError(_nothing_left(summary, params.max_completion_tokens))
    if of_base is not None and of_base.build is not None:
        check_numbers([row for rows in fitting.values() for row in rows], of_base.build.max_number)
    _check_refused(samples["train"], fitting["train"], summary, params)
    weights = {name: dataset.sampling_weight for name, dataset in datasets.items()}
    caps = {name: dataset.max_samples for name, dataset in datasets.items()}
    for split, rows in fitting.items():
        most, seed = getattr(params.max_samples, split), (params.seed, len(split))
        kept = chosen(rows, most, seed, weights, caps if split == "train" else {})
        summary["samples"][split] = len(kept)
        too_long = sum(row["gold_tokens"] > params.max_completion_tokens for row in kept)
        if too_long:  # never of train
            summary["asked_though_too_long"][split] = too_long
        summary["samples_by_dataset"][split] = dict(sorted(Counter(row["source"] for row in kept).items()))
        for file in SPLIT_FILES[split]:
            write_table(out / f"{file}.parquet", PROMPTS, kept)
    write_json(out / "summary.json", summary)
    _log(summary, of_base)


def _samples(name: str, asker: Asker, held_out: HeldOut) -> tuple[dict[str, list[PromptRow]], Counter[str]]:
    """One dataset's samples by split, and how many training images are held out, by rule.

    Raises DataError where its images come without what its task asks for.
    """
    samples: dict[str, list[PromptRow]] = {"train": [], "val": [], "test": []}
    leaks, images, dataset = Counter[str](), 0, asker.dataset
    for scene in scenes_of(name, SPLITS_OF[dataset.role]):
        rule = held_out.rule(scene.row) if scene.row["split"] == "train" else None
        if rule is None:
            images += 1
            samples[scene.row["split"]] += asker.samples(scene)
        else:
            leaks[rule] += 1
    if images and not any(samples.values()):
        raise DataError(
            f"datasets.{name}: its task {dataset.task} asks for {TASK_QUESTIONS[dataset.task].made_from}, which none "
            f"of its {images} images has; is {dataset.format} the right format for that task?"
        )
    return samples, leaks


def _fitting(
    samples: dict[str, list[PromptRow]], params: PromptParams
) -> tuple[dict[str, list[PromptRow]], dict[str, Counter[str]]]:
    """The samples that can be taught or scored, by split, and how many were refused for which reason."""
    fitting: dict[str, list[PromptRow]] = {split: [] for split in samples}
    refusals: dict[str, Counter[str]] = {split: Counter() for split in samples}
    for split, rows in samples.items():
        for row in rows:
            reason = _refusal(row, split, params)
            if reason is None:
                fitting[split].append(row)
            else:
                refusals[split][reason] += 1
    return fitting, refusals


def _check_refused(
    samples: list[PromptRow], fitting: list[PromptRow], summary: PromptSummary, params: PromptParams
) -> None:
    """Raises DataError where so much of a dataset's training is refused that what is left is another dataset."""
    there, kept = (Counter(row["source"] for row in rows) for rows in (samples, fitting))
    for name, count in there.items():
        refused = count - kept[name]
        if refused > params.max_refused_frac * count:
            reasons = ", ".join(f"{reason} {number}" for reason, number in summary["refused"]["train"].items())
            keeps = summary["gold_tokens"]["limit_that_keeps_99_percent"]
            raise DataError(
                f"datasets.{name}: {refused} of {count} training samples are refused ({100 * refused / count:.0f} %, "
                f"at most {100 * params.max_refused_frac:g} % by prompts.max_refused_frac): {reasons}; "
                f"prompts.max_completion_tokens {keeps} keeps 99 % of the gold answers"
            )


def _refusal(row: PromptRow, split: str, params: PromptParams) -> str | None:
    """Why a sample is not taken; None where it is. The length of the answer refuses in training only."""
    if split == "train" and row["gold_tokens"] > params.max_completion_tokens:
        return TOO_LONG
    gold = row["completion"][0]["content"] if row["completion"] else None
    if CONTROL.search(f"{row['phrase'] or ''} {gold or ''}"):
        return "it holds a control token of the model, like <|image_pad|>"
    if gold is None:  # it can still be counted and scored by its number
        return NO_POINTS if split == "train" else None
    failure = read_sample(gold, row)
    if isinstance(failure, ParseFailure):
        return f"its own answer cannot be read ({failure.reason}): does it hold a tag of the grammar?"
    return None


def _nothing_left(summary: PromptSummary, limit: int) -> str:
    reasons = [f"{count} of {split}: {reason}" for split, reason, count in _unanswerable(summary)]
    for split, count in summary["refused_too_long"].items():
        keeps = summary["gold_tokens"]["limit_that_keeps_99_percent"]
        reasons.append(f"{count} of {split}: {TOO_LONG} for prompts.max_completion_tokens {limit} ({keeps} keeps 99 %)")
    return f"no sample is left for training or test: {'; '.join(reasons) or 'no dataset has images for both'}"


def _unanswerable(summary: PromptSummary) -> list[tuple[str, str, int]]:
    """split, reason, count of the samples that are refused for another reason than their length."""
    return [
        (split, reason, count)
        for split, found in summary["refused"].items()
        for reason, count in found.items()
        if reason != TOO_LONG
    ]


def _summary(
    samples: dict[str, list[PromptRow]],
    refusals: dict[str, Counter[str]],
    leaks: dict[str, Counter[str]],
    templates: dict[str, str],
    datasets: dict[str, DatasetParams],
    params: PromptParams,
) -> PromptSummary:
    everyone = [row for rows in samples.values() for row in rows]
    lengths = [row["gold_tokens"] for row in everyone] or [0]
    heights = [
        (box[3] - box[1]) * row["model_height_px"] / row["height_px"] for row in everyone for box in row["truth_boxes"]
    ]
    return {
        "schema": "prompts/3",
        "samples": {},
        "samples_by_dataset": {},
        "tasks": {name: f"{dataset.task} as {grammar_of(name, dataset)}" for name, dataset in datasets.items()},
        "asked_though_too_long": {},
        "refused_too_long": {split: found[TOO_LONG] for split, found in refusals.items() if found[TOO_LONG]},
        "refused": {split: dict(sorted(found.items())) for split, found in refusals.items() if found},
        "gold_tokens": token_budget(lengths, params.max_completion_tokens),
        "person_height_in_model_px": person_heights(heights, params.min_height_px),
        "pixels_factor_for_min_height": round(pixels_factor(heights, params.min_height_px), 2),
        "templates": dict(sorted(templates.items())),
        "left_out_as_held_out": {name: dict(sorted(found.items())) for name, found in leaks.items() if found},
    }


def _log(summary: PromptSummary, base: BaseParams | None) -> None:
    tokens, heights = summary["gold_tokens"], summary["person_height_in_model_px"]
    log.info("samples %s, gold tokens p50 %d, p99 %d", summary["samples_by_dataset"], tokens["p50"], tokens["p99"])
    if summary["refused_too_long"]:
        log.warning(
            "%s gold answers are longer than prompts.max_completion_tokens %d and are not trained on; %d keeps 99 %%",
            summary["refused_too_long"], tokens["limit"], tokens["limit_that_keeps_99_percent"],
        )  # fmt: skip
    for split, count in summary["asked_though_too_long"].items():
        log.warning("%d of %d %s samples have a longer gold answer; they are asked and scored all the same",
                    count, summary["samples"][split], split)  # fmt: skip
    for name, rules in summary["left_out_as_held_out"].items():
        log.warning("%s: training images that are held out are left out: %s", name, rules)
    for split, reason, count in _unanswerable(summary):
        log.warning("%d samples of %s are refused: %s", count, split, reason)
    if heights and heights["below_frac"] > MOST_SMALL:
        log.warning(
            "%.0f %% of the people are lower than the %g model pixels of prompts.min_height_px; 99 %% are not with %s",
            100 * heights["below_frac"], heights["min_height_px"], _more_pixels(summary, base),
        )  # fmt: skip


def _more_pixels(summary: PromptSummary, base: BaseParams | None) -> str:
    factor = summary["pixels_factor_for_min_height"]
    if base is None:
        return f"{factor:.1f} times the max_pixels"
    kind, now = "build" if base.build else "pretrained", base.image_bounds[2]
    return f"base.{kind}.max_pixels {math.ceil(now * factor)} (now {now}); `lookout new-profile` sets what goes with it"


def scenes_of(name: str, wanted: Collection[str]) -> Iterator[ScenePart]:
    """Every image that validation let through, with its boxes and questions."""
    folder = INTERIM / name
    refused = {row["scene_id"] for row in read_rows(VALIDATED / name / "quarantine.parquet", QUARANTINE)}
    boxes, asks = _by_scene(folder / "boxes.parquet", BOXES), _by_scene(folder / "asks.parquet", ASKS)
    scenes = list(read_rows(folder / "scenes.parquet", SCENES))
    for scene in progress(scenes, f"prompts {name}"):
        identity = scene["scene_id"]
        if identity not in refused and scene["split"] in wanted:
            yield ScenePart(scene, boxes[identity], asks[identity])


def _held_out(datasets: dict[str, DatasetParams]) -> HeldOut:
    """Every image that this run evaluates on."""
    evaluated = {name: set(SPLITS_OF[dataset.role]) - {"train"} for name, dataset in datasets.items()}
    scenes = {
        name: [row for row in read_rows(INTERIM / name / "scenes.parquet", SCENES) if row["split"] in splits]
        for name, splits in evaluated.items()
    }
    return HeldOut(scenes, {name: dataset.format for name, dataset in datasets.items()})


def _by_scene(path: Path, schema: TableSchema[RowT]) -> dict[str, list[RowT]]:
    rows: dict[str, list[RowT]] = defaultdict(list)
    for row in read_rows(path, schema):
        rows[row["scene_id"]].append(row)
    return rows
