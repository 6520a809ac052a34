"""The whole of params.yaml, for what writes or shows it: a stage reads its own sections."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from components.params.base import BaseParams
from components.params.datasets import Datasets
from components.params.drawing import Drawn, check_root
from components.params.grpo import GrpoParams
from components.params.model import StrictModel
from components.params.names import Name
from components.params.predict import PredictParams
from components.params.promote import PromoteParams
from components.params.prompts import PromptParams
from components.params.reading import PARAMS_FILE, checked, load_raw
from components.params.register import RegisterParams
from components.params.report import ReportParams
from components.params.rewards import RewardsParams
from components.params.score import ScoreParams
from components.params.sft import SftParams
from components.params.validate import ValidateParams


class Params(StrictModel):
    """The whole of params.yaml."""

    profile: Name
    synthetic: Drawn
    datasets: Datasets = Field(min_length=1)
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
            check_root(name, drawn)
        return self


def load_params(path: Path = PARAMS_FILE) -> Params:
    """The whole of params.yaml, checked. Raises ParamsError that names the key."""
    return check_params(load_raw(path), path)


def check_params(values: dict[str, Any], path: Path) -> Params:
    """Plain values as Params; `path` is only named. Raises ParamsError that names the key."""
    return checked(Params, values, path, "")
