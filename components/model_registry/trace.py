"""What a registered version was made from, as a tree to read or JSON for programs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from components.errors import RegistryError
from components.model_registry.lineage import Lineage

_REFERENCE = re.compile(r"(?:models:/)?(?:(?P<name>[^/@]+))?(?:/(?P<version>\d+)|@(?P<alias>[\w-]+))")


def trace(reference: str, default_name: str = "lookout") -> Lineage:
    """The lineage of models:/NAME/VERSION, models:/NAME@ALIAS, @ALIAS or a version number.

    Raises RegistryError where the reference or the version is not there.
    """
    name, version, alias = parse_reference(reference, default_name)
    import mlflow

    from components.model_registry.register import LINEAGE_FILE, connect

    client = connect()
    try:
        found = client.get_model_version_by_alias(name, alias) if alias else client.get_model_version(name, version)
    except mlflow.MlflowException as error:
        raise RegistryError(
            f"{reference} is not in the registry ({error.message}); `lookout register` makes one"
        ) from None
    folder = Path(mlflow.artifacts.download_artifacts(run_id=found.run_id, artifact_path=LINEAGE_FILE))
    lineage = json.loads(folder.read_text())
    return {"version": {"name": name, "version": int(found.version), "run_id": found.run_id}} | lineage


def parse_reference(reference: str, default_name: str) -> tuple[str, str | None, str | None]:
    """(name, version, alias) of a reference. Raises RegistryError where it is none."""
    text = f"/{reference}" if reference.isdigit() else reference
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise RegistryError(f"{reference!r} is no reference; want models:/lookout/1, models:/lookout@challenger or 1")
    return match["name"] or default_name, match["version"], match["alias"]


def lineage_tree(lineage: Lineage) -> Any:
    """A rich Tree of the lineage."""
    from rich.tree import Tree

    version, code, base = lineage["version"], lineage["code"], lineage["base"]
    tree = Tree(f"[bold]{version['name']} version {version['version']}[/]  lineage {lineage['key'][:16]}")
    state = "clean" if code["clean"] else f"changed: {', '.join(code['changed'][:5]) or 'no commit'}"
    tree.add(f"code  commit {code['commit']} ({state})")
    weights = tree.add("weights")
    for name, digest in lineage["weights"].items():
        weights.add(f"{name}  sha256 {digest}")
    origin = tree.add(f"base  {base['kind']}: {base['name']}" + (f" at {base['revision']}" if base["revision"] else ""))
    origin.add(f"model.safetensors  sha256 {base['sha256'].get('model.safetensors', 'in parts')}")
    data = tree.add("data")
    for name, dataset in lineage["data"].items():
        counts = dataset["counts"]
        node = data.add(f"{name}  {dataset['format']}, {dataset['licence']}, md5 {dataset['dvc_md5']}")
        node.add(f"{counts['images']} images, {counts['people']} people, {dataset['quarantined']} refused")
        findings = dataset["validation"]["findings"]
        node.add(f"validation: {'passed' if dataset['validation']['success'] else 'failed'}, {len(findings)} findings")
    prompts = lineage["prompt_summary"]
    node = tree.add(f"prompts  {prompts['samples']}")
    for template, sha256 in prompts["templates"].items():
        node.add(f"template {template}  sha256 {sha256}")
    for path, digest in lineage["prompts"].items():
        node.add(f"{path}  md5 {digest}")
    rewards = tree.add("rewards")
    for name, value in lineage["rewards"].items():
        rewards.add(f"{name}: {json.dumps(value)}")
    training = tree.add("training")
    for stage in ("sft", "grpo"):
        params = lineage["params"][stage]
        training.add(
            f"{stage}  {params['max_steps']} steps, learning rate {params['learning_rate']:g}, seed {params['seed']}"
        )
    numbers = tree.add("metrics on the test split")
    for model, metrics in lineage["metrics"].items():
        f1, form = metrics["detection"]["f1"], metrics["format_rate"]
        numbers.add(f"{model}  F1 {f1 or 0:.3f}, format rate {form:.3f}, COCO AP50 {metrics['coco']['AP50'] or 0:.3f}")
    libraries = lineage["environment"]["libraries"]
    shown = ", ".join(f"{name} {libraries[name]}" for name in ("torch", "transformers", "trl", "numpy"))
    tree.add(f"environment  python {lineage['environment']['python']}, {shown}")
    return tree
