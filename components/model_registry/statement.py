"""A lineage as an in-toto Statement v1 with a SLSA provenance v1 predicate, and back.

Specifications: in-toto.io/Statement/v1 and slsa.dev/spec/v1.0/provenance. What has a digest stands among the
resolved dependencies; small files (params.yaml, dvc.lock, *.dvc) stand there with their content.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any, Final, cast

from components.model_registry.lineage_types import Lineage, Training
from components.model_registry.subjects import POLICY_FILES

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:lookout:dvc-repro:v1"
BUILDER = "urn:lookout:register:v3"
Statement = dict[str, Any]
Resource = dict[str, Any]
INTERNAL: Final = ("commands", "processes", "seeds", "images_sha256", "prompt_summary")
STATE = "state/"


def to_statement(lineage: Lineage) -> Statement:
    """subjects: files of the logged model, artifacts that a gate reads. Raises KeyError for a lineage in parts."""
    return {
        "_type": STATEMENT_TYPE,
        "subject": [
            {"name": name, "digest": {"sha256": digest}} for name, digest in sorted(lineage["subjects"].items())
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"params": lineage["params"], "rewards": lineage["rewards"]},
                "internalParameters": {name: lineage[name] for name in INTERNAL},
                "resolvedDependencies": _dependencies(lineage),
            },
            "runDetails": {
                "builder": {"id": BUILDER, "version": lineage["environment"]["libraries"]},
                "metadata": {"invocationId": lineage["key"]} | _times(lineage["training"]),
                "byproducts": _byproducts(lineage),
            },
        },
    }


def _dependencies(lineage: Lineage) -> list[Resource]:
    code, base = lineage["code"], lineage["base"]
    source: Resource = {"name": "code", "annotations": code}
    if code["commit"]:
        source["digest"] = {"gitCommit": code["commit"]}
    if code["remote"]:
        source["uri"] = f"git+{code['remote']}@{code['commit']}"
    state = [
        {
            "name": f"{STATE}{path}",
            "digest": {"sha256": hashlib.sha256(text.encode()).hexdigest()},
            "content": base64.b64encode(text.encode()).decode(),
        }
        for path, text in sorted(lineage["state"].items())
    ]
    data = [
        {"name": f"data/{name}", "digest": {"dvc": one["dvc_md5"] or "unknown"}, "annotations": one}
        for name, one in sorted(lineage["data"].items())
    ]
    prompts = [
        {"name": f"prompts/{path}", "digest": {"md5": digest}} for path, digest in sorted(lineage["prompts"].items())
    ]
    weights = [
        {"name": f"base/{name}", "digest": {"sha256": digest}} for name, digest in sorted(base["sha256"].items())
    ]
    origin = {key: value for key, value in base.items() if key != "sha256"}
    return [source, *state, *data, *prompts, {"name": "base", "uri": f"urn:lookout:base:{base['kind']}",
            "annotations": origin}, *weights]  # fmt: skip


def _byproducts(lineage: Lineage) -> list[Resource]:
    return [
        *({"name": f"metrics/{model}", "annotations": found} for model, found in sorted(lineage["metrics"].items())),
        *({"name": f"training/{stage}", "annotations": one} for stage, one in sorted(lineage["training"].items())),
        {"name": "environment", "annotations": lineage["environment"]},
    ]


def _times(training: dict[str, Training]) -> dict[str, str]:
    """Start of the first training and end of the last, RFC 3339."""
    runs = [one["run"] for one in training.values() if "run" in one]
    if not runs:
        return {}
    return {"startedOn": min(run["started"] for run in runs), "finishedOn": max(run["ended"] for run in runs)}


def from_statement(statement: Statement) -> Lineage:
    """The lineage that a statement was made of."""
    build, details = (statement["predicate"][key] for key in ("buildDefinition", "runDetails"))
    found = {one["name"]: one for one in build["resolvedDependencies"]}
    made = {one["name"]: one["annotations"] for one in details["byproducts"]}
    subjects = {
        name if "/" in (name := one["name"]) else f"{POLICY_FILES}{name}": one["digest"]["sha256"]
        for one in statement["subject"]
    }  # an earlier Lookout named the policy's files only, without a folder
    files = _under(subjects, POLICY_FILES)
    lineage = {
        "schema": "lineage/2",
        "key": details["metadata"]["invocationId"],
        "weights": {name: digest for name, digest in files.items() if name.endswith(".safetensors")},
        "files": files,
        "subjects": subjects,
        "code": found["code"]["annotations"],
        "state": {name: base64.b64decode(one["content"]).decode() for name, one in _under(found, STATE).items()},
        "data": {name: one["annotations"] for name, one in _under(found, "data/").items()},
        "prompts": {name: one["digest"]["md5"] for name, one in _under(found, "prompts/").items()},
        "base": found["base"]["annotations"]
        | {"sha256": {name: one["digest"]["sha256"] for name, one in _under(found, "base/").items()}},
        "metrics": _under(made, "metrics/"),
        "training": _under(made, "training/"),
        "environment": made["environment"],
        **build["externalParameters"],
        **build["internalParameters"],
    }
    return cast("Lineage", lineage)


def _under(resources: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): one for name, one in resources.items() if name.startswith(prefix)}
