"""report: one offline page with the numbers, the curves and the images; and a contact sheet."""

from __future__ import annotations

import logging
from pathlib import Path

from components.core.words import MODELS
from components.machine.code_state import git_state
from components.machine.git import git
from components.params.base import BaseParams
from components.params.datasets import Datasets
from components.params.reading import load_entries, load_raw, load_section
from components.params.register import RegisterParams
from components.params.report import ReportParams
from components.params.rewards import RewardsParams
from components.report.evaluation import Inputs, Settings, evaluation_page, read_evaluated
from components.report.gallery import SHEET_COLUMNS, contact_sheet
from components.store.atomic import atomic_folder

log = logging.getLogger("lookout.report")
SHEET_ROWS = 3


def run(inputs: Inputs, out: Path, settings: Settings, params: ReportParams, made: str = "") -> None:
    """Writes report.html and contact_sheet.png: the same inputs and commit give the same bytes."""
    with atomic_folder(out) as folder:
        evaluated = read_evaluated(inputs)
        page = evaluation_page(inputs, evaluated, settings, params.gallery_images, made)
        (folder / "report.html").write_text(page)
        pictures = sorted(evaluated.pictures[MODELS[-1]], key=lambda picture: picture.sample_id)
        (folder / "contact_sheet.png").write_bytes(contact_sheet(pictures[: SHEET_COLUMNS * SHEET_ROWS]))
    log.info("wrote %s (%.1f MB)", out / "report.html", (out / "report.html").stat().st_size / 1e6)


def made_of(name: str) -> str:
    """Commit and its date, and where the version's number is to be found: it is given behind this page."""
    state = git_state()
    day = (git("log", "-1", "--format=%cs") or "").strip()
    of = f"Commit {state['commit'][:10]} of {day}" if state["commit"] else "Made outside git"
    changed = "" if state["clean"] or not state["commit"] else " with changes that are not committed"
    return f"{of}{changed}. Model {name}; register, which runs next, gives the version: reports/registration.json."


def main() -> None:
    reports = Path("reports")
    inputs = Inputs(reports / "scores", reports / "training", Path("data/prompts"), Path("data/validated"))
    made = made_of(load_section(RegisterParams).model_name)
    base, rewards, datasets = load_section(BaseParams), load_section(RewardsParams), load_entries("datasets", Datasets)
    settings = Settings(load_raw()["profile"], base, rewards, datasets)
    run(inputs, reports / "evaluation", settings, load_section(ReportParams), made)
