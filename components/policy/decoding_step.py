"""One step of decoding: the last tokens of all rows go through the model, and the next ones are drawn.

Everything that a step reads and writes lies in tensors of a fixed size that are changed in place, so that on a GPU the
whole step is captured once as a CUDA graph and replayed: decoding is bound by launches, not by arithmetic. On a CPU the
same code runs as it stands.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import Cache
from transformers.cache_utils import DynamicLayer

from components.policy.prompts_once import Prompts

log = logging.getLogger("lookout.decoding")
WARM_UPS = 2
"""Steps on a side stream before a capture: libraries set themselves up in them."""


class Place:
    """Where the next token's keys and values go, and how many of all places attention looks at."""

    def __init__(self, room: int, device: torch.device) -> None:
        self.room = room
        self.index = torch.zeros(1, dtype=torch.long, device=device)
        self.shown = room


class RoomyLayer(DynamicLayer):
    """Keys and values of one layer with room for all that is to come: (B, heads, room, width) each."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self._place = place
        self._all: tuple[Tensor, Tensor] | None = None

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """(B, heads, new tokens, width) -> what is shown. The first call brings the prompts, each later one a token."""
        if self._all is None:
            self.dtype, self.device, self.is_initialized = key_states.dtype, key_states.device, True
            shape = (*key_states.shape[:2], self._place.room, key_states.shape[3])
            self._all = key_states.new_zeros(shape), value_states.new_zeros(shape)
            for everything, new in zip(self._all, (key_states, value_states), strict=True):
                everything[:, :, : new.shape[2]] = new
            self.keys, self.values = key_states, value_states
        else:
            for everything, new in zip(self._all, (key_states, value_states), strict=True):
                everything.index_copy_(2, self._place.index, new)
            self.keys, self.values = (one[:, :, : self._place.shown] for one in self._all)
        return self.keys, self.values

    def take_rows(self, rows: Tensor) -> None:
        """Keeps these rows, in this order; a row may stand there twice."""
        if self._all is not None:
            self._all = self._all[0].index_select(0, rows), self._all[1].index_select(0, rows)
            self.keys, self.values = (one[:, :, : self._place.shown] for one in self._all)


class DecodingStep:
    """Every row's next token. The prompts are read when it is made; `draw` is called once a token.

    `changes` are transformers' processors of logits, of those that do not look at the tokens before.
    """

    def __init__(
        self,
        model: Any,
        prompts: Prompts,
        changes: Sequence[Any],
        max_new_tokens: int,
        *,
        logprobs: bool,
        capture: bool,
    ) -> None:
        owner, device = prompts.owner, prompts.ids.device
        self.captured = capture and device.type == "cuda"
        """Whether steps are replayed from a CUDA graph."""
        self._model, self._changes, self._wants_logprobs = model, changes, logprobs
        self._width, self._done = prompts.ids.shape[1], 0
        self._place = Place(self._width + max_new_tokens, device)
        depth = model.config.get_text_config().num_hidden_layers
        self._layers = [RoomyLayer(self._place) for _ in range(depth)]
        self._cache = Cache(layers=list(self._layers))
        self._logits: Tensor | None = self._read(prompts)[owner]
        self.vocabulary = self._logits.shape[1]
        for layer in self._layers:
            layer.take_rows(owner)
        seen = torch.zeros(len(owner), 1, 1, self._place.room, dtype=torch.bool, device=device)
        seen[:, 0, 0, : self._width] = prompts.mask[owner].bool()
        self._place.index.fill_(self._width - 1)
        self._state = {
            "seen": seen,
            "positions": prompts.following(1),
            "tokens": owner.new_zeros(len(owner)),
            "logprobs": self._logits.new_zeros(len(owner)),
        }
        """Of the last token of each row."""
        self._noise: Tensor | None = None
        self._replay: Callable[[], None] | None = None

    def _read(self, prompts: Prompts) -> Tensor:
        """(U, vocabulary): what follows each prompt; their keys and values lie in the cache then."""
        return self._model(
            input_ids=prompts.ids, attention_mask=prompts.mask, position_ids=prompts.positions,
            past_key_values=self._cache, use_cache=True, logits_to_keep=1, **prompts.images_of(),
        ).logits[:, -1].float()  # fmt: skip

    def draw(self, noise: Tensor | None) -> tuple[Tensor, Tensor]:
        """(B,) tokens and log-probabilities (0 where not asked for). `noise` (B, vocabulary); None takes the likeliest.

        Both tensors are written again by the next call.
        """
        if self._logits is not None:
            self._choose(self._logits, noise)
            self._logits = None
        elif self.captured:
            self._draw_captured(noise)
        else:
            self._place.shown = self._width + self._done
            self._advance(noise)
        self._done += 1
        return self._state["tokens"], self._state["logprobs"]

    def take_rows(self, rows: Tensor) -> None:
        """Goes on with these rows only, in this order."""
        for layer in self._layers:
            layer.take_rows(rows)
        state = self._state
        self._state = {name: one.index_select(1 if name == "positions" else 0, rows) for name, one in state.items()}
        self._replay = self._noise = None

    def _advance(self, noise: Tensor | None) -> None:
        """The last tokens through the model, and the next ones drawn."""
        state = self._state
        self._place.index += 1
        state["positions"] += 1
        state["seen"].index_fill_(3, self._place.index, True)
        logits = self._model(
            input_ids=state["tokens"][:, None], attention_mask=state["seen"][..., : self._place.shown],
            position_ids=state["positions"], past_key_values=self._cache, use_cache=True, logits_to_keep=1,
        ).logits[:, -1].float()  # fmt: skip
        self._choose(logits, noise)

    def _choose(self, logits: Tensor, noise: Tensor | None) -> None:
        changed = logits
        for change in self._changes:
            changed = change(None, changed)
        chosen = changed.argmax(-1) if noise is None else (changed.softmax(-1) / noise).argmax(-1)
        self._state["tokens"].copy_(chosen)
        if self._wants_logprobs:
            of_all = logits.log_softmax(-1)
            self._state["logprobs"].copy_(of_all.gather(1, chosen[:, None])[:, 0])

    def _draw_captured(self, noise: Tensor | None) -> None:
        if noise is not None:
            if self._noise is None:
                self._noise = torch.empty_like(noise)
            self._noise.copy_(noise)
        if self._replay is None:
            self._replay = self._capture()
        self._replay()

    def _capture(self) -> Callable[[], None]:
        """A call that does what `_advance` does; the state stays as it is.

        Where it cannot be captured a line says why, and each step is launched by itself from then on.
        """
        tensors = [self._place.index, *self._state.values()]
        before = [one.clone() for one in tensors]
        side, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UPS):
                self._advance(self._noise)
                for one, saved in zip(tensors, before, strict=True):
                    one.copy_(saved)
        torch.cuda.current_stream().wait_stream(side)
        try:
            with torch.cuda.graph(graph):
                self._advance(self._noise)
        except RuntimeError as error:
            log.warning("decoding is not captured (%s): each step is launched by itself", str(error).splitlines()[0])
            return lambda: self._advance(self._noise)
        return graph.replay
