"""Which device this process works on: of several on one machine each has a GPU of its own."""

from __future__ import annotations

import os

import torch

from components.errors import ModelError


def own_device() -> str:
    """cuda:N, N being this process's number on its machine (LOCAL_RANK, 0 alone); cpu where there is no GPU.

    It becomes the process's current device too. Raises ModelError where the machine has fewer GPUs than processes.
    """
    if not torch.cuda.is_available():
        return "cpu"
    number, there = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if number >= there:
        raise ModelError(
            f"process {number} of this machine wants a GPU of its own, but {there} are there; lower the number of "
            "processes (predict.processes), or look at CUDA_VISIBLE_DEVICES"
        )
    torch.cuda.set_device(number)
    return f"cuda:{number}"
