"""A registered version answers another version's test images, and is scored on them."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from components.errors import RegistryError
from components.home import lookout_home
from components.model_registry.lineage import Lineage
from components.model_registry.registry import model_folder
from components.params import load_params
from components.store.digest import file_md5

PROMPTS = Path("data/prompts/test.parquet")


def per_image_of(version: Any, other: Lineage) -> Path:
    """per_image.parquet of `version` on the test prompts of `other`, which must lie in this checkout.

    Raises RegistryError where they do not.
    """
    wanted = other["prompts"].get(PROMPTS.as_posix())
    if not PROMPTS.exists() or file_md5(PROMPTS) != wanted:
        raise RegistryError(
            f"the champion must be scored on the new test images, but {PROMPTS} is not theirs here (md5 {wanted}): "
            "check out the challenger's state (git checkout lookout/v<N>, dvc checkout)"
        )
    from components.stages import progress, score
    from components.training.predict import predict_files

    params = load_params()
    kept = lookout_home() / "rescored" / f"{version.name}-{version.version}.parquet"
    kept.parent.mkdir(parents=True, exist_ok=True)
    single = params.predict.model_copy(update={"processes": 1, "samples": 0})
    ranked = params.score.model_copy(update={"confidence": "constant"})  # F1 needs no ranking
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        predict_files(model_folder(version), PROMPTS, folder / "predictions", single, progress)
        score.run(f"{version.name}/{version.version}", PROMPTS, folder / "predictions", folder / "scores", ranked)
        shutil.copyfile(folder / "scores" / "per_image.parquet", kept)
    return kept
