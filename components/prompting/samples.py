"""A validated scene -> its samples: prompt, gold answer and truth in the base model's frame."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from components.core.frames import ImageView, smart_resize
from components.core.grammars import GRAMMARS
from components.core.scene import AnyTruth, Truth
from components.core.tiles import split_truth, tile_grid
from components.errors import ParamsError
from components.params.datasets import DatasetParams, TilingParams
from components.params.prompts import PromptParams
from components.prompting.questions import TASK_QUESTIONS, ScenePart, Template, prompt_text, read_template, template_of
from components.store.samples import truth_columns
from components.store.schemas.columns import Message
from components.store.schemas.prompts import PromptRow, WordColumns


@dataclass(frozen=True, eq=False)
class Asker:
    """Makes the samples of one dataset, in its task's way; its template is read once."""

    dataset: DatasetParams
    grammar: str
    processor: Any
    params: PromptParams

    def samples(self, scene: ScenePart) -> Iterator[PromptRow]:
        """One sample a question; of the whole image, or one a tile where the dataset is tiled."""
        form = self._form
        for question in TASK_QUESTIONS[self.dataset.task].ask(scene, self.dataset):
            self._check_says(form, question.phrase, scene.row["source"])
            words: WordColumns = {
                "prompt": _message("user", self._prompt(question.phrase)),
                "phrase": question.phrase,
                "prompt_form": form,
            }
            if self.dataset.tiling is None or not isinstance(question.truth, Truth):
                yield self._sample(scene, question.truth, question.ask, words)
            else:
                yield from self._tiles(scene, question.truth, question.ask, words, self.dataset.tiling)

    @cached_property
    def template(self) -> Template:
        return read_template(template_of(self.dataset, self.params.template, self.grammar))

    @cached_property
    def _form(self) -> str:
        return self._prompt("{phrase}")

    @property
    def _labels(self) -> list[str]:
        return self.dataset.labels or self.params.labels

    def _prompt(self, phrase: str | None) -> str:
        return prompt_text(self.template, self._labels, phrase, self.grammar, self.params.thinking)

    def _check_says(self, form: str, phrase: str | None, name: str) -> None:
        """Raises ParamsError where the prompt would not say what is asked about."""
        if phrase not in (None, self._labels[0]) and "{phrase}" not in form:
            raise ParamsError(
                f"{self.template.path}: has no {{phrase}}, so it cannot ask about {phrase!r:.60}; want "
                f"{TASK_QUESTIONS[self.dataset.task].templates[self.grammar]}, or another that has it, as "
                f"datasets.{name}.template"
            )

    def _tiles(
        self, scene: ScenePart, whole: Truth, ask: int | None, words: WordColumns, tiling: TilingParams
    ) -> Iterator[PromptRow]:
        tiles = tile_grid(whole.width_px, whole.height_px, tiling.rows, tiling.columns, tiling.overlap_frac)
        boxes, ignore = whole.boxes.tolist(), whole.ignore.tolist()
        for number, (tile, truth) in enumerate(zip(tiles, split_truth(whole, tiles), strict=True)):
            sample = self._sample(scene, truth, ask, words)
            yield {
                **sample,
                "sample_id": f"{sample['sample_id']}#{number}",
                "tile": list(tile),
                "whole_size_px": [whole.width_px, whole.height_px],
                "whole_truth_boxes": boxes,
                "whole_truth_labels": list(whole.labels),
                "whole_ignore_boxes": ignore,
            }

    def _sample(self, scene: ScenePart, truth: AnyTruth, ask: int | None, words: WordColumns) -> PromptRow:
        # a tile is smaller than its image
        width, height = (truth.width_px, truth.height_px) if isinstance(truth, Truth) else scene.size_px
        model_size = self._model_size(width, height)
        view = ImageView(width, height, self.params.frame, model_size)
        text = GRAMMARS[self.grammar].gold(truth, view, self.params.look_iou, self.params.thinking)
        row = scene.row
        name = f"{row['source']}/{row['scene_id']}"
        return {
            "sample_id": name if ask is None else f"{name}?{ask}",
            "scene_id": row["scene_id"],
            "source": row["source"],
            "task": self.dataset.task,
            "answer_as": self.grammar,
            "thinking": self.params.thinking,
            "image_path": os.path.join(self.dataset.root, row["image_path"]),  # noqa: PTH118  (an absolute root stays)
            "image_sha256": scene.sha256,
            "width_px": width,
            "height_px": height,
            "frame": self.params.frame,
            "model_width_px": model_size[0],
            "model_height_px": model_size[1],
            **words,
            "completion": None if text is None else _message("assistant", text),
            "gold_tokens": 0 if text is None else len(self.processor.tokenizer(text)["input_ids"]) + 1,  # and the end
            **truth_columns(truth),
            "ask": ask,
            "tile": None,
            "whole_size_px": None,
            "whole_truth_boxes": None,
            "whole_truth_labels": None,
            "whole_ignore_boxes": None,
        }  # fmt: skip

    def _model_size(self, width: int, height: int) -> tuple[int, int]:
        images = self.processor.image_processor
        size = images.size
        factor = images.patch_size * images.merge_size
        return smart_resize(width, height, factor, size["shortest_edge"], size["longest_edge"])


def _message(role: str, content: str) -> list[Message]:
    return [{"role": role, "content": content}]
