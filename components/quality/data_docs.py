"""Great Expectations' pages made fit for offline reading, and a plain page in front of them."""

from __future__ import annotations

import html
import re
import shutil
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

from components.quality.findings import finding, percent
from components.quality.pictures import histogram
from components.store.schemas.ingested import NoteRow
from components.store.schemas.validated import Check, QuarantineRow, Validated

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'"
"""Nothing in a page of Great Expectations may run or load, whatever names and values of the data stand in it."""
_BUTTONS = re.compile(r"<button\b.*?</button>", re.DOTALL)
_REMOTE = re.compile(
    r"<script[^>]*\bsrc=[\"'](?:https?:)?//[^>]*>\s*</script>|<link[^>]*\bhref=[\"'](?:https?:)?//[^>]*>", re.DOTALL
)
_SCRIPT = re.compile(r"<script\b.*?</script>", re.DOTALL)
_REMOTE_IMAGE = re.compile(r"<img[^>]*\bsrc=[\"'](?:https?:)?//[^>]*>")
DOCS = "data_docs"
MOST_NOTES = 200


def write_offline_docs(
    site: Path,
    out: Path,
    content: Validated,
    quarantine: list[QuarantineRow],
    notes: list[NoteRow],
    thumbnails: dict[str, str],
    frames: str = "",
) -> None:
    """`out`/index.html in plain words, and `out`/data_docs/ with the pages of Great Expectations."""
    style = resources.files("components.quality").joinpath("page.css").read_text()
    docs_style = resources.files("components.quality").joinpath("data_docs.css").read_text()
    shutil.copytree(site, out / DOCS, dirs_exist_ok=True)
    for page in (out / DOCS).rglob("*.html"):
        page.write_text(offline(page.read_text(), docs_style))
    shutil.rmtree(out / DOCS / "static", ignore_errors=True)  # fonts, logos and pictures of a tour
    (out / DOCS / "index.html").write_text(docs_index(out / DOCS, content["dataset"], style))
    (out / "index.html").write_text(summary_page(content, quarantine, notes, thumbnails, style, frames))


def offline(page: str, style: str) -> str:
    """The page without anything from elsewhere: no remote scripts, styles or pictures; our own style instead."""
    for pattern in (_REMOTE, _SCRIPT, _REMOTE_IMAGE, _BUTTONS):
        page = pattern.sub("", page)
    policy = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    page = page.replace("<head>", f"<head>{policy}", 1)
    return page.replace("</head>", f"<style>{style}</style></head>", 1)


def docs_index(docs: Path, dataset: str, style: str) -> str:
    """A plain list of Great Expectations' pages: its own index is built by scripts, and has none without them."""
    parts = ""
    for folder, title in (("validations", "Results"), ("expectations", "What is expected")):
        pages = sorted(path.relative_to(docs) for path in (docs / folder).rglob("*.html"))
        named = [(html.escape(quote(page.as_posix())), html.escape(Path(page.parts[1]).stem)) for page in pages]
        links = "".join(f'<li><a href="{target}">{name}</a></li>' for target, name in named)
        parts += f"<h2>{title}</h2><ul>{links}</ul>"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Data Docs of {html.escape(dataset)}</title>
<style>{style}</style></head><body><main><h1>Data Docs of {html.escape(dataset)}</h1>
<p>The pages of Great Expectations. The same in plain words: <a href="../index.html">validation of this dataset</a>.</p>
{parts}</main></body></html>
"""


def summary_page(
    content: Validated,
    quarantine: list[QuarantineRow],
    notes: list[NoteRow],
    thumbnails: dict[str, str],
    style: str,
    frames: str = "",
) -> str:
    """One page that somebody who has never seen Great Expectations understands."""
    name = html.escape(content["dataset"])
    verdict = "fit for training" if content["success"] else "stopped: errors below"
    mark = "good" if content["success"] else "bad"
    counts = "".join(
        f"<tr><th>{_words(key)}</th><td>{_value(value)}</td></tr>" for key, value in content["counts"].items()
    )
    checks = "".join(_check_row(check) for check in sorted(content["checks"], key=_worst_first))
    charts = "".join(histogram(name, data) for name, data in content["distributions"].items())
    noted = "".join(
        f"<tr><td>{html.escape(row['kind'])}</td><td>{html.escape(row['where'])}</td>"
        f"<td>{html.escape(row['reason'])}</td></tr>"
        for row in notes[:MOST_NOTES]
    )
    noted_table = f"<table><tr><th></th><th>where</th><th>why</th></tr>{noted}</table>"
    more_notes = f"<p>The first {MOST_NOTES}; the rest stands in notes.parquet.</p>" if len(notes) > MOST_NOTES else ""
    refused = "".join(
        f"<tr><td>{_picture(thumbnails.get(row['scene_id']))}</td><td>{html.escape(row['image_path'])}</td><td>{html.escape(row['reason'])}</td>"
        f"<td>{html.escape(row['annotation'])}</td></tr>"
        for row in quarantine
    )
    refused_table = f"<table><tr><th></th><th>image</th><th>reason</th><th>annotation</th></tr>{refused}</table>"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>Validation of {name}</title><style>{style}</style></head><body><main>
<h1>Validation of {name} <span class="{mark}">{verdict}</span></h1>
<p>Every check below ran on the dataset as it was downloaded. An <b>error</b> stops the pipeline, a <b>warning</b>
shows. Pages of Great Expectations: <a href="{DOCS}/index.html">Data Docs</a>. What has moved since the dataset's
previous version: <code>lookout drift --dataset {name}</code> writes <code>reports/drift/{name}.html</code>.</p>
<h2>What was read</h2><table class="counts">{counts}</table>
<h2>Checks</h2><table><tr><th></th><th>what is expected</th><th>what was found</th><th>column</th>
<th>limits</th><th>first offender</th></tr>{checks}</table>
<h2>Refused one by one ({len(quarantine)})</h2>{refused_table if quarantine else "<p>No image was refused.</p>"}
<h2>Rows that were not taken as they stand ({len(notes)})</h2>{noted_table + more_notes if notes else "<p>None.</p>"}
{frames}<h2>What the dataset is made of</h2><p>Bars count images or people; the number under a bar is where it begins.
Model pixels: after resizing to what the base model sees.</p><div class="charts">{charts}</div>
</main></body></html>
"""


def _picture(uri: str | None) -> str:
    return f"<img src='{uri}' alt='the refused image, the box at fault in red'>" if uri else ""


def _worst_first(check: Check) -> tuple[bool, bool, str, str]:
    return check["success"], check["severity"] != "critical", check["table"], check["column"]


def _check_row(check: Check) -> str:
    kind = "error" if check["severity"] == "critical" else "warning"
    mark = '<span class="good">holds</span>' if check["success"] else f'<span class="bad">{kind}</span>'
    limits = _limits(check["limits"])
    first = html.escape(check["first"] or "")
    return (
        f"<tr><td>{mark}</td><td>{html.escape(check['note'])}</td><td>{html.escape(finding(check))}</td>"
        f"<td><code>{check['table']}.{html.escape(check['column'])}</code></td><td>{limits}</td><td>{first}</td></tr>"
    )


def _limits(limits: dict[str, Any]) -> str:
    """Great Expectations' keyword arguments in signs."""
    parts: list[str] = []
    if "min_value" in limits:
        parts.append(f"{'&gt;' if limits.get('strict_min') else '&ge;'} {limits['min_value']:g}")
    if "max_value" in limits:
        parts.append(f"{'&lt;' if limits.get('strict_max') else '&le;'} {limits['max_value']:g}")
    if "value_set" in limits:
        parts.append("expected: " + " or ".join(html.escape(str(value)) for value in limits["value_set"]))
    if "mostly" in limits:
        parts.append(f"in at least {percent(limits['mostly'])} of the rows")
    return ", ".join(parts)


def _words(key: str) -> str:
    return html.escape(key.replace("_", " "))


def _value(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{_words(str(key))} {_value(part)}" for key, part in value.items())
    if isinstance(value, float):
        return f"{value:.0f}" if value == int(value) else f"{value:.4g}"
    return html.escape(str(value))
