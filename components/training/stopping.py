"""A training that is asked to end (SIGTERM, Ctrl-C) finishes its step and writes a resume point first."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from components.params.trainer import GRACE_S

log = logging.getLogger("lookout.training")
ASKS = (signal.SIGTERM, signal.SIGINT)


class StopWhenAsked(TrainerCallback):
    """`every`: a resume point can only lie at a multiple of so many steps."""

    def __init__(self, stage: str, every: int = 1) -> None:
        self._stage, self._every, self._asked = stage, every, False
        self._saved: int | None = None
        self.stopped_at: int | None = None
        """The step behind which it was stopped; None where it was not."""

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Takes the signals while the training runs; a second Ctrl-C ends it at once."""
        if threading.current_thread() is not threading.main_thread():
            yield  # only the main thread may take signals
            return
        before = {number: signal.signal(number, self._ask) for number in ASKS}
        try:
            yield
        finally:
            signal.alarm(0)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        if self._asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not self._asked:
            signal.alarm(GRACE_S)  # the kernel ends the process then, whatever it does
            last = "there is none yet" if self._saved is None else f"the last one is of step {self._saved}"
            log.info(
                "%s: asked to end: a resume point is written behind this step, within %d s (%s)",
                self._stage, GRACE_S, last,
            )  # fmt: skip
        self._asked = True

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        self._saved = state.global_step or None

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object) -> None:
        self._saved = state.global_step

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: object
    ) -> None:
        asked = self._asked_of_any(args)
        if asked and state.global_step % self._every == 0 and state.global_step < state.max_steps:
            control.should_save = control.should_training_stop = True
            self.stopped_at = state.global_step

    def _asked_of_any(self, args: TrainingArguments) -> bool:
        """Over all processes: the signal reaches them in different steps, and they must stop behind the same one."""
        from torch import distributed

        if not (distributed.is_available() and distributed.is_initialized()) or distributed.get_world_size() == 1:
            return self._asked
        flag = torch.tensor(int(self._asked), device=args.device)
        distributed.all_reduce(flag, op=distributed.ReduceOp.MAX)
        return bool(flag.item())
