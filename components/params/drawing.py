"""Drawn datasets: `synthetic.<name>`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from components.params.model import StrictModel
from components.params.names import Name, PathText
from components.params.sizes import SplitSizes

DRAWN = Path("data/raw")
"""Drawn datasets lie here, each in the folder of its name: the only one that its stage may replace."""


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
    colours: list[Colour] = Field(default=[])
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
Drawn = dict[Name, SyntheticParams]


def check_root(name: str, drawn: DrawingParams) -> None:
    """Raises ValueError where a dataset would be drawn over something else."""
    if drawn.root != (DRAWN / name).as_posix():
        raise ValueError(
            f"synthetic.{name}.root is {drawn.root!r}, want {(DRAWN / name).as_posix()!r}: drawing replaces "
            "the folder, so a drawn dataset has one of its own"
        )
