"""A checkout with everything that register reads, its weights and answers made by hand in a second."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from components.policy.folder import weights_sha256
from components.scoring import score
from components.store.digest import dvc_folder_digest, file_md5
from tests.support.scored import SCORE, gold_lines, write_lines
from tests.support.workspace import REPO, read_params, write_params

CURVES = "step,loss,reward_total\n1,2.0,0.1\n2,1.0,0.3\n"


def make_checkout(prepared: Path, folder: Path) -> Path:
    """Data, prompts and base of `prepared` in a git repository of its own; no model yet."""
    shutil.copytree(prepared, folder, symlinks=True)
    for name in ("components", "flows", "conf"):
        (folder / name).unlink()
    # the package travels with a model, so it must be there
    shutil.copytree(REPO / "components", folder / "components", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "components/kept.txt").write_text("code")
    (folder / "conf").mkdir()
    (folder / ".gitignore").write_text("/data/\n/models/\n/reports/\n")
    (folder / "reports/evaluation").mkdir(parents=True, exist_ok=True)
    (folder / "reports/evaluation/report.html").write_text("<p>report</p>")
    git(folder, "init", "-q")
    git(folder, "config", "user.email", "a@b.c")
    git(folder, "config", "user.name", "a")
    commit(folder, "first")
    return folder


def train(folder: Path, weights: str, perfect: int, **rewards: float) -> None:
    """models/grpo with these weights, whose answers are right about the first `perfect` test images; and dvc.lock."""
    params = read_params(folder)
    params["rewards"]["weights"] |= rewards
    params["score"] = SCORE.model_dump()
    write_params(folder, params)
    model = folder / "models/grpo"
    shutil.rmtree(model, ignore_errors=True)
    shutil.copytree(folder / "models/base", model)
    (model / "lookout_base.json").unlink()
    (model / "model.safetensors").write_bytes(weights.encode())
    prompts = folder / "data/prompts/test.parquet"
    lines = gold_lines(prompts)
    for line in lines[perfect:]:
        line["text"] = "<think>t</think><look>[]</look><answer>[]</answer>"
    answers = write_lines(folder / "data/predictions/grpo", lines)
    score.run("grpo", prompts, answers, folder / "reports/scores/grpo", SCORE)
    for name in ("base", "sft"):
        shutil.copytree(folder / "reports/scores/grpo", folder / "reports/scores" / name, dirs_exist_ok=True)
    for stage in ("sft", "grpo"):
        begun, ended = (model.with_name("base"), "sft") if stage == "sft" else ("sft", model)
        ends = {"starting_weights_sha256": begun, "weights_sha256": ended}
        ends = {name: end if isinstance(end, str) else weights_sha256(end) for name, end in ends.items()}
        summary = ends | {"warnings": [], "run": {"started": "2026-01-01T00:00:00Z",
                   "ended": "2026-01-01T01:00:00Z"}}  # fmt: skip
        report = folder / "reports/training" / stage
        report.mkdir(parents=True, exist_ok=True)
        (report / "curves.csv").write_text(CURVES)
        (report / "summary.json").write_text(json.dumps(summary))
    write_lock(folder, params)


def write_lock(folder: Path, params: dict[str, Any]) -> None:
    data = [{"path": f"data/prompts/{name}.parquet", "md5": file_md5(folder / f"data/prompts/{name}.parquet")}
            for name in ("sft", "grpo", "val", "test")]  # fmt: skip
    raw = {"path": "data/raw/crowd", "md5": dvc_folder_digest(folder / "data/raw/crowd")}
    model = {"path": "models/grpo", "md5": dvc_folder_digest(folder / "models/grpo")}
    reports = [f"reports/scores/{name}" for name in ("base", "sft", "grpo")]
    scores = [{"path": f"{report}/{file}", "md5": file_md5(folder / report / file)}
              for report in reports for file in ("per_image.parquet", "metrics.json")]  # fmt: skip
    stages = {
        "ingest@crowd": {"cmd": "ingest", "deps": [raw], "outs": []},
        "prompts": {"cmd": "prompts", "outs": data},
        "score@grpo": {"cmd": "score", "outs": scores},
        "grpo": {"cmd": "grpo", "params": {"params.yaml": {"rewards": params["rewards"]}}, "outs": [model]},
        "register": {"cmd": "register", "outs": []},
    }
    with (folder / "dvc.lock").open("w") as file:
        YAML(typ="safe", pure=True).dump({"schema": "2.0", "stages": stages}, file)


def commit(folder: Path, message: str) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", message)


def git(folder: Path, *arguments: str) -> str:
    return subprocess.check_output(["git", *arguments], cwd=folder, text=True, env=os.environ)
