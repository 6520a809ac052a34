"""What a resume point is held to: everything that decides a run's weights, and nothing else."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from components.graph.closure import code_files
from components.params.trainer import TrainerParams
from components.store.atomic import canonical_json
from components.store.digest import file_sha256
from components.training.deepspeed import deepspeed_config

LIBRARIES = (
    "torch", "transformers", "trl", "accelerate", "peft", "deepspeed", "tokenizers", "datasets", "numpy", "pillow",
    "scipy", "rapidfuzz",
)  # fmt: skip
DECIDES_NOTHING = (
    "components/errors.py",
    "components/graph/",
    "components/machine/",
    "components/params/",  # their values are in it
    "components/stages/",
    "components/store/atomic.py",
    "components/store/digest.py",
    "components/training/checkpoints.py",
    "components/training/disk.py",
    "components/training/fingerprint.py",
    "components/training/stopping.py",
)
"""Code that starts, guards and ends a training, or brings its files into place."""
PARAMS_THAT_DECIDE_NOTHING = ("logging_steps", "save_steps", "kept_rollout_groups", "dataloader_num_workers")
"""Params that say what is written down of a run, and who reads. launch.threads decides: sums differ in the last bit."""


def run_fingerprint(
    stage: str, start: Mapping[str, str], prompts: Path, params: TrainerParams, extra: dict[str, Any]
) -> str:
    """SHA-256 over the starting folder's files, as digests by their names, prompts, params, code and libraries;
    `extra`: what else decides the run.

    Every file of the folder decides: weights, tokenizer, chat template, image processor, end tokens. Of the code,
    comments, docstrings and lines of the log do not.
    """
    values = {name: value for name, value in params.model_dump().items() if name not in PARAMS_THAT_DECIDE_NOTHING}
    values["launch"] = {name: value for name, value in values["launch"].items() if name not in ("rendezvous", "python")}
    deepspeed = deepspeed_config(params.launch)
    decides = {
        "stage": stage,
        "start": dict(start),
        "prompts": file_sha256(prompts),
        "params": values | extra,
        "deepspeed": file_sha256(Path(deepspeed)) if deepspeed else None,
        "code": {path: _meaning(Path(path).read_text()) for path in _deciding_code(stage)},
        "libraries": libraries(),
    }
    return hashlib.sha256(canonical_json(decides).encode()).hexdigest()


def libraries() -> dict[str, str]:
    """Name -> version of what decides a training's numbers, in the interpreter that runs it; vLLM where it has one."""
    found = {name: version(name) for name in LIBRARIES}
    with suppress(PackageNotFoundError):
        found["vllm"] = version("vllm")
    return found


def _deciding_code(stage: str) -> list[str]:
    return [path for path in code_files(stage) if path.endswith(".py") and not path.startswith(DECIDES_NOTHING)]


@cache
def _meaning(module: str) -> str:
    """Digest of the module without what is only said."""
    return hashlib.sha256(ast.dump(_Unsaid().visit(ast.parse(module))).encode()).hexdigest()


class _Unsaid(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        said = isinstance(node.value, ast.Constant) or _is_log_line(node.value)
        return None if said else node


def _is_log_line(call: ast.expr) -> bool:
    return isinstance(call, ast.Call) and ast.unparse(call.func).startswith("log.")
