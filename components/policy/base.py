"""The starting policy in its folder, whichever way it comes."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

from components.errors import ModelError
from components.params.base import BaseParams, PretrainedParams
from components.policy.families import ORIGIN, TAKEN, family_of, file_digests, patch_factor, read_config
from components.policy.folder import greedy_config, load_model, save_policy
from components.policy.processor import load_processor, save_processor
from components.policy.registered import RegisteredPolicy
from components.store.atomic import write_json
from components.store.digest import files_sha256
from components.store.json_file import parse_json

log = logging.getLogger("lookout.base")
GENERATION, OLD_BOUNDS = "generation_config.json", "preprocessor_config.json"


def write_base(folder: Path, params: BaseParams, registered: RegisteredPolicy | None = None) -> int:
    """Fills `folder`; the number of parameters. Raises ModelError where a checkpoint cannot be had.

    `registered` is what base.pretrained.path names where it is a version of the registry.
    """
    more: dict[str, Any] = {"frame": None}  # a policy built from nothing learns whichever it is taught
    if params.build is not None:
        from components.policy.tiny import build_model, build_processor

        processor = build_processor(params.build)
        model = build_model(params.build, processor.tokenizer)
        save_policy(model, processor, folder)
        kind, name, revision = "built", "qwen2_5_vl from params", None
    else:
        pretrained = params.pretrained
        if pretrained is None:
            raise ModelError("base names neither build nor pretrained")
        source = registered.folder if registered else _checkpoint_folder(params, pretrained)
        check_checkpoint(source, pretrained)
        more |= {"source_sha256": file_digests(source), "generation_config": _generation_config(source)}
        more["local"] = source == Path(pretrained.path)
        model = _copied(source, folder, pretrained)
        kind, name, revision = "pretrained", pretrained.path, pretrained.revision
        more["frame"] = pretrained.frame or family_of(folder).frame
        if registered:
            kind, revision = "registered", registered.weights_sha256
            more |= {"lineage": registered.lineage, "data": registered.data, "frame": registered.frame}
    files = files_sha256(folder)
    write_json(folder / ORIGIN, {"kind": kind, "name": name, "revision": revision, "sha256": files} | more)
    return sum(weight.numel() for weight in model.parameters())


def check_checkpoint(source: Path, params: PretrainedParams) -> None:
    """Raises ModelError where the folder is of no known family, or where base.pretrained.factor is not its own."""
    family, factor = family_of(source), patch_factor(read_config(source))
    if factor is not None and factor != params.factor:
        raise ModelError(
            f"base.pretrained.factor is {params.factor}, but {params.path} ({family.name}) takes images whose sides "
            f"are multiples of {factor}: set base.pretrained.factor: {factor}"
        )


def _copied(source: Path, folder: Path, params: PretrainedParams) -> Any:
    """The checkpoint in its new folder, weights as they are; its own sampling settings stay behind. The model."""
    for path in sorted(source.iterdir()):
        if path.suffix in TAKEN and path.name not in {ORIGIN, GENERATION}:
            shutil.copyfile(path, folder / path.name)
    processor = load_processor(folder, params.min_pixels, params.max_pixels)
    if (source / GENERATION).exists():
        shutil.copyfile(source / GENERATION, folder / GENERATION)  # for its end tokens
    model = load_model(folder)
    greedy_config(model.generation_config, processor.tokenizer).save_pretrained(folder)
    save_processor(processor, folder, model.config.model_type)
    (folder / OLD_BOUNDS).unlink(missing_ok=True)  # what it says of image sizes no longer holds
    return model


def _generation_config(source: Path) -> Any:
    """The checkpoint's own one, for the lineage; None where it has none. Raises ModelError where it is no JSON."""
    path = source / GENERATION
    if not path.exists():
        return None
    return parse_json(path.read_bytes(), str(path), "is the download whole?", "valid JSON", ModelError)


def _checkpoint_folder(base: BaseParams, params: PretrainedParams) -> Path:
    """A local folder as it is; else the named revision from the hub, safetensors only."""
    local = Path(params.path)
    if local.is_dir():
        if base.local != params.path:
            raise ModelError(
                f"base.pretrained.path {params.path} is a local folder, and DVC watches {base.local}: set base.local: "
                f"{params.path} too, so that a change of its files is seen"
            )
        return local
    if params.revision is None:
        raise ModelError(f"base.pretrained.path {params.path!r} is no local folder, and a hub name needs a revision")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    patterns = [f"*{end}" for end in sorted(TAKEN)]
    try:
        return Path(snapshot_download(params.path, revision=params.revision, allow_patterns=patterns))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise ModelError(
            f"{params.path} at {params.revision} cannot be fetched: {' '.join(str(error).split())}"
        ) from error
