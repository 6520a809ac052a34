"""New data, unattended, with a team's servers: nothing new, a new image, a defect; and who is told."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from flows.watch_data import data_changed
from tests.support.backends import team_servers
from tests.support.checkout import run
from tests.support.running import Running, copy_of, servers_up, until
from tests.support.workspace import read_params, write_params


@contextmanager
def receiver() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """The URL of a webhook on loopback, and what was posted to it."""
    posted: list[dict[str, str]] = []

    class Taker(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Taker)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", posted
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def tracked(finished: Path, folder: Path) -> Path:
    """The finished checkout with its crowd as a folder that DVC tracks, not one that a stage draws."""
    copy_of(finished, folder)
    params = read_params(folder)
    params["synthetic"] = {}
    write_params(folder, params)
    run(folder, "dvc", "add", "-q", "data/raw/crowd")
    run(folder, "dvc", "repro", "register")
    for command in (["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "today's data"]):
        subprocess.run(["git", *command], cwd=folder, check=True)  # what drift is measured from
    return folder


def rows(folder: Path, split: str) -> list[dict]:
    return [json.loads(line) for line in (folder / f"annotation_{split}.odgt").read_text().splitlines()]


def write(folder: Path, split: str, content: list[dict]) -> None:
    (folder / f"annotation_{split}.odgt").write_text("".join(json.dumps(row) + "\n" for row in content))


@pytest.mark.slow
def test_new_data_is_validated_and_trained_on_and_bad_data_is_neither(
    finished: tuple[Path, str], tmp_path: Path
) -> None:
    folder = tracked(finished[0], tmp_path / "checkout")
    crowd = folder / "data/raw/crowd"
    shutil.rmtree(folder / ".lookout/prefect")
    with (
        receiver() as (url, posted),
        team_servers(tmp_path / "servers") as elsewhere,
        servers_up(folder, LOOKOUT_WEBHOOK=url, **elsewhere) as running,
    ):
        assert "mlflow" not in running.lookout("status")  # it is another's to run
        running.unschedule("watch-data/watch-data")
        assert watched(running) == ("COMPLETED", "nothing new in crowd")

        train = rows(crowd, "train")
        shutil.copy(crowd / f"Images/{train[0]['ID']}.jpg", crowd / "Images/dropped-in.jpg")
        write(crowd, "train", [*train, train[0] | {"ID": "dropped-in"}])
        state, said = watched(running)
        assert state == "COMPLETED"
        assert said.startswith("crowd: data/raw/crowd has changed; retraining")
        (retraining,) = until(lambda: running.flow_runs("retrain"), 60)
        state, said = running.wait(retraining["id"])
        assert state == "COMPLETED", said
        assert said == "models:/lookout/1 is champion; before: nobody"
        assert "images: 45" in running.artifacts("validation-crowd")[0]
        assert "images 44 -> 45" in running.artifacts("validation-crowd")[0]
        assert "holds   statement inside the model" in running.lookout("verify", "@champion")

        run_id = running.run(overrides=["validate.max_quarantined_frac=0.5"], stages=["validate"])  # in a worktree
        assert running.wait(run_id) == ("COMPLETED", "1 of 2 stages were up to date")

        test = rows(crowd, "test")
        shutil.copy(crowd / "Images/dropped-in.jpg", crowd / "Images/leaked.jpg")
        write(crowd, "test", [*test, train[0] | {"ID": "leaked"}])
        state, said = watched(running)
        assert state == "FAILED"
        assert "validate@crowd: crowd:" in said
        shown = running.artifacts("validation-crowd")[0]
        assert shown.startswith("# Validation of crowd: stopped")
        assert "- **critical**: no image stands in two splits" in shown
        assert len(running.flow_runs("retrain")) == 2  # nothing was trained
        for text in ("Lookout: prefect.flow-run.Failed\nwatch data",
                     "Lookout: lookout.promoted\nmodels:/lookout/1 is champion; before: nobody"):  # fmt: skip
            assert until(lambda text=text: any(one["text"].startswith(text) for one in posted), 90)
    assert not (folder / ".lookout/prefect/prefect.db").exists()


def test_new_code_is_no_news_of_the_data() -> None:
    code = {"validate@crowd": [{"changed deps": {"components/errors.py": "modified", "params.yaml": "new"}}]}
    assert data_changed(code, "raw/crowd") is False
    assert data_changed({}, "raw/crowd") is False
    for path in ("raw/crowd", "data/interim/crowd"):
        assert data_changed({"ingest@crowd": [{"changed deps": {path: "modified"}}, "changed command"]}, "raw/crowd")


def watched(running: Running) -> tuple[str, str]:
    """(state, sentence) of one look at the data."""
    return running.wait(running.run("watch-data/watch-data", promote="if-better"), 300)
