"""What changed between two versions."""

from __future__ import annotations

from typing import Any

from components.core.dotted import value_at
from components.core.number_text import number_text
from components.core.tasks import has_own_tables
from components.machine.git import git
from components.metrics.detection import f1_gain_interval
from components.model_registry.lineage_types import Lineage
from components.model_registry.mlflow_types import Version
from components.model_registry.recall import warning
from components.model_registry.registry import artifact, connect, find_version, statement_of, uri_of
from components.model_registry.statement import from_statement
from components.store.counts import read_counts
from components.store.json_file import is_object

BOOTSTRAP, SEED = 2000, 0
METRICS = ("detection.f1", "detection.precision", "detection.recall", "crowdhuman.JI", "crowdhuman.MR", "coco.AP50")


def diff(before: str, after: str) -> dict[str, Any]:
    """Sections with only what differs: data, prompts, rewards, params, code, base, libraries, metrics.

    Raises RegistryError where one of the two is not there.
    """
    client = connect()
    versions = [find_version(client, reference) for reference in (before, after)]
    a, b = (from_statement(statement_of(version)) for version in versions)
    sections = {name: changes(a[name], b[name]) for name in ("data", "prompts", "rewards", "params", "base")}
    sections["libraries"] = changes(a["environment"]["libraries"], b["environment"]["libraries"])
    found: dict[str, Any] = {name: section for name, section in sections.items() if section}
    found["code"] = _code(a, b)
    found["metrics"] = {path: [value_at(one["metrics"]["grpo"], path) for one in (a, b)] for path in _paths(a, b)}
    found["recalled"] = {uri_of(version): said for version in versions if (said := warning(version))}
    return {"before": uri_of(versions[0]), "after": uri_of(versions[1])} | found | {"f1_gain": f1_gain(*versions)}


def lines(found: dict[str, Any]) -> list[str]:
    """For a terminal: a section a heading, a line a change."""
    told = [f"{found['before']} -> {found['after']}"]
    told += [f"RECALLED {name}: {said}" for name, said in found["recalled"].items()]
    for name in ("data", "prompts", "rewards", "params", "base", "libraries"):
        told += [f"{name}.{key}: {ends[0]} -> {ends[1]}" for key, ends in found.get(name, {}).items()]
    commits, between = found["code"]["commits"], found["code"]["between"]
    told.append(f"code: {commits[0]}" + ("" if commits[0] == commits[1] else f" -> {commits[1]}"))
    told += [f"  {line}" for line in between or ()] + (["  (not in this clone)"] if between is None else [])
    for path, (a, b) in found["metrics"].items():
        told.append(f"{path}: {number_text(a, 4)} -> {number_text(b, 4)}")
    gain = found["f1_gain"]
    if gain is None:
        told.append("the test images differ: no interval")
    elif gain["interval"]:
        low, high = gain["interval"]
        told.append(f"gain in F1, paired over {gain['images']} images, 95 %: {low:+.4f} to {high:+.4f}")
    return told


def changes(before: object, after: object, prefix: str = "") -> dict[str, list[Any]]:
    """Dotted key -> [before, after] of every leaf that differs; None where one has none."""
    if is_object(before) and is_object(after):
        found: dict[str, list[Any]] = {}
        for key in sorted(set(before) | set(after)):
            found |= changes(before.get(key), after.get(key), f"{prefix}{key}.")
        return found
    return {} if before == after else {prefix.removesuffix("."): [before, after]}


def f1_gain(before: Version, after: Version) -> dict[str, Any] | None:
    """F1 of two versions on the same test images with the paired interval; None where the images differ."""
    counts = [read_counts(artifact(v, "reports/scores/grpo/per_image.parquet")) for v in (before, after)]
    if list(counts[0]) != list(counts[1]):
        return None
    interval = f1_gain_interval([list(counts[0].values())], [list(counts[1].values())], BOOTSTRAP, SEED)
    return {"images": len(counts[0]), "interval": list(interval) if interval else None}


def _code(a: Lineage, b: Lineage) -> dict[str, Any]:
    ends = a["code"]["commit"], b["code"]["commit"]
    between = git("log", "--oneline", f"{ends[0]}..{ends[1]}") if ends[0] != ends[1] else ""
    return {"commits": list(ends), "between": None if between is None else between.splitlines()}


def _paths(*lineages: Lineage) -> list[str]:
    """The numbers to compare: detection's where there are any, and those of every other task."""
    found = [one["metrics"]["grpo"] for one in lineages]
    paths = list(METRICS) if any("detection" in metrics for metrics in found) else []
    for metrics in found:
        for task, one in metrics.get("tasks", {}).items():
            paths += [f"tasks.{task}.numbers.{name}" for name in one["numbers"] if not has_own_tables(task)]
    return list(dict.fromkeys(paths))
