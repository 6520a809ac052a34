"""The tiny policy's parts, the adapter to TRL, resume points, the lock: without training."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from components.errors import DataError, ModelError, TrainingError
from components.machine.training_lock import training_lock
from components.params.base import BaseParams, PretrainedParams
from components.params.grpo import GrpoParams
from components.params.reading import load_section
from components.params.rewards import RewardsParams
from components.params.vllm import VllmParams
from components.policy.answering import answer_tokens
from components.policy.images import load_prompts, prompt_image
from components.policy.launch import run_training
from components.rewards import collapse_signs
from components.training.checkpoints import resume_point, sole_run
from components.training.deepspeed import deepspeed_config
from components.training.disk import refuse_full_disk
from components.training.group_rewards import GroupRewards, whole_groups
from components.training.grpo import SamePrompts, _grpo_arguments, check_batches, check_vllm
from components.training.trainer_run import ProgressCallback, collapse_warnings

GOLD = '<think>I see 2; 2 overlap.</think><look>[[1,2,30,64]]</look><answer>[{"bbox_2d":[1,2,3,4],"label":"person"},{"bbox_2d":[10,2,30,64],"label":"person"}]</answer>'  # noqa: E501


@pytest.fixture(scope="module")
def tokenizer():
    from components.policy.tiny import build_tokenizer

    build = load_section(BaseParams).build
    assert build is not None
    return build_tokenizer(build)


@pytest.mark.parametrize("text", [GOLD, "", "été 😀 [1,2", "  two  spaces\n", "100,7"])
def test_any_text_survives_the_tokenizer(tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_a_box_costs_five_tokens(tokenizer) -> None:
    one = GOLD.replace(',{"bbox_2d":[10,2,30,64],"label":"person"}', "")
    assert len(tokenizer(GOLD)["input_ids"]) - len(tokenizer(one)["input_ids"]) == 5


def test_the_tokens_of_the_answer_know_their_characters(tokenizer) -> None:
    ids = tokenizer(GOLD)["input_ids"]
    spans = answer_tokens(tokenizer, ids, [-float(i) for i in range(len(ids))], GOLD)
    assert GOLD[spans[1][0] : spans[1][1]] == '{"bbox_2d":['
    assert spans[-1][1] == len(GOLD)
    assert answer_tokens(tokenizer, ids[:4], [0.0] * 4, "another text") is None


def test_the_base_loads_with_weights_processor_and_digests(prepared: Path) -> None:
    from components.policy.folder import load_model, weights_sha256
    from components.policy.processor import load_processor

    folder = prepared / "models/base"
    model, processor = load_model(folder), load_processor(folder)
    assert 1e6 < sum(weight.numel() for weight in model.parameters()) < 1.3e6
    assert processor.image_processor.size == {"shortest_edge": 4096, "longest_edge": 4096}
    assert len(weights_sha256(folder)) == 64
    assert not [path for path in folder.iterdir() if path.suffix in {".bin", ".pt", ".pkl"}]


def test_a_local_checkpoint_becomes_the_base_with_its_own_image_bounds(prepared: Path, tmp_path: Path) -> None:
    from components.policy.base import write_base
    from components.policy.processor import load_processor
    from components.store.digest import file_sha256

    local = PretrainedParams(
        path=str(prepared / "models/base"), revision=None, min_pixels=256, max_pixels=1024, factor=16
    )
    write_base(tmp_path, BaseParams(build=None, pretrained=local, local=local.path))
    assert load_processor(tmp_path).image_processor.size["longest_edge"] == 1024
    weights = "model.safetensors"
    assert file_sha256(tmp_path / weights) == file_sha256(prepared / "models/base" / weights)


def test_a_hub_name_without_a_revision_is_refused(tmp_path: Path) -> None:
    from components.policy.base import write_base

    hub = PretrainedParams(path="Nobody/Nothing", revision=None, min_pixels=256, max_pixels=1024)
    with pytest.raises(ModelError, match="a hub name needs a revision"):
        write_base(tmp_path, BaseParams(build=None, pretrained=hub))


def test_an_image_whose_bytes_changed_is_refused(prepared: Path, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(prepared)
    row = load_prompts(Path("data/prompts/test.parquet"))[0]
    assert row["image"].size == (64, 64)
    with pytest.raises(DataError, match="the prompts were made from 000000000000"):
        prompt_image(Path(row["image_path"]), "0" * 64)
    with pytest.raises(DataError, match="cannot be read"):
        prompt_image(tmp_path / "none.jpg")


def columns(samples: list[str]) -> dict:
    count = len(samples)
    return {
        "sample_id": samples,
        "answer_as": ["boxes"] * count,
        "thinking": ["look"] * count,
        "truth_visible_frac": [None] * count,
        "truth_count": [None] * count,
        "truth_points": [None] * count,
        "truth_text": [None] * count,
        "truth_boxes": [[[0, 0, 10, 10]]] * count,
        "truth_labels": [["person"]] * count,
        "ignore_boxes": [[]] * count,
        "width_px": [64] * count,
        "height_px": [64] * count,
        "frame": ["resized"] * count,
        "model_width_px": [64] * count,
        "model_height_px": [64] * count,
    }


def test_the_adapter_scores_whole_groups_and_hands_back_each_reward() -> None:
    good = '<think>x</think><look>[]</look><answer>[{"bbox_2d":[0,0,10,10],"label":"person"}]</answer>'
    texts = [good, "unreadable", good, good]
    rewards = GroupRewards(load_section(RewardsParams), 2, decode=lambda tokens: texts[tokens[0]])
    completions = [[{"role": "assistant", "content": "TRL's own text, which nobody reads"}] for _ in texts]
    ids = [[0], [1], [2], [3]]
    scores = {
        function.__name__: function(completions=completions, completion_ids=ids, **columns(["a", "a", "b", "b"]))
        for function in rewards.functions()
    }
    assert scores["reasoning"] == [1.0, 0.0, 1.0, 1.0]
    assert scores["precision_recall"] == [1.0, 0.0, 1.0, 1.0]
    assert scores["looking"] == [None] * 4  # fewer than three parsed
    weights = load_section(RewardsParams).weights
    assert rewards.weights == list(weights.values())
    assert rewards.groups[0][0]["total"] == pytest.approx(weights["reasoning"] + weights["precision_recall"])
    assert rewards.groups[0][1]["failure"] == "structure"


def test_a_batch_that_splits_a_group_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"a has 3 completions in a batch, want groups of 2"):
        whole_groups([{"sample_id": "a"}] * 3, 2)


def test_a_sample_that_stands_twice_in_a_batch_makes_two_groups() -> None:
    rows = [{"sample_id": name, "n": n} for n, name in enumerate("aabbaa")]
    assert [[row["n"] for row in group] for group in whole_groups(rows, 2)] == [[0, 1], [4, 5], [2, 3]]


def test_a_batch_without_whole_groups_names_the_nearest_that_has() -> None:
    whole = load_section(GrpoParams)
    launch = whole.launch.model_copy(update={"processes": 1})
    changes = {"per_device_train_batch_size": 12, "num_generations": 8, "launch": launch}
    params = whole.model_copy(update=changes)
    with pytest.raises(TrainingError, match=r"= 12, which is no multiple of num_generations 8; .* 16 would be"):
        check_batches(params)


def test_rollouts_that_are_drawn_at_once_make_whole_steps_and_resume_points() -> None:
    launch = load_section(GrpoParams).launch.model_copy(update={"processes": 1})
    changes = {"per_device_train_batch_size": 4, "num_generations": 8, "gradient_accumulation_steps": 2,
               "launch": launch, "save_steps": 8}  # fmt: skip
    params = load_section(GrpoParams).model_copy(update=changes)
    check_batches(params.model_copy(update={"steps_per_generation": 8}))
    with pytest.raises(TrainingError, match=r"steps_per_generation 3 is no multiple of .* 2: .*; 4 would be"):
        check_batches(params.model_copy(update={"steps_per_generation": 3}))
    with pytest.raises(TrainingError, match=r"save_steps 50 is no multiple of 4, .*; 52 would be"):
        check_batches(params.model_copy(update={"steps_per_generation": 8, "save_steps": 50}))
    with pytest.raises(TrainingError, match=r"save_steps 3 is no multiple of 2, .*; 4 would be"):
        check_batches(params.model_copy(update={"num_iterations": 2, "save_steps": 3}))


def test_a_checkpoint_that_a_kill_cut_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="lookout.training")
    for step, state in ((5, '{"global_step": 5}'), (10, '{"global_'), (15, None)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        if state:
            (folder / "trainer_state.json").write_text(state)
        torch.save({}, folder / "rng_state.pth")
        save_file({"weight": torch.ones(3)}, folder / "model.safetensors")
    assert resume_point("sft", tmp_path, say=False) == tmp_path / "checkpoint-5"
    assert resume_point("sft", tmp_path / "none") is None
    assert resume_point("sft", tmp_path) == tmp_path / "checkpoint-5"
    assert [path.name for path in tmp_path.glob("checkpoint-*")] == ["checkpoint-5"]  # the trainer counts what is there
    assert "an earlier attempt" not in caplog.text
    assert resume_point("sft", tmp_path, processes=2) is None  # the second process had not written its part
    assert "sft: an earlier attempt at this run left no whole resume point: it begins anew" in caplog.text


def test_a_second_training_is_refused_and_the_lock_dies_with_its_owner(own_home: Path) -> None:
    code = (
        "import time; from components.machine.training_lock import training_lock\n"
        "with training_lock('sft'): print('held', flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    assert owner.stdout is not None
    assert owner.stdout.readline() == "held\n"
    refusal = rf"grpo cannot start: on this machine sft \(process {owner.pid}\) is training"
    with pytest.raises(TrainingError, match=refusal), training_lock("grpo"):
        pass
    owner.kill()
    owner.wait()
    owner.stdout.close()
    for _ in range(50):  # the system frees the lock a moment after the process is gone
        try:
            with training_lock("grpo"):
                return
        except TrainingError:
            time.sleep(0.1)
    raise AssertionError("the lock outlived its owner")


@pytest.mark.parametrize(
    ("dtype", "changes", "points"),
    [
        (torch.float32, {}, 3 * 12),  # weights and two moments of 32 bits each
        (torch.bfloat16, {}, 3 * 12),  # the same: what is stored in 16 bits is trained in 32
        (torch.float32, {"save_steps": 160}, 12),  # one at the end
        (torch.float32, {"freeze_vision": True}, 3 * (4 + 8 / 2)),
    ],
)
def test_a_training_that_would_fill_the_disk_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, changes: dict, points: float
) -> None:
    start, folder, out = tmp_path / "start", tmp_path / "checkpoints/grpo-1", tmp_path / "models/grpo"
    start.mkdir()
    folder.mkdir(parents=True)
    half = 2**17
    weights = {"model.visual.a": torch.ones(half, dtype=dtype), "model.text.b": torch.ones(half, dtype=dtype)}
    save_file(weights, start / "model.safetensors")
    (folder / "resume-point").write_bytes(bytes(2**20))
    model = (start / "model.safetensors").stat().st_size
    params = load_section(GrpoParams).model_copy(update=changes)
    kept = points * 2 / 3 if points > 12 else points
    needed = int(max(points * 2 * half, kept * 2 * half + model)) - 2**20
    for free, fits in ((needed, True), (needed - 1, False)):
        monkeypatch.setattr("shutil.disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        if fits:
            refuse_full_disk("grpo", start, folder, out, params)
        else:
            with pytest.raises(
                TrainingError, match=r"grpo cannot start: .* need about [1-9]\d* MiB more .*LOOKOUT_HOME"
            ):
                refuse_full_disk("grpo", start, folder, out, params)


def test_one_process_runs_in_place_under_the_lock(own_home: Path) -> None:
    ran: list[int] = []

    def train() -> None:
        ran.append(os.getpid())
        with pytest.raises(TrainingError, match="is training"), training_lock("sft"):
            pass

    launch = load_section(GrpoParams).launch.model_copy(update={"processes": 1})
    run_training("grpo", [], launch, train)
    assert ran == [os.getpid()]


def test_an_unknown_deepspeed_file_is_named(tmp_path, monkeypatch) -> None:
    launch = load_section(GrpoParams).launch.model_copy(update={"deepspeed": "zero2"})
    assert deepspeed_config(launch) == "conf/deepspeed/zero2.json"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TrainingError, match=r"zero2\.json is not there"):
        deepspeed_config(launch)


def test_more_trainings_run_at_once_where_jobs_allows_it(own_home: Path, monkeypatch) -> None:
    monkeypatch.setenv("LOOKOUT_JOBS", "2")
    with training_lock("sft"), training_lock("grpo"):
        with pytest.raises(TrainingError, match=r"sft .* and grpo .* LOOKOUT_JOBS=3"), training_lock("grpo"):
            pass
        monkeypatch.setenv("LOOKOUT_JOBS", "1")
        with pytest.raises(TrainingError, match="cannot start"), training_lock("grpo"):
            pass
    monkeypatch.setenv("LOOKOUT_JOBS", "many")
    with pytest.raises(TrainingError, match="LOOKOUT_JOBS is 'many'"), training_lock("grpo"):
        pass


def test_the_same_run_does_not_start_twice(tmp_path: Path) -> None:
    again = sole_run("sft", tmp_path / "sft-1")
    with (
        sole_run("sft", tmp_path / "sft-1"),
        sole_run("sft", tmp_path / "sft-2"),
        pytest.raises(TrainingError, match="already under way"),
        again,
    ):
        pass


def test_vllm_is_guarded() -> None:
    vllm = VllmParams(mode="colocate", gpu_memory_utilization=0.3, server_base_url=None)
    params = load_section(GrpoParams).model_copy(update={"vllm": vllm})
    with pytest.raises(TrainingError, match=r"make setup-gpu`, then grpo\.launch\.python: gpu"):
        check_vllm(params)
    asked = _grpo_arguments(params, image_token=7)
    assert asked["vllm_mode"] == "colocate"
    assert asked["generation_kwargs"] == {"logit_bias": {7: -100.0}}  # a sampled one would have no image
    assert "generation_kwargs" not in _grpo_arguments(load_section(GrpoParams), image_token=7)

    class Doubling:
        answer: ClassVar[list[list[int]]] = [[1, 9, 2]]

        def generate(self, prompts: list[list[int]], **_: object) -> tuple[list[list[int]], list[list[int]]]:
            return self.answer, [[5]]

    guarded = SamePrompts(Doubling())
    assert guarded.generate([[1, 9, 2]])[1] == [[5]]
    Doubling.answer = [[1, 9, 9, 2]]
    with pytest.raises(TrainingError, match="a prompt of 4 tokens where the trainer has 3"):
        guarded.generate([[1, 9, 2]])


def test_collapse_is_said() -> None:
    row = {"reward_reasoning": 1.0, "reward_precision_recall": 0.01, "clipped_ratio": 0.9, "entropy": 0.0}
    assert len(collapse_warnings([row] * 20, collapse_signs)) == 3
    healthy = {"reward_reasoning": 1.0, "reward_precision_recall": 0.5, "clipped_ratio": 0.0, "entropy": 0.8}
    assert collapse_warnings([healthy] * 20, collapse_signs) == []
    assert collapse_warnings([{"loss": 1.0}]) == []


def test_the_kept_rollouts_carry_their_map() -> None:
    from components.training.group_rewards import RolloutKeeper

    rewards = GroupRewards(load_section(RewardsParams), 2, decode=lambda _: "x")
    function = rewards.functions()[0]
    completions = [[{"role": "assistant", "content": "x"}]] * 2
    function(completions=completions, completion_ids=[[1], [1, 2]], **columns(["a", "a"]))
    folder = Path(os.environ["LOOKOUT_HOME"]) / "rollouts"
    keeper = RolloutKeeper(folder, kept_groups=2, max_steps=10)
    for step in range(10):
        keeper.keep(step, rewards.groups[0])
    rows = keeper.rows()
    assert [row["step"] for row in rows] == [0, 0, 9, 9]
    assert np.frombuffer(rows[0]["disagreement"], np.float16).shape == (32 * 32,)
    assert rows[1]["disagreement"] is None


def test_collapse_is_said_once_while_the_training_runs(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    from transformers import TrainerControl, TrainerState, TrainingArguments

    said = ProgressCallback(
        "grpo", {"reward_reasoning": "format", "reward_precision_recall": "accuracy"}, collapse_signs
    )
    state, control = TrainerState(is_world_process_zero=True, max_steps=20), TrainerControl()
    arguments = TrainingArguments(output_dir=str(tmp_path), logging_steps=1, report_to=[])
    said.on_train_begin(arguments, state, control)
    for step in range(1, 4):
        state.global_step = step
        logs = {"loss": 0.0, "format": 1.0, "accuracy": 0.5 if step == 1 else 0.0, "step": step}
        state.log_history.append(logs)
        said.on_log(arguments, state, control, logs)
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == ["grpo step 2: the format reward is high while the accuracy reward is near zero"]
