"""What a registered version was made from, as a tree to read or JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from components.core.class_words import counted
from components.core.words import TRAINED
from components.machine.terminal import plain
from components.metrics.task import headline_of
from components.model_registry.lineage_types import NamedVersion, Traced
from components.model_registry.recall import warning
from components.model_registry.registry import connect, find_version, statement_of
from components.model_registry.statement import from_statement
from components.store.left_out import left_out_lines


def trace(reference: str) -> Traced:
    """The lineage behind any reference that registry.find_version reads. Raises RegistryError where it is not there."""
    version = find_version(connect(), reference)
    named: NamedVersion = {
        "name": version.name,
        "version": int(version.version),
        "run_id": version.run_id,
        "recalled": warning(version),
    }
    return {"version": named, **from_statement(statement_of(version))}


def lineage_tree(lineage: Traced) -> Any:
    """A rich Tree of the lineage."""
    from rich.text import Text
    from rich.tree import Tree

    def add(node: Tree, text: str) -> Tree:
        return node.add(Text(plain(text)))  # a text from data is no markup

    version, code, base = lineage["version"], lineage["code"], lineage["base"]
    title = Text(plain(f"{version['name']} version {version['version']}"), style="bold")
    tree = Tree(title.append(f"  lineage {plain(lineage['key'][:16])}", style="not bold"))
    if version["recalled"]:
        add(tree, version["recalled"].upper()[:8] + version["recalled"][8:])
    state = "clean" if code["clean"] else f"changed: {', '.join(code['changed'][:5]) or 'no commit'}"
    add(tree, f"code  commit {code['commit']} ({state})")
    weights = add(tree, "weights")
    for name, digest in lineage["weights"].items():
        add(weights, f"{name}  sha256 {digest}")
    origin = add(
        tree, f"base  {base['kind']}: {base['name']}" + (f" at {base['revision']}" if base["revision"] else "")
    )
    add(origin, f"model.safetensors  sha256 {base['sha256'].get('model.safetensors', 'in parts')}")
    for name, dataset in base.get("data", {}).items():
        add(origin, f"trained on {name}  {dataset['licence']}, md5 {dataset['dvc_md5']}")
    data = add(tree, "data")
    for name, dataset in lineage["data"].items():
        counts = dataset["counts"]
        asked, noun = counted(counts)
        node = add(data, f"{name}  {dataset['format']}, {dataset['licence']}, md5 {dataset['dvc_md5']}")
        add(node, f"{counts['images']} images, {asked} {noun}, {dataset['quarantined']} refused")
        findings = dataset["validation"]["findings"]
        add(node, f"validation: {'passed' if dataset['validation']['success'] else 'failed'}, {len(findings)} findings")
    prompts = lineage["prompt_summary"]
    node = add(tree, f"prompts  {prompts['samples']}")
    for line in left_out_lines(prompts):
        add(node, line)
    for template, sha256 in prompts["templates"].items():
        add(node, f"template {template}  sha256 {sha256}")
    for path, digest in lineage["prompts"].items():
        add(node, f"{path}  md5 {digest}")
    rewards = add(tree, "rewards")
    for name, value in lineage["rewards"].items():
        add(rewards, f"{name}: {json.dumps(value)}")
    training = add(tree, "training")
    for stage in TRAINED:
        params = lineage["params"][stage]
        add(
            training,
            f"{stage}  {params['max_steps']} steps, learning rate {params['learning_rate']:g}, seed {params['seed']}",
        )
    numbers = add(tree, "metrics on the test split")
    for model, metrics in lineage["metrics"].items():
        best, form = headline_of(metrics), metrics["format_rate"]
        ranked = f", COCO AP50 {metrics['coco']['AP50'] or 0:.3f}" if "coco" in metrics else ""
        add(numbers, f"{model}  {best.name} {best.value or 0:.3f}, format rate {form:.3f}{ranked}")
    libraries = lineage["environment"]["libraries"]
    shown = ", ".join(f"{name} {libraries[name]}" for name in ("torch", "transformers", "trl", "numpy"))
    add(tree, f"environment  python {lineage['environment']['python']}, {shown}")
    for stage, summary in lineage.get("training", {}).items():
        run = summary.get("run", {})
        if others := _other_libraries(run.get("libraries", {}), libraries):
            add(tree, f"{stage} had an interpreter of its own: python {run.get('python')}, {', '.join(others)}")
    return tree


def _other_libraries(own: Mapping[str, str], libraries: Mapping[str, str]) -> list[str]:
    """vLLM, which the pipeline's environment never has, and what a training had in another version than that."""
    return [f"{name} {found}" for name, found in own.items() if name == "vllm" or libraries.get(name, found) != found]
