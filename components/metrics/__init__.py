"""Detection metrics: numbers in, numbers out, no files. Every table names the variant that it shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from components.core.scene import Truth
from components.metrics.coco import coco_metrics
from components.metrics.detection import Detections

Metric = Callable[[Sequence[Detections], Sequence[Truth]], dict[str, float | None]]

METRICS: dict[str, Metric] = {"coco": coco_metrics, "coco_500": partial(coco_metrics, max_dets=500)}
