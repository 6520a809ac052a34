"""A file of conf/study -> what is to be run, each run under a name that says what decides it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from components.errors import ParamsError
from components.graph.closure import code_files
from components.params.model import StrictModel
from components.params.reading import first_sentence, load_raw
from components.store.atomic import canonical_json
from components.store.digest import file_sha256

CONF = Path("conf")
STAGES = ("synthesize", "ingest", "validate", "base", "prompts", "sft", "grpo", "predict", "score")
Name = Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]


class Arm(StrictModel):
    """One way to train: what it changes in the study's profile, and which model it is judged by."""

    name: Name
    title: str
    model: Literal["sft", "grpo"]
    set: dict[str, Any] = Field(default_factory=dict)


class Study(StrictModel):
    """conf/study/<name>.yaml."""

    name: Name
    title: str
    profile: str
    seeds: list[int] = Field(min_length=1)
    seed_params: list[str] = Field(min_length=1)
    """Which params take the seed."""
    baseline: str
    """The arm that the others are held against; it is run first: the others begin where it ended."""
    bootstrap_samples: int = Field(ge=100)
    arms: list[Arm] = Field(min_length=1)

    @model_validator(mode="after")
    def _names(self) -> Study:
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names):
            raise ValueError(f"two arms have one name: {sorted(names)}")
        if self.baseline not in names:
            raise ValueError(f"the baseline {self.baseline!r} is none of the arms {names}")
        return self


@dataclass(frozen=True, slots=True)
class Run:
    """One arm under one seed."""

    arm: Arm
    seed: int
    settings: tuple[str, ...]
    """`key=value` each, as `dvc exp run -S` takes them."""
    name: str
    """The experiment's name in DVC."""

    @property
    def target(self) -> str:
        return f"score@{self.arm.model}"


def load_study(path: Path) -> Study:
    """The study of a file. Raises ParamsError that names the key."""
    try:
        return Study.model_validate(load_raw(path))
    except ValidationError as error:
        raise ParamsError(f"{path}: {first_sentence(error, '')}") from None


def runs_of(study: Study) -> Iterator[Run]:
    """Every arm under every seed, the baseline's first."""
    code = _code_digest()
    arms = sorted(study.arms, key=lambda arm: arm.name != study.baseline)
    for arm in arms:
        for seed in study.seeds:
            values = dict.fromkeys(study.seed_params, seed) | arm.set
            settings = (f"profile={study.profile}", *(f"{key}={_spelled(value)}" for key, value in values.items()))
            digest = hashlib.sha256(canonical_json([settings, code]).encode()).hexdigest()[:8]
            yield Run(arm, seed, settings, f"{study.name}-{arm.name}-seed{seed}-{digest}")


def _code_digest() -> str:
    """Everything but the settings that decides a score: the stages' code and the profiles."""
    files = {file for stage in STAGES for file in code_files(stage)}
    files |= {path.as_posix() for path in CONF.rglob("*") if path.is_file() and path.parent.name != "study"}
    files.add("dvc.yaml")
    return canonical_json({file: file_sha256(Path(file)) for file in sorted(files)})


def _spelled(value: Any) -> str:
    return canonical_json(value) if isinstance(value, (dict, list, bool)) or value is None else str(value)
