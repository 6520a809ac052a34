"""Prefect's and MLflow's pages in headless Chromium, with real clicks: what an engineer sees and does."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, Response, expect, sync_playwright

from tests.support.running import Running, copy_of, servers_up, until

pytestmark = pytest.mark.slow
CHROMIUM = "/usr/bin/chromium"
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
           "--disable-component-update", "--disable-sync"]  # fmt: skip
SHOTS = os.environ.get("LOOKOUT_SCREENSHOTS")
"""A folder that is to have pictures of the pages; none where it is not set."""
PATIENCE_MS = 90_000
"""How long anything in a page may take where others use the machine, too; on an idle one it is a second."""
LOCKED = 503


@pytest.fixture
def page() -> Iterator[Page]:
    expect.set_options(timeout=PATIENCE_MS)  # of its own it gives up after five seconds, whatever the page's patience
    with sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=CHROMIUM, args=OPTIONS, timeout=PATIENCE_MS)
        page = browser.new_page(viewport={"width": 1200, "height": 1100})
        page.set_default_timeout(PATIENCE_MS)
        yield page
        browser.close()


@contextmanager
def pictured(page: Page, folder: Path) -> Iterator[None]:
    """Where what is done in here fails, failed.png in `folder` shows what the page showed at that moment."""
    try:
        yield
    except BaseException:
        page.screenshot(path=folder / "failed.png")
        raise


def shot(page: Page, name: str) -> None:
    if SHOTS:
        page.wait_for_timeout(2500)
        page.screenshot(path=Path(SHOTS) / f"{name}.png")


def log_in(page: Page, root: str, password: str) -> None:
    """Types the password that `make up` printed, where the page asks for it."""
    page.goto(root)
    if page.evaluate("localStorage.getItem('prefect-password')") is None:
        page.locator("input[type=password]").fill(password)
        page.keyboard.press("Enter")
        page.wait_for_url("**/dashboard**")


def form(page: Page, running: Running, name: str) -> str:
    """Opens the form of a deployment; Prefect's address."""
    root = str(running.client.base_url).removesuffix("/api/")
    log_in(page, root, (running.folder / ".lookout/servers/prefect.auth").read_text())
    deployment = running.client.get(f"/deployments/name/{name}/{name}").json()["id"]
    page.goto(f"{root}/deployments/deployment/{deployment}/run")
    return root


def test_a_run_is_started_watched_and_answered_in_the_pages(
    finished: tuple[Path, str], tmp_path: Path, page: Page
) -> None:
    folder = copy_of(finished[0], tmp_path / "checkout")
    with servers_up(folder) as running, pictured(page, tmp_path):
        a_hostile_override_runs_nothing(page, running)
        root = start_by_the_form(page, running)
        run = until(lambda: ended(running, 1), 600, running.log)
        assert run["state"]["type"] == "COMPLETED", run["state"]["message"]
        look_at_the_run(page, root, run)
        answer_the_pause(page, running)
        look_at_the_version(page, running)
        assert "looking: 0.05" in (folder / "params.yaml").read_text()
        page.goto(f"{root}/deployments")
        expect(page.get_by_text("watch-data").first).to_be_visible()
        shot(page, "deployments")


def a_hostile_override_runs_nothing(page: Page, running: Running) -> None:
    """A dataset whose name is a line of shell: the run fails with the sentence, and no shell has seen it."""
    dataset = ("{format: crowdhuman, root: data/raw/crowd, annotations: {train: a.odgt, test: b.odgt}, role: both, "
               "licence: CC0}")  # fmt: skip
    root = override_by_the_form(page, running, "datasets={'x; touch ran_a_shell #': " + dataset + "}")
    run = until(lambda: ended(running, 0), 180, running.log)
    page.goto(f"{root}/runs/flow-run/{run['id']}")
    expect(page.get_by_text("Failed").first).to_be_visible()
    expect(page.get_by_text("which is no parameter here").first).to_be_visible()
    shot(page, "hostile")
    assert run["state"]["type"] == "FAILED"
    assert not list(running.folder.rglob("*ran_a_shell*"))


def start_by_the_form(page: Page, running: Running) -> str:
    root = override_by_the_form(page, running, "rewards.weights.looking=0.4")
    assert len(running.flow_runs("retrain")) == 2
    return root


def override_by_the_form(page: Page, running: Running, override: str) -> str:
    """Types one override into the form of `retrain` and submits it; Prefect's address."""
    root = form(page, running, "retrain")
    expect(page.get_by_text("checked before anything runs")).to_be_visible()  # each parameter is described
    page.get_by_role("button", name="Add item").first.click()
    expect(page.locator("textarea")).to_have_count(3)
    page.locator("textarea").nth(1).fill(override)
    shot(page, "form")
    assert submit_form(page)["overrides"] == [override]
    return root


def submit_form(page: Page) -> dict[str, Any]:
    """Submits the form of a deployment; the parameters with which it has made a run.

    The page first has the server validate what was typed, and makes no run where that is not valid.
    """

    def press() -> None:
        with page.expect_response("**/ui/schemas/validate") as validated:
            page.get_by_role("button", name="Submit").click()
        assert validated.value.json()["valid"], validated.value.text()

    return accepted(page, "**/create_flow_run", press).request.post_data_json["parameters"]


def accepted(page: Page, path: str, press: Callable[[], None]) -> Response:
    """Presses until the server takes what the page sends to `path`; its answer.

    Prefect's server reads, then writes in one transaction, and SQLite refuses that where somebody else has written in
    between ("database is locked", soon met on a machine that is in use). Python's client asks again; the page says
    that it went wrong, changes nothing, and whoever sits there presses again.
    """
    for _ in range(10):
        with page.expect_response(path) as answer:
            press()
        if answer.value.status != LOCKED:
            break
    assert answer.value.ok, f"{answer.value.status}: {answer.value.text()}"
    return answer.value


def ended(running: Running, number: int) -> dict[str, Any] | None:
    """The retraining of this number, from 0, once it has ended."""
    runs = sorted(running.flow_runs("retrain"), key=lambda run: run["created"])[number:]
    return next((run for run in runs if run["state"]["type"] in ("COMPLETED", "FAILED", "CRASHED")), None)


def look_at_the_run(page: Page, root: str, run: dict[str, Any]) -> None:
    page.goto(f"{root}/runs/flow-run/{run['id']}")
    expect(page.get_by_text("crowd · all · looking 0.4").first).to_be_visible()
    expect(page.get_by_text("Completed").first).to_be_visible()
    shot(page, "run")
    page.get_by_text("Artifacts", exact=True).last.click()
    for key in ("validation-crowd", "scores", "contact-sheet", "links", "gates"):
        expect(page.get_by_text(key, exact=True).first).to_be_visible()
    shot(page, "artifacts")


def answer_the_pause(page: Page, running: Running) -> None:
    root = form(page, running, "promote")
    submit_form(page)
    run = until(lambda: paused(running), 300, running.log)
    page.goto(f"{root}/runs/flow-run/{run['id']}")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_text("lineage verified").first).to_be_visible()  # the gates stand before whoever answers
    page.locator(".p-toggle__control").last.click()
    page.locator(".p-modal textarea").last.fill("seen in the page")
    shot(page, "approval")
    accepted(page, "**/resume", page.locator(".p-modal__footer").get_by_role("button", name="Submit").click)
    state, message = running.wait(run["id"], 300)
    assert (state, message) == ("COMPLETED", "models:/lookout/1 is champion; before: nobody")


def paused(running: Running) -> dict[str, Any] | None:
    return next((run for run in running.flow_runs("promote") if run["state"]["type"] == "PAUSED"), None)


def look_at_the_version(page: Page, running: Running) -> None:
    page.goto(f"http://127.0.0.1:{running.environment['LOOKOUT_MLFLOW_PORT']}/#/models/lookout/versions/1")
    expect(page.get_by_text("A policy that finds every person in a crowd")).to_be_visible()
    expect(page.get_by_text("champion").first).to_be_visible()
    shot(page, "version")
