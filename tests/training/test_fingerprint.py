"""A resume point holds for all changes but those that decide the weights."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from components.params.grpo import GrpoParams
from components.params.reading import load_section
from components.params.sft import SftParams
from components.store.digest import files_sha256
from components.training import fingerprint
from components.training.checkpoints import checkpoint_folder
from components.training.fingerprint import run_fingerprint
from tests.support.workspace import REPO

Say = Callable[..., str]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of its own, with a start and prompts."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("components", "conf"):
        shutil.copytree(REPO / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "base").mkdir()
    for name in ("base/model.safetensors", "base/tokenizer.json", "base/chat_template.jinja", "sft.parquet"):
        (folder / name).write_bytes(b"as it was")
    return folder


@pytest.fixture(scope="module")
def sections() -> dict[str, Any]:
    return {"sft": load_section(SftParams), "grpo": load_section(GrpoParams)}


@pytest.fixture
def said(checkout: Path, sections: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Say:
    """The fingerprint of a run in the checkout, which is the working folder."""
    monkeypatch.chdir(checkout)

    def say(stage: str = "grpo", extra: dict[str, Any] | None = None, **changes: Any) -> str:
        params = sections[stage]
        if launch := changes.pop("launch", None):
            changes["launch"] = params.launch.model_copy(update=launch)
        return run_fingerprint(
            stage, files_sha256(Path("base")), Path("sft.parquet"), params.model_copy(update=changes), extra or {}
        )

    return say


@contextmanager
def edited(path: str, old: str, new: str) -> Iterator[None]:
    text = Path(path).read_text()
    assert old in text
    Path(path).write_text(text.replace(old, new, 1))
    yield
    Path(path).write_text(text)


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("components/machine/progress.py", "import", "import os\nimport"),
        ("components/machine/training_lock.py", "import", "import os\nimport"),
        ("components/params/trainer.py", "GRACE_S = 60", "GRACE_S = 90"),
        ("components/training/stopping.py", "import", "import os\nimport"),
        ("components/training/trainer_run.py", "TrainerFactory =", "# a comment\nTrainerFactory ="),
        ("components/training/trainer_run.py", '"""RFC 3339', '"""The time, RFC 3339'),
        ("components/training/trainer_run.py", 'log.info("%s: %s"', 'log.info("%s begins: %s"'),
        ("components/params/grpo.py", '"""G, completions', '"""Completions'),
        ("components/report/plots.py", "import", "import os\nimport"),
    ],
)
def test_code_that_starts_guards_or_tells_keeps_a_resume_point(said: Say, path: str, old: str, new: str) -> None:
    before = said()
    with edited(path, old, new):
        assert said() == before


@pytest.mark.parametrize(
    "changes",
    [
        {"logging_steps": 7},
        {"dataloader_num_workers": 7},
        {"save_steps": 7},
        {"kept_rollout_groups": 7},
        {"launch": {"rendezvous": "a:1"}},
    ],
)
def test_params_that_only_tell_keep_a_resume_point(said: Say, changes: dict[str, Any]) -> None:
    assert said(**changes) == said()


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("components/rewards/precision_recall.py", "return", "return 0 *"),
        ("components/training/group_rewards.py", "return", "return 0 *"),
        ("components/training/trainer_run.py", '"save_total_limit": 2', '"save_total_limit": 2, "optim": "sgd"'),
        ("components/store/image_files.py", "import", "import os\nimport"),
        ("base/model.safetensors", "was", "is"),
        ("base/tokenizer.json", "was", "is"),
        ("base/chat_template.jinja", "was", "is"),
        ("sft.parquet", "was", "is"),
    ],
)  # fmt: skip
def test_what_decides_the_weights_takes_a_resume_point_away(said: Say, path: str, old: str, new: str) -> None:
    before = said()
    with edited(path, old, new):
        assert said() != before


def test_a_reward_decides_grpo_and_not_sft(said: Say) -> None:
    before = said("sft"), said("grpo")
    with edited("components/rewards/looking.py", "return", "return 0 *"):
        assert said("sft") == before[0]
        assert said("grpo") != before[1]


def test_params_libraries_and_deepspeeds_settings_decide(said: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    found = [said(), said("sft"), said(seed=2), said(extra={"rewards": 1}), said(launch={"threads": 2})]
    found.append(said(launch={"deepspeed": "zero2"}))
    with edited("conf/deepspeed/zero2.json", "{", '{"wall_clock_breakdown": true,'):
        found.append(said(launch={"deepspeed": "zero2"}))
    monkeypatch.setattr(fingerprint, "version", lambda name: f"another {name}")
    found.append(said())
    assert len(set(found)) == len(found)
    assert said(launch={"python": "gpu"}) == found[-1]  # what it has installed decides, not its name
    assert len({checkpoint_folder("grpo", one) for one in found}) == len(found)
