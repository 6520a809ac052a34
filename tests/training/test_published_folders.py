"""Folders as three families publish them: what becomes of them as base, in training and when they are published."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from transformers import TrainerControl, TrainerState, TrainingArguments

from components.errors import ModelError, TrainingError
from components.params.base import BaseParams, PretrainedParams
from components.params.reading import load_section
from components.params.sft import SftParams
from components.policy.base import write_base
from components.policy.families import FAMILIES, ORIGIN, check_frame
from components.policy.folder import load_model
from components.policy.processor import load_processor
from components.policy.weight_files import folder_tensors, stored_dtype
from components.store.digest import files_sha256
from components.training import trainer_run
from components.training.checkpoints import checkpoint_folder, what_is_wrong
from components.training.disk import point_bytes
from components.training.fingerprint import run_fingerprint
from components.training.sft import train_sft
from components.training.stopping import StopWhenAsked
from tests.support.families import PATCH, SAMPLING, published_folder

KINDS = sorted(FAMILIES)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder a family; tests read them."""
    folder = tmp_path_factory.mktemp("published")
    for kind in KINDS:
        published_folder(folder / kind, kind)
    return folder


def base_params(folder: Path, **changes: Any) -> BaseParams:
    factor = 2 * PATCH.get(folder.name, 14)
    values = {"path": str(folder), "revision": None, "factor": factor, "min_pixels": 3136, "max_pixels": 6272}
    return BaseParams(pretrained=PretrainedParams.model_validate(values | changes), local=str(folder))


def base_of(source: Path, out: Path, **changes: Any) -> Path:
    out.mkdir()
    write_base(out, base_params(source, **changes))
    return out


def copied(source: Path, target: Path) -> Path:
    return Path(shutil.copytree(source, target))


def two_steps(**changes: Any) -> SftParams:
    params = load_section(SftParams)
    launch = params.launch.model_copy(update={"processes": 1})
    small = {"max_steps": 2, "per_device_train_batch_size": 2, "save_steps": 1, "logging_steps": 1, "launch": launch}
    return params.model_copy(update=small | changes)


@pytest.fixture
def train(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """SFT from a base on the prepared prompts, in this process; the folder of the new model."""
    for name in ("components", "conf", "data", "params.yaml"):
        (tmp_path / name).symlink_to(prepared / name)
    monkeypatch.chdir(tmp_path)

    def run(base: Path, params: SftParams) -> Path:
        out = Path("models/sft")
        train_sft(base, Path("data/prompts/sft.parquet"), out, Path("reports/training/sft"), params)
        return out

    return run


def died(train: Any, base: Path, params: SftParams, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run that ends between its last resume point and its publication; the folder of its resume points."""

    def power_cut(*_: Any) -> None:
        raise TrainingError("power cut")

    with monkeypatch.context() as patch, pytest.raises(TrainingError, match="power cut"):
        patch.setattr(trainer_run, "publish", power_cut)
        train(base, params)
    fingerprint = run_fingerprint("sft", files_sha256(base), Path("data/prompts/sft.parquet"), params, {})
    return checkpoint_folder("sft", fingerprint)


@pytest.mark.parametrize("kind", KINDS)
def test_no_sampling_setting_of_a_published_folder_acts_and_its_own_file_stays_in_the_lineage(
    published: Path, tmp_path: Path, kind: str
) -> None:
    base = base_of(published / kind, tmp_path / "base")
    config = load_model(base).generation_config
    assert {name: getattr(config, name) for name in ("temperature", "top_p", "top_k", "repetition_penalty")} == {
        "temperature": None, "top_p": None, "top_k": None, "repetition_penalty": None,
    }  # fmt: skip
    assert load_model(published / kind).generation_config.to_dict() == config.to_dict()  # a folder that skipped base
    origin = json.loads((base / ORIGIN).read_text())
    assert origin["generation_config"].items() >= SAMPLING[kind].items()
    tokenizer = load_processor(base).tokenizer
    assert config.eos_token_id == [tokenizer.eos_token_id, tokenizer.pad_token_id]
    assert config.pad_token_id == tokenizer.pad_token_id


@pytest.mark.parametrize("kind", KINDS)
def test_a_family_is_trained_and_published_as_itself(train: Any, published: Path, tmp_path: Path, kind: str) -> None:
    base = base_of(published / kind, tmp_path / "base")
    out = train(base, two_steps(max_steps=1))
    assert json.loads((out / "generation_config.json").read_text()).keys() == {
        "bos_token_id", "do_sample", "eos_token_id", "pad_token_id", "transformers_version",
    }  # fmt: skip
    assert stored_dtype(base) == stored_dtype(out) == "bfloat16"
    assert json.loads((out / "config.json").read_text())["dtype"] == "bfloat16"
    assert {path.stat().st_mode & 0o777 for path in out.iterdir()} == {0o644}
    saved = json.loads((out / "processor_config.json").read_text())
    assert saved["processor_class"] == FAMILIES[kind].processor
    assert saved["video_processor"]["video_processor_type"] == FAMILIES[kind].video_processor
    processor = load_processor(out)
    assert processor.image_processor.size["longest_edge"] == 6272
    assert processor.tokenizer.eos_token_id in load_model(out).generation_config.eos_token_id


def test_a_training_whose_model_could_not_be_published_does_not_begin(
    train: Any, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = base_of(published / "qwen2_5_vl", tmp_path / "base")

    def no_room(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("components.training.publishing.save_policy", no_room)
    monkeypatch.setattr(trainer_run, "_trained", lambda *_: pytest.fail("a step was taken"))
    with pytest.raises(OSError, match="No space left"):
        train(base, two_steps())
    assert [path for path in (tmp_path / "models").iterdir() if path.is_dir()] == []


def test_a_run_that_died_before_it_was_published_takes_no_further_step(
    train: Any, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    base, params = prepared / "models/base", two_steps()
    whole = (train(base, params) / "model.safetensors").read_bytes()
    curves = (tmp_path / "reports/training/sft/curves.csv").read_text()
    died(train, base, params, monkeypatch)
    caplog.set_level(logging.INFO, logger="lookout.training")
    monkeypatch.setattr(trainer_run, "_trained", lambda *_: pytest.fail("a step was taken"))
    assert (train(base, params) / "model.safetensors").read_bytes() == whole
    assert (tmp_path / "reports/training/sft/curves.csv").read_text() == curves
    assert json.loads((tmp_path / "reports/training/sft/summary.json").read_text())["steps"] == 2
    assert "sft: all 2 steps are done already (checkpoint-2): published only" in caplog.text


def test_a_resume_point_has_the_size_that_was_reckoned_with(
    train: Any, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = base_of(published / "qwen2_5_vl", tmp_path / "base")  # stored in 16 bits, trained in 32
    for frozen in (False, True):
        params = two_steps(max_steps=1, freeze_vision=frozen)
        point = died(train, base, params, monkeypatch) / "checkpoint-1"
        weights = sum(
            path.stat().st_size for name in ("model.safetensors", "optimizer.pt") for path in point.glob(name)
        )
        assert point_bytes(base, params) == pytest.approx(weights, rel=0.2)


def flipped(content: bytes) -> bytes:
    half = len(content) // 2
    return content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "optimizer.pt": flipped,
    "scheduler.pt": lambda content: content[:40],
    "rng_state.pth": lambda content: bytes(len(content)),
    "model.safetensors": lambda content: content[:-1],
    "trainer_state.json": lambda content: content[:10],
}


@pytest.mark.parametrize("name", sorted(DAMAGES))
def test_a_damaged_file_of_a_resume_point_is_seen(tmp_path: Path, name: str) -> None:
    point = whole_point(tmp_path / "checkpoint-3")
    assert what_is_wrong(point) is None
    (point / name).write_bytes(DAMAGES[name]((point / name).read_bytes()))
    said = what_is_wrong(point)
    assert said is not None
    assert said.startswith(f"{name} is ")


def whole_point(folder: Path) -> Path:
    folder.mkdir()
    save_file({"weight": torch.ones(3)}, folder / "model.safetensors")
    torch.save({"moments": torch.ones(5000)}, folder / "optimizer.pt")
    torch.save({"last_epoch": 3}, folder / "scheduler.pt")
    torch.save({"cpu": torch.ones(3)}, folder / "rng_state.pth")
    (folder / "trainer_state.json").write_text('{"global_step": 3}')
    return folder


def test_a_training_goes_on_from_the_older_resume_point_where_the_newest_is_damaged(
    train: Any, prepared: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    base, params = prepared / "models/base", two_steps()
    whole = (train(base, params) / "model.safetensors").read_bytes()
    damaged = died(train, base, params, monkeypatch) / "checkpoint-2/optimizer.pt"
    damaged.write_bytes(DAMAGES["optimizer.pt"](damaged.read_bytes()))
    caplog.set_level(logging.INFO, logger="lookout.training")
    theirs = logging.getLogger("transformers")  # it hands nothing on to the root's handlers
    monkeypatch.setattr(theirs, "handlers", [*theirs.handlers, caplog.handler])
    assert (train(base, params) / "model.safetensors").read_bytes() == whole
    assert "sft: the resume point checkpoint-2 is left out, an older one is looked for: optimizer.pt is" in caplog.text
    assert "sft: resumes from checkpoint-1" in caplog.text
    assert "missing keys" not in caplog.text


def test_a_training_that_is_asked_to_end_saves_its_step_and_goes_on_from_there(
    train: Any, prepared: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    base, params = prepared / "models/base", two_steps(max_steps=3, save_steps=100)
    whole = (train(base, params) / "model.safetensors").read_bytes()

    class Cancelled(trainer_run.ProgressCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    caplog.set_level(logging.INFO, logger="lookout.training")
    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        patch.setattr(trainer_run, "ProgressCallback", Cancelled)
        for step in (1, 2):
            with pytest.raises(TrainingError, match=rf"sft was asked to end: step {step} of 3 is saved as a resume"):
                train(base, params)
    assert signal.getsignal(signal.SIGTERM) == before
    assert signal.alarm(0) == 0  # nothing ends this process later
    assert "a resume point is written behind this step, within 60 s (there is none yet)" in caplog.text
    assert "(the last one is of step 1)" in caplog.text
    assert (train(base, params) / "model.safetensors").read_bytes() == whole
    assert "sft: resumes from checkpoint-2" in caplog.text


def test_a_half_used_batch_of_rollouts_is_no_place_to_stop(tmp_path: Path) -> None:
    arguments = TrainingArguments(output_dir=str(tmp_path), report_to=[])
    stop, stopped = StopWhenAsked("grpo", every=4), []
    with stop.listening():
        os.kill(os.getpid(), signal.SIGTERM)
        for step in range(1, 9):
            control = TrainerControl()
            stop.on_step_end(arguments, TrainerState(global_step=step, max_steps=8), control)
            stopped += [step] if control.should_save and control.should_training_stop else []
    assert stopped == [4]  # behind step 8 the training is over anyway


@pytest.mark.parametrize("kind", ["idefics3", "smolvlm", "llava_onevision", "llama", None])
def test_an_architecture_that_is_not_known_to_work_is_refused_at_base(
    published: Path, tmp_path: Path, kind: str | None
) -> None:
    source = copied(published / "qwen2_5_vl", tmp_path / "other")
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(config | {"model_type": kind}))
    with pytest.raises(
        ModelError, match=rf"is a model of type {kind!r}, which is not known to work; want one of Qwen2"
    ):
        base_of(source, tmp_path / "base")
    assert list((tmp_path / "base").iterdir()) == []


def test_the_factor_and_the_frame_are_the_folders_own(published: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"factor is 28, but .*qwen3_vl \(Qwen3-VL\).* set base\.pretrained\.factor: 32"
    ):
        base_of(published / "qwen3_vl", tmp_path / "wrong", factor=28)
    third = base_of(published / "qwen3_vl", tmp_path / "third")
    check_frame(third, "relative_1000")
    with pytest.raises(ModelError, match=r"prompts\.frame is resized, but the base \(Qwen3-VL\) says .* relative_1000"):
        check_frame(third, "resized")
    retaught = base_of(published / "qwen3_vl", tmp_path / "retaught", frame="resized")
    check_frame(retaught, "resized")
    second = base_of(published / "qwen2_5_vl", tmp_path / "second")
    with pytest.raises(ModelError, match=r"set prompts\.frame: resized, or base\.pretrained\.frame: relative_1000"):
        check_frame(second, "relative_1000")


def test_an_image_processor_of_another_checkpoint_is_refused(published: Path, tmp_path: Path) -> None:
    source = copied(published / "qwen2_vl", tmp_path / "mixed")
    images = json.loads((source / "preprocessor_config.json").read_text())
    (source / "preprocessor_config.json").write_text(json.dumps(images | {"patch_size": 16}))
    with pytest.raises(ModelError, match="cuts images to multiples of 32 px, its model takes 28 px"):
        base_of(source, tmp_path / "base")


def test_a_local_folder_that_dvc_does_not_watch_is_refused(published: Path, tmp_path: Path) -> None:
    pretrained = base_params(published / "qwen2_vl").pretrained
    with pytest.raises(ModelError, match=r"is a local folder, and DVC watches .*: set base\.local: .*qwen2_vl too"):
        write_base(tmp_path, BaseParams(pretrained=pretrained))
    with pytest.raises(ValueError, match=r"base\.local is /elsewhere, want the folder of base\.pretrained\.path"):
        BaseParams(pretrained=pretrained, local="/elsewhere")


def test_a_cut_download_is_named(published: Path, tmp_path: Path) -> None:
    source = copied(published / "qwen2_vl", tmp_path / "cut")
    weights = source / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-7])
    with pytest.raises(ModelError, match=r"model\.safetensors is no whole safetensors file .* was it cut\?"):
        folder_tensors(source)
