"""What does a GRPO step cost when each prompt and its image are paid once a group, beside stock TRL?

One trainer takes the same steps both ways, in turns (`shared_prefix` off is stock TRL's own code). The policy has
random weights, so that completions run to the length limit and a shape is what its row says: the tiny profile's policy,
and one of 6 million parameters for realistic lengths. Where there is a GPU, Qwen2.5-VL-3B's shapes in bf16 are
measured instead, with what the chip's matrix units reach beside them.
"""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from benchmarks.measuring import REPEATS, Cell, Form, Table, run_script

PARTS = ("generate", "rewards", "images and tokens", "log-probabilities", "backward", "update")
SIDES = {"stock": False, "ours": True}


@dataclass(frozen=True, slots=True)
class Shape:
    """One step: `prompts` groups of `group` completions of `completion_tokens` tokens about one image each."""

    name: str
    size: str
    image_px: int
    completion_tokens: int
    group: int
    prompts: int = 1
    checkpointed: bool = False
    parts: int = 1
    """Micro-batches: so many times are log-probabilities and gradients computed for what was drawn at once."""


TINY = Shape("tiny profile", "tiny", 64, 64, 8, 8)
ASKED = Shape("1,000 + 200", "6M", 496, 200, 8)
SHAPES: dict[Form, tuple[Shape, ...]] = {
    "smoke": (Shape("smoke", "tiny", 64, 8, 2, 2, parts=2),),
    "quick": (TINY, ASKED),
    "full": (
        TINY, Shape("300 + 100", "6M", 272, 100, 8), ASKED, Shape("1,000 + 200", "6M", 496, 200, 16),
        Shape("1,500 + 400", "6M", 608, 400, 8), Shape("1,000 + 200, checkpointed", "6M", 496, 200, 8, 1, True),
    ),
}  # fmt: skip
GPU = tuple(Shape(f"{8 * n} rows of 1,300 + 500", "3B", 1008, 500, 8, n, parts=n) for n in (1, 8, 16))
SIZES: dict[str, dict[str, dict[str, int]]] = {
    "tiny": {"text": {}, "vision": {}},
    "6M": {
        "text": {"hidden_size": 256, "layers": 6, "heads": 4, "key_value_heads": 2, "intermediate_size": 704},
        "vision": {"hidden_size": 128, "depth": 2, "heads": 4, "intermediate_size": 256},
    },
    "3B": {
        "text": {"hidden_size": 2048, "layers": 36, "heads": 16, "key_value_heads": 2, "intermediate_size": 11008},
        "vision": {"hidden_size": 1280, "depth": 32, "heads": 16, "intermediate_size": 3420, "patch_size": 14,
                   "window_px": 112},
    },
}  # fmt: skip
VOCABULARY = {"3B": 151_936}
FULL_ATTENTION_BLOCKS = {"3B": [7, 15, 23, 31]}
"""Of the vision tower; the others attend within windows."""


def tables(form: Form) -> list[Table]:
    import torch

    torch.set_num_threads(1)
    on_gpu = torch.cuda.is_available() and form != "smoke"
    found: list[tuple[Shape, int, dict[str, dict[str, float]], dict[str, float]]] = []
    for shape in GPU if on_gpu else SHAPES[form]:
        step = Step(shape)
        memory = {} if on_gpu else {side: peak_mib(step, shared) for side, shared in SIDES.items()}
        # on a GPU a step takes up to a minute and a half: one is measured, and the first shape alone warms up
        repeats, warm_ups = (1, int(shape.prompts == 1)) if on_gpu else (REPEATS[form], 1)
        times, gpu_memory = step.measured(repeats, warm_ups)
        found.append((shape, step.prompt_tokens, times, memory or gpu_memory))
    return [*(_parts(*one) for one in found), _summary(found), *([_rates(found)] if on_gpu else [])]


def _parts(shape: Shape, prompt_tokens: int, times: dict[str, dict[str, float]], memory: dict[str, float]) -> Table:
    stock, ours = times["stock"], times["ours"]
    rows: list[tuple[Cell, ...]] = [(part, stock[part], ours[part], stock[part] / ours[part]) for part in PARTS]
    whole = [sum(side[part] for part in PARTS) for side in (stock, ours)]
    both = [side["log-probabilities"] + side["backward"] for side in (stock, ours)]
    rows.append(("log-probabilities with backward", *both, both[0] / both[1]))
    rows.append(("whole step", *whole, whole[0] / whole[1]))
    rows.append(("peak memory of it, MiB", memory["stock"], memory["ours"], memory["stock"] / memory["ours"]))
    return Table(
        f"A step, {shape.name} (policy {shape.size})",
        ("part", "stock TRL, s", "ours, s", "times as fast"),
        tuple(rows),
        f"{shape.prompts} prompts of {prompt_tokens} tokens, {shape.group} completions each of "
        f"{shape.completion_tokens} tokens.",
    )  # fmt: skip


def _summary(found: list[Any]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for shape, prompt_tokens, times, memory in found:
        ratio = {part: times["stock"][part] / times["ours"][part] for part in PARTS}
        stock, ours = ([times[side][part] for part in PARTS] for side in SIDES)
        both = sum(stock[3:5]) / sum(ours[3:5])
        rows.append((f"{shape.name}, {shape.size}", prompt_tokens, shape.completion_tokens, shape.group,
                     ratio["generate"], both, sum(stock) / sum(ours), memory["stock"] / memory["ours"]))  # fmt: skip
    columns = ("shape", "prompt tokens", "completion tokens", "G", "generate", "log-probabilities with backward",
               "whole step", "memory, times as much")  # fmt: skip
    return Table("How many times as fast as stock TRL", columns, tuple(rows))


def _rates(found: list[Any]) -> Table:
    """On a GPU: tokens a second, and the share of the chip's own matrix rate that the training part reaches."""
    rate = matrix_tflops()
    rows: list[tuple[Cell, ...]] = []
    for shape, prompt_tokens, times, _ in found:
        tokens = shape.prompts * shape.group * (prompt_tokens + shape.completion_tokens)
        for side in SIDES:
            seconds = times[side]
            training = seconds["log-probabilities"] + seconds["backward"]
            useful = 6 * 3.1e9 * tokens / training / 1e12
            generated = shape.prompts * shape.group * shape.completion_tokens / seconds["generate"]
            rows.append((shape.name, side, sum(seconds.values()), generated, tokens / training, useful, useful / rate))
    columns = ("shape", "side", "step, s", "generated tokens/s", "trained tokens/s", "TFLOP/s of stock's work",
               "share of the matrix rate")  # fmt: skip
    note = f"A matrix product of 8,192 reached {rate:.0f} TFLOP/s. Stock's work is 6 x 3.1e9 per token of every row."
    return Table("Rates", columns, tuple(rows), note)


def matrix_tflops() -> float:
    import torch

    left = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)
    for _ in range(3):
        left @ left
    torch.cuda.synchronize()
    begun = time.perf_counter()
    for _ in range(20):
        left @ left
    torch.cuda.synchronize()
    return 20 * 2 * 8192**3 / (time.perf_counter() - begun) / 1e12


class Step:
    """One trainer on random images, whose steps are taken either way."""

    def __init__(self, shape: Shape) -> None:
        import torch

        self.shape = shape
        self.trainer, stock = make_trainer(shape)
        self._images = {False: stock, True: self.trainer.processing_class.image_processor}
        self.trainer.current_gradient_accumulation_steps = 1
        self.batch = next(iter(self.trainer.get_train_dataloader()))
        self.optimizer = torch.optim.AdamW(self.trainer.model.parameters(), lr=0.0)
        self.seconds: dict[str, float] = defaultdict(float)
        self._watch("generate", "_generate_single_turn")
        self._watch("rewards", "_calculate_rewards")
        self.prompt_tokens = 0

    def _watch(self, part: str, method: str) -> None:
        work = getattr(self.trainer, method)

        def watched(*args: Any, **kwargs: Any) -> Any:
            with self._timed(part):
                return work(*args, **kwargs)

        setattr(self.trainer, method, watched)

    @contextmanager
    def _timed(self, part: str) -> Any:
        _wait()
        begun = time.perf_counter()
        yield
        _wait()
        self.seconds[part] += time.perf_counter() - begun

    def take(self, shared: bool) -> dict[str, float]:
        """One whole optimisation step; seconds of each part."""
        import torch

        one = self.trainer
        one._shares = shared
        one.processing_class.image_processor = self._images[shared]
        one._buffered_inputs = None
        one.model.train()
        self.seconds.clear()
        torch.manual_seed(0)
        for part in range(one.args.steps_per_generation):
            one._step = part
            with self._timed("images and tokens"):
                inputs = one._prepare_inputs(list(self.batch))
            inputs["advantages"] = torch.linspace(-1, 1, len(inputs["advantages"]), device=one.accelerator.device)
            with self._timed("log-probabilities"):
                loss = one._compute_loss(one.model, inputs)
            with self._timed("backward"):
                loss.backward()
        with self._timed("update"):
            self.optimizer.step()
            self.optimizer.zero_grad()
        self.prompt_tokens = inputs["prompt_ids"].shape[1]
        self.seconds["images and tokens"] -= self.seconds["generate"] + self.seconds["rewards"]
        return dict(self.seconds)

    def measured(self, repeats: int, warm_ups: int) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
        """Medians of each part on both sides, in turns after the warm-ups; on a GPU also its peak memory, MiB."""
        import torch

        taken: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
        memory: dict[str, float] = {}
        for turn in range(warm_ups + repeats):
            for side, shared in SIDES.items():
                if torch.cuda.is_available():
                    torch.cuda.reset_peak_memory_stats()
                seconds = self.take(shared)
                if torch.cuda.is_available():
                    memory[side] = torch.cuda.max_memory_allocated() / 2**20
                if turn >= warm_ups:
                    taken[side].append(seconds)
        middle = {
            side: {part: statistics.median(one[part] for one in steps) for part in PARTS}
            for side, steps in taken.items()
        }
        return middle, memory


def _wait() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def make_policy(size: str, px: int) -> tuple[Any, Any]:
    """A model of this size with random weights, for images of px x px, and its processor."""
    import torch

    from components.params.base import BaseParams
    from components.params.reading import load_section
    from components.policy.tiny import build_model, build_processor

    build = load_section(BaseParams).build
    if build is None:
        raise RuntimeError("params.yaml names a published base; this benchmark builds its own (lookout compose tiny)")
    towers = {name: getattr(build, name).model_copy(update=SIZES[size][name]) for name in ("text", "vision")}
    changes = towers | {"min_pixels": px**2, "max_pixels": px**2, "max_length": 8192}
    build = build.model_copy(update=changes)
    processor = build_processor(build)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model: Any = build_model(build, processor.tokenizer)
        if size in VOCABULARY:
            model = model.to(torch.bfloat16)
            model.resize_token_embeddings(VOCABULARY[size], mean_resizing=False)
            model.model.visual.fullatt_block_indexes = FULL_ATTENTION_BLOCKS[size]
    return model, processor


def make_trainer(shape: Shape) -> tuple[Any, Any]:
    """Our trainer with as many random images as a step has prompts, and the image processor that stock TRL has."""
    import numpy as np
    import torch
    from datasets import Dataset
    from PIL import Image
    from trl.trainer.grpo_config import GRPOConfig

    from components.params.reading import load_section
    from components.params.rewards import RewardsParams
    from components.policy.decoding import text_of
    from components.store.samples import READING_COLUMNS
    from components.training.group_rewards import GroupRewards
    from components.training.shared_prefix.trainer import SharedPrefixTrainer

    px = shape.image_px
    model, processor = make_policy(shape.size, px)
    stock = processor.image_processor
    random = np.random.default_rng(0)
    truth = dict.fromkeys(READING_COLUMNS) | {
        "answer_as": "boxes", "thinking": "look", "truth_boxes": [[1.0, 2.0, 30.0, 60.0]], "truth_labels": ["person"],
        "ignore_boxes": [], "width_px": px, "height_px": px, "frame": "resized", "model_width_px": px,
        "model_height_px": px,
    }  # fmt: skip
    rows = [
        truth | {"prompt": [{"role": "user", "content": "Find every person."}], "sample_id": str(number)}
        for number in range(shape.prompts)
    ]
    pictures = [Image.fromarray(random.integers(0, 255, (px, px, 3), dtype=np.uint8)) for _ in rows]
    dataset = Dataset.from_list(rows).with_transform(
        lambda batch: batch | {"image": [pictures[int(name)] for name in batch["sample_id"]]}
    )
    rewards = GroupRewards(load_section(RewardsParams), shape.group, partial(text_of, processor.tokenizer))
    arguments = GRPOConfig(
        output_dir=mkdtemp(), use_cpu=not torch.cuda.is_available(), bf16=shape.size in VOCABULARY, report_to=[],
        per_device_train_batch_size=shape.group * shape.prompts // shape.parts, num_generations=shape.group,
        gradient_accumulation_steps=shape.parts, max_completion_length=shape.completion_tokens, max_steps=1,
        gradient_checkpointing=shape.checkpointed, disable_tqdm=True,
        remove_unused_columns=False, reward_weights=rewards.weights, save_strategy="no",
    )  # fmt: skip
    model.config._name_or_path = str(Path(arguments.output_dir))
    trainer = SharedPrefixTrainer(
        model=model, reward_funcs=rewards.functions(), args=arguments, train_dataset=dataset,
        processing_class=processor, shared_prefix="on",
    )  # fmt: skip
    if shape.checkpointed:  # as Trainer.train does, which is not called here
        model.activation_checkpointing_enable()
    return trainer, stock


def peak_mib(step: Step, shared: bool) -> float:
    """What one step takes beyond what was there before it, in MiB, in a process of its own."""
    return _in_a_fork(lambda: _grown(lambda: step.take(shared)))


def _grown(work: Callable[[], object]) -> float:
    """The process's own high-water mark behind `work`, less what it held before."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # pages that are free already would hide what the work takes
    status = Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]
    Path("/proc/self/clear_refs").write_text("5")  # the mark begins anew
    work()
    high = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
    return (int(high) - int(status)) / 1024


def _in_a_fork(work: Callable[[], float]) -> float:
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=lambda: sender.send(work()))
    child.start()
    child.join()
    if child.exitcode:
        raise RuntimeError(f"a step in a process of its own ended with exit code {child.exitcode}")
    return float(receiver.recv())


if __name__ == "__main__":
    run_script(tables, __doc__)
