"""The pyfunc model that users load: model-from-code, safetensors, no pickle."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from components.graph.closure import import_closure
from components.model_registry.lineage_types import Lineage
from components.model_registry.mlflow_types import ModelInfo, mlflow_module
from components.params.predict import PredictParams
from components.params.reading import load_section
from components.params.register import RegisterParams

SERVING = Path("components/serving/model.py")
PACKAGE = "components"
REQUIREMENTS = ("torch", "transformers", "accelerate", "safetensors", "pillow", "numpy", "mlflow")
_IMPORT = re.compile(rf"^(\s*(?:from|import) ){PACKAGE}\b", re.MULTILINE)


def log_packaged_model(model: Path, lineage: Lineage) -> ModelInfo:
    """Logs the model into the active run; MLflow's ModelInfo.

    The code that it needs, and no more, goes with it as a package named after the lineage: it loads where this
    repository is not, and two versions load side by side.
    """
    name = f"lookout_{lineage['key'][:16]}"
    with tempfile.TemporaryDirectory() as folder, _importable(folder):
        return mlflow_module().pyfunc.log_model(
            name="model",
            python_model=str(travelling_code(Path(folder), name)),
            code_paths=[str(Path(folder) / name)],
            artifacts={"policy": str(model)},
            model_config=serving_config(),
            signature=signature(),
            pip_requirements=[f"{name}=={version(name).split('+')[0]}" for name in REQUIREMENTS],
        )


@contextmanager
def _importable(folder: str) -> Generator[None]:
    """MLflow runs the model's code while it logs it."""
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def travelling_code(folder: Path, name: str) -> Path:
    """Writes what SERVING imports to `folder`/`name` under that package name; the path of SERVING's copy."""
    for path in import_closure(SERVING):
        target = folder / name / path.relative_to(PACKAGE)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(as_package(path.read_text(), name))
    return folder / name / SERVING.relative_to(PACKAGE)


def as_package(text: str, name: str) -> str:
    """A module of ours as it travels: it imports from the package `name`."""
    return _IMPORT.sub(rf"\g<1>{name}", text)


def serving_config() -> dict[str, Any]:
    """What the model needs to know of how it was trained and measured, and the bounds of a request."""
    from components.store.schemas.prompts import PROMPTS
    from components.store.tables import read_rows

    asked = ("answer_as", "thinking", "prompt_form", "phrase")
    tasks: dict[str, dict[str, str | None]] = {}
    frames: set[str] = set()  # one: the base speaks in it
    for row in read_rows(Path("data/prompts/test.parquet"), PROMPTS, ("task", *asked, "frame")):
        frames.add(row["frame"])
        tasks.setdefault(row["task"], {name: row[name] for name in asked})
    predict = load_section(PredictParams)
    return {
        "tasks": tasks,
        "frame": frames.pop(),
        "max_new_tokens": predict.max_new_tokens,
        "bf16": predict.bf16,
    } | load_section(RegisterParams).serving.model_dump()


def signature() -> Any:
    """image (base64, data URI) or image_bytes, and perhaps task, phrase, prompt, in; boxes in original pixels, points,
    text and the rest out; options."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
    from mlflow.types.schema import Array

    text, rows = DataType.string, Array(Array(DataType.double))
    asked = {"image": text, "image_bytes": DataType.binary, "prompt": text, "task": text, "phrase": text}
    inputs = Schema([ColSpec(kind, name, required=False) for name, kind in asked.items()])
    answered = {"boxes": rows, "labels": Array(text), "scores": Array(DataType.double), "count": DataType.long}
    answered |= {"points": rows, "text": text, "task": text, "look": rows}
    answered |= dict.fromkeys(("think", "failure", "why", "said", "overlay"), text)
    may_be_none = {"text", "think", "failure", "why", "said", "overlay"}
    outputs = Schema([ColSpec(kind, name, required=name not in may_be_none) for name, kind in answered.items()])
    options = ParamSchema(
        [
            ParamSpec("max_new_tokens", DataType.long, 0),  # 0: as the model was measured
            ParamSpec("confidence", DataType.string, "logprob"),  # constant | rank | logprob
            ParamSpec("overlay", DataType.boolean, False),  # a PNG with the boxes drawn, in base64
        ]
    )
    return ModelSignature(inputs=inputs, outputs=outputs, params=options)
