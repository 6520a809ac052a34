"""The evaluation page: base, SFT and GRPO side by side, the curves, the images, worst first."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from urllib.parse import quote

from components.core.class_words import counted
from components.core.tasks import TASKS
from components.core.words import MODELS, TRAINED
from components.errors import DataError
from components.metrics.detection import ImageCounts
from components.params.base import BaseParams
from components.params.datasets import Datasets
from components.params.rewards import RewardsParams
from components.report import tables, tasks
from components.report.captions import unread
from components.report.curves import line_of, read_csv
from components.report.gallery import KINDS, Images, Picture, card, chosen, looked_well
from components.report.plots import SHARE, chart
from components.report.training_groups import groups_section
from components.store.counts import row_counts
from components.store.digest import file_sha256
from components.store.json_file import read_json
from components.store.left_out import left_out_lines
from components.store.samples import image_groups, whole_row
from components.store.schemas.metrics import Unreadable
from components.store.schemas.prompts import PROMPTS, PromptRow
from components.store.schemas.scores import DETECTIONS, PER_IMAGE, DetectionRow, PerImageRow
from components.store.schemas.validated import Validated
from components.store.tables import read_rows

IMAGE_BUDGET_BYTES = 20_000_000
"""A page of at most 25 MB, whatever the number of images."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the report reads: folders that DVC tracks, nothing else."""

    scores: Path
    training: Path
    prompts: Path
    """The folder of prompts: test.parquet, and grpo.parquet for the training groups."""
    validated: Path


@dataclass(frozen=True, slots=True)
class Settings:
    """What the page says of params.yaml: dvc.yaml names these sections for the stage."""

    profile: str
    base: BaseParams
    rewards: RewardsParams
    datasets: Datasets


def images_to_test(inputs: Inputs) -> list[PromptRow]:
    """The rows of test.parquet, an image's tiles as one."""
    rows = list(read_rows(inputs.prompts / "test.parquet", PROMPTS))
    return [whole_row(rows[places[0]]) for places in image_groups(rows)]


@dataclass(frozen=True, slots=True, eq=False)
class Evaluated:
    """The test images, and by model what was said of them, worst first, and how much of it is right."""

    samples: list[PromptRow]
    pictures: dict[str, list[Picture]]
    counts: dict[str, list[ImageCounts]]


def read_evaluated(inputs: Inputs) -> Evaluated:
    """Each table is read once. Raises DataError where the scores are of other images."""
    evaluated = Evaluated(images_to_test(inputs), {}, {})
    for model in MODELS:
        rows = list(read_rows(inputs.scores / model / "per_image.parquet", PER_IMAGE))
        evaluated.pictures[model] = pictures_of(model, inputs, evaluated.samples, rows)
        evaluated.counts[model] = [row_counts(row) for row in rows]
    return evaluated


def pictures_of(model: str, inputs: Inputs, samples: list[PromptRow], rows: list[PerImageRow]) -> list[Picture]:
    """Every test image with what `model` said of it, worst first; rows: of per_image.parquet."""
    images = {row["sample_id"]: row for row in rows}
    found: dict[str, list[DetectionRow]] = {}
    for row in read_rows(inputs.scores / model / "detections.parquet", DETECTIONS):
        found.setdefault(row["sample_id"], []).append(row)
    missing = [sample["sample_id"] for sample in samples if sample["sample_id"] not in images]
    if missing:
        raise DataError(
            f"{inputs.scores / model / 'per_image.parquet'} lacks {len(missing)} of the {len(samples)} samples of "
            f"{inputs.prompts / 'test.parquet'}, {missing[0]} first; run score again"
        )
    many = len(kinds_of(samples)) > 1
    texts: dict[str, Unreadable] = read_json(inputs.scores / model / "unreadable.json")
    pictures = [
        _picture(
            sample, images[sample["sample_id"]], found.get(sample["sample_id"], []), many,
            texts.get(sample["sample_id"]),
        )
        for sample in samples
    ]  # fmt: skip
    return sorted(pictures, key=lambda picture: (picture.f1, picture.sample_id))


def kinds_of(samples: Iterable[PromptRow]) -> set[str]:
    """The labels of what detection is to find in these samples."""
    return {label for sample in samples if TASKS[sample["task"]].finds_all for label in sample["truth_labels"]}


def _picture(
    sample: PromptRow, image: PerImageRow, found: list[DetectionRow], labelled: bool, said: Unreadable | None
) -> Picture:
    total = image["predicted_count"] + image["truth_count"]
    size = sample["width_px"], sample["height_px"]
    flags = {
        "missed": image["matched_count"] < image["truth_count"],
        "false": image["matched_count"] < image["predicted_count"],
        "unreadable": image["failure"] is not None,
        "looked-well": looked_well(image["look_boxes"], image["disagreement"], *size),
    }
    task, failure = sample["task"], image["failure"]
    labelled = labelled and TASKS[task].finds_all
    page = tasks.TASK_PAGES[task]
    unreadable = f"{unread(failure, said)}<br>{page.meant(sample)}" if failure else None
    return Picture(
        sample_id=sample["sample_id"],
        path=Path(sample["image_path"]),
        width_px=size[0],
        height_px=size[1],
        caption=unreadable or page.caption(sample, image, len(found)),
        truth_points=sample["truth_points"] or [],
        answer_points=image["answer_points"] or [],
        truth=sample["truth_boxes"],
        ignore=sample["ignore_boxes"],
        answer=[[row[side] for side in ("x1", "y1", "x2", "y2")] for row in found],
        truth_labels=sample["truth_labels"] if labelled else [],
        answer_labels=[row["label"] for row in found] if labelled else [],
        look=image["look_boxes"],
        think=image["think"],
        f1=2 * image["matched_count"] / total if total else 1.0,
        kinds=tuple(kind for kind, is_so in flags.items() if is_so),
        disagreement=image["disagreement"],
    )


def evaluation_page(
    inputs: Inputs, evaluated: Evaluated, settings: Settings, gallery_images: int, made: str = ""
) -> str:
    """The whole page as HTML; it loads nothing from anywhere. made: at which commit, a sentence for its head."""
    metrics: tasks.ByModel = {model: read_json(inputs.scores / model / "metrics.json") for model in MODELS}
    style, script = (
        resources.files("components.report").joinpath(f"page.{kind}").read_text() for kind in ("css", "js")
    )
    shown = Images(IMAGE_BUDGET_BYTES)
    gallery = _gallery(evaluated.pictures, gallery_images, shown)
    groups = groups_section(inputs.training / "grpo" / "rollouts.parquet", inputs.prompts / "grpo.parquet", shown)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>Lookout: evaluation</title><style>{style}</style></head><body><main>
<header><h1>{tasks.title(metrics, kinds_of(evaluated.samples))}</h1>
<p>Profile <b>{html.escape(settings.profile)}</b>: {metrics[MODELS[-1]]["images"]} held-out images, answered greedily
by the policy before training, after the supervised cold start, and after GRPO. {tasks.how_measured(metrics)}
{_scale(settings.base)}</p><p class="note">{html.escape(made)}</p></header>
<section><h2>Numbers</h2>{tasks.numbers(metrics)}{tables.gains(evaluated.counts, metrics[MODELS[-1]])}</section>
{tasks.parts(inputs.scores, metrics, settings.datasets, evaluated.samples)}
<section><h2>Training</h2>{_warnings(inputs)}<div class="charts">{_training_charts(inputs)}</div>
<p class="note">Long curves: pale as logged, strong their running mean.</p></section>
<section id="images"><h2>Images, worst first</h2>{gallery}</section>
{groups}
<section><h2>What it was made from</h2>{_origins(inputs, settings.rewards)}</section>
</main><script type="application/json" id="pictures">{json.dumps(shown.uris)}</script>
<script>{script}</script></body></html>
"""


def _scale(base: BaseParams) -> str:
    if base.build is None:
        return ""
    size = f"{base.build.text.layers} layers, {base.build.text.hidden_size} wide"
    return f"The policy ({size}) was built from nothing: this proves the machinery, not the paper's numbers."


TRAINING = (
    ("sft", "SFT loss", "loss", None),
    ("sft", "SFT token accuracy", "mean_token_accuracy", SHARE),
    ("grpo", "Total reward", "reward_total", None),
    ("grpo", "KL to the reference (beta > 0 only)", "kl", None),
    ("grpo", "Entropy", "entropy", None),
    ("grpo", "Completion length, tokens", "mean_length", None),
    ("grpo", "Share of completions cut at the limit", "clipped_ratio", SHARE),
    ("grpo", "Share of groups without variance", "frac_reward_zero_std", SHARE),
)


def _training_charts(inputs: Inputs) -> str:
    curves = {stage: read_csv(inputs.training / stage / "curves.csv") for stage in TRAINED}
    charts = [
        chart(title, [line_of(name, curves[stage], "step", name)], "step", limits, True)
        for stage, title, name, limits in TRAINING
    ]
    charts.insert(2, _reward_chart(curves["grpo"]))
    return "".join(charts)


def _reward_chart(rows: list[dict[str, str]]) -> str:
    """Every reward that the run logged, whatever their names; each lies in [0, 1]."""
    names = [name for name in rows[0] if name.startswith("reward_") and name != "reward_total"] if rows else []
    return chart("Rewards", [line_of(name, rows, "step", name) for name in names], "step", SHARE, True)


def _warnings(inputs: Inputs) -> str:
    found = [
        f"{stage}: {warning}"
        for stage in TRAINED
        for warning in read_json(inputs.training / stage / "summary.json")["warnings"]
    ]
    return "".join(f"<p class='warning'>{html.escape(text)}</p>" for text in found)


def _gallery(said: dict[str, list[Picture]], count: int, shown: Images) -> str:
    keys = "".join(f"<span class='key box-{kind}'>{kind}</span>" for kind in ("truth", "answer", "look", "ignore"))
    buttons, panels = "", ""
    for model in reversed(MODELS):
        first = model == MODELS[-1]
        pictures = said[model]
        cards = list(_cards(chosen(pictures, count), shown))
        buttons += _button("model", model, model, pressed=first)
        panels += (
            f"<div class='panel' data-model='{model}'{'' if first else ' hidden'}>"
            f"<p class='note' role='status'>{len(cards)} of {len(pictures)} images</p>"
            f"<div class='gallery'>{''.join(cards)}</div></div>"
        )
    kinds = _button("kind", "", "all", pressed=True)
    kinds += "".join(_button("kind", kind, kind.replace("-", " "), title) for kind, title in KINDS.items())
    heat = "<button type='button' class='heat-switch' aria-pressed='false'>disagreement</button>"
    return (
        f"<div class='bar'><span class='switch' role='group' aria-label='model'>{buttons}</span>"
        f"<span class='switch' role='group' aria-label='show'>{kinds}</span>{heat}{keys}</div>{panels}"
    )


def _cards(pictures: list[Picture], shown: Images) -> Iterator[str]:
    """Cards until the page's budget is spent."""
    for picture in pictures:
        key = shown.key(picture.path)
        if key is None or not shown.fits(text := card(picture, key)):
            return
        yield text


def _button(data: str, value: str, text: str, title: str = "", pressed: bool = False) -> str:
    about = f" title='{html.escape(title)}'" if title else ""
    return f"<button type='button' data-{data}='{value}' aria-pressed='{str(pressed).lower()}'{about}>{text}</button>"


def _origins(inputs: Inputs, params: RewardsParams) -> str:
    rewards = html.escape(json.dumps(params.model_dump(mode="json", by_alias=True), indent=2, sort_keys=True))
    rows: list[list[str]] = []
    for path in sorted(inputs.validated.glob("*/validation.json")):
        content: Validated = read_json(path)
        counts, name = content["counts"], content["dataset"]
        failed = sum(not check["success"] for check in content["checks"])
        link = f"<a href='../validation/{quote(name)}/index.html'>{html.escape(name)}</a>"
        boxes, noun = counted(counts)
        cells = [counts["images"], boxes, f"{counts[f'mean_{noun}']:.1f}", content["quarantined"]]
        rows.append([link, *map(str, cells), f"{failed} of {len(content['checks'])}"])
    heads = ["dataset", "images", "boxes", "boxes an image", "refused", "checks with a finding"]
    prompts = ", ".join(
        f"{name} {file_sha256(inputs.prompts / name)[:12]}" for name in ("grpo.parquet", "test.parquet")
    )
    left_out = "".join(
        f'<p class="warning">{html.escape(line)}.</p>'
        for line in left_out_lines(read_json(inputs.prompts / "summary.json"))
    )
    return f"""{tables.table("Datasets", heads, rows)}{left_out}<p class="note">Prompts, by SHA-256: {prompts}.
<code>lookout trace</code> names every digest behind a registered version.</p>
<details><summary>The reward configuration in force</summary><pre tabindex="0">{rewards}</pre></details>
<p class="note">The rewards' formulas are this project's reading of DIP-R1 (arXiv:2505.23179), whose abstract gives
none, and for the other tasks of Perception-R1 (arXiv:2504.07954).</p>"""
