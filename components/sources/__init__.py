"""Readers of crowd datasets, one file a format, and their table."""

from __future__ import annotations

from components.sources import crowdhuman
from components.sources.source import Source

SOURCES: dict[str, Source] = {"crowdhuman": crowdhuman.read}
