"""The evaluation page: base, SFT and GRPO side by side, the curves, the images, worst first."""

from __future__ import annotations

import csv
import html
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

from components.errors import DataError
from components.report.gallery import Picture, card, data_uri
from components.report.plots import Line, chart
from components.store.samples import image_groups, whole_row
from components.store.schemas import DETECTIONS, PER_IMAGE, PROMPTS
from components.store.tables import read_rows

MODELS = ("base", "sft", "grpo")
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the report reads: folders that DVC tracks, nothing else."""

    scores: Path
    training: Path
    prompts: Path
    validated: Path


def pictures_of(model: str, inputs: Inputs) -> list[Picture]:
    """Every test image with what `model` said of it, worst first. Raises DataError where the scores are of others."""
    images = {row["sample_id"]: row for row in read_rows(inputs.scores / model / "per_image.parquet", PER_IMAGE)}
    boxes: dict[str, list[list[float]]] = {}
    for row in read_rows(inputs.scores / model / "detections.parquet", DETECTIONS):
        boxes.setdefault(row["sample_id"], []).append([row["x1"], row["y1"], row["x2"], row["y2"]])
    rows = list(read_rows(inputs.prompts, PROMPTS))
    samples = [whole_row(rows[places[0]]) for places in image_groups(rows)]
    missing = [sample["sample_id"] for sample in samples if sample["sample_id"] not in images]
    if missing:
        raise DataError(
            f"{inputs.scores / model / 'per_image.parquet'} lacks {len(missing)} of the {len(samples)} samples of "
            f"{inputs.prompts}, {missing[0]} first; run score again"
        )
    pictures = [_picture(sample, images[sample["sample_id"]], boxes.get(sample["sample_id"], [])) for sample in samples]
    return sorted(pictures, key=lambda picture: (picture.f1, picture.sample_id))


def _picture(sample: Row, image: Row, boxes: list[list[float]]) -> Picture:
    total = image["predicted_count"] + image["truth_count"]
    return Picture(
        sample_id=sample["sample_id"],
        path=Path(sample["image_path"]),
        width_px=sample["width_px"],
        height_px=sample["height_px"],
        truth=sample["truth_boxes"],
        ignore=sample["ignore_boxes"],
        answer=boxes,
        look=image["look_boxes"],
        think=image["think"],
        failure=image["failure"],
        f1=2 * image["matched_count"] / total if total else 1.0,
    )


def evaluation_page(inputs: Inputs, params: dict[str, Any], gallery_images: int) -> str:
    """The whole page as HTML; it loads nothing from anywhere."""
    metrics = {model: _read_json(inputs.scores / model / "metrics.json") for model in MODELS}
    style = resources.files("components.report").joinpath("page.css").read_text()
    script = resources.files("components.report").joinpath("page.js").read_text()
    images = metrics[MODELS[-1]]["images"]
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>Lookout: evaluation</title><style>{style}</style></head><body><main>
<header><h1>Seeing every person</h1>
<p>Profile <b>{html.escape(params["profile"])}</b>: {images} held-out images, answered greedily by the policy
before training, after the supervised cold start, and after GRPO. Precision, recall and F1 are pooled over images,
optimal matching at IoU 0.5; an unreadable answer counts as no boxes. {_scale(params)}</p></header>
<section><h2>Numbers</h2>{_table(metrics)}</section>
<section><h2>Where it is right</h2><div class="charts">{_score_charts(inputs)}</div></section>
<section><h2>Training</h2>{_warnings(inputs)}<div class="charts">{_training_charts(inputs)}</div>
<p class="note">Long curves: pale as logged, strong their running mean.</p></section>
<section><h2>Images, worst first</h2>{_gallery(inputs, gallery_images)}</section>
<section><h2>What it was made from</h2>{_origins(inputs, params)}</section>
</main><script>{script}</script></body></html>
"""


def _read_json(path: Path) -> Any:
    if not path.exists():
        raise DataError(f"{path} is not there: the stage that writes it has not run (dvc repro runs it)")
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise DataError(f"{path} is not JSON ({error}); run dvc repro to write it again") from error


def _scale(params: dict[str, Any]) -> str:
    build = params["base"]["build"]
    if build is None:
        return ""
    size = f"{build['text']['layers']} layers, {build['text']['hidden_size']} wide"
    return f"The policy ({size}) was built from nothing: this proves the machinery, not the paper's numbers."


COLUMNS = (
    ("format rate", ("format_rate",)),
    ("precision", ("detection", "precision")),
    ("recall", ("detection", "recall")),
    ("F1 at .5", ("detection", "f1")),
    ("mean F1 .5:.95", ("detection", "mean_f1")),
    ("COCO AP", ("coco", "AP")),
    ("COCO AP50", ("coco", "AP50")),
    ("AR100", ("coco", "AR100")),
    ("count error", ("detection", "count_mae")),
)


def _table(metrics: dict[str, Any]) -> str:
    head = "".join(f"<th scope='col'>{name}</th>" for name, _ in COLUMNS)
    rows = "".join(_table_row(model, metrics[model]) for model in MODELS)
    confidence = html.escape(metrics[MODELS[-1]]["confidence"])
    return (
        f"{_scrolling('Numbers by model')}<table><thead><tr><th scope='col'>model</th>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div><p class='note'>{_unreadable(metrics)} "
        f"COCO numbers with confidence from {confidence}, at most 100 boxes an image. The interval of "
        f"F1 is a 95 % bootstrap over images. Count error: mean absolute difference in people.</p>"
    )


def _scrolling(name: str) -> str:
    # what scrolls must be reachable by keyboard, or a reader without a mouse never sees its right end
    return f"<div class='wide' tabindex='0' role='region' aria-label='{html.escape(name)}'>"


def _unreadable(metrics: dict[str, Any]) -> str:
    parts: list[str] = []
    for model in MODELS:
        failures = metrics[model]["failures"]
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(failures.items()))
        parts.append(f"{model} {sum(failures.values())}" + (f" ({html.escape(reasons)})" if reasons else ""))
    return f"Unreadable answers of {metrics[MODELS[-1]]['images']}: {', '.join(parts)}."


def _table_row(model: str, metrics: dict[str, Any]) -> str:
    cells = ""
    for name, path in COLUMNS:
        value: Any = metrics
        for key in path:
            value = value[key]
        interval = metrics["detection"]["f1_interval"] if name.startswith("F1") else None
        spread = f"<small> {interval[0]:.3f} to {interval[1]:.3f}</small>" if interval else ""
        cells += f"<td>{'–' if value is None else f'{value:.3f}'}{spread}</td>"
    return f"<tr><th scope='row'>{model}</th>{cells}</tr>"


def _score_charts(inputs: Inputs) -> str:
    by_iou = [_csv_line(model, inputs.scores / model / "plots" / "f1_by_iou.csv", "iou", "f1") for model in MODELS]
    curves = [
        _csv_line(model, inputs.scores / model / "plots" / "pr_curve.csv", "recall", "precision") for model in MODELS
    ]
    return chart("F1 by IoU threshold", by_iou, "IoU", (0, 1)) + chart(
        "Precision over recall at IoU .5", curves, "recall", (0, 1)
    )


SHARE = (0.0, 1.0)
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
    charts = [
        chart(title, [_csv_line(name, inputs.training / stage / "curves.csv", "step", name)], "step", limits, True)
        for stage, title, name, limits in TRAINING
    ]
    charts.insert(2, _reward_chart(inputs.training / "grpo" / "curves.csv"))
    return "".join(charts)


def _reward_chart(path: Path) -> str:
    """Every reward that the run logged, whatever their names; each lies in [0, 1]."""
    rows = _read_csv(path)
    names = [name for name in rows[0] if name.startswith("reward_") and name != "reward_total"] if rows else []
    return chart("Rewards", [_csv_line(name, path, "step", name) for name in names], "step", SHARE, True)


def _read_csv(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        raise DataError(f"{path} is not there: the stage that writes it has not run (dvc repro runs it)")
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _csv_line(name: str, path: Path, x: str, y: str) -> Line:
    rows = [row for row in _read_csv(path) if row.get(y)]  # blank = not logged
    return Line(name.removeprefix("reward_"), [(float(row[x]), float(row[y])) for row in rows])


def _warnings(inputs: Inputs) -> str:
    found = [
        f"{stage}: {warning}"
        for stage in ("sft", "grpo")
        for warning in _read_json(inputs.training / stage / "summary.json")["warnings"]
    ]
    return "".join(f"<p class='warning'>{html.escape(text)}</p>" for text in found)


def _gallery(inputs: Inputs, count: int) -> str:
    keys = "".join(f"<span class='key box-{kind}'>{kind}</span>" for kind in ("truth", "answer", "look", "ignore"))
    buttons, panels = "", ""
    uri_of = cache(data_uri)  # the worst images of one model are often those of another
    for model in reversed(MODELS):
        chosen = model == MODELS[-1]
        cards = "".join(card(picture, uri_of(picture.path)) for picture in pictures_of(model, inputs)[:count])
        buttons += f"<button type='button' data-model='{model}' aria-pressed='{str(chosen).lower()}'>{model}</button>"
        panels += f"<div class='gallery' data-model='{model}'{'' if chosen else ' hidden'}>{cards}</div>"
    return f"<div class='bar'><span class='switch' role='group' aria-label='model'>{buttons}</span>{keys}</div>{panels}"


def _origins(inputs: Inputs, params: dict[str, Any]) -> str:
    rewards = html.escape(json.dumps(params["rewards"], indent=2, sort_keys=True))
    rows = ""
    for path in sorted(inputs.validated.glob("*/validation.json")):
        content = _read_json(path)
        counts, name = content["counts"], content["dataset"]
        failed = sum(not check["success"] for check in content["checks"])
        rows += (
            f"<tr><th scope='row'><a href='../validation/{quote(name)}/index.html'>{html.escape(name)}</a></th>"
            f"<td>{counts['images']}</td>"
            f"<td>{counts['people']}</td><td>{counts['mean_people']:.1f}</td><td>{content['quarantined']}</td>"
            f"<td>{failed} of {len(content['checks'])}</td></tr>"
        )
    return f"""{_scrolling("Datasets")}<table><thead><tr><th scope="col">dataset</th><th scope="col">images</th>
<th scope="col">people</th><th scope="col">people an image</th><th scope="col">refused</th>
<th scope="col">checks with a finding</th></tr></thead><tbody>{rows}</tbody></table></div>
<details><summary>The reward configuration in force</summary><pre tabindex="0">{rewards}</pre></details>
<p class="note">The three rewards follow the abstract of DIP-R1 (arXiv:2505.23179), which gives no formula; the
formulas are this project's reading.</p>"""
