"""Kills at many moments: `make drill`. What it found stands in docs/lab_log.md."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from components.policy.folder import weights_sha256
from tests.support.workspace import read_params, run_stage, start_stage, write_params

pytestmark = pytest.mark.drill
KILLS = 12


@pytest.mark.parametrize("stage", ["sft", "grpo"])
def test_a_training_killed_again_and_again_ends_with_the_same_weights(
    prepared: Path, tmp_path: Path, stage: str
) -> None:
    folder = tmp_path / "workspace"
    shutil.copytree(prepared, folder, symlinks=True)
    run_stage(folder, "sft")
    params = read_params(folder)
    params[stage] |= {"max_steps": 40 if stage == "sft" else 12, "save_steps": 1}
    write_params(folder, params)
    begun = time.monotonic()
    run_stage(folder, stage)
    seconds = time.monotonic() - begun
    whole = weights_sha256(folder / "models" / stage)
    shutil.rmtree(folder / "models" / stage)
    moments, killed = random.Random(stage), 0
    for _ in range(KILLS):
        process = start_stage(folder, stage)
        try:
            process.wait(timeout=moments.uniform(0.3, 1.0) * seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            killed += 1
        process.wait()
        if (folder / "models" / stage).exists():
            assert weights_sha256(folder / "models" / stage) == whole
            shutil.rmtree(folder / "models" / stage)
    run_stage(folder, stage)
    assert killed >= KILLS // 3, "too few kills hit a running training"
    assert weights_sha256(folder / "models" / stage) == whole
