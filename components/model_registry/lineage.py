"""What a checkpoint was made from, collected from what DVC tracks, as one deterministic JSON."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Final

from components.core.extras import OCR_LIBRARIES, has_ocr_extra
from components.core.words import MODELS, TRAINED
from components.errors import RegistryError
from components.graph.dvc_lock import LOCK_FILE, Lock, out_digests, read_lock_file
from components.graph.stages import stage_names
from components.machine.code_state import git_state
from components.machine.git import git
from components.model_registry.lineage_types import Dataset, Decides, Hardware, Lineage
from components.model_registry.subjects import POLICY_FILES
from components.model_registry.yaml_text import yaml_text
from components.params.reading import PARAMS_FILE
from components.params.whole import Params, load_params
from components.store.atomic import canonical_json
from components.store.digest import dvc_folder_digest, file_sha256, files_sha256
from components.store.json_file import read_json
from components.store.schemas.validated import Validated

CONSTRAINTS = Path("constraints.txt")
MODEL = Path("models/grpo")
LIBRARIES = (
    "torch", "transformers", "trl", "accelerate", "peft", "deepspeed", "datasets", "tokenizers",
    "numpy", "pyarrow", "pillow", "scipy", "faster-coco-eval", "great-expectations", "dvc", "mlflow", "prefect",
)  # fmt: skip
DECIDES: Final = ("weights", "prompts", "rewards", "base", "params")
"""What a lineage's key is the digest of."""


def collect_lineage(reports: Path = Path("reports"), data: Path = Path("data")) -> Lineage:
    """Everything that decided models/grpo. Raises RegistryError where dvc.lock and the weights disagree."""
    params, lock = load_params(), read_lock()
    check_weights(lock)
    values = params.model_dump(mode="json", by_alias=True)
    files = files_sha256(MODEL)
    decides: Decides = {
        "weights": {name: digest for name, digest in files.items() if name.endswith(".safetensors")},
        "prompts": {path: digest for path, digest in out_digests(lock, "prompts").items() if path.endswith(".parquet")},
        "rewards": values["rewards"],
        "base": read_json(Path("models/base/lookout_base.json")),
        "params": {
            "datasets": values["datasets"],
            "prompts": values["prompts"],
            "base": values["base"],
            "sft": values["sft"],
            "grpo": values["grpo"],
        },
    }
    return {
        "schema": "lineage/2",
        "key": lineage_key(decides),
        **decides,
        "code": git_state(),
        "data": {name: _dataset(name, params, lock, data) for name in params.datasets},
        "prompt_summary": read_json(data / "prompts" / "summary.json"),
        "training": {stage: read_json(reports / "training" / stage / "summary.json") for stage in TRAINED},
        "seeds": {name: values[name]["seed"] for name in ("sft", "grpo", "prompts", "score")},
        "metrics": {model: read_json(reports / "scores" / model / "metrics.json") for model in MODELS},
        "environment": {
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.machine()}",
            "hardware": hardware(),
            "libraries": installed(),
            "constraints_sha256": file_sha256(CONSTRAINTS) if CONSTRAINTS.exists() else None,
        },
        "files": files,
        "subjects": {f"{POLICY_FILES}{name}": digest for name, digest in files.items()},
        "commands": {name: stage["cmd"] for name, stage in lock["stages"].items() if name != "register"},
        "processes": {stage: values[stage]["launch"]["processes"] for stage in TRAINED},
        "images_sha256": hashlib.sha256("\n".join(image_digests(data)).encode()).hexdigest(),
        "state": {PARAMS_FILE.name: PARAMS_FILE.read_text(), LOCK_FILE.name: lock_text(lock)} | dvc_files(),
    }


def lineage_key(lineage: Decides) -> str:
    """SHA-256 of what decides: one and the same wherever it is made again."""
    return hashlib.sha256(canonical_json({name: lineage[name] for name in DECIDES}).encode()).hexdigest()


def installed() -> dict[str, str]:
    """Versions of the libraries that can change a result; those of the extra `ocr` where it is installed."""
    return {name: version(name) for name in (*LIBRARIES, *(OCR_LIBRARIES if has_ocr_extra() else ()))}


def lock_text(lock: Lock) -> str:
    """dvc.lock as YAML without the entry of register: that one is written after the statement."""
    return yaml_text({**lock, "stages": {name: stage for name, stage in lock["stages"].items() if name != "register"}})


def dvc_files() -> dict[str, str]:
    """Text of every *.dvc file of the checkout, by its path."""
    names = (git("ls-files", "-co", "--exclude-standard", "*.dvc") or "").splitlines()
    return {name: Path(name).read_text() for name in sorted(names)}


def image_digests(data: Path = Path("data")) -> list[str]:
    """SHA-256 of every image that SFT or GRPO trained on, sorted, each once."""
    return sorted({digest for digest, _ in image_names(data)})


def image_names(data: Path = Path("data")) -> list[tuple[str, str]]:
    """SHA-256 and path of every image that SFT or GRPO trained on, sorted."""
    from components.store.schemas.prompts import PROMPTS
    from components.store.tables import read_rows

    found: set[tuple[str, str]] = set()
    for name in TRAINED:
        rows = read_rows(data / "prompts" / f"{name}.parquet", PROMPTS, ("image_sha256", "image_path"))
        found |= {(row["image_sha256"], row["image_path"]) for row in rows}
    return sorted(found)


def hardware() -> Hardware:
    """Processor and, where the driver names them, GPUs of this machine."""
    names = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.partition(":")[2].strip() for line in names if line.startswith("model name")), "")
    gpus: list[str] = []
    if shutil.which("nvidia-smi"):
        query = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        answer = subprocess.run(query, capture_output=True, text=True, check=False)
        gpus = answer.stdout.splitlines() if answer.returncode == 0 else []
    return {"cpu": model or platform.processor(), "cores": os.cpu_count(), "gpus": gpus}


def read_lock() -> Lock:
    """dvc.lock as plain values, without stages that the graph no longer has.

    DVC leaves the entry of a stage that was taken away, a dataset's of an earlier profile. Raises DataError where it is
    missing or torn, RegistryError where nothing was trained.
    """
    lock = read_lock_file()
    if "grpo" not in lock["stages"]:
        raise RegistryError("dvc.lock has no stage grpo; run dvc repro grpo")
    there = set(stage_names())
    return {**lock, "stages": {name: stage for name, stage in lock["stages"].items() if name in there}}


def check_weights(lock: Lock) -> None:
    """Raises RegistryError where models/grpo is not, byte for byte, what dvc.lock names."""
    wanted = out_digests(lock, "grpo").get(MODEL.as_posix())
    found = dvc_folder_digest(MODEL)
    if wanted != found:
        raise RegistryError(
            f"{MODEL} has digest {found}, dvc.lock names {wanted}; was a file changed? run dvc repro grpo"
        )


def _dataset(name: str, params: Params, lock: Lock, data: Path) -> Dataset:
    dataset = params.datasets[name]
    validation: Validated = read_json(data / "validated" / name / "validation.json")
    ingest = lock["stages"].get(f"ingest@{name}")
    deps = {dep["path"]: dep.get("md5") for dep in ingest.get("deps", [])} if ingest else {}
    return {
        "format": dataset.format,
        "root": dataset.root,
        "licence": dataset.licence,
        "role": dataset.role,
        "dvc_md5": deps.get(dataset.root),
        "counts": validation["counts"],
        "quarantined": validation["quarantined"],
        "validation": {
            "success": validation["success"],
            "findings": [check["note"] for check in validation["checks"] if not check["success"]],
        },
    }
