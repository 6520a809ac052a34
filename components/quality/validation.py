"""Runs the suites, and tells what came out: findings for the pipeline, Data Docs for people."""

from __future__ import annotations

import logging
import os
import tempfile
from collections import Counter
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from components.core.class_words import IGNORE, OTHER
from components.core.frames import smart_resize
from components.core.tasks import TASKS
from components.params.datasets import DatasetParams
from components.params.validate import ValidateParams
from components.quality.asked import check_asked, check_tiles, noun_of
from components.quality.data_docs import write_offline_docs
from components.quality.distributions import distributions
from components.quality.expectations import WHERE, Table, ask_checks, box_checks, load_asks, load_tables, scene_checks
from components.quality.findings import finding
from components.quality.frames_shown import frames
from components.quality.pictures import AT_FAULT, MOST_THUMBNAILS, thumbnail
from components.store.schemas.ingested import NOTES, NoteRow
from components.store.schemas.validated import Check, QuarantineRow, Validated
from components.store.tables import read_rows

log = logging.getLogger("lookout.validate")


@dataclass(frozen=True, slots=True)
class ImageBounds:
    """How the base model's processor resizes: sides to multiples of `factor`, the area between two bounds."""

    factor: int
    min_pixels: int
    max_pixels: int

    def scale(self, width_px: int, height_px: int) -> float:
        """Height of the model's image over the original's; NaN where the model takes none of that shape."""
        try:
            return smart_resize(width_px, height_px, self.factor, self.min_pixels, self.max_pixels)[1] / height_px
        except ValueError:
            return float("nan")


@dataclass(frozen=True, slots=True)
class Validation:
    """What came out: the content of validation.json, and the rows of quarantine.parquet."""

    content: Validated
    quarantine: list[QuarantineRow]

    @property
    def errors(self) -> list[Check]:
        return [check for check in self.content["checks"] if not check["success"] and check["severity"] == "critical"]

    @property
    def sentence(self) -> str:
        """The first error in words: the check, the count, the first offender."""
        first = self.errors[0]
        more = f" (and {len(self.errors) - 1} more checks)" if len(self.errors) > 1 else ""
        found = finding(first)
        if first["first"] is None:
            return f"{first['table']}.{first['column']}: {found}; wanted: {first['note']}{more}"
        return (
            f"{first['table']}.{first['column']}: {first['note']}: {first['unexpected_count']} do not, the first is "
            f"{first['first']}{more}"
        )


def validate_dataset(
    name: str, interim: Path, docs: Path, dataset: DatasetParams, labels: list[str], params: ValidateParams,
    bounds: ImageBounds,
) -> Validation:  # fmt: skip
    """Checks one dataset and writes its pages into `docs`. `bounds` tells how large images become for the model."""
    labels = dataset.labels or labels
    scenes, boxes = load_tables(interim, dataset, labels, params)
    asks = load_asks(interim, scenes, boxes)
    check_tiles(name, scenes, dataset.tiling)
    notes = list(read_rows(interim / "notes.parquet", NOTES))
    if TASKS[dataset.task].asks_of_boxes and not len(asks):
        check_asked(name, scenes, boxes, dataset, labels, notes)
    if not len(boxes) and asks["count"].notna().any():
        scenes["people"] = scenes["scene_id"].map(asks.groupby("scene_id")["count"].sum()).fillna(0).astype(int)
    for split, count in scenes["split"].value_counts().items():
        scenes[f"images_of_{split}"] = count
    with tempfile.TemporaryDirectory() as project:
        context = _context(Path(project))
        checks = _run(context, f"{name}_scenes", scenes, scene_checks(params, dataset.expected), "scenes")
        if len(boxes) or not len(asks):  # what is counted or read may have no boxes at all
            checks += _run(context, f"{name}_boxes", boxes, box_checks(params), "boxes")
        if len(asks):
            checks += _run(context, f"{name}_asks", asks, ask_checks(), "asks")
        counts = _counts(scenes, boxes, notes, noun_of(boxes, labels)) | ({"questions": len(asks)} if len(asks) else {})
        quarantine = _quarantine(scenes)
        content: Validated = {
            "schema": "validation/1",
            "dataset": name,
            "counts": counts,
            "checks": checks,
            "distributions": distributions(scenes, boxes, bounds.scale),
            "quarantined": len(quarantine),
            "quarantined_frac": len(quarantine) / max(1, len(scenes)),
            "success": not any(not check["success"] and check["severity"] == "critical" for check in checks),
        }
        site = Path(project) / "gx" / "uncommitted" / "data_docs" / "local_site"
        root = Path(dataset.root)
        pictures = frames(root, scenes, boxes, docs)
        write_offline_docs(site, docs, content, quarantine, notes, _thumbnails(root, scenes, boxes), pictures)
    return Validation(content, quarantine)


def _context(project: Path) -> Any:
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    gx: Any = import_module("great_expectations")

    context = gx.get_context(mode="file", project_root_dir=str(project))
    context.variables.progress_bars = {"globally": False}
    return context


def _run(context: Any, name: str, table: Table, expectations: list[Any], kind: str) -> list[Check]:
    gx: Any = import_module("great_expectations")

    asset = context.data_sources.add_pandas(name).add_dataframe_asset(kind)
    suite = context.suites.add(gx.ExpectationSuite(name=name))
    for expectation in expectations:
        suite.add_expectation(expectation)
    definition = gx.ValidationDefinition(name=name, data=asset.add_batch_definition_whole_dataframe("all"), suite=suite)
    checkpoint = gx.Checkpoint(
        name=name,
        validation_definitions=[context.validation_definitions.add(definition)],
        actions=[gx.checkpoint.UpdateDataDocsAction(name="docs")],
        result_format={"result_format": "SUMMARY", "unexpected_index_column_names": [WHERE]},
    )
    outcome = context.checkpoints.add(checkpoint).run(batch_parameters={"dataframe": table})
    (result,) = outcome.run_results.values()
    return sorted((_check(one, kind) for one in result.results), key=lambda check: (check["column"], check["type"]))


def _check(result: Any, table: str) -> Check:
    config, found = result.expectation_config, result.result
    limits = {key: value for key, value in config.kwargs.items() if key not in {"batch_id", "column"}}
    return {
        "table": table,
        "type": config.type,
        "column": config.kwargs.get("column", "rows"),
        "severity": str(getattr(config.severity, "value", config.severity)),
        "note": config.notes,
        "limits": limits,
        "success": bool(result.success),
        "observed": _number(found.get("observed_value")),
        "unexpected_count": int(found.get("unexpected_count") or 0),
        "unexpected_frac": _number((found.get("unexpected_percent") or 0.0) / 100) or 0.0,
        "first": _first(found),
    }


def _first(found: dict[str, Any]) -> str | None:
    rows = found.get("partial_unexpected_index_list") or []
    if not rows:
        return None
    where = rows[0].get(WHERE)
    others = [str(value) for key, value in rows[0].items() if key != WHERE]
    return f"{where}: {', '.join(others)}"


def _number(value: float | None) -> float | None:
    return None if value is None else round(float(value), 6)


def _counts(scenes: Table, boxes: Table, notes: list[NoteRow], noun: str) -> dict[str, Any]:
    """`noun`: what is asked for, people or things; they are counted after the entry's map of words."""
    asked = boxes[boxes["asked"]]
    return {
        "images": len(scenes),
        "images_by_split": {split: int(count) for split, count in scenes["split"].value_counts().sort_index().items()},
        f"images_without_{noun}": int((scenes["people"] == 0).sum()),
        noun: len(asked),
        "asked_for": {label: int(count) for label, count in asked["asked_as"].value_counts().sort_index().items()},
        "ignored_boxes": int((boxes["asked_as"] == IGNORE).sum()),
        "other_boxes": int((boxes["asked_as"] == OTHER).sum()),
        "boxes_that_leave_the_image": int(boxes["leaves_image"].sum()),
        "rows_noted": dict(sorted(Counter(note["kind"] for note in notes).items())),
        f"mean_{noun}": _number(scenes["people"].mean()),
        f"max_{noun}": int(scenes["people"].max()) if len(scenes) else 0,
    }


def _quarantine(scenes: Table) -> list[QuarantineRow]:
    reason = scenes["refusal"].where(scenes["refusal"].notna(), scenes["leak"])
    rows = scenes.assign(reason=reason)[reason.notna()]
    return rows[["scene_id", "split", "image_path", "reason", "annotation"]].to_dict("records")


def _thumbnails(root: Path, scenes: Table, boxes: Table) -> dict[str, str]:
    """Scene ID -> picture of a refused image, with the box at fault where there is one."""
    faults = boxes[boxes["impossible"].notna()].drop_duplicates("scene_id").set_index("scene_id")
    pictures: dict[str, str] = {}
    for row in scenes[scenes["refusal"].notna()].head(MOST_THUMBNAILS).itertuples(index=False):
        at_fault = row.scene_id in faults.index
        box = tuple(faults.loc[row.scene_id, ["x1", "y1", "x2", "y2"]]) if at_fault else None
        picture = thumbnail(root / row.image_path, root, [(box, AT_FAULT)] if box else [])
        if picture is not None:
            pictures[row.scene_id] = picture
    return pictures
