"""Training on several processes: the same rewards to the last bit, DDP and ZeRO, ends, adapters. Minutes long."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from components.policy.folder import weights_sha256
from tests.support.workspace import REPO, read_params, run_stage, write_params

pytestmark = pytest.mark.slow
LORA = {"r": 4, "alpha": 8, "dropout": 0.0, "target_modules": ["q_proj", "v_proj"]}


@pytest.fixture(scope="module")
def trained(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a policy that knows the grammar: before that all rewards are 0, and so are the losses."""
    folder = tmp_path_factory.mktemp("trained") / "workspace"
    shutil.copytree(prepared, folder, symlinks=True)
    run_stage(folder, "sft")
    return folder


@pytest.fixture
def workspace(trained: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    shutil.copytree(trained, folder, symlinks=True)
    return folder


def set_params(folder: Path, **grpo: Any) -> None:
    params = read_params(folder)
    launch = params["grpo"]["launch"] | grpo.pop("launch", {})
    params["grpo"] |= {"logging_steps": 1, "save_steps": 1, "max_steps": 2} | grpo | {"launch": launch}
    write_params(folder, params)


def losses(folder: Path) -> list[float]:
    with (folder / "reports/training/grpo/curves.csv").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def test_two_processes_give_the_rewards_and_advantages_of_one_to_the_last_bit(prepared: Path, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": f"{REPO}"}
    worker = str(REPO / "tests/support/rollout_worker.py")
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    # 24 completions are three groups of eight; on two processes the second group is split between them
    for launcher, out, per_device in (([], "one", 24), (torchrun, "two", 12)):
        command = [sys.executable, *launcher, worker, str(prepared), str(tmp_path / out), str(per_device)]
        answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stderr[-3000:]
    one = json.loads((tmp_path / "one/0.json").read_text())
    parts = [json.loads((tmp_path / f"two/{rank}.json").read_text()) for rank in (0, 1)]
    assert {name: parts[0][name] + parts[1][name] for name in one} == one
    assert len(set(one["sample_id"])) == 3
    assert len(set(one["advantages"])) > 4  # equal because everything is 0 would prove nothing


@pytest.fixture(scope="module")
def ddp_losses(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> list[float]:
    folder = tmp_path_factory.mktemp("ddp") / "workspace"
    shutil.copytree(trained, folder, symlinks=True)
    set_params(folder, per_device_train_batch_size=16, launch={"processes": 2})
    run_stage(folder, "grpo")
    return losses(folder)


def test_ddp_takes_two_steps(ddp_losses: list[float]) -> None:
    assert len(ddp_losses) == 2
    assert any(ddp_losses)


def test_the_shared_prefix_takes_the_steps_of_stock_trl(workspace: Path, ddp_losses: list[float]) -> None:
    set_params(workspace, per_device_train_batch_size=16, launch={"processes": 2}, shared_prefix="off")
    run_stage(workspace, "grpo")
    assert losses(workspace) == pytest.approx(ddp_losses, rel=1e-4)


@pytest.mark.parametrize("deepspeed", [pytest.param("zero2", marks=pytest.mark.drill), "zero3"])
def test_zero_takes_the_steps_of_ddp_and_leaves_a_whole_model(
    workspace: Path, ddp_losses: list[float], deepspeed: str
) -> None:
    set_params(workspace, per_device_train_batch_size=16, launch={"processes": 2, "deepspeed": deepspeed})
    run_stage(workspace, "grpo")
    assert losses(workspace) == pytest.approx(ddp_losses, rel=1e-4)
    before, after = (load_file(workspace / f"models/{name}/model.safetensors") for name in ("sft", "grpo"))
    assert {name: weight.shape for name, weight in after.items()} == {name: w.shape for name, w in before.items()}
    assert any((after[name] != before[name]).any() for name in before)
    # predict runs without DeepSpeed and reads it
    run_stage(workspace, "predict", "--model", "grpo")


def test_adapters_on_a_frozen_vision_tower_resume_exactly_and_are_merged(workspace: Path) -> None:
    aggregation = {"multi_objective_aggregation": "normalize_then_sum"}  # the other one is the default
    set_params(workspace, lora=LORA, freeze_vision=True, gradient_checkpointing=True, max_steps=4, **aggregation)
    run_stage(workspace, "grpo")
    whole = weights_sha256(workspace / "models/grpo")
    before, after = (load_file(workspace / f"models/{name}/model.safetensors") for name in ("sft", "grpo"))
    changed = {name for name in before if (after[name] != before[name]).any()}
    assert changed
    assert all(".q_proj." in name or ".v_proj." in name for name in changed)
    assert not any("visual" in name for name in changed)
    shutil.rmtree(workspace / "models/grpo")
    set_params(workspace, max_steps=4, dataloader_num_workers=2)  # who reads the images decides nothing
    process = start(workspace, "grpo")
    wait_for(lambda: any((workspace / "home/checkpoints").glob("grpo-*/checkpoint-2/trainer_state.json")), process)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (workspace / "models/grpo").exists(), "the run ended before it could be killed"
    assert "resumes from checkpoint-" in run_stage(workspace, "grpo").stderr
    assert weights_sha256(workspace / "models/grpo") == whole


def start(folder: Path, stage: str) -> subprocess.Popen[str]:
    environment = os.environ | {"LOOKOUT_HOME": str(folder / "home"), "PYTHONPATH": str(folder)}
    command = [sys.executable, "-m", "components.operations.stage", f"components.stages.{stage}"]
    log = (folder / f"{stage}.log").open("w")
    return subprocess.Popen(command, cwd=folder, env=environment, stderr=log, text=True, start_new_session=True)


def wait_for(happened: Callable[[], Any], process: subprocess.Popen[str], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert process.poll() is None, "the process ended too soon"
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """The training processes under the stage's own, by Linux's process table."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(pid) for pid in children if b"components.stages." in Path(f"/proc/{pid}/cmdline").read_bytes()]


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.fixture
def long_run(workspace: Path) -> tuple[Path, subprocess.Popen[str], list[int]]:
    """A training on two processes that is under way."""
    set_params(workspace, per_device_train_batch_size=16, max_steps=500, launch={"processes": 2})
    process = start(workspace, "grpo")
    wait_for(lambda: any((workspace / "home/checkpoints").glob("grpo-*/checkpoint-1")), process)
    pids = workers_of(process)
    assert len(pids) == 2
    return workspace, process, pids


def test_one_death_stops_all_and_the_stage_says_whose(long_run: Any) -> None:
    folder, process, pids = long_run
    os.kill(pids[1], signal.SIGKILL)
    begun = time.monotonic()
    assert process.wait(timeout=60) == 1
    assert time.monotonic() - begun < 30
    assert all(gone(pid) for pid in pids)
    said = (folder / "grpo.log").read_text()
    assert f"error: grpo: process 1 (pid {pids[1]}) ended by signal SIGKILL" in said
    assert "the others were stopped; it said last: " in said


def test_no_orphan_trains_on_where_the_launcher_is_killed(long_run: Any) -> None:
    _, process, pids = long_run
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while not all(gone(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert all(gone(pid) for pid in pids)


def test_two_processes_that_are_asked_to_end_save_their_step_and_the_stage_says_which(
    prepared: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "workspace"
    shutil.copytree(prepared, folder, symlinks=True)
    params = read_params(folder)
    params["sft"] |= {"max_steps": 400, "save_steps": 400, "logging_steps": 1}
    params["sft"]["launch"]["processes"] = 2
    write_params(folder, params)
    process = start(folder, "sft")
    wait_for(lambda: "sft step 20 of 400" in (folder / "sft.log").read_text(), process)
    pids = workers_of(process)
    for _ in range(2):  # a cancelled flow's: one to all, and one when the dvc above has ended
        process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
    assert process.wait(timeout=90) == 1
    said = (folder / "sft.log").read_text()
    last = re.fullmatch(
        r"error: sft was asked to end: step (\d+) of 400 is saved as a resume point, .+", said.splitlines()[-1]
    )
    assert last, said[-2000:]
    assert "SignalException" not in said
    (kept,) = (folder / "home/checkpoints").glob("sft-*/checkpoint-*")
    assert kept.name == f"checkpoint-{last[1]}"
    assert (kept / "trainer_state.json").is_file()
    assert len(pids) == 2
    assert all(gone(pid) for pid in pids)
