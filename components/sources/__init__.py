"""Readers of datasets, one file a format, and their table."""

from __future__ import annotations

from components.sources import citypersons, coco, crowdhuman, pages, pixmo_count, refcoco, uavdt, wider_pedestrian
from components.sources.source import Source

SOURCES: dict[str, Source] = {
    "crowdhuman": crowdhuman.read,
    "citypersons": citypersons.read,
    "wider_pedestrian": wider_pedestrian.read,
    "uavdt": uavdt.read,
    "coco": coco.read,
    "pixmo_count": pixmo_count.read,
    "refcoco": refcoco.read,
    "fox": pages.read_fox,
    "image_text": pages.read_rows,
}
