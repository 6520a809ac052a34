"""Run by test_processes under torchrun or alone: one batch of fixed completions through the trainer's own scoring.

python rollout_worker.py WORKSPACE OUT PER_DEVICE: writes the process's rewards and advantages, bit for bit.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from components.params.grpo import GrpoParams
from components.params.reading import load_section
from components.params.rewards import RewardsParams
from components.training import grpo

TEXTS = [
    '<think>a</think><look>[[0,0,40,40]]</look><answer>[{{"bbox_2d":[{0},2,{1},40],"label":"person"}}]</answer>',
    "<think>a</think><look>[]</look><answer>[]</answer>",
    '<think>a</think><look>[[{0},0,63,63]]</look><answer>[{{"bbox_2d":[3,{0},30,60],"label":"person"}},'
    '{{"bbox_2d":[{1},1,60,50],"label":"person"}}]</answer>',
    "<think>a</think><look>[",
]


def text_of(row: int) -> str:
    return TEXTS[row % len(TEXTS)].format(row % 20, 21 + row % 17)


def main(workspace: Path, out: Path, per_device: int) -> None:
    os.chdir(workspace)
    launch = load_section(GrpoParams).launch.model_copy(update={"processes": int(os.environ.get("WORLD_SIZE", "1"))})
    changes = {"max_steps": 1, "per_device_train_batch_size": per_device, "num_generations": 8, "launch": launch}
    params = load_section(GrpoParams).model_copy(update=changes)

    class FixedRollouts(grpo.RolloutTrainer):
        def _generate_single_turn(self, prompt_ids: list[Any], *_: Any, **__: Any) -> tuple[list[list[int]], None]:
            first = self.accelerator.process_index * len(prompt_ids)
            texts = [text_of(first + row) for row in range(len(prompt_ids))]
            return [[*self._tokenizer(text)["input_ids"], *self.eos_token_ids[:1]] for text in texts], None

        def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
            output = super()._generate_and_score_completions(inputs)
            scores = self._group_rewards._scores
            rows = {"advantages": [value.hex() for value in output["advantages"].tolist()]}
            rows |= {
                name: [None if value is None else value.hex() for value in column] for name, column in scores.items()
            }
            rows["sample_id"] = [row["sample_id"] for row in inputs]
            out.mkdir(exist_ok=True)
            (out / f"{self.accelerator.process_index}.json").write_text(json.dumps(rows))
            return output

    grpo.RolloutTrainer = FixedRollouts
    rewards = load_section(RewardsParams)
    grpo.train_grpo(
        Path("models/base"), Path("data/prompts/grpo.parquet"), out / "model", out / "reports", params, rewards
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
