"""Looking at a network in training and leaving everything as it was.

What a look may not change: which submodules are in train mode, the random numbers that come next
(Python's, numpy's, torch's, CUDA's), gradients and whether they are taken, autocast, and the memory
held on a GPU. Inside no gradient is taken and nothing is cast; afterwards all of it is what it was,
whatever went wrong inside.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch


@contextmanager
def undisturbed() -> Iterator[None]:
    """The surroundings: random numbers, gradients, autocast, memory on GPUs."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    gpu = on_gpu()
    cuda = torch.cuda.get_rng_state_all() if gpu else []
    reserved = _reserved(gpu)
    try:
        with ExitStack() as inside:
            inside.enter_context(torch.no_grad())
            for kind in ("cpu", "cuda") if gpu else ("cpu",):
                inside.enter_context(torch.autocast(kind, enabled=False))
            yield
    finally:
        # what was cast here has no gradient: an autocast around us must cast its weights anew
        torch.clear_autocast_cache()
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])
        if cuda:
            torch.cuda.set_rng_state_all(cuda)
        if _reserved(gpu) > reserved:
            torch.cuda.empty_cache()


@contextmanager
def evaluating(*networks: torch.nn.Module) -> Iterator[None]:
    """Networks in eval mode; then every submodule in the mode that it was in."""
    modes = [(x, x.training) for network in networks for x in network.modules()]
    try:
        for network in networks:
            network.eval()
        yield
    finally:
        for x, mode in modes:
            x.training = mode


def _reserved(gpu: bool) -> int:
    """Bytes that torch holds on all GPUs, in use or not."""
    places = range(torch.cuda.device_count()) if gpu else ()
    return sum(torch.cuda.memory_reserved(x) for x in places)


def on_gpu() -> bool:
    """Whether a GPU is in use, which asking must not change."""
    started: bool = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return started
