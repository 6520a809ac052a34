"""Completions as raw text: one greedy answer a prompt with its tokens' log-probabilities, and K sampled ones.

Work goes by batches. Each finished batch is kept under LOOKOUT_HOME until the file is whole, so that a run that was
killed goes on where it was; several processes share the batches out. The answers are the same either way.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypedDict, TypeGuard
from uuid import uuid4

import torch
from PIL import Image

from components.errors import DataError
from components.machine.home import lookout_home
from components.machine.workers import is_worker
from components.params.predict import PredictParams
from components.policy.answering import Policy
from components.policy.images import load_prompts
from components.store.atomic import atomic_folder, write_json
from components.store.digest import file_sha256, files_sha256
from components.store.schemas.completions import (
    COMPLETIONS,
    SAMPLES,
    CompletionLine,
    GreedyAnswer,
    PredictSummary,
    SampledAnswer,
    SampleLine,
)
from components.store.schemas.prompts import PROMPTS
from components.store.tables import read_rows

log = logging.getLogger("lookout.predict")


class Batch(TypedDict):
    """A line of a journal; `sampled` has the first prompt's answers, then the next one's."""

    batch: int
    sample_id: list[str]
    lines: list[GreedyAnswer]
    sampled: list[SampledAnswer]
    seconds: float


class Progress(Protocol):
    """A bar over steps on a terminal; machine.progress has it."""

    def __call__(self, items: Sequence[int], what: str, /) -> Iterable[int]: ...


class Answers(Protocol):
    """What predicts: transformers in place, or vLLM."""

    def complete(self, images: list[Image.Image], prompts: list[list[dict[str, str]]]) -> list[GreedyAnswer]: ...

    def sample(
        self, images: list[Image.Image], prompts: list[list[dict[str, str]]], count: int, seed: int
    ) -> list[SampledAnswer]: ...


def predict_files(
    model: Path, prompts: Path, out: Path, params: PredictParams, progress: Progress
) -> PredictSummary | None:
    """Fills `out` with completions.jsonl, samples.jsonl (where params ask for samples) and summary.json.

    In the prompts' order; the summary, or None in a process that a launcher started. Raises DataError or TrainingError
    with one sentence.
    """
    journal = lookout_home() / "predictions" / _fingerprint(model, prompts, params)
    _answer_all(model, prompts, journal, params, progress)
    if is_worker():
        return None
    sample_ids = [row["sample_id"] for row in read_rows(prompts, PROMPTS, ["sample_id"])]
    return _assemble(journal, sample_ids, out, params)


def _fingerprint(model: Path, prompts: Path, params: PredictParams) -> str:
    """Everything that decides an answer; the number of processes does not."""
    chosen = params.model_dump(exclude={"processes"})
    text = json.dumps([files_sha256(model), file_sha256(prompts), chosen], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _answer_all(model: Path, prompts: Path, journal: Path, params: PredictParams, progress: Progress) -> None:
    """This process's share of the batches, each line of its journal one batch."""
    torch.set_num_threads(params.threads)
    dataset = load_prompts(prompts)
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    done = {batch["batch"] for batch in _batches(journal)}
    todo = [n for n in range(rank, -(-len(dataset) // params.batch_size), world) if n not in done]
    if done and todo:
        log.info("goes on: %d batches are there already", len(done))
    if not todo:
        return
    policy = _policy(model, params)
    journal.mkdir(parents=True, exist_ok=True)
    with (journal / f"{rank}-{uuid4().hex}.jsonl").open("x", encoding="utf-8") as file:
        for number in progress(todo, "predict"):
            rows = dataset[number * params.batch_size : (number + 1) * params.batch_size]
            begun = time.monotonic()
            lines = policy.complete(rows["image"], rows["prompt"])
            sampled: list[SampledAnswer] = []
            if params.samples:
                sampled = policy.sample(rows["image"], rows["prompt"], params.samples, params.seed + number)
            batch = {"batch": number, "sample_id": rows["sample_id"], "lines": lines, "sampled": sampled}
            file.write(json.dumps(batch | {"seconds": time.monotonic() - begun}, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())


def _batches(journal: Path) -> Iterator[Batch]:
    """Every whole line of the journals; one that a kill has torn is left out."""
    for path in sorted(journal.glob("*.jsonl")):
        for line in path.read_bytes().split(b"\n"):  # a kill may have torn a character in two
            try:
                batch = json.loads(line)
            except ValueError:
                continue
            if _is_batch(batch):
                yield batch


def _is_batch(value: object) -> TypeGuard[Batch]:
    return isinstance(value, dict) and value.keys() >= Batch.__required_keys__


def _assemble(journal: Path, sample_ids: list[str], out: Path, params: PredictParams) -> PredictSummary:
    batches = {batch["batch"]: batch for batch in _batches(journal)}
    ordered = [batches[number] for number in sorted(batches)]
    answered = [name for batch in ordered for name in batch["sample_id"]]
    if answered != sample_ids:
        raise DataError(
            f"{journal} holds {len(answered)} answers, not those of the {len(sample_ids)} prompts; run again"
        )
    lines = [line for batch in ordered for line in batch["lines"]]
    rows: list[CompletionLine] = [
        {"schema": COMPLETIONS, "sample_id": name, **line} for name, line in zip(answered, lines, strict=True)
    ]
    summary = _summary(ordered, lines, params)
    with atomic_folder(out) as folder:
        _write_lines(folder / "completions.jsonl", rows)
        if params.samples:
            _write_lines(folder / "samples.jsonl", _sampled_rows(ordered, params.samples))
        write_json(folder / "summary.json", summary)
    shutil.rmtree(journal, ignore_errors=True)
    return summary


def _sampled_rows(batches: list[Batch], count: int) -> list[SampleLine]:
    return [
        {"schema": SAMPLES, "sample_id": batch["sample_id"][place // count], "index": place % count, **line}
        for batch in batches
        for place, line in enumerate(batch["sampled"])
    ]


def _summary(batches: list[Batch], lines: list[GreedyAnswer], params: PredictParams) -> PredictSummary:
    """Throughput of the generation, greedy and sampled together, over the processes' working time."""
    tokens = sum(line["token_count"] for line in lines)
    tokens += sum(line["token_count"] for batch in batches for line in batch["sampled"])
    seconds = sum(batch["seconds"] for batch in batches) / params.processes
    return {
        "schema": "predict_summary/1",
        "images": len(lines),
        "samples_per_image": params.samples,
        "tokens": tokens,
        "seconds": round(seconds, 3),
        "images_per_s": round(len(lines) / seconds, 3),
        "tokens_per_s": round(tokens / seconds, 3),
        "cut_at_the_limit": sum(line["finish_reason"] == "length" for line in lines),
        "processes": params.processes,
    }


def _write_lines(path: Path, rows: Sequence[CompletionLine | SampleLine]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _policy(model: Path, params: PredictParams) -> Answers:
    if params.vllm is None:
        return Policy(model, params.max_new_tokens, params.bf16, params.temperature, params.top_p)
    from components.policy.vllm import VllmPolicy

    return VllmPolicy(model, params)
