"""The pyfunc model that users load: model-from-code, safetensors, no pickle."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

SERVING = Path("components/training/serving.py")
REQUIREMENTS = ("torch", "transformers", "datasets", "safetensors", "pillow", "pydantic", "pyarrow", "numpy", "scipy",
                "ruamel.yaml", "accelerate", "mlflow")  # fmt: skip


def log_packaged_model(model: Path, statement: Path, lineage: dict[str, Any]) -> Any:
    """Logs the model into the active run; MLflow's ModelInfo."""
    import mlflow

    return mlflow.pyfunc.log_model(
        name="model",
        python_model=str(SERVING),
        code_paths=["components"],
        artifacts={"policy": str(model), "statement": str(statement)},
        model_config=serving_config(lineage),
        signature=signature(),
        pip_requirements=[f"{name}=={version(name).split('+')[0]}" for name in REQUIREMENTS],
    )


def serving_config(lineage: dict[str, Any]) -> dict[str, Any]:
    """What the model needs to know of how it was trained."""
    import pyarrow.parquet as pq

    first = pq.ParquetFile("data/prompts/test.parquet").read_row_group(0, ["prompt"]).slice(0, 1).to_pylist()[0]
    return {
        "prompt": first["prompt"][0]["content"],
        "frame": lineage["params"]["prompts"]["frame"],
        "max_new_tokens": lineage["params"]["grpo"]["max_completion_length"],
    }


def signature() -> Any:
    """image (path or base64) or image_bytes, and a prompt, in; boxes in original pixels, labels, scores, think out."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import Array

    inputs = Schema(
        [
            ColSpec(DataType.string, "image", required=False),
            ColSpec(DataType.binary, "image_bytes", required=False),
            ColSpec(DataType.string, "prompt", required=False),
        ]
    )
    outputs = Schema(
        [
            ColSpec(Array(Array(DataType.double)), "boxes"),
            ColSpec(Array(DataType.string), "labels"),
            ColSpec(Array(DataType.double), "scores"),
            ColSpec(DataType.string, "think", required=False),
            ColSpec(DataType.string, "failure", required=False),
        ]
    )
    return ModelSignature(inputs=inputs, outputs=outputs)
