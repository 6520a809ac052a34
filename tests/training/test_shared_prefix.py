"""The shared-prefix step against stock TRL: the same losses, gradients and tokens, whatever the setting."""

from __future__ import annotations

import copy
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from trl.trainer.grpo_config import GRPOConfig
from trl.trainer.grpo_trainer import GRPOTrainer
from trl.trainer.utils import add_fused_lm_head

from components.errors import TrainingError
from components.policy.folder import load_model
from components.policy.images import load_prompts
from components.policy.processor import load_processor
from components.policy.prompts_once import distinct_prompts, images_by_row
from components.training.shared_prefix import trainer as shared_prefix
from components.training.shared_prefix.layouts import Completions, layout_costs, pack_rows, packed_mask
from components.training.shared_prefix.trainer import SharedPrefixTrainer, shares_prefix
from tests.support.toy_models import FAMILIES, other_model, ragged_batch, widen

LOSS_TYPES = ("grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo")
NEAR = 1e-5
log = logging.getLogger("lookout.exact")


def trainer(workspace: Path, kind: type[GRPOTrainer], size: int = 8, model: Any = None, **settings: Any) -> Any:
    """A trainer over the prepared prompts, on the base policy with weights so wide that tokens' chances differ."""
    if model is None:
        model = load_model(workspace / "models/base")
        widen(model)
    dataset = load_prompts(workspace / "data/prompts/grpo.parquet")
    own = {"shared_prefix": settings.pop("shared_prefix", "on")} if kind is SharedPrefixTrainer else {}
    peft = settings.pop("peft_config", None)
    arguments = GRPOConfig(
        output_dir=str(workspace / "none"), use_cpu=True, bf16=False, report_to=[], remove_unused_columns=False,
        per_device_train_batch_size=2 * size, num_generations=size, max_steps=2, logging_steps=1, save_strategy="no",
        disable_tqdm=True, seed=1,
        **({"gradient_checkpointing": False, "temperature": 0.7, "max_completion_length": 24} | settings),
    )  # fmt: skip
    made = kind(
        model=model, reward_funcs=lambda completions, **_: [float(len(str(one))) for one in completions],
        args=arguments, train_dataset=dataset.select_columns(["prompt", "image_path", "image_sha256", "tile"]),
        processing_class=load_processor(workspace / "models/base"), peft_config=peft, **own,
    )  # fmt: skip
    made.current_gradient_accumulation_steps = 1
    return made


def rollouts(stock: Any, size: int, seed: int = 3) -> dict[str, Any]:
    """A batch as the trainer makes it: two prompts, `size` completions each, of mixed lengths, one without a token."""
    torch.manual_seed(seed)
    batch = next(iter(stock.get_train_dataloader()))
    inputs = dict(stock._prepare_inputs(copy.copy(batch)))
    rows, width = inputs["completion_ids"].shape
    lengths = torch.randint(1, width + 1, (rows,))
    lengths[0], lengths[-1] = width, 0
    inputs["completion_mask"] = (torch.arange(width) < lengths[:, None]).int()
    inputs["num_items_in_batch"] = inputs["completion_mask"].sum()
    inputs["advantages"] = torch.randn(rows)
    old = torch.randn(rows, width) * 0.3
    _, logps = loss_and_logps(stock, inputs)
    return inputs | {"old_per_token_logps": logps + old}


def loss_and_logps(one: Any, inputs: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    seen: list[torch.Tensor] = []
    score = one._get_per_token_logps_and_entropies

    def watched(*args: Any, **kwargs: Any) -> Any:
        found = score(*args, **kwargs)
        seen.append(found[0].detach())
        return found

    one._get_per_token_logps_and_entropies = watched
    try:
        return one._compute_loss(one.model, inputs), seen[0]
    finally:
        del one._get_per_token_logps_and_entropies


def gradients(one: Any, inputs: dict[str, Any]) -> tuple[float, dict[str, torch.Tensor]]:
    one.model.zero_grad()
    one.model.train()
    loss, _ = loss_and_logps(one, inputs)
    loss.backward()
    named = one.model.named_parameters()
    return float(loss.detach()), {name: weight.grad.clone() for name, weight in named if weight.grad is not None}


def assert_same(stock: Any, ours: Any, inputs: dict[str, Any]) -> None:
    """Losses and gradients agree to 1e-5; `pytest --log-cli-level=INFO` shows how far they are apart."""
    (wanted, theirs), (got, mine) = gradients(stock, inputs), gradients(ours, inputs)
    assert theirs.keys() == mine.keys()
    norm = sum(float(grad.double().square().sum()) for grad in theirs.values()) ** 0.5
    assert norm > 0
    apart = sum(float((theirs[name] - mine[name]).double().square().sum()) for name in theirs) ** 0.5 / norm
    log.info("loss %.6f, apart %.1e; gradients apart %.1e of their norm", wanted, abs(got - wanted), apart)
    assert got == pytest.approx(wanted, rel=NEAR, abs=1e-7)
    assert apart < NEAR


@pytest.fixture(scope="module")
def workspace(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The prepared workspace as the current folder: images are named from there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(prepared)
        yield prepared


@pytest.fixture(scope="module")
def pair(workspace: Path) -> tuple[Any, Any]:
    """Stock TRL's trainer and ours on the same weights."""
    stock, ours = trainer(workspace, GRPOTrainer), trainer(workspace, SharedPrefixTrainer)
    ours.model.load_state_dict(stock.model.state_dict())
    return stock, ours


@pytest.fixture
def layout(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """Prescribes the layout in place of the rule: None for two-part, else completions a packed row."""

    def prescribe(chosen: int | None) -> None:
        costs = (0.0, 1.0, 1) if chosen is None else (1.0, 0.0, chosen)
        monkeypatch.setattr(shared_prefix, "layout_costs", lambda *_: costs)

    return prescribe


@pytest.mark.parametrize("per_row", [None, 1, 3, 8])
def test_every_layout_has_the_losses_and_gradients_of_stock(pair: Any, layout: Any, per_row: int | None) -> None:
    layout(per_row)
    assert_same(*pair, rollouts(pair[0], 8))


@pytest.mark.parametrize("loss_type", LOSS_TYPES)
def test_every_loss_type_agrees(pair: Any, layout: Any, loss_type: str, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = rollouts(pair[0], 8)
    for one in pair:
        monkeypatch.setattr(one, "loss_type", loss_type)
    for per_row in (None, 8):
        layout(per_row)
        assert_same(*pair, inputs)


@pytest.mark.parametrize("size", [2, 16])
def test_every_group_size_agrees(workspace: Path, layout: Any, size: int) -> None:
    stock, ours = trainer(workspace, GRPOTrainer, size), trainer(workspace, SharedPrefixTrainer, size)
    ours.model.load_state_dict(stock.model.state_dict())
    for per_row in (None, size, 5):
        layout(per_row)
        assert_same(stock, ours, rollouts(stock, size))


@pytest.mark.slow
def test_a_trained_policy_agrees(finished: tuple[Path, str], layout: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = finished
    monkeypatch.chdir(folder)
    stock, ours = (trainer(folder, kind, model=load_model(folder / "models/sft"), max_completion_length=64)
                   for kind in (GRPOTrainer, SharedPrefixTrainer))  # fmt: skip
    for per_row in (None, 8, 3):
        layout(per_row)
        assert_same(stock, ours, rollouts(stock, 8))


def test_groups_split_over_micro_batches_agree(pair: Any) -> None:
    stock = pair[0]
    inputs = rollouts(stock, 8)
    ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
    mask = torch.cat([inputs["prompt_mask"], inputs["completion_mask"]], dim=1)
    fields = {name: inputs[name] for name in ("pixel_values", "image_grid_thw", "num_images", "mm_token_type_ids")}
    width = inputs["completion_ids"].shape[1]
    with torch.no_grad():
        found = [one._get_per_token_logps_and_entropies(one.model, ids, mask, width, 5, True, **fields) for one in pair]
    kept = inputs["completion_mask"].bool()
    for theirs, mine in zip(found[0][:2], found[1][:2], strict=True):
        assert torch.allclose(theirs[kept], mine[kept], atol=1e-5)
    assert found[0][0][kept].std() > 0.5  # chances that do not differ would prove nothing


@pytest.mark.parametrize(
    "setting", ["gradient checkpointing", "adapters", "frozen vision tower", "beta", "sequence", "truncated"]
)
def test_settings_agree(workspace: Path, setting: str) -> None:
    from peft import LoraConfig

    adapters = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM", init_lora_weights=False)
    settings: dict[str, Any] = {
        "gradient checkpointing": {"gradient_checkpointing": True},
        "adapters": {"peft_config": adapters},
        "beta": {"beta": 0.1},
        "sequence": {"importance_sampling_level": "sequence"},
        "truncated": {"mask_truncated_completions": True},
    }.get(setting, {})
    made = []
    for kind in (GRPOTrainer, SharedPrefixTrainer):
        model = load_model(workspace / "models/base")
        widen(model)
        if setting == "frozen vision tower":
            model.model.visual.requires_grad_(False)
        if "beta" in settings:
            model.config._name_or_path = str(workspace / "models/base")
        made.append(trainer(workspace, kind, model=model, **settings))
    made[1].model.load_state_dict(made[0].model.state_dict())
    inputs = rollouts(made[0], 8)
    if "beta" in settings:
        inputs["ref_per_token_logps"] = torch.randn(inputs["completion_ids"].shape) - 3
    assert_same(*made, inputs)


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize("per_row", [None, 1, 2])
def test_every_known_family_agrees_on_ragged_batches(kind: str, per_row: int | None) -> None:
    torch.manual_seed(1)
    model = other_model(kind, 40)
    widen(model)
    add_fused_lm_head(model, temperature=0.7, outputs=("log_probs", "entropy"))
    batch = ragged_batch()
    types = (batch["input_ids"] == 3).int()
    labels = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, -100)
    labels[:, :-7] = -100
    wanted = model(**batch, mm_token_type_ids=types, labels=labels, fused_lm_head=True).log_probs[:, -7:]
    images = images_by_row(6, batch["pixel_values"], batch["image_grid_thw"])
    asked, mask = batch["input_ids"][:, :-7], batch["attention_mask"]
    prompts = distinct_prompts(model, asked, mask[:, :-7], images)
    assert prompts.owner.tolist() == [0, 1, 2, 0, 2, 1]  # 0 and 2 differ in their pixels alone
    completions = Completions(batch["input_ids"][:, -7:], mask[:, -7:])
    way = shared_prefix.two_part if per_row is None else shared_prefix.packed
    got = way(model, prompts, completions, *([] if per_row is None else [per_row]))[0]
    assert torch.allclose(wanted, got, atol=2e-5)
    weight = torch.randn(6, 7)
    found = []
    for scores in (wanted, got):
        model.zero_grad()
        (scores * weight).sum().backward()
        found.append({name: one.grad.clone() for name, one in model.named_parameters() if one.grad is not None})
    assert found[0].keys() == found[1].keys()
    norm = sum(float(grad.square().sum()) for grad in found[0].values()) ** 0.5
    for name, grad in found[0].items():
        assert float((grad - found[1][name]).norm()) < NEAR * norm, name


@pytest.mark.parametrize("top_p", [1.0, 0.8])
def test_the_tokens_are_those_that_stock_generation_draws(pair: Any, workspace: Path, top_p: float) -> None:
    drawn = []
    for kind in (GRPOTrainer, SharedPrefixTrainer):
        one = trainer(workspace, kind, max_completion_length=40, top_p=top_p)
        one.model.load_state_dict(pair[0].model.state_dict())
        one.eos_token_ids = [*one.eos_token_ids, *range(40, 46)]  # so that rows end early and are dropped
        one.generation_config.eos_token_id = one.eos_token_ids
        batch = next(iter(one.get_train_dataloader()))
        torch.manual_seed(11)
        drawn.append([one._generate([row["prompt"] for row in with_images(batch)])[1], torch.rand(1)])
    assert drawn[0][0] == drawn[1][0]
    lengths = [len(one) for one in drawn[0][0]]
    assert min(lengths) < 40 == max(lengths)
    assert torch.equal(drawn[0][1], drawn[1][1])  # the generator stands where stock's does


def test_a_micro_batch_of_rollouts_keeps_its_groups_whole(workspace: Path) -> None:
    """Four groups are drawn at once and parted in two: TRL mixes the rows, and each half has all four images."""
    images: dict[str, list[int]] = {}
    for way in ("on", "off"):
        one = trainer(workspace, SharedPrefixTrainer, steps_per_generation=2, shared_prefix=way)
        one.model.train()
        rows = list(next(iter(one.get_train_dataloader())))
        drawn: list[int] = []
        one._generate_and_score_completions = counted(one._generate_and_score_completions, drawn)
        parts = []
        for one._step in (0, 1):
            parts.append(one._prepare_inputs(rows))
        assert drawn == [32]
        assert [len(part["completion_ids"]) for part in parts] == [16, 16]
        assert [len(part["image_grid_thw"]) for part in parts] == [16, 16]
        images[way] = [len({float(row.sum()) for row in part["pixel_values"].split(64)}) for part in parts]
    assert images == {"on": [2, 2], "off": [4, 4]}


def counted(draws: Callable[[Any], Any], drawn: list[int]) -> Callable[[Any], Any]:
    def watched(rows: Any) -> Any:
        drawn.append(len(rows))
        return draws(rows)

    return watched


def with_images(batch: list[dict[str, Any]]) -> list[dict[str, Any]]:
    from trl.data_utils import prepare_multimodal_messages

    return [row | {"prompt": prepare_multimodal_messages(row["prompt"], images=[row["image"]])} for row in batch]


def test_a_row_of_the_packed_mask_sees_the_prompt_and_its_own_completion() -> None:
    mask = packed_mask(torch.tensor([[0, 0, 1, 1, 2, -1]]))[0, 0].int().tolist()
    assert mask == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 0, 0, 1, 0],
        [1, 1, 0, 0, 0, 1],
    ]


def test_rows_are_packed_in_equal_shares() -> None:
    assert pack_rows([0, 1, 0, 0, 0, 1], 3) == [(0, [0, 2]), (0, [3, 4]), (1, [1, 5])]
    assert pack_rows([0, 0, 0], 3) == [(0, [0, 1, 2])]


def test_the_rule_takes_the_cheaper_layout(pair: Any) -> None:
    config = pair[0].model.config
    prompts = distinct_prompts(pair[0].model, torch.ones(16, 30).long(), torch.ones(16, 30).long(), images_by_row(16))

    def costs(lengths: list[int]) -> tuple[float, float, int]:
        width = max(lengths)
        mask = (torch.arange(width) < torch.tensor(lengths)[:, None]).int()
        return layout_costs(config, prompts, Completions(mask, mask))

    parted, packed, _ = costs([50] * 16)
    assert parted < packed  # nothing is padded: no layout does less
    parted, packed, per_row = costs([2000] + [1] * 15)
    assert packed < parted  # a row of its own for each would be padding
    assert per_row == 16
    assert costs([5] * 16)[2] == 16  # short ones: the prompt is the bill
    assert costs([4000] * 16)[2] == 1  # long ones: attention is the bill


def test_all_processes_take_the_same_layout(pair: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each by itself would choose another: one pass here and two there would wait for each other for good."""
    others = torch.tensor([10.0, 0.0])
    monkeypatch.setattr(pair[1].accelerator, "reduce", lambda costs, reduction: costs + others)
    assert pair[1]._cheaper_for_all(1.0, 5.0) is False
    assert pair[1]._cheaper_for_all(1.0, 50.0) is True


def test_a_model_that_is_not_known_falls_back_with_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "lookout.grpo"):
        assert not shares_prefix("auto", "a model of type llava is not known to work")
        assert shares_prefix("auto", None)
        assert not shares_prefix("off", None)
        assert not shares_prefix("observe", None)
    assert caplog.messages == [
        "the prompt is not shared in a group (a model of type llava is not known to work): TRL's own step"
    ]
    with pytest.raises(TrainingError, match=r"shared_prefix is on, but a model of type llava.*auto or off"):
        shares_prefix("on", "a model of type llava is not known to work")


@pytest.mark.parametrize("asked", ["auto", "on"])
def test_the_first_log_probabilities_are_held_against_stocks(
    workspace: Path, asked: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one = trainer(workspace, SharedPrefixTrainer, shared_prefix=asked)
    one.model.train()
    inputs = rollouts(one, 8)
    assert one._shares
    assert one._checked
    assert one.model.training
    one._checked = False
    shared = one._shared
    monkeypatch.setattr(one, "_shared", lambda *a, **k: (shared(*a, **k)[0] + 0.01, None, None))  # a wrong layout
    if asked == "on":
        with pytest.raises(TrainingError, match=r"shared_prefix is on, but its log-probabilities are 1.0e-02 apart"):
            loss_and_logps(one, inputs)
        return
    with caplog.at_level("WARNING", "lookout.grpo"):
        _, logps = loss_and_logps(one, inputs)
    assert "its log-probabilities are 1.0e-02 apart from TRL's" in caplog.text
    assert not one._shares
    monkeypatch.undo()
    one._shares = True
    kept = inputs["completion_mask"].bool()
    assert torch.allclose(loss_and_logps(one, inputs)[1][kept], logps[kept], atol=1e-5)


def test_observe_is_stock_and_says_once_what_would_be_saved(
    workspace: Path, pair: Any, caplog: pytest.LogCaptureFixture
) -> None:
    seen = trainer(workspace, SharedPrefixTrainer, shared_prefix="observe")
    seen.model.load_state_dict(pair[0].model.state_dict())
    inputs = rollouts(pair[0], 8)
    with caplog.at_level("INFO", "lookout.grpo"):
        wanted, theirs = gradients(pair[0], inputs)
        for _ in range(2):
            got, mine = gradients(seen, inputs)
            assert wanted == got
            assert all(torch.equal(theirs[name], mine[name]) for name in theirs)
    apart, saved = caplog.messages
    assert "apart from TRL's" in apart
    said = re.fullmatch(r"shared_prefix is observe: 16 completions have 2 prompts; auto would save (\d+) % .*", saved)
    assert said, saved
    assert 50 < int(said[1]) < 90  # of 16 prompts two are left, and the completions


def test_off_is_stock_and_other_attention_is_refused(workspace: Path, pair: Any) -> None:
    off = trainer(workspace, SharedPrefixTrainer, shared_prefix="off")
    off.model.load_state_dict(pair[0].model.state_dict())
    assert not off._shares
    inputs = rollouts(pair[0], 8)
    (wanted, theirs), (got, mine) = gradients(pair[0], inputs), gradients(off, inputs)
    assert wanted == got
    assert all(torch.equal(theirs[name], mine[name]) for name in theirs)
    pair[1].model.config.get_text_config()._attn_implementation = "eager"
    try:
        assert pair[1]._why_not() == "attention is eager, want sdpa"
    finally:
        pair[1].model.config.get_text_config()._attn_implementation = "sdpa"
