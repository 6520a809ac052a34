"""What sft and grpo share: arguments, resuming, and the publication of weights, curves and a summary."""

from __future__ import annotations

import csv
import logging
import math
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import (
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.utils.logging import disable_progress_bar

from components.errors import TrainingError
from components.params.trainer import TrainerParams
from components.policy.folder import load_model, weights_digest, weights_sha256
from components.policy.processor import Processor, load_processor
from components.store.atomic import atomic_file, atomic_folder, write_json
from components.store.digest import files_sha256
from components.training.checkpoints import checkpoint_folder, resume_point, sole_run, state_of
from components.training.deepspeed import deepspeed_config
from components.training.disk import refuse_full_disk
from components.training.fingerprint import libraries, run_fingerprint
from components.training.publishing import Weights, publish, rehearse, weights_of_checkpoint, whole_weights
from components.training.stopping import StopWhenAsked

log = logging.getLogger("lookout.training")
REWARD, TOTAL = "reward_", "reward_total"
"""Columns of the curves: one a reward, and their weighted sum."""
TrainerFactory = Callable[[PreTrainedModel, Processor, dict[str, Any]], Trainer]
"""(model, processor, the shared arguments) -> a TRL trainer."""
Finish = Callable[[Path, Path], None]
"""(the folder of reports, the folder of resume points) -> more reports."""
Curves = dict[str, float | str]
"""A row of curves.csv; blank where nothing was logged."""
Means = dict[str, float]
Signs = Callable[[Means, Means], list[str]]
"""(name of a reward -> its mean in the first tenth of the curves, in the last tenth) -> signs of collapse."""


def train_policy(
    stage: str,
    start: Path,
    prompts: Path,
    out: Path,
    reports: Path,
    params: TrainerParams,
    extra: dict[str, Any],
    columns: dict[str, str],
    make_trainer: TrainerFactory,
    finish: Finish | None = None,
    save_at_multiples_of: int = 1,
    signs: Signs | None = None,
) -> None:
    """Trains from `start` to `out`, from the last whole checkpoint of this exact run where there is one.

    `extra` is what decides the run beside params; `columns` maps the curves' columns to the trainer's log keys.
    `finish` adds to the folder of reports; `signs` tells a collapse by the rewards' means. A run of which all steps are
    done (or none is wanted) is published only.
    """
    if not sys.stderr.isatty():
        disable_progress_bar()  # each loading and saving would be lines of a log
    begun_with = files_sha256(start)
    fingerprint = run_fingerprint(stage, begun_with, prompts, params, extra)
    folder, started = checkpoint_folder(stage, fingerprint), _now()
    first = os.environ.get("RANK", "0") == "0"  # one process holds the lock, looks and publishes for all
    with ExitStack() as held:
        if first:
            held.enter_context(sole_run(stage, folder))
            refuse_full_disk(stage, start, folder, out, params)
            rehearse(start, out, reports, params)
        checkpoint = resume_point(stage, folder, params.launch.processes * params.launch.nodes, say=first)
        state = TrainerState() if checkpoint is None else state_of(checkpoint)
        weights: Weights | None = None
        trainer: Trainer | None = None
        if state.global_step < params.max_steps:
            stop = StopWhenAsked(stage, save_at_multiples_of)
            said = ProgressCallback(stage, columns, signs)
            trainer = _trained(stage, start, folder, checkpoint, params, said, make_trainer, stop)
            weights, state = whole_weights(trainer), trainer.state
        elif checkpoint is not None and first:
            log.info("%s: all %d steps are done already (%s): published only", stage, params.max_steps, checkpoint.name)
            weights = weights_of_checkpoint(checkpoint, start, params)
        if first:
            with atomic_folder(out) as model:
                publish(weights, start, model, params)
            curves = _curves(state.log_history, columns)
            summary = {
                "schema": "training/1",
                "stage": stage,
                "steps": state.global_step,
                "fingerprint": fingerprint,
                "starting_weights_sha256": weights_digest(begun_with),
                "weights_sha256": weights_sha256(out),
                "warnings": collapse_warnings(curves, signs),
                "run": {
                    "started": started,
                    "ended": _now(),
                    "python": platform.python_version(),
                    "libraries": libraries(),
                },
            }
            with atomic_folder(reports) as report:
                _write_csv(report / "curves.csv", ["step", *columns], curves)
                if finish:
                    finish(report, folder)
                write_json(report / "summary.json", summary)
            shutil.rmtree(folder, ignore_errors=True)  # the outputs are in place
        if trainer is not None:
            trainer.accelerator.wait_for_everyone()


def _now() -> str:
    """RFC 3339, as provenance wants it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _trained(
    stage: str,
    start: Path,
    folder: Path,
    checkpoint: Path | None,
    params: TrainerParams,
    said: TrainerCallback,
    make_trainer: TrainerFactory,
    stop: StopWhenAsked,
) -> Trainer:
    """The trainer after its last step, gone on from a resume point where there is one.

    Raises TrainingError where it was asked to end before.
    """
    torch.set_num_threads(params.launch.threads)
    # the trainer's own resuming leaves a Qwen2.5-VL at its starting weights: its keys do not match the
    # checkpoint's, so the weights come from the checkpoint's folder and only the rest from the trainer
    # (adapters it does bring back)
    whole = checkpoint is not None and not params.lora
    model = _prepared(load_model(checkpoint if checkpoint and whole else start), params)
    trainer = make_trainer(model, load_processor(start), _arguments(folder, params))
    if whole:
        trainer._load_from_checkpoint = _loaded_already  # or it names every key that does not match
    trainer.remove_callback(PrinterCallback)  # it prints every number of every step
    trainer.add_callback(said)
    trainer.add_callback(stop)
    log.info("%s: %s", stage, f"resumes from {checkpoint.name}" if checkpoint else "starts")
    with stop.listening():
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        if stop.stopped_at is not None:
            trainer.accelerator.wait_for_everyone()  # one that ends earlier has the launcher end those that still save
    if stop.stopped_at is not None:
        raise TrainingError(
            f"{stage} was asked to end: step {stop.stopped_at} of {params.max_steps} is saved as a resume point, "
            "the same command goes on from there"
        )
    return trainer


def _loaded_already(resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
    """In place of the trainer's own loading of weights."""


def _prepared(model: PreTrainedModel, params: TrainerParams) -> PreTrainedModel:
    if params.freeze_vision:
        for weight in model.get_submodule("model.visual").parameters():
            weight.requires_grad_(False)
    return model


def _arguments(folder: Path, params: TrainerParams) -> dict[str, Any]:
    """TrainingArguments that both trainers take, under their own names."""
    own = {"freeze_vision", "lora", "launch"}
    shared = {name: value for name, value in params.model_dump().items() if name in TrainerParams.model_fields}
    return {name: value for name, value in shared.items() if name not in own} | {
        "output_dir": str(folder),
        "use_cpu": not torch.cuda.is_available(),
        "deepspeed": deepspeed_config(params.launch),
        "save_strategy": "steps",
        "save_total_limit": 2,
        "report_to": [],
        "disable_tqdm": not sys.stderr.isatty(),
        "remove_unused_columns": False,
        "logging_nan_inf_filter": False,
        "ddp_find_unused_parameters": False,  # each batch has images: all weights are used, adapters or not
    }


def _curves(history: Sequence[Mapping[str, float | None]], columns: dict[str, str]) -> list[Curves]:
    """One row a logged step; a column that was not logged, or a reward that scored no sample, stays blank."""
    rows = [entry for entry in history if "loss" in entry]
    return [
        {"step": _cell(row["step"])} | {column: _cell(row.get(key)) for column, key in columns.items()} for row in rows
    ]


def _cell(value: float | None) -> float | str:
    return "" if value is None or math.isnan(value) else value  # the mean of no score at all is NaN, or None


def _write_csv(path: Path, columns: list[str], rows: list[Curves]) -> None:
    with atomic_file(path) as partial, partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def collapse_warnings(curves: Sequence[Curves], signs: Signs | None = None) -> list[str]:
    """Signs that a policy games its rewards or has died, read off the first and the last tenth of its curves."""
    tenth = max(1, len(curves) // 10)
    last = curves[-tenth:]
    warnings = signs(_reward_means(curves[:tenth]), _reward_means(last)) if signs else []
    if _mean(last, "clipped_ratio", 0) > 0.5:
        warnings.append("more than half of the completions hit the length limit")
    if _mean(last, "entropy", 1) < 0.005:
        warnings.append("the policy's entropy is near zero: its completions no longer differ")
    return warnings


def _reward_means(rows: Sequence[Curves]) -> Means:
    """Mean of each reward that scored something, by its name."""
    names = [column for column in rows[0] if column.startswith(REWARD) and column != TOTAL] if rows else []
    means = {name.removeprefix(REWARD): _mean(rows, name, math.nan) for name in names}
    return {name: mean for name, mean in means.items() if not math.isnan(mean)}


def _mean(rows: Sequence[Curves], column: str, default: float) -> float:
    values = [float(row[column]) for row in rows if row.get(column, "") != ""]
    return sum(values) / len(values) if values else default


class ProgressCallback(TrainerCallback):
    """A line in the log every twentieth of the run: step, loss or reward, time left; a sign of collapse at once."""

    def __init__(self, stage: str, columns: dict[str, str], signs: Signs | None = None) -> None:
        self._stage, self._columns, self._signs = stage, columns, signs
        self._begun, self._first = 0.0, 0
        self._said: set[str] = set()

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        self._begun, self._first = time.monotonic(), state.global_step

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: object,
    ) -> None:
        if not state.is_world_process_zero or not logs or "loss" not in logs:
            return
        every = max(args.logging_steps, state.max_steps // 20 // args.logging_steps * args.logging_steps)
        if state.global_step % every and state.global_step != state.max_steps:
            return
        done = state.global_step - self._first
        left = (time.monotonic() - self._begun) / max(1, done) * (state.max_steps - state.global_step)
        shown = {name: logs[name] for name in ("loss", "reward", "mean_token_accuracy") if name in logs}
        numbers = ", ".join(f"{name} {float(value):.4f}" for name, value in shown.items())
        log.info("%s step %d of %d: %s, %.0f s left", self._stage, state.global_step, state.max_steps, numbers, left)
        warnings = collapse_warnings(_curves(state.log_history, self._columns), self._signs)
        for warning in [one for one in warnings if one not in self._said]:
            log.warning("%s step %d: %s", self._stage, state.global_step, warning)
        self._said |= set(warnings)


def check_starts_from_policy(start: Path) -> None:
    """Raises TrainingError where the stage before has left no model."""
    if not start.is_dir():
        raise TrainingError(f"{start} is not there: the stage that writes it has not run (dvc repro runs it)")
