"""The section base: the starting policy."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, model_validator

from components.core.words import ModelFrame
from components.params.model import StageParams, StrictModel
from components.params.names import PathText


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
    frame: ModelFrame | None = None
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
    sees when its files change. Without a local folder it is a file of the code, which is a dependency anyway: any,
    since params.yaml of an earlier version names the one that its commit has.
    """

    @model_validator(mode="after")
    def _exactly_one(self) -> BaseParams:
        if (self.build is None) == (self.pretrained is None):
            raise ValueError("want exactly one of base.build and base.pretrained")
        named = self.pretrained.path if self.pretrained else None
        if self.local != named and not self.local.startswith("components/"):
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
