"""A section of params.yaml -> a frozen, strict model. A mistyped key fails and names itself.

Every number that defines the algorithm stands in params.yaml; what each one is
and where it comes from stands here, beside its type, and in docs/paper_values.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from components.errors import ParamsError
from components.params.names import Name, PathText, checked_name, texts_of
from components.params.plain_yaml import load_yaml

PARAMS_FILE = Path("params.yaml")
DRAWN = Path("data/raw")
"""Drawn datasets lie here, each in the folder of its name: the only one that its stage may replace."""
LONGEST_VALUE = 80
"""Characters of a wrong value that a message shows."""


class StrictModel(BaseModel):
    """No unknown keys, no silent conversions ("3" is not 3), no infinity, no change after reading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class StageParams(StrictModel):
    """The section of params.yaml that one stage reads."""

    section: ClassVar[str]


# --- data ---------------------------------------------------------------------------------------


class SplitSizes(StrictModel):
    train: int = Field(ge=1)
    val: int = Field(ge=1)
    test: int = Field(ge=1)


class DrawingParams(StrictModel):
    """What every drawn dataset has: `synthetic.<name>`."""

    layout: str
    """The published dataset whose files it imitates: its reader reads them."""
    seed: int
    root: PathText
    """data/raw/<name>."""
    images: SplitSizes
    width_px: int = Field(ge=32)
    height_px: int = Field(ge=32)
    noise: float = Field(ge=0, le=1)


Kind = Literal["person", "ball", "car"]
Colour = Literal["red", "yellow", "green", "blue", "purple"]


class DrawnPeopleParams(DrawingParams):
    """Scenes with people in them, and perhaps with other things."""

    layout: Literal["crowdhuman", "pixmo_count", "refcoco", "coco"]
    kinds: list[Kind] = Field(default=["person"], min_length=1)
    """What is drawn; each thing is one of them, all equally likely."""
    colours: list[Colour] = []
    """Shirts, at most one of each in an image: what a sentence of the layout refcoco tells people apart by.

    Empty: any hue.
    """
    people_median: float = Field(gt=0)
    """Median of the lognormal number of people an image."""
    people_sigma: float = Field(ge=0)
    people_min: int = Field(ge=0)
    people_max: int = Field(ge=1)
    person_height_frac: float = Field(gt=0, le=1)
    """Typical height of a person as a share of the image's height."""
    person_height_sigma: float = Field(ge=0)
    min_person_height_px: float = Field(ge=2)
    cluster_people: float = Field(ge=1)
    """Mean people in a cluster: the more, the more they overlap."""
    max_pair_iou: float = Field(gt=0, le=1)
    """A person who would overlap another by more than this is drawn elsewhere; 1 = never moved."""
    ignore_frac: float = Field(ge=0, le=1)
    """Share of people who are marked to be ignored."""

    @model_validator(mode="after")
    def _bounds(self) -> DrawnPeopleParams:
        if self.people_min > self.people_max:
            raise ValueError(f"people_min {self.people_min} is above people_max {self.people_max}")
        if (self.layout == "refcoco") != bool(self.colours):
            raise ValueError("the layout refcoco tells people apart by colours, and no other layout knows them")
        if self.layout == "refcoco" and self.people_min < 1:
            raise ValueError("the layout refcoco asks for somebody in every image: want people_min of 1 or more")
        if self.colours and self.people_max > len(self.colours):
            raise ValueError(f"people_max {self.people_max} is above the number of colours {len(self.colours)}")
        if self.kinds != ["person"] and self.layout != "coco":
            raise ValueError(f"only the layout coco has other kinds than person, not {self.layout}")
        return self


class DrawnTextParams(DrawingParams):
    """Lines of letters to be read, each letter a little off its place."""

    layout: Literal["image_text"]
    letters: str = Field(min_length=2)
    """What may be written."""
    letters_min: int = Field(ge=0)
    letters_max: int = Field(ge=1)
    letter_height_px: list[int] = Field(min_length=2, max_length=2)
    """Smallest and largest size of the font."""
    jitter_px: float = Field(ge=0)
    """Standard deviation of a letter's distance from its place."""

    @model_validator(mode="after")
    def _bounds(self) -> DrawnTextParams:
        if self.letters_min > self.letters_max:
            raise ValueError(f"letters_min {self.letters_min} is above letters_max {self.letters_max}")
        if not 4 <= self.letter_height_px[0] <= self.letter_height_px[1] <= self.height_px:
            raise ValueError(f"letter_height_px {self.letter_height_px}: want 4 <= smallest <= largest <= height_px")
        return self


SyntheticParams = Annotated[DrawnPeopleParams | DrawnTextParams, Field(discriminator="layout")]


Split = Literal["train", "val", "test"]


class FetchParams(StrictModel):
    """How `lookout fetch-images` downloads."""

    workers: int = Field(default=16, ge=1, le=256)
    tries: int = Field(default=4, ge=1)
    """For one URL; what may pass (a timeout, status 429 or 5xx) is tried again, what is gone is not."""
    timeout_s: float = Field(default=30.0, gt=0)
    """The longest silence of a server."""
    most_s: float = Field(default=120.0, gt=0)
    """One image takes at most so long, however little of it comes at a time; it is not tried again."""
    most_bytes: int = Field(default=50_000_000, ge=1)
    """A larger answer is no image of ours."""
    hosts: list[str] = Field(default_factory=list)
    """Hosts that may be asked although their address is not public (a mirror in one's own network)."""


class ExpectedParams(StrictModel):
    """What is known of a dataset beforehand; another count is an error of validation."""

    images: dict[Split, int] = Field(default_factory=dict)
    min_mean_people: float | None = Field(default=None, ge=0)
    max_mean_people: float | None = Field(default=None, gt=0)


class TilingParams(StrictModel):
    """Cuts an image into tiles, each a sample of its own; the predictions are merged again."""

    rows: int = Field(ge=1)
    columns: int = Field(ge=1)
    overlap_frac: float = Field(ge=0, lt=1)
    """Share of a tile's side that it has in common with its neighbour."""


Task = Literal["detect", "ground", "count", "read"]
GrammarName = Literal["boxes", "box", "points", "number", "text"]


class DatasetParams(StrictModel):
    """One dataset: `datasets.<name>`."""

    format: str
    task: Task = "detect"
    """What is asked about its images; it chooses prompt, grammar, rewards and metrics."""
    answer: GrammarName | None = None
    """How to answer, where it is not the task's usual way: count by points or by number."""
    root: PathText
    annotations: dict[Split, PathText | list[PathText]]
    """Annotation files (or folders) of each split, relative to the root; `*` stands for many."""
    images: PathText | dict[Split, PathText] | None = None
    """Folder of the images, where it is not the format's usual one."""
    rows_without_class: bool = False
    role: Literal["train", "eval", "both"]
    """train: its train split trains; eval: its val and test splits are evaluated on; both."""
    licence: str
    box: Literal["full", "visible", "head"] = "full"
    """Which box of a person is to be found; one without it becomes an ignore region."""
    classes: dict[str, str] = Field(default_factory=dict)
    """The dataset's own word -> the prompt's label, "ignore" (an ignore region) or "other" (not asked about).

    `*` stands for every other word. Empty: words are taken as they are. Case and spaces around a word do not count.
    """
    sampling_weight: float = Field(default=1.0, gt=0)
    """How much of the training samples come from here, beside the other datasets' weights."""
    max_samples: int | None = Field(default=None, ge=1)
    """At most so many training samples from here."""
    template: PathText | None = None
    """Prompt template of its own, where prompts.template does not fit."""
    labels: list[str] | None = Field(default=None, min_length=1)
    tiling: TilingParams | None = None
    expected: ExpectedParams = ExpectedParams()
    fetch: FetchParams = FetchParams()
    leakage: Literal["stop", "drop"] = "stop"
    """A training image that stands in val or test too stops validation, or is refused by name and counted."""

    @model_validator(mode="after")
    def _no_templates(self) -> DatasetParams:
        for text in texts_of(self.model_dump()):
            if "${" in text:
                raise ValueError(f"{text[:LONGEST_VALUE]!r} holds '${{', which Hydra would replace; leave it out")
        return self

    def files(self, split: Split) -> list[str]:
        """The split's annotation entries, as a list."""
        entry = self.annotations[split]
        return [entry] if isinstance(entry, str) else entry

    def image_folder(self, split: Split) -> str | None:
        return self.images.get(split) if isinstance(self.images, dict) else self.images


class ValidateParams(StageParams):
    section: ClassVar[str] = "validate"
    max_quarantined_frac: float = Field(ge=0, le=1)
    """Share of images that may be refused singly before the stage stops; 0 = none."""
    max_outside_frac: float = Field(ge=0, le=1)
    """Share of boxes that may leave the image before a warning (CrowdHuman: 0.22 by design)."""
    near_duplicate_bits: int | None = Field(ge=0, le=256)
    """Images of two splits whose hashes of 256 bits differ in so few are the same picture; null = no search."""
    max_near_duplicate_frac: float = Field(ge=0, le=1)
    max_format_doubt_frac: float = Field(gt=0, le=1)
    """More boxes than this outside their image, or with numbers up to 2 only: the format is misread."""
    max_one_based_frac: float = Field(ge=0, le=1)
    max_sides_away: float = Field(gt=0)
    """How many image sides beyond the edge a coordinate may lie."""
    max_people: int = Field(ge=1)
    min_mean_people: float = Field(ge=0)
    max_mean_people: float = Field(gt=0)


class PromptParams(StageParams):
    section: ClassVar[str] = "prompts"
    template: str | None
    """Text file with the user's message; its digest is in the lineage. null: the usual one of each task."""
    thinking: Literal["look", "think", "none"] = "look"
    """What stands before the answer: thoughts and a second look, thoughts alone, or nothing."""
    labels: list[str] = Field(min_length=1)
    frame: Literal["resized", "relative_1000"]
    max_completion_tokens: int = Field(ge=8)
    """A training image whose gold answer is longer is refused, with a count; a held-out one is asked all the same."""
    max_refused_frac: float = Field(ge=0, le=1)
    """A larger share of a dataset's training samples than this may not be refused. The value is ours: a tenth."""
    min_height_px: float = Field(ge=0)
    """A person lower than this in the model's pixels can hardly be seen: warned about where there are many."""
    look_iou: float = Field(gt=0, lt=1)
    """People whose boxes overlap by this much belong to one look box of the gold answer."""
    max_samples: SplitSizes
    """At most so many samples a split; the first in a seeded shuffle."""
    seed: int


# --- models -------------------------------------------------------------------------------------


class TextConfigParams(StrictModel):
    hidden_size: int
    layers: int
    heads: int
    key_value_heads: int
    intermediate_size: int


class VisionConfigParams(StrictModel):
    hidden_size: int
    depth: int
    heads: int
    intermediate_size: int
    patch_size: int
    window_px: int


class BuildParams(StrictModel):
    """A policy built from nothing: vocabulary, processor, random weights."""

    seed: int
    text: TextConfigParams
    vision: VisionConfigParams
    max_number: int = Field(ge=10)
    """Numbers from 0 to this are one token each, and one with a comma behind."""
    pieces: list[str]
    """Literal strings that are one token each; every other text goes byte by byte."""
    min_pixels: int
    max_pixels: int
    max_length: int


class PretrainedParams(StrictModel):
    """A published checkpoint: a local folder, or a repository with its revision."""

    path: str
    revision: str | None
    factor: int = 28
    """Sides of images become multiples of it: patch size times merge size, 28 for Qwen2-VL and Qwen2.5-VL, 32 for
    Qwen3-VL. The stage base holds it against the checkpoint's config.json.
    """
    frame: Literal["resized", "relative_1000"] | None = None
    """How this checkpoint says coordinates, where it was taught otherwise than its family; null: as its family does."""
    min_pixels: int
    max_pixels: int


NO_LOCAL_BASE = "components/policy/base.py"


class BaseParams(StageParams):
    section: ClassVar[str] = "base"
    build: BuildParams | None = None
    pretrained: PretrainedParams | None = None
    local: PathText = NO_LOCAL_BASE
    """What the stage base depends on beside its code: the local folder that base.pretrained.path names, so that DVC
    sees when its files change. Without a local folder it is a file of the code, which is a dependency anyway.
    """

    @model_validator(mode="after")
    def _exactly_one(self) -> BaseParams:
        if (self.build is None) == (self.pretrained is None):
            raise ValueError("want exactly one of base.build and base.pretrained")
        named = self.pretrained.path if self.pretrained else None
        if self.local not in (NO_LOCAL_BASE, named):
            raise ValueError(f"base.local is {self.local}, want the folder of base.pretrained.path or {NO_LOCAL_BASE}")
        return self

    @property
    def image_bounds(self) -> tuple[int, int, int]:
        """Sides are multiples of the first; the area lies between the second and the third."""
        if self.build is not None:
            return 2 * self.build.vision.patch_size, self.build.min_pixels, self.build.max_pixels
        if self.pretrained is None:
            raise ValueError("base names neither build nor pretrained")
        return self.pretrained.factor, self.pretrained.min_pixels, self.pretrained.max_pixels


class LoraParams(StrictModel):
    r: int = Field(ge=1)
    alpha: int = Field(ge=1)
    dropout: float = Field(ge=0, lt=1)
    target_modules: list[str] | str


class LaunchParams(StrictModel):
    processes: int = Field(ge=1)
    deepspeed: Literal["none", "zero2", "zero3"]
    threads: int = Field(ge=1)
    """CPU threads of each process; one is faster than two for the tiny policy."""
    nodes: int = Field(ge=1)
    """Machines; the stage is started on each of them, over one shared checkout and LOOKOUT_HOME."""
    rendezvous: str | None
    """host:port of the first machine, where the others meet it; null on a single one."""

    @model_validator(mode="after")
    def _meets(self) -> LaunchParams:
        if self.nodes > 1 and self.rendezvous is None:
            raise ValueError(f"{self.nodes} nodes need launch.rendezvous, host:port of the first one")
        return self


class TrainerParams(StageParams):
    """What SFT and GRPO share. Names are TRL's (transformers.TrainingArguments)."""

    seed: int
    max_steps: int = Field(ge=0)
    """0 passes the starting weights through."""
    per_device_train_batch_size: int = Field(ge=1)
    gradient_accumulation_steps: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    lr_scheduler_type: Literal["linear", "cosine", "constant", "constant_with_warmup", "inverse_sqrt"]
    warmup_steps: int = Field(ge=0)
    adam_beta2: float = Field(gt=0, lt=1)
    weight_decay: float = Field(ge=0)
    max_grad_norm: float = Field(gt=0)
    bf16: bool
    gradient_checkpointing: bool
    logging_steps: int = Field(ge=1)
    save_steps: int = Field(ge=1)
    freeze_vision: bool
    lora: LoraParams | None
    launch: LaunchParams


class SftParams(TrainerParams):
    section: ClassVar[str] = "sft"


class VllmParams(StrictModel):
    """Sampling by vLLM: inside the trainer's processes, or by a server of its own (`trl vllm-serve`)."""

    mode: Literal["colocate", "server"]
    gpu_memory_utilization: float = Field(gt=0, lt=1)
    """Share of the GPU's memory for vLLM, mode colocate."""
    server_base_url: str | None
    """Mode server: where it listens, http://host:port."""

    @model_validator(mode="after")
    def _has_server(self) -> VllmParams:
        if self.mode == "server" and self.server_base_url is None:
            raise ValueError("the mode server needs grpo.vllm.server_base_url, http://host:port")
        return self


class GrpoParams(TrainerParams):
    section: ClassVar[str] = "grpo"
    num_generations: int = Field(ge=2)
    """G, completions a prompt: the group that advantages are taken over (GRPO, arXiv:2402.03300)."""
    max_completion_length: int = Field(ge=8)
    """In tokens; the gold answers must fit (prompts.max_completion_tokens)."""
    temperature: float = Field(gt=0)
    top_p: float = Field(gt=0, le=1)
    top_k: int = Field(default=0, ge=0)
    """Rollouts take one of the so many likeliest tokens; 0: of all. No sampling setting comes from the model folder."""
    min_p: float | None = Field(default=None, ge=0, le=1)
    """Rollouts take no token below this share of the likeliest one's chance; null: off."""
    repetition_penalty: float = Field(default=1.0, gt=0)
    """1: none. Lists of boxes repeat digits and labels, so that a penalty falsifies them."""
    beta: float = Field(ge=0)
    """Weight of the KL to the reference model; 0 keeps none (TRL's default)."""
    epsilon: float = Field(gt=0)
    """Clipping of the probability ratio downwards."""
    epsilon_high: float = Field(gt=0)
    """Clipping upwards; DAPO (arXiv:2503.14476) sets it higher, 0.28."""
    num_iterations: int = Field(ge=1)
    """Passes over each batch of rollouts."""
    loss_type: Literal["grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo"]
    """dapo: mean over all tokens of the batch (arXiv:2503.14476); dr_grpo: no length bias (arXiv:2503.20783)."""
    scale_rewards: Literal["group", "batch", "none"]
    """What the advantages' deviation is taken over; none after Dr. GRPO (arXiv:2503.20783)."""
    multi_objective_aggregation: Literal["sum_then_normalize", "normalize_then_sum"]
    """normalize_then_sum is GDPO (arXiv:2601.05242): each reward is normalised in its group first."""
    importance_sampling_level: Literal["token", "sequence"]
    """sequence is GSPO (arXiv:2507.18071)."""
    mask_truncated_completions: bool
    """Completions at the length limit carry no loss (arXiv:2503.14476)."""
    shared_prefix: Literal["auto", "on", "off"]
    """A group's prompt and image are paid once (arXiv:2506.05433), exactly; auto: where the model is known to work."""
    vllm: VllmParams | None
    """null samples with the policy in place."""
    kept_rollout_groups: int = Field(ge=0)
    """Groups of completions kept in rollouts.parquet, spread over the run."""


class LookingParams(StrictModel):
    grid: int = Field(ge=2)
    reading: Literal["map", "instances"]


class PrecisionRecallParams(StrictModel):
    tau: float = Field(gt=0, le=1)
    precision_weight: float = Field(ge=0, le=1)
    mean: Literal["harmonic", "arithmetic"]
    quality: Literal["iou", "hit"]
    matching: Literal["optimal", "greedy"]


class GroundingParams(StrictModel):
    reading: Literal["iou_squared", "iou", "iou_gated"] = "iou_squared"
    """How the overlap of the one box is paid; gated: nothing below IoU .5."""


class PerceptionR1Params(StrictModel):
    """Weights of the terms of the reward perception_r1; the missing term is a factor of the last two."""

    f1: float = Field(default=1.0, ge=0)
    iou: float = Field(default=1.0, ge=0)
    label: float = Field(default=1.0, ge=0)

    @model_validator(mode="after")
    def _some_term(self) -> PerceptionR1Params:
        if self.f1 + self.iou + self.label <= 0:
            raise ValueError("want one of f1, iou and label above 0")
        return self


RewardName = Literal[
    "reasoning", "looking", "precision_recall", "perception_r1", "grounding", "counting", "counting_number", "ocr"
]


class RewardsParams(StageParams):
    section: ClassVar[str] = "rewards"
    weights: dict[str, float]
    """Weight of each reward by name; the total is the plain weighted sum of what is scored.

    A reward scores the samples whose answers it can judge, and no others.
    """
    looking: LookingParams
    precision_recall: PrecisionRecallParams
    grounding: GroundingParams = GroundingParams()
    perception_r1: PerceptionR1Params = PerceptionR1Params()

    @model_validator(mode="after")
    def _some_weight(self) -> RewardsParams:
        unknown = set(self.weights) - set(get_args(RewardName))
        if unknown:
            raise ValueError(f"rewards.weights has unknown rewards {sorted(unknown)}")
        if not self.weights or min(self.weights.values()) < 0 or sum(self.weights.values()) <= 0:
            raise ValueError(f"rewards.weights {self.weights}: want no negative weight and one above 0")
        return self


# --- evaluation and registration ----------------------------------------------------------------


class PredictParams(StageParams):
    section: ClassVar[str] = "predict"
    batch_size: int = Field(ge=1)
    max_new_tokens: int = Field(ge=8)
    threads: int = Field(ge=1)
    """CPU threads of each process."""
    bf16: bool
    processes: int = Field(ge=1)
    """They share the batches out between them; the answers are the same for any number."""
    samples: int = Field(ge=0)
    """K sampled answers to each prompt beside the greedy one: what the confidence `consensus` counts; 0 = none."""
    temperature: float = Field(gt=0)
    top_p: float = Field(gt=0, le=1)
    """Of the sampled answers, with `temperature`: nothing else shapes them, whatever the model's folder says.

    The greedy answers have no setting. 1 takes every token (TRL's default for rollouts too).
    """
    seed: int
    vllm: VllmParams | None
    """null generates with transformers in place."""

    @model_validator(mode="after")
    def _vllm_in_place(self) -> PredictParams:
        if self.vllm is not None and (self.vllm.mode != "colocate" or self.processes > 1):
            raise ValueError("vllm predicts in place: want mode colocate and processes 1")
        return self


Confidence = Literal["constant", "rank", "logprob", "consensus"]


class ScoreParams(StageParams):
    section: ClassVar[str] = "score"
    min_iou: float = Field(gt=0, le=1)
    confidence: Confidence
    """What ranks the boxes in the headline's AP and miss rates; the others stand beside it."""
    convention: Literal["lookout", "perception-r1"]
    """perception-r1 repeats that paper's public evaluation: score 1 for all, generation order, any list of boxes."""
    tie_shuffles: int = Field(ge=0)
    """Random orders among equal scores, for the spread of what constant scores give."""
    bootstrap_samples: int = Field(ge=0)
    seed: int

    @model_validator(mode="after")
    def _scores_of_the_convention(self) -> ScoreParams:
        if self.convention == "perception-r1" and self.confidence != "constant":
            raise ValueError(f"the convention perception-r1 scores every box 1: want constant, got {self.confidence}")
        return self


class ReportParams(StageParams):
    section: ClassVar[str] = "report"
    gallery_images: int = Field(ge=1)


class ServingParams(StrictModel):
    """Bounds on what a request to a served version may ask; they travel with the version. All are ours.

    Which formats of images are decoded stands in store/image_files.py, the same everywhere.
    """

    most_pixels: int = Field(default=50_000_000, ge=1)
    """Of one image, known before it is decoded; a batch ends where it has as many. Cameras have up to 50 million."""
    most_bytes: int = Field(default=50_000_000, ge=1)
    """Of one image's file."""
    most_prompt_bytes: int = Field(default=4000, ge=1)
    """UTF-8; memory grows with the square of a prompt's length."""
    most_new_tokens: int = Field(default=4096, ge=1)
    """More than predict.max_new_tokens can be asked for, up to this."""
    most_seconds: float = Field(default=120.0, ge=0)
    """For a request's answers; 0 = no bound."""


class RegisterParams(StageParams):
    section: ClassVar[str] = "register"
    model_name: Name
    alias: Name
    allow_dirty: bool
    """Register code that is not committed, under a loud tag; promotion refuses such a version."""
    serving: ServingParams = ServingParams()


class PromoteParams(StageParams):
    """The gates that a version passes to become champion."""

    section: ClassVar[str] = "promote"
    metric: Literal["detection.f1", "headline"]
    """What a challenger must be better in; the headline is each task's own number, in detection the same F1.

    The interval of its gain is a paired bootstrap over the same images.
    """
    min_gain: float = Field(ge=0)
    """The gain itself must be larger; a tie is no gain."""
    confidence: float = Field(gt=0.5, lt=1)
    """One-sided: the gain must lie above 0 with so much confidence."""
    max_regression: float = Field(ge=0)
    """On no dataset may the metric fall by more."""
    required_protocols: list[
        Literal["detection", "coco", "coco_500", "crowdhuman", "citypersons", "detect", "ground", "count", "read"]
    ]
    """Tables and tasks that must have a number."""
    allow_noncommercial: bool
    """Whether data under a non-commercial licence may stand behind a champion."""
    allowed_licences: list[str]
    """Licences that a person has read and allows, word for word as `licence` in a dataset's entry has them.

    An SPDX expression, own, CC0 and public domain need no entry; every other text is unknown, and the gate fails.
    """
    bootstrap_samples: int = Field(ge=100)
    seed: int


class Params(StrictModel):
    """The whole of params.yaml."""

    profile: Name
    synthetic: dict[Name, SyntheticParams]
    datasets: dict[Name, DatasetParams] = Field(min_length=1)
    validate_: ValidateParams = Field(alias="validate")
    prompts: PromptParams
    base: BaseParams
    sft: SftParams
    grpo: GrpoParams
    rewards: RewardsParams
    predict: PredictParams
    score: ScoreParams
    report: ReportParams
    register_: RegisterParams = Field(alias="register")
    promote: PromoteParams

    @model_validator(mode="after")
    def _drawn_where_nothing_else_lies(self) -> Params:
        for name, drawn in self.synthetic.items():
            if drawn.root != (DRAWN / name).as_posix():
                raise ValueError(
                    f"synthetic.{name}.root is {drawn.root!r}, want {(DRAWN / name).as_posix()!r}: drawing replaces "
                    "the folder, so a drawn dataset has one of its own"
                )
        return self


Section = TypeVar("Section", bound=StageParams)


def load_raw(path: Path = PARAMS_FILE) -> dict[str, Any]:
    """params.yaml as plain values. Raises ParamsError where it is missing or no mapping."""
    try:
        values = load_yaml(path.read_text())
    except FileNotFoundError:
        raise ParamsError(f"{path} is not there; `lookout compose tiny` writes the default profile") from None
    except ValueError as error:
        raise ParamsError(f"{path} {error}") from error
    if not isinstance(values, dict):
        raise ParamsError(f"{path} holds {type(values).__name__}, want a mapping of sections")
    return values


def load_section(model: type[Section], path: Path = PARAMS_FILE) -> Section:
    """One stage's section of params.yaml. Raises ParamsError that names the key."""
    values = load_raw(path)
    if model.section not in values:
        raise ParamsError(f"{path}: the section {model.section}: is missing; it holds {', '.join(sorted(values))}")
    return _checked(model, values[model.section], path, model.section)


def load_params(path: Path = PARAMS_FILE) -> Params:
    """The whole of params.yaml, checked. Raises ParamsError that names the key."""
    return check_params(load_raw(path), path)


def check_params(values: dict[str, Any], path: Path) -> Params:
    """Plain values as Params; `path` is only named. Raises ParamsError that names the key."""
    return _checked(Params, values, path, "")


def check_name(name: str) -> None:
    """Raises ParamsError where params cannot hold something under this name."""
    try:
        checked_name(name)
    except ValueError as error:
        raise ParamsError(str(error)) from None


def check_entry(entry: dict[str, Any]) -> DatasetParams:
    """A new entry of `datasets:`. Raises ParamsError that names the key."""
    return _checked(DatasetParams, entry, Path("the dataset's entry"), "")


Model = TypeVar("Model", bound=StrictModel)


def _checked(model: type[Model], values: Any, path: Path, prefix: str) -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ParamsError(f"{path}: {first_sentence(error, prefix)}") from None


def first_sentence(error: ValidationError, prefix: str) -> str:
    """The first thing that is wrong, by its key; how many more."""
    # a mistyped key is also a missing one: the mistyped word says more
    first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
    where = [*([prefix] if prefix else []), *first["loc"]]
    if where[:1] == ["synthetic"]:
        del where[2:3]  # the layout, which pydantic names too
    key = ".".join(str(part) for part in where if part != "[key]")
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        text = f"{key} is not a parameter; is it mistyped?"
    elif first["type"] == "missing":
        text = f"{key} is missing"
    else:
        text = f"{key} is {_shortened(first['input'])}: {message}" if key else message
    others = error.error_count() - 1
    return text + (f" (and {others} more)" if others else "")


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."
