"""TRL's reward call -> whole groups -> our rewards -> back.

TRL hands a function the rows of its own process and no group id. So rows are gathered from all processes,
put together by sample_id and their order in the gathered batch, scored as whole groups, and handed back.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from components.core.completion import ParseFailure
from components.core.coverage import disagreement_map
from components.core.grammars import AnyParsed
from components.core.scene import AnyTruth, Truth
from components.errors import ParamsError, TrainingError
from components.params.rewards import RewardsParams
from components.rewards import judges, make_rewards, weighted_total, without_accuracy
from components.rewards.reward import Reward
from components.store.atomic import atomic_file
from components.store.samples import READING_COLUMNS, Readable, read_sample, truth_of_sample
from components.store.schemas.rollouts import RolloutRow

log = logging.getLogger("lookout.grpo")
COLUMNS = READING_COLUMNS


class Scored(TypedDict):
    """A completion in its group; `advantage` is TRL's, on rank 0's share."""

    sample_id: str
    text: str
    token_count: int
    index_in_group: int
    rewards: dict[str, float | None]  # None = not scored
    total: float
    failure: str | None
    advantage: float | None


class Completion(Readable, Scored):
    """The same with the truth that it is held against."""

    disagreement: NDArray[np.float16] | None  # the group's, on its first


class KeptRollout(Scored):
    """The same in a rollouts file, which is JSON."""

    disagreement: str | None  # in hexadecimal digits


class GroupRewards:
    """One reward function a reward for TRL; all are computed by the first that is called on a batch.

    `decode` makes the text of a completion's tokens, as predict does it: TRL's own text is not looked at.
    """

    def __init__(self, params: RewardsParams, num_generations: int, decode: Callable[[list[int]], str]) -> None:
        self._params, self._size, self._decode = params, num_generations, decode
        self._rewards = make_rewards(params)
        self._completions: object = None
        self._scores: dict[str, list[float | None]] = {}
        self.groups: list[list[Completion]] = []
        """The last batch's groups, a row a completion, with rewards (rank 0's share carries advantages later)."""
        self.local: slice = slice(0, 0)

    @property
    def weights(self) -> list[float]:
        return [weight for weight, _ in self._rewards.values()]

    def functions(self) -> list[Callable[..., list[float | None]]]:
        """What TRL calls, named as its logs shall name them."""
        return [self._function(name) for name in self._rewards]

    def _function(self, name: str) -> Callable[..., list[float | None]]:
        def reward(completions: list[Any], completion_ids: list[list[int]], **columns: Any) -> list[float | None]:
            if completions is not self._completions:
                self._score(completion_ids, columns)
                self._completions = completions
            return self._scores[name]

        reward.__name__ = name
        return reward

    def _score(self, completion_ids: list[list[int]], columns: dict[str, Any]) -> None:
        rows = [
            _unscored(self._decode(ids), len(ids), {key: columns[key][i] for key in COLUMNS})
            for i, ids in enumerate(completion_ids)
        ]
        gathered, self.local = _gather(rows)
        self.groups = whole_groups(gathered, self._size)
        for group in self.groups:
            score_group(group, self._rewards, self._params)
        mine = gathered[self.local]
        self._scores = {name: [row["rewards"][name] for row in mine] for name in self._rewards}


def _unscored(text: str, token_count: int, columns: dict[str, Any]) -> Completion:
    return Completion(
        **columns, text=text, token_count=token_count,
        index_in_group=0, rewards={}, total=0.0, failure=None, advantage=None, disagreement=None,
    )  # fmt: skip


def check_rewards(params: RewardsParams, grammars: Iterable[str]) -> None:
    """Raises ParamsError where no weighted reward holds such answers against the truth: nothing would teach them."""
    unpaid = without_accuracy(params.weights, grammars)
    if unpaid:
        raise ParamsError(
            f"rewards.weights {params.weights} has no reward that can judge answers as {', '.join(unpaid)}, which the "
            "prompts ask for; give one a weight"
        )


def whole_groups(rows: list[Completion], size: int) -> list[list[Completion]]:
    """Rows of one sample, `size` at a time in their order. Raises TrainingError where a group is not whole."""
    by_sample: dict[str, list[Completion]] = defaultdict(list)
    for row in rows:
        by_sample[row["sample_id"]].append(row)
    groups: list[list[Completion]] = []
    for sample_id, members in by_sample.items():
        if len(members) % size:
            raise TrainingError(f"{sample_id} has {len(members)} completions in a batch, want groups of {size}")
        groups += [members[start : start + size] for start in range(0, len(members), size)]
    return groups


def score_group(group: list[Completion], rewards: Mapping[str, tuple[float, Reward]], params: RewardsParams) -> None:
    """Puts its scores into each row, and the map into the first one.

    rewards: make_rewards of the params.
    """
    first = group[0]
    truth = truth_of_sample(first)
    answers = [read_sample(row["text"], first) for row in group]
    scores = {name: _scores(name, reward, first, answers, truth) for name, (_, reward) in rewards.items()}
    totals = weighted_total(scores, params.weights)
    for index, (row, answer) in enumerate(zip(group, answers, strict=True)):
        row["index_in_group"] = index
        row["rewards"] = {name: _or_none(float(score[index])) for name, score in scores.items()}
        row["total"] = float(totals[index])
        row["failure"] = answer.reason if isinstance(answer, ParseFailure) else None
    if isinstance(truth, Truth):
        first["disagreement"] = disagreement_map(answers, truth, params.looking.grid)


def _scores(
    name: str, reward: Reward, sample: Readable, answers: list[AnyParsed], truth: AnyTruth
) -> NDArray[np.float32]:
    """(G,): what the reward says; NaN where it cannot judge this kind of answer."""
    if not judges(name, sample["answer_as"], sample["thinking"]):
        return np.full(len(answers), np.nan, dtype=np.float32)
    return reward(answers, truth)


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value


def _gather(rows: list[Completion]) -> tuple[list[Completion], slice]:
    """Every process's rows in rank order, and where this process's own stand."""
    from accelerate.utils import gather_object
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return rows, slice(0, len(rows))
    parts = gather_object([rows])
    start = sum(len(part) for part in parts[: distributed.get_rank()])
    return [row for part in parts for row in part], slice(start, start + len(rows))


class RolloutKeeper:
    """Keeps one group at steps spread over the run, each in a file of its own beside the resume points.

    A run that is killed and goes on thus ends with the same rollouts as one that is not.
    """

    def __init__(self, folder: Path, kept_groups: int, max_steps: int) -> None:
        self._folder = folder
        self._steps = {round(step) for step in np.linspace(0, max(0, max_steps - 1), kept_groups)}

    def keep(self, step: int, group: list[Completion]) -> None:
        if step not in self._steps:
            return
        rows = [_plain(row) for row in group]
        with atomic_file(self._folder / f"{step:08d}.json") as partial:
            partial.write_text(json.dumps(rows))

    def rows(self) -> list[RolloutRow]:
        """Every kept rollout as rollouts.parquet has it."""
        files = sorted(self._folder.glob("*.json"))
        return [_stored(row, int(file.stem)) for file in files for row in json.loads(file.read_text())]


def _plain(row: Completion) -> KeptRollout:
    picture = row["disagreement"]
    return {
        "sample_id": row["sample_id"],
        "index_in_group": row["index_in_group"],
        "text": row["text"],
        "token_count": row["token_count"],
        "failure": row["failure"],
        "rewards": row["rewards"],
        "total": row["total"],
        "advantage": row["advantage"],
        "disagreement": None if picture is None else picture.tobytes().hex(),
    }


def _stored(row: KeptRollout, step: int) -> RolloutRow:
    picture = row["disagreement"]
    return {
        **row,
        "step": step,
        "group_id": f"{row['sample_id']}#{step}",
        "rewards": list(row["rewards"].items()),
        "disagreement": None if picture is None else bytes.fromhex(picture),
    }
