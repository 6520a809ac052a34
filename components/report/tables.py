"""The report's tables: the three models side by side, what changed between them, each dataset, each confidence."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from itertools import pairwise

from components.core.dotted import value_at
from components.core.metrics_json import Spread
from components.core.number_text import MISSING, interval_text
from components.metrics.detection import ImageCounts, f1_gain_interval, pooled
from components.store.schemas.metrics import BoxMetrics, Metrics, has_boxes

BOOTSTRAP, SEED = 2000, 0

HEADLINE = (
    ("format rate", "format_rate"),
    ("precision", "detection.precision"),
    ("recall", "detection.recall"),
    ("F1 at .5", "detection.f1"),
    ("mean F1 .5:.95", "detection.mean_f1"),
    ("JI", "crowdhuman.JI"),
    ("COCO AP", "coco.AP"),
    ("AP50", "coco.AP50"),
    ("AR100", "coco.AR100"),
    ("count error", "detection.count_mae"),
)
CROWD = (
    ("CrowdHuman AP", "crowdhuman.AP"),
    ("MR⁻²", "crowdhuman.MR"),
    ("JI", "crowdhuman.JI"),
    ("COCO AP, 500 boxes", "coco_500.AP"),
    ("AR500", "coco_500.AR500"),
    ("CityPersons MR⁻² Reasonable", "citypersons.Reasonable"),
    ("Small", "citypersons.Small"),
    ("Heavy", "citypersons.Heavy"),
    ("All", "citypersons.All"),
    ("images/s", "prediction.images_per_s"),
    ("tokens/s", "prediction.tokens_per_s"),
)
DATASET = (
    ("precision", "detection.precision"),
    ("recall", "detection.recall"),
    ("F1 at .5", "detection.f1"),
    ("JI", "crowdhuman.JI"),
    ("MR⁻²", "crowdhuman.MR"),
    ("COCO AP", "coco.AP"),
    ("AP50", "coco.AP50"),
    ("count error", "detection.count_mae"),
)
RANKED = (
    ("COCO AP", "coco_AP"),
    ("AP50", "coco_AP50"),
    ("CrowdHuman AP", "crowdhuman_AP"),
    ("MR⁻²", "crowdhuman_MR"),
    ("calibration error", "calibration_error"),
)
CONFIDENCES = ("constant", "rank", "logprob", "consensus")


def table(name: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table that scrolls where it is too wide; the first cell of a row is its heading. Cells are HTML."""
    head = "".join(f"<th scope='col'>{text}</th>" for text in heads)
    body = "".join(
        f"<tr><th scope='row'>{row[0]}</th>{''.join(f'<td>{cell}</td>' for cell in row[1:])}</tr>" for row in rows
    )
    # what scrolls must be reachable by keyboard, or a reader without a mouse never sees its right end
    return (
        f"<div class='wide' tabindex='0' role='region' aria-label='{html.escape(name)}'><table>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def of_boxes(metrics: Mapping[str, Metrics]) -> dict[str, BoxMetrics]:
    """Those with detection's tables; where detection was asked for, all."""
    return {model: one for model, one in metrics.items() if has_boxes(one)}


def headline(metrics: dict[str, Metrics]) -> str:
    """base, SFT and GRPO on the same images."""
    boxes = of_boxes(metrics)
    last = list(boxes.values())[-1]
    rows = [[model, *(_cell(one, path) for _, path in HEADLINE)] for model, one in boxes.items()]
    return (
        table("Numbers by model", ["model", *(name for name, _ in HEADLINE)], rows)
        + f"<p class='note'>{_unreadable(boxes)} AP ranks boxes by the confidence "
        f"{html.escape(last['confidence'])}, at most 100 boxes an image. The interval of F1 is a 95 % "
        "bootstrap over images. Count error: mean absolute "
        f"difference in people. Convention {html.escape(last['convention'])}: "
        f"{html.escape(last['convention_means'])}.</p>"
    )


def gains(counts: dict[str, list[ImageCounts]], metrics: Metrics) -> str:
    """The headline of each model less that of the one before, with the paired interval over the same images."""
    name = html.escape(metrics["headline"]["name"])
    models = list(counts)
    rows: list[list[str]] = []
    for before, after in pairwise(models):
        values = pooled(counts[before])["f1"], pooled(counts[after])["f1"]
        interval = f1_gain_interval([counts[before]], [counts[after]], BOOTSTRAP, SEED)
        if values[0] is None or values[1] is None or interval is None:
            rows.append([f"{after} over {before}", MISSING, MISSING, "cannot be said"])
            continue
        verdict = "better" if interval[0] > 0 else "worse" if interval[1] < 0 else "no difference shown"
        spread = f"{interval[0]:+.3f} to {interval[1]:+.3f}"
        rows.append([f"{after} over {before}", f"{values[1] - values[0]:+.3f}", spread, verdict])
    return (
        table(f"Gains in {name}", ["", name, "95 %, paired over images", ""], rows)
        + "<p class='note'>One training run each: the interval says what other images would change, not another seed."
        "</p>"
    )


def crowd(metrics: dict[str, Metrics], people: dict[str, int]) -> str:
    """The crowd benchmarks' own numbers, and how fast the answers came. people: in each of CityPersons' subsets."""
    rows = [[model, *(_cell(one, path) for _, path in CROWD)] for model, one in metrics.items()]
    heads = [
        f"{name} <small>{people[subset]} people</small>" if (subset := path.rpartition(".")[2]) in people else name
        for name, path in CROWD
    ]
    return (
        table("Crowd metrics by model", ["model", *heads], rows)
        + "<p class='note'>MR⁻²: log-average miss rate, less is better. JI: matched over all, at the best threshold. A "
        "dash: nobody of that kind is in the images.</p>"
    )


def datasets(metrics: dict[str, BoxMetrics], roles: dict[str, str]) -> str:
    """Each dataset by itself: in-domain where it was trained on, out of domain where it was only evaluated on."""
    rows = [
        [f"{html.escape(name)} <small>{roles.get(name, '')}</small>", model,
         *(_cell(one["datasets"][name], path) for _, path in DATASET)]
        for name in next(iter(metrics.values()))["datasets"]
        for model, one in metrics.items()
    ]  # fmt: skip
    return table("Numbers by dataset", ["dataset", "model", *(name for name, _ in DATASET)], rows)


def confidences(metrics: BoxMetrics) -> str:
    """The same boxes under each confidence."""
    found = metrics["confidences"]
    rows = [[name, *(_cell(found[name], path) for _, path in RANKED)] for name in CONFIDENCES if name in found]
    shuffles = metrics["tie_shuffles"]
    shuffled = [_spread(shuffles.get(key)) for key in ("coco.AP", "coco.AP50", "crowdhuman.AP", "crowdhuman.MR")]
    rows.insert(1, [f"constant, {shuffles['seeds']} random orders", *shuffled, MISSING])
    return (
        table("The same boxes under each confidence", ["confidence", *(name for name, _ in RANKED)], rows)
        + "<p class='note'>A model that gives no confidence is ranked by the order in which it names its boxes "
        "(constant), by its place there (rank), by its tokens' probabilities (logprob), or by how many of its sampled "
        "answers hold the box (consensus). Calibration error: mean distance between confidence and share of right "
        "boxes.</p>"
    )


def _spread(found: Spread | int | None) -> str:
    return MISSING if found is None or isinstance(found, int) else f"{found['mean']:.3f} ± {found['sd']:.3f}"


def _cell(values: Mapping[str, object], path: str) -> str:
    value = value_at(values, path)
    if value is None:
        return MISSING
    interval = value_at(values, f"{path}_interval")
    spread = f"<small> {interval_text(interval)}</small>" if interval else ""
    return f"{value:.0f}" if value >= 100 else f"{value:.3f}{spread}"


def _unreadable(metrics: dict[str, BoxMetrics]) -> str:
    parts: list[str] = []
    for model, one in metrics.items():
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(one["failures"].items()))
        cut = one["prediction"]["cut_at_the_limit"] if one["prediction"] else 0
        saved = one["salvaged"]["f1"]
        salvage = f"; F1 {saved:.3f} with what could be salvaged" if reasons and saved is not None else ""
        about = f" ({html.escape(reasons)}; {cut} cut at the token limit{salvage})" if reasons else ""
        parts.append(f"{model} {sum(one['failures'].values())}{about}")
    return f"Unreadable answers of {list(metrics.values())[-1]['images']}: {', '.join(parts)}."
