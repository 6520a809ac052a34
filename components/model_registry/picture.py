"""The lineage as a graph: for Graphviz, and as a page that needs nothing."""

from __future__ import annotations

import html
from dataclasses import dataclass
from importlib import resources

from components.metrics.task import headline_of
from components.model_registry.lineage_types import Lineage, Stage, Traced

WIDTH, HEIGHT, GAP_X, GAP_Y, LINE = 184, 74, 42, 18, 17
TITLE_CHARS, TEXT_CHARS = 21, 23
LOWERED = {3: 0.5, 4: 0.5}
"""Columns that stand half a row lower, so that an edge past the column before them is seen."""


@dataclass(frozen=True, slots=True)
class Digest:
    """short: what it is of, in the drawing, where the digest is cut; what: the same in full, beside all of it."""

    short: str
    what: str
    value: str


@dataclass(frozen=True, slots=True)
class Node:
    """A box: where it stands (column), its title, what it says, and its digests, the first of which is drawn."""

    name: str
    column: int
    title: str
    lines: tuple[str, ...]
    digests: tuple[Digest, ...]

    @property
    def drawn(self) -> tuple[str, ...]:
        return (*self.lines, *(f"{one.short} {one.value}" for one in self.digests[:1]))

    @property
    def proofs(self) -> tuple[str, ...]:
        return tuple(f"{one.what}: {one.value}" for one in self.digests)


def graph(lineage: Traced) -> tuple[list[Node], list[tuple[str, str]]]:
    """Nodes and edges, from the raw data to the version; the same lineage gives the same graph."""
    version, code, base = lineage["version"], lineage["code"], lineage["base"]
    best = headline_of(lineage["metrics"]["grpo"])
    images = lineage["metrics"]["grpo"]["images"]
    samples = lineage["prompt_summary"]["samples"]
    weights = ", ".join(f"{name} {value:g}" for name, value in lineage["rewards"]["weights"].items())
    nodes = [
        Node(
            f"data/{name}",
            0,
            name,
            (f"{one['counts']['images']} images, {one['licence']}",),
            (Digest("dvc", "md5 of the folder, by DVC", str(one["dvc_md5"])),),
        )
        for name, one in lineage["data"].items()
    ]
    nodes += [
        Node("prompts", 1, "prompts", (f"{samples['train']} train, {samples['test']} test",),
             tuple(Digest("md5", f"md5 of {path}", lineage["prompts"][path]) for path in _prompts(lineage))),
        Node("base", 1, f"base: {base['name']}", (base["kind"],), _files(base["sha256"])),
        Node("code", 1, "code", ("committed" if code["clean"] else "CHANGED",),
             (Digest("commit", "git commit", code["commit"] or "none"),)),
        Node("sft", 2, "SFT", _steps(lineage, "sft"), _together(lineage, "sft")),
        Node("rewards", 2, "rewards", (weights, f"looking by {lineage['rewards']['looking']['reading']}"), ()),
        Node("grpo", 3, "GRPO", _steps(lineage, "grpo"), _files(lineage["weights"]) + _together(lineage, "grpo")),
        Node("version", 4, f"{version['name']} version {version['version']}",
             (f"{best.name} {best.value or 0:.3f} on {images} images",),
             (Digest("lineage", "sha256 of the lineage", lineage["key"]),)),
    ]  # fmt: skip
    edges = [(f"data/{name}", "prompts") for name in lineage["data"]]
    edges += [("base", "sft"), ("prompts", "sft"), ("prompts", "grpo"), ("sft", "grpo"), ("rewards", "grpo"),
              ("code", "sft"), ("code", "grpo"), ("grpo", "version")]  # fmt: skip
    return nodes, edges


def _prompts(lineage: Lineage) -> list[str]:
    """The files of prompts, GRPO's first: it is the one that is drawn."""
    return sorted(lineage["prompts"], key=lambda path: (not path.endswith("/grpo.parquet"), path))


def _steps(lineage: Lineage, stage: Stage) -> tuple[str, ...]:
    params = lineage["params"][stage]
    return (f"{params['max_steps']} steps, seed {params['seed']}",)


def _files(digests: dict[str, str]) -> tuple[Digest, ...]:
    """The SHA-256 of each file, as sha256sum gives it; the weights first."""
    names = sorted(digests, key=lambda name: (not name.endswith(".safetensors"), name))
    return tuple(Digest("file", f"sha256 of the file {name}", digests[name]) for name in names)


def _together(lineage: Lineage, stage: str) -> tuple[Digest, ...]:
    """The one digest of all weight files, which the training wrote down: no file has it."""
    what = "sha256 of the folder: of the list of its weight files and their sha256"
    return (Digest("folder", what, lineage["training"][stage]["weights_sha256"]),)


def dot(lineage: Traced) -> str:
    """Graphviz text."""
    nodes, edges = graph(lineage)
    lines = ["digraph lineage {", "  rankdir=LR; node [shape=box];"]
    for node in nodes:
        label = "\\n".join(
            text.replace("\\", "/").replace('"', "'") for text in (node.title, *node.lines, *node.proofs[:1])
        )
        lines.append(f'  "{node.name}" [label="{label}"];')
    lines += [f'  "{a}" -> "{b}";' for a, b in edges]
    return "\n".join([*lines, "}"])


def page(lineage: Traced) -> str:
    """HTML with the graph as SVG; every digest in full where the pointer rests, and in the list below it."""
    nodes, edges = graph(lineage)
    places: dict[str, tuple[int, int]] = {}
    filled: dict[int, int] = {}
    for node in nodes:
        row = filled.get(node.column, 0)
        filled[node.column] = row + 1
        places[node.name] = (
            16 + node.column * (WIDTH + GAP_X),
            round(16 + (row + LOWERED.get(node.column, 0)) * (HEIGHT + GAP_Y)),
        )
    width = 32 + (max(filled) + 1) * (WIDTH + GAP_X) - GAP_X
    height = 32 + max(filled.values()) * (HEIGHT + GAP_Y)
    drawn = "".join(_edge(places[a], places[b]) for a, b in edges) + "".join(
        _box(node, places[node.name]) for node in nodes
    )
    style = resources.files("components.report").joinpath("page.css").read_text()
    version = lineage["version"]
    name = html.escape(f"{version['name']} version {version['version']}")
    said = version.get("recalled")
    recalled = f"<p><strong>{html.escape(said)}</strong></p>" if said else ""
    spoken = html.escape("; ".join(f"{a} to {b}" for a, b in edges))
    rows = "".join(map(_row, nodes))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>Lineage of {name}</title><style>{style}
.node rect {{ fill: var(--card); stroke: var(--line); }} .node text {{ fill: var(--ink); font-size: 12px; }}
.node .title {{ font-weight: 600; font-size: 13px; }} .node .soft {{ fill: var(--soft); }}
.edge {{ fill: none; stroke: var(--soft); stroke-width: 1.4; }}
td {{ text-align: left; white-space: normal; overflow-wrap: anywhere; }}
</style></head><body><main><h1>What {name} was made from</h1>
{recalled}<p>Left to right: what goes in, what was trained, what came out.
<code>lookout verify {version["version"]}</code> hashes it all again.</p>
<div class="wide" tabindex="0" role="region" aria-label="Graph"><svg viewBox="0 0 {width} {height}"
width="{width}" height="{height}" role="img" aria-label="{spoken}"><defs><marker id="tip" viewBox="0 0 8 8" refX="7"
refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="#8a93a3"/></marker></defs>
{drawn}</svg></div><h2>In full</h2><table>{rows}</table></main></body></html>
"""


def _row(node: Node) -> str:
    said = "<br>".join(html.escape(text) for text in node.lines + node.proofs)
    return f"<tr><th scope='row'>{html.escape(node.title)}</th><td>{said}</td></tr>"


def _edge(start: tuple[int, int], end: tuple[int, int]) -> str:
    x1, y1 = start[0] + WIDTH, start[1] + HEIGHT / 2
    x2, y2 = end[0], end[1] + HEIGHT / 2
    bend = (x1 + x2) / 2
    path = f"M{x1} {y1} C{bend} {y1} {bend} {y2} {x2 - 2} {y2}"
    return f"<path d='{path}' class='edge' marker-end='url(#tip)'/>"


def _box(node: Node, place: tuple[int, int]) -> str:
    x, y = place
    full = html.escape(" · ".join([node.title, *node.lines, *node.proofs]))
    lines = "".join(
        f"<text x='{x + 12}' y='{y + 24 + LINE * (i + 1)}' class='soft'>{html.escape(_cut(text, TEXT_CHARS))}</text>"
        for i, text in enumerate(node.drawn)
    )
    return (
        f"<g class='node'><title>{full}</title><rect x='{x}' y='{y}' width='{WIDTH}' height='{HEIGHT}' rx='8'/>"
        f"<text x='{x + 12}' y='{y + 24}' class='title'>{html.escape(_cut(node.title, TITLE_CHARS))}</text>{lines}</g>"
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
