"""A registered version as the policy that another training begins from: what is taken over of its files and lineage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NotRequired, TypedDict

from components.errors import RegistryError
from components.store.digest import files_sha256

REGISTRY = "models:/"
"""What a reference to a registered version begins with."""


class TrainedOn(TypedDict):
    """A dataset that a policy was trained on, in that policy's own lineage or in one that began from it."""

    role: str  # train | eval | both
    licence: str
    dvc_md5: str | None


class OwnBase(TypedDict):
    """The version's own starting policy, as far as it is read."""

    data: NotRequired[dict[str, TrainedOn]]


class PromptsSection(TypedDict):
    """The section prompts, as far as it is read."""

    frame: str


class OwnParams(TypedDict):
    """The version's params.yaml, as far as it is read."""

    prompts: PromptsSection


class Recorded(TypedDict):
    """A version's lineage, as far as it is read. Digests by the name of the file."""

    key: str
    files: dict[str, str]
    weights: dict[str, str]
    data: dict[str, TrainedOn]
    base: OwnBase
    params: OwnParams


Fetch = Callable[[str], tuple[Path, Recorded]]
"""A reference to a version -> its policy's folder on this machine, and its lineage."""


@dataclass(frozen=True, slots=True)
class RegisteredPolicy:
    """A version of the registry that a training begins from: its files, and what its lineage says of it."""

    folder: Path
    weights_sha256: str
    lineage: str
    """The lineage's key."""
    data: Mapping[str, Mapping[str, object]]
    """What it was trained on, by dataset, its own base's data too: role, licence, dvc_md5."""
    frame: str
    """How it was trained to say coordinates."""


def registered_policy(reference: str, folder: Path, lineage: Recorded) -> RegisteredPolicy:
    """Of the data, that of the bases before it too. Raises RegistryError where a file of the policy is not the one
    that its statement names.
    """
    found = files_sha256(folder)
    if found != lineage["files"]:
        wrong = sorted(name for name in {*found, *lineage["files"]} if found.get(name) != lineage["files"].get(name))
        raise RegistryError(f"base.pretrained.path: {wrong[0]} of {reference} is not the file of its statement")
    own = {
        name: TrainedOn(role=one["role"], licence=one["licence"], dvc_md5=one["dvc_md5"])
        for name, one in lineage["data"].items()
    }
    return RegisteredPolicy(
        folder=folder,
        weights_sha256=",".join(lineage["weights"].values()),
        lineage=lineage["key"],
        data=lineage["base"].get("data", {}) | own,
        frame=lineage["params"]["prompts"]["frame"],
    )
