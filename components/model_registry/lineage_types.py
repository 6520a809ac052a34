"""What a lineage is made of, as its JSON has it. NotRequired: what statements of an earlier Lookout may lack."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from components.core.metrics_json import RecordedMetrics
from components.machine.code_state import CodeState
from components.policy.registered import PromptsSection, TrainedOn
from components.store.schemas.prompt_summary import PromptSummary

Stage = Literal["sft", "grpo"]


class Validation(TypedDict):
    """Whether a dataset passed, and the notes of the checks that failed."""

    success: bool
    findings: list[str]


class Dataset(TrainedOn):
    """One of the version's own datasets."""

    format: str
    root: str
    counts: dict[str, Any]
    quarantined: int
    validation: Validation


class Base(TypedDict):
    """The starting policy: lookout_base.json."""

    kind: str  # built | pretrained | registered
    name: str
    revision: str | None
    sha256: dict[str, str]  # file -> SHA-256
    frame: NotRequired[str | None]
    source_sha256: NotRequired[dict[str, str]]
    generation_config: NotRequired[dict[str, Any] | None]
    local: NotRequired[bool]
    lineage: NotRequired[str]  # the key of the version that it was
    data: NotRequired[dict[str, TrainedOn]]


class Looking(TypedDict):
    """The section rewards.looking, as far as it is read."""

    reading: str


class Rewards(TypedDict):
    """The section rewards, as far as it is read."""

    weights: dict[str, float]
    looking: Looking


class TrainingSection(TypedDict):
    """The section sft or grpo, as far as it is read."""

    max_steps: int
    learning_rate: float
    seed: int


class Sections(TypedDict):
    """The sections of params.yaml that decide the weights."""

    datasets: dict[str, Any]
    prompts: PromptsSection
    base: dict[str, Any]
    sft: TrainingSection
    grpo: TrainingSection


class TrainingRun(TypedDict):
    """When a training began and ended, RFC 3339, and in which environment; what is older says torch's version only."""

    started: str
    ended: str
    python: NotRequired[str]
    libraries: NotRequired[dict[str, str]]


class Training(TypedDict):
    """A training's summary.json, as far as it is read."""

    weights_sha256: str
    starting_weights_sha256: NotRequired[str]
    run: NotRequired[TrainingRun]


class Hardware(TypedDict):
    """The processor, and GPUs where the driver names them."""

    cpu: str
    cores: int | None
    gpus: list[str]


class Environment(TypedDict):
    """Where it was trained."""

    python: str
    system: str
    hardware: Hardware
    libraries: dict[str, str]
    constraints_sha256: str | None


class Decides(TypedDict):
    """What a lineage's key is the digest of. Digests by the name of the file."""

    weights: dict[str, str]
    prompts: dict[str, str]
    rewards: Rewards
    base: Base
    params: Sections


class Lineage(Decides):
    """Everything that a checkpoint was made from. Digests by the name of the file."""

    schema: str
    key: str
    code: CodeState
    data: dict[str, Dataset]
    prompt_summary: PromptSummary
    training: dict[str, Training]
    seeds: dict[str, int]
    metrics: dict[str, RecordedMetrics]  # metrics.json by model
    environment: Environment
    files: dict[str, str]
    subjects: dict[str, str]
    commands: dict[str, str]  # by stage
    processes: dict[str, int]
    images_sha256: str
    state: dict[str, str]  # path -> text


class NamedVersion(TypedDict):
    """Where the registry has it, and what every page says of it where it is recalled."""

    name: str
    version: int
    run_id: str
    recalled: str | None


class Traced(Lineage):
    """A lineage with the version that it is of."""

    version: NamedVersion
