"""Is a version better than the champion by promote.metric, on the same images, and not by chance?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np

from components.errors import RegistryError
from components.machine.progress import progress
from components.metrics.detection import drawings
from components.metrics.evaluation_set import Indices
from components.metrics.resampling import LESS_IS_BETTER, Measure
from components.model_registry.cached import kept_file
from components.model_registry.lineage_types import Lineage
from components.model_registry.mlflow_types import Version
from components.model_registry.registry import artifact, statement_of, uri_of
from components.model_registry.statement import from_statement
from components.model_registry.subjects import SCORES
from components.params.promote import PromoteParams
from components.scoring.measured import Measured, measured, names_in

Rescore = Callable[[Version, Lineage], Path]
"""(version, lineage) -> the folder that score wrote for the version on the test images of that lineage."""
GRPO_SCORES = f"{SCORES}/grpo"
TEST_PROMPTS = Path("data/prompts/test.parquet")


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition: whether it passed, what was seen, what is wanted."""

    name: str
    passed: bool
    seen: str
    wanted: str


def refuse_unknown(lineage: Lineage, version: Version, metric: str) -> None:
    """Raises RegistryError, which lists the numbers that the version has, where `metric` is none of them."""
    names = names_in(lineage["metrics"]["grpo"])
    if metric not in names:
        raise RegistryError(
            f"promote.metric is {metric}, but {uri_of(version)} has no such number; it has {', '.join(names)}"
        )


def gain_gates(champion: Version, version: Version, params: PromoteParams, rescore: Rescore) -> list[Gate]:
    """The gain, whether it is chance, and no dataset's loss: each by promote.metric. Raises RegistryError."""
    before, after = _on_the_same_images(champion, version, params.metric, rescore)
    if before.sample_ids != after.sample_ids:
        seen = f"{len(before.sample_ids)} and {len(after.sample_ids)} images, not the same"
        return [Gate("gain", False, seen, "the same images")]
    return [*_gain(before, after, params), *_regressions(before, after, params)]


def _on_the_same_images(
    champion: Version, version: Version, metric: str, rescore: Rescore
) -> tuple[Measured, Measured]:
    """Both versions' number; where the test set has changed the champion is scored again on the new one."""
    before, after = (from_statement(statement_of(one)) for one in (champion, version))
    test = TEST_PROMPTS.as_posix()
    same = before["prompts"].get(test) == after["prompts"].get(test)
    old = artifact(champion, GRPO_SCORES) if same else rescore(champion, after)
    prompts = cache(partial(_prompts, after, metric))  # looked for only where the metric wants the truth, and once
    return measured(old, metric, prompts), measured(artifact(version, GRPO_SCORES), metric, prompts)


def _prompts(lineage: Lineage, metric: str) -> Path:
    wanted = lineage["prompts"].get(TEST_PROMPTS.as_posix())
    found = kept_file(TEST_PROMPTS, wanted)
    if found is None:
        raise RegistryError(
            f"promote.metric is {metric}, which wants the truth of the test images, but {TEST_PROMPTS} (md5 {wanted}) "
            "is neither here nor in the cache: dvc fetch, or check out the version's state (git checkout "
            "lookout/v<N>, dvc checkout)"
        )
    return found


def gain_of(metric: str, before: float, after: float) -> float:
    """Above 0 where `after` is better, also where less is."""
    return before - after if metric in LESS_IS_BETTER else after - before


def _gain(before: Measured, after: Measured, params: PromoteParams) -> list[Gate]:
    metric, once = params.metric, after.once
    ends = _ends(before.measure, after.measure, once)
    if ends is None:
        return [_undefined("gain", params, before.measure(once), after.measure(once))]
    gain = gain_of(metric, *ends)
    less = " (less is better)" if metric in LESS_IS_BETTER else ""
    low = float(np.quantile(_drawn_gains(before.measure, after.measure, len(once), params), 1 - params.confidence))
    return [
        Gate(f"gain in {metric}{less}", gain > params.min_gain, f"{ends[0]:.4f} -> {ends[1]:.4f}: {gain:+.4f}",
             f"above {params.min_gain:g}"),
        Gate("gain is no chance", low > 0, f"above {low:+.4f} with {params.confidence:.0%}, {len(once)} images",
             "above 0"),
    ]  # fmt: skip


def _undefined(name: str, params: PromoteParams, before: float | None, after: float | None) -> Gate:
    return Gate(name, False, f"{params.metric} {before} and {after}", "a number for both")


def _drawn_gains(before: Measure, after: Measure, images: int, params: PromoteParams) -> list[float]:
    """The gain on each drawing of images, the same for both; one that is undefined is no gain."""
    gains: list[float] = []
    for drawn in progress(drawings(images, params.bootstrap_samples, params.seed), f"bootstrap of {params.metric}"):
        ends = _ends(before, after, drawn)
        gains.append(0.0 if ends is None else gain_of(params.metric, *ends))
    return gains


def _ends(before: Measure, after: Measure, drawn: Indices) -> tuple[float, float] | None:
    """Both numbers; None where one is undefined."""
    ends = before(drawn), after(drawn)
    return None if ends[0] is None or ends[1] is None else (ends[0], ends[1])


def _regressions(before: Measured, after: Measured, params: PromoteParams) -> list[Gate]:
    gates: list[Gate] = []
    for source in dict.fromkeys(after.sources):
        own, name = after.of_source(source), f"no worse on {source}"
        ends = _ends(before.measure, after.measure, own)
        if ends is None:
            gates.append(_undefined(name, params, before.measure(own), after.measure(own)))
            continue
        loss = -gain_of(params.metric, *ends)
        gates.append(Gate(name, loss <= params.max_regression, f"{ends[0]:.4f} -> {ends[1]:.4f}",
                          f"a loss of at most {params.max_regression:g}"))  # fmt: skip
    return gates
