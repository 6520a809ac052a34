"""The evaluation page in headless Chromium: no network, no errors, buttons that work, no grave finding of axe-core."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from components.params.report import ReportParams
from components.stages import report as report_stage
from tests.support.scored import page_settings, scored_inputs

pytestmark = pytest.mark.slow
PROBE = """
const until = async (done) => {
  for (let tries = 0; tries < 100 && !done(); tries += 1) await new Promise((next) => setTimeout(next, 100));
};
const click = (selector) => document.querySelector(selector).click();
const seen = () => [...document.querySelectorAll(".panel:not([hidden]) .card:not([hidden])")];
const state = () => ({ cards: seen().length, status: document.querySelector(".panel:not([hidden]) p").textContent });
(async () => {
  const found = {};
  const loaded = () => seen().filter((card) => card.querySelector("image[data-key]").hasAttribute("href")).length;
  await until(() => seen().length > 0 && loaded() === seen().length);
  found.loaded = loaded();
  found.all = state();
  for (const kind of ["missed", "false", "unreadable", "looked-well", ""]) {
    click(`button[data-kind="${kind}"]`);
    found[kind || "again"] = state();
    const right = seen().every((card) => !kind || card.dataset.kinds.split(" ").includes(kind));
    found.honest = (found.honest ?? true) && right;
  }
  click('button[data-model="base"]');
  found.panel = document.querySelector(".panel:not([hidden])").dataset.model;
  const heat = () => getComputedStyle(document.querySelector(".panel:not([hidden]) .heat")).display;
  found.heat = [heat()];
  click(".heat-switch");
  found.heat.push(heat());
  const result = await axe.run(document);
  const grave = result.violations.filter((one) => ["serious", "critical"].includes(one.impact));
  found.axe = grave.map((one) => `${one.id}: ${one.nodes.length}, ${one.nodes[0].html.slice(0, 120)}`);
  found.rules = result.passes.length;
  const out = document.createElement("pre");
  out.id = "found";
  out.textContent = JSON.stringify(found);
  document.body.append(out);
})();
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_works_and_is_accessible(prepared: Path, tmp_path: Path, monkeypatch, theme: str) -> None:
    monkeypatch.chdir(prepared)
    inputs = scored_inputs(prepared, tmp_path)
    report_stage.run(inputs, tmp_path / "page", page_settings(), ReportParams(gallery_images=8))
    found = probe(tmp_path / "page/report.html", tmp_path, theme)
    assert found["loaded"] == found["all"]["cards"] == found["again"]["cards"] == 8
    assert found["all"]["status"] == "8 of 8 images"
    assert found["unreadable"] == {"cards": 1, "status": "1 of 8 images"}
    assert found["missed"]["cards"] == 2  # the unreadable one, and the one that finds nobody
    assert 0 < found["looked-well"]["cards"] < 8
    assert found["false"]["cards"] == 0
    assert found["honest"]
    assert found["panel"] == "base"
    assert found["heat"] == ["none", "inline"]
    assert found["axe"] == []
    assert found["rules"] > 10


def probe(page: Path, folder: Path, theme: str) -> dict[str, Any]:
    """Opens the page without network, presses its buttons, runs axe-core; what was found."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    assert browser, "this test needs chromium (the package of that name)"
    axe = resources.files("axe_core_python").joinpath("axe.min.js").read_text()
    probed = folder / "probed.html"
    probed.write_text(page.read_text().replace("</body>", f"<script>{axe}</script><script>{PROBE}</script></body>"))
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
             "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--window-size=1200,6000",
             f"--blink-settings=preferredColorScheme={0 if theme == 'dark' else 1}",
             "--virtual-time-budget=30000", f"--user-data-dir={folder / 'browser'}"]  # fmt: skip
    command = [browser, *flags, "--dump-dom", probed.as_uri()]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert ":CONSOLE" not in answer.stderr, answer.stderr[-2000:]
    match = re.search(r'<pre id="found">(.*?)</pre>', answer.stdout, re.DOTALL)
    assert match, "the page's script did not come to its end"
    return json.loads(html.unescape(match.group(1)))
