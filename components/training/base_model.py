"""The starting policy in its folder, whichever way it comes."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.errors import ModelError
from components.params import BaseParams, PretrainedParams
from components.store.atomic import write_json
from components.store.digest import file_sha256
from components.training.policy import load_model, save_policy
from components.training.processor import load_processor, save_processor

log = logging.getLogger("lookout.base")
ORIGIN = "lookout_base.json"


@dataclass(frozen=True, slots=True)
class RegisteredPolicy:
    """A version of the registry that a training begins from: its files, and what its lineage says of it."""

    folder: Path
    weights_sha256: str
    lineage: str
    """The lineage's key."""
    data: dict[str, dict[str, Any]]
    """What it was trained on, by dataset, its own base's data too: role, licence, dvc_md5."""


def write_base(folder: Path, params: BaseParams, registered: RegisteredPolicy | None = None) -> int:
    """Fills `folder`; the number of parameters. Raises ModelError where a checkpoint cannot be had.

    `registered` is what base.pretrained.path names where it is a version of the registry.
    """
    more: dict[str, Any] = {}
    if params.build is not None:
        from components.training.tiny import build_model, build_processor

        processor = build_processor(params.build)
        model = build_model(params.build, processor.tokenizer)
        save_policy(model, processor, folder)
        kind, name, revision = "built", "qwen2_5_vl from params", None
    else:
        pretrained = params.pretrained
        if pretrained is None:
            raise ModelError("base names neither build nor pretrained")
        _copy_checkpoint(registered.folder if registered else _checkpoint_folder(pretrained), folder)
        save_processor(load_processor(folder, pretrained.min_pixels, pretrained.max_pixels), folder)
        model = load_model(folder)
        kind, name, revision = "pretrained", pretrained.path, pretrained.revision
        if registered:
            kind, revision = "registered", registered.weights_sha256
            more = {"lineage": registered.lineage, "data": registered.data}
    files = {path.name: file_sha256(path) for path in sorted(folder.iterdir())}
    write_json(folder / ORIGIN, {"kind": kind, "name": name, "revision": revision, "sha256": files} | more)
    return sum(weight.numel() for weight in model.parameters())


def _checkpoint_folder(params: PretrainedParams) -> Path:
    """A local folder as it is; else the named revision from the hub, safetensors only."""
    local = Path(params.path)
    if local.is_dir():
        return local
    if params.revision is None:
        raise ModelError(f"base.pretrained.path {params.path!r} is no local folder, and a hub name needs a revision")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    patterns = ["*.json", "*.safetensors", "*.txt", "*.jinja"]
    try:
        return Path(snapshot_download(params.path, revision=params.revision, allow_patterns=patterns))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ModelError(
            f"{params.path} at {params.revision} cannot be fetched: {' '.join(str(error).split())}"
        ) from error


def _copy_checkpoint(source: Path, folder: Path) -> None:
    for path in sorted(source.iterdir()):
        if path.suffix in {".json", ".safetensors", ".txt", ".jinja"}:
            shutil.copyfile(path, folder / path.name)
    load_processor(folder)  # says which part is missing, before anything is trained
