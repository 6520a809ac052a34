"""The real pipeline in a checkout of its own, minutes long: the flow, DVC, the registry, kills, a browser."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from components.operations.servers import answers
from tests.support.checkout import copied, environment, run
from tests.support.workspace import read_params, write_params

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(finished: tuple[Path, str], tmp_path: Path) -> Path:
    """The finished checkout, to be changed."""
    return copied(finished[0], tmp_path / "checkout")


def weights(folder: Path, model: str) -> str:
    return hashlib.sha256((folder / "models" / model / "model.safetensors").read_bytes()).hexdigest()


def test_the_flow_completes_and_a_bare_dvc_repro_has_nothing_to_do(finished: tuple[Path, str], folder: Path) -> None:
    said = finished[1]
    assert "Completed" in said
    assert "sft step" in said  # the stage's own log is streamed
    assert "Data and pipelines are up to date" in run(folder, "dvc", "repro").stdout


def test_the_flow_leaves_its_artifacts(folder: Path) -> None:
    code = (
        "import asyncio, os\n"
        "os.environ['PREFECT_HOME'] = os.environ['LOOKOUT_HOME'] + '/prefect'\n"
        "from prefect.client.orchestration import get_client\n"
        "async def main():\n"
        "    async with get_client() as client:\n"
        "        print(sorted({a.key for a in await client.read_artifacts()}))\n"
        "asyncio.run(main())\n"
    )
    shown = ["contact-sheet", "gates", "links", "progress-grpo", "progress-sft", "scores", "validation-crowd"]
    assert printed_by(code, folder) == str(shown)


def printed_by(code: str, folder: Path, *arguments: str) -> str:
    """The last line that Python prints for `code`, run in `folder`."""
    answer = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    return answer.stdout.splitlines()[-1]


def test_the_version_is_registered_once_traced_and_repaired(folder: Path) -> None:
    first = json.loads((folder / "reports/registration.json").read_text())
    assert first["version"] == 1
    assert run(folder, "components.cli.main", "register").stdout.strip() == "models:/lookout/1 (alias challenger)"
    lineage = json.loads(run(folder, "components.cli.main", "trace", "models:/lookout@challenger", "--json").stdout)
    assert lineage["weights"]["model.safetensors"] == weights(folder, "grpo")
    assert lineage["key"] == first["key"]
    assert lineage["rewards"] == read_params(folder)["rewards"]
    assert lineage["code"]["clean"]
    tree = run(folder, "components.cli.main", "trace", "1").stdout
    assert weights(folder, "grpo") in tree
    (folder / ".lookout/mlflow.db").unlink()
    run(folder, "components.cli.main", "register")
    repaired = json.loads((folder / "reports/registration.json").read_text())
    assert (repaired["version"], repaired["key"]) == (1, first["key"])


def test_a_training_of_another_task_begins_from_the_version_and_names_it(folder: Path) -> None:
    params = read_params(folder)
    own = {"path": "models:/lookout/1", "revision": None, "factor": 16, "min_pixels": 4096, "max_pixels": 4096}
    params["base"] = {"build": None, "pretrained": own}
    write_params(folder, params)
    run(folder, "components.operations.stage", "components.stages.base")
    origin = json.loads((folder / "models/base/lookout_base.json").read_text())
    assert (origin["kind"], origin["name"]) == ("registered", "models:/lookout/1")
    assert origin["revision"] == origin["sha256"]["model.safetensors"] == weights(folder, "grpo")
    assert list(origin["data"]) == ["crowd"]


def test_the_registered_model_answers_bytes_base64_and_data_uris(folder: Path) -> None:
    code = (
        "import base64, glob, json, mlflow\n"
        "mlflow.set_tracking_uri('sqlite:///.lookout/mlflow.db')\n"
        "model = mlflow.pyfunc.load_model('models:/lookout@challenger')\n"
        "path = sorted(glob.glob('data/raw/crowd/Images/*'))[0]\n"
        "content = open(path, 'rb').read()\n"
        "text = base64.b64encode(content).decode()\n"
        "rows = [{'image': text}, {'image': 'data:image/jpeg;base64,' + text}]\n"
        "answers = model.predict(rows) + model.predict([{'image_bytes': content}])\n"
        "try: model.predict([{'image': path}])\n"
        "except Exception as error: refused = str(error)\n"
        "print(json.dumps([answers, refused]))\n"
    )
    answers, refused = json.loads(printed_by(code, folder))
    assert set(answers[0]) == {
        "task", "boxes", "labels", "scores", "count", "points", "text", "look", "think", "failure", "why", "said"
    }  # fmt: skip
    scores = [one.pop("scores") for one in answers]
    assert answers[0] == answers[1] == answers[2]
    assert scores[0] == scores[1]
    assert scores[2] == pytest.approx(scores[0], abs=1e-4)  # alone, not two in a batch: other sums, the same answer
    assert "neither base64 nor a data URI" in refused


WITHOUT_US = """
import importlib.abc, json, sys
class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split('.')[0] in ('components', 'flows', 'datasets', 'trl', 'dvc', 'prefect'):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import mlflow
mlflow.set_tracking_uri(sys.argv[1])
first, second = (mlflow.pyfunc.load_model(uri) for uri in sys.argv[2:4])
row = {'image_bytes': open(sys.argv[4], 'rb').read()}
answers = [model.predict([row]) for model in (first, second, first)]
options = {'confidence': 'rank', 'overlay': True, 'max_new_tokens': 60}
extra = first.predict([row], params=options)[0]
try: first.predict([row], params={'confidence': 'luck'})
except Exception as error: refused = str(error)
packages = sorted({name.split('.')[0] for name in sys.modules if name.startswith('lookout_')})
print(json.dumps([answers, sorted(extra), refused, packages]))
"""


def test_two_versions_load_side_by_side_where_the_repository_is_not(
    reweighted: tuple[Path, str], tmp_path: Path
) -> None:
    folder = copied(reweighted[0], tmp_path / "checkout")
    image = sorted(str(path) for path in (folder / "data/raw/crowd/Images").iterdir())[0]
    store = f"sqlite:///{folder}/.lookout/mlflow.db"
    versions = ("models:/lookout/1", "models:/lookout/2")
    answers, extra, refused, packages = json.loads(printed_by(WITHOUT_US, tmp_path, store, *versions, image))
    assert answers[0] == answers[2]
    assert extra == [
        "boxes", "count", "failure", "labels", "look", "overlay", "points", "said", "scores", "task", "text", "think",
        "why",
    ]  # fmt: skip
    assert "the confidence 'luck' is unknown; want one of constant, rank, logprob" in refused
    assert len(packages) == 2
    store_of = folder / ".lookout"
    (store_of / "checkpoints/grpo-of-nobody").mkdir(parents=True)
    listed = run(folder, "components.cli.main", "gc").stdout
    assert "1 resume points grpo-of-nobody" in listed
    assert (store_of / "checkpoints/grpo-of-nobody").exists()
    run(folder, "components.cli.main", "gc", "--remove")
    assert not (store_of / "checkpoints/grpo-of-nobody").exists()
    for version in ("1", "2"):  # what their lineages name is still there, byte for byte
        held = run(folder, "components.cli.main", "verify", version, "--deep").stdout.splitlines()
        assert all(line.startswith("holds") for line in held), held


def test_a_version_is_made_again_byte_for_byte(folder: Path) -> None:
    said = run(folder, "components.cli.main", "reproduce", "1", "--from", "grpo").stdout
    assert said.count(weights(folder, "grpo")) == 2
    assert "models:/lookout/1 is made again, byte for byte" in said
    assert subprocess.check_output(["git", "worktree", "list"], cwd=folder, text=True).count("\n") == 1


def test_the_model_is_served_on_loopback_and_a_bad_image_is_a_400(folder: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", "models:/lookout/1", "--env-manager", "local",
               "--host", "127.0.0.1", "--port", str(port)]  # fmt: skip
    settings = environment(folder) | {"MLFLOW_TRACKING_URI": "sqlite:///.lookout/mlflow.db"}
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, env=settings, stdout=log, stderr=log, start_new_session=True)
        try:
            url = f"http://127.0.0.1:{port}"
            deadline = time.monotonic() + 120
            while not answers(f"{url}/ping") and server.poll() is None and time.monotonic() < deadline:
                time.sleep(0.5)
            image = sorted((folder / "data/raw/crowd/Images").iterdir())[0].read_bytes()
            status, body = post(url, base64.b64encode(image).decode())
            assert status == 200, (tmp_path / "log").read_text()[-2000:]
            assert len(body["predictions"]) == 1
            assert set(body["predictions"][0]) >= {"boxes", "labels", "scores", "count"}
            status, body = post(url, base64.b64encode(b"no image").decode())
            assert status == 400
            assert "row 0: the image is no image of the kinds" in json.dumps(body)
            assert post(url, "/etc/hostname")[0] == 400
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(30)


def post(url: str, image: str) -> tuple[int, dict]:
    body = json.dumps({"dataframe_records": [{"image": image}]}).encode()
    request = urllib.request.Request(f"{url}/invocations", body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_the_command_draws_what_the_registered_model_finds(folder: Path, tmp_path: Path) -> None:
    images = sorted(str(path) for path in (folder / "data/raw/crowd/Images").iterdir())[:2]
    command = ["components.cli.main", "predict", "--model", "models:/lookout@challenger", "--out", str(tmp_path)]
    answers = json.loads(run(folder, *command, *images).stdout)
    assert [answer["image"] for answer in answers] == images
    assert all(Path(answer["picture"]).read_bytes().startswith(b"\x89PNG") for answer in answers)
    refused = run(folder, *command, str(folder / "dvc.yaml"), check=False)
    assert refused.returncode == 1
    assert "is no image of the kinds" in refused.stderr
    unknown = run(folder, *command[:3], "models:/lookout@nobody", images[0], check=False)
    assert "error: models:/lookout@nobody is not in the registry" in unknown.stderr


def test_one_reward_weight_runs_grpo_and_what_follows_it_only(reweighted: tuple[Path, str]) -> None:
    folder, said = reweighted
    ran = re.findall(r"Running stage '([^']+)'", said)
    assert ran == ["grpo", "predict@grpo", "score@grpo", "report", "register"]
    assert json.loads((folder / "reports/registration.json").read_text())["version"] == 2


def test_a_stage_that_fails_gives_the_flow_its_own_sentence(finished: tuple[Path, str], folder: Path) -> None:
    raw = folder / "data/raw/crowd"
    shutil.rmtree(raw)
    shutil.copytree(finished[0] / "data/raw/crowd", raw)
    lines = (raw / "annotation_train.odgt").read_text().splitlines()
    # the generator would draw the set again: here it is data that somebody brought
    params = read_params(folder)
    params["synthetic"] = {}
    write_params(folder, params)
    (raw / "annotation_train.odgt").unlink()
    (raw / "annotation_train.odgt").write_text("\n".join([lines[0][:30], *lines[1:]]) + "\n")
    answer = run(folder, "flows.retrain", check=False)
    assert answer.returncode == 1
    (said,) = [line for line in answer.stderr.splitlines() if line.startswith("error: ")]
    assert said.startswith("error: ingest@crowd: data/raw/crowd/annotation_train.odgt:1: the line is not JSON")


@pytest.mark.parametrize("stage", ["sft", pytest.param("grpo", marks=pytest.mark.drill)])
def test_a_killed_training_ends_with_the_weights_of_one_that_was_not(folder: Path, stage: str) -> None:
    params = read_params(folder)
    params[stage] |= {"max_steps": 12, "save_steps": 4}
    write_params(folder, params)
    words = ["components.operations.stage", f"components.stages.{stage}"]
    before = weights(folder, stage)
    run(folder, *words)
    whole = weights(folder, stage)
    params[stage] |= {"dataloader_num_workers": 2}  # who reads the images decides nothing
    write_params(folder, params)
    assert whole != before  # the longer run learned something, or equality would prove nothing
    shutil.rmtree(folder / "models" / stage)
    command = [sys.executable, "-m", *words]
    process = subprocess.Popen(command, cwd=folder, env=environment(folder), start_new_session=True)
    checkpoints = folder / ".lookout/checkpoints"
    deadline = time.monotonic() + 120
    while (
        process.poll() is None
        and not list(checkpoints.glob(f"{stage}-*/checkpoint-*/trainer_state.json"))
        and time.monotonic() < deadline
    ):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (folder / "models" / stage).exists(), "the run ended before it could be killed"
    said = run(folder, *words).stderr
    assert "resumes from checkpoint-" in said
    assert weights(folder, stage) == whole


def test_the_pages_open_in_a_browser_without_network_or_errors(finished: tuple[Path, str], tmp_path: Path) -> None:
    folder = finished[0]
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    assert browser, "this test needs chromium (the package of that name)"
    pages = [folder / "reports/evaluation/report.html", folder / "reports/validation/crowd/index.html"]
    pages += sorted((folder / "reports/validation/crowd/data_docs").glob("*.html"))
    for page in pages:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
        flags += [
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--enable-logging=stderr",
            f"--user-data-dir={tmp_path / 'b'}",
        ]
        command = [browser, *flags, "--dump-dom", page.as_uri()]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
        assert "</html>" in answer.stdout
        assert ":CONSOLE" not in answer.stderr, answer.stderr[-2000:]
