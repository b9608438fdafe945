"""Running the backward process: groups of states born on the way, followed to the end together.

A block is 256 draws with generators of its own, so that results do not depend on how many blocks
run, in which order, or how many states the score is given at a time. Blocks run in worker threads
and may be stored as they finish: the same run, killed and started again, goes on where it stood.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..checks import InputError
from ..rng import torch_generator
from ..scores import AbstractScore
from ..sweep import Progress, workers
from .samplers import Step

BLOCK = 256
# Birth of a group: the states already there (rows, d), None at first -> the new rows
Birth = Callable[[Tensor | None], Tensor]
Observer = Callable[[Tensor, float], None]
Block = dict[str, np.ndarray]


@dataclass(frozen=True)
class Batched(AbstractScore):
    """A score that is given at most `rows` states at a time."""

    inner: AbstractScore
    rows: int

    def denoise(self, x: Tensor, t: float) -> Tensor:
        return torch.cat([self.inner.denoise(part, t) for part in torch.split(x, self.rows)])


def descend(
    score: AbstractScore,
    step: Step,
    times: np.ndarray,
    births: Mapping[int, tuple[Birth, ...]],
    generators: tuple[torch.Generator, torch.Generator],
    observe: Observer | None = None,
) -> Tensor:
    """States at times[-1], groups in the order of their birth.

    `births[k]` makes the groups that start at times[k]. The first group draws its noise from the
    first generator, all others from the second: its path does not depend on theirs.
    """
    x: Tensor | None = None
    first = 0
    for k, (t, s) in enumerate(pairwise(times)):
        for birth in births.get(k, ()):
            born = birth(x)
            first = first or len(born)
            x = born if x is None else torch.cat([x, born])
        if x is None:
            continue
        z = torch.empty_like(x, device="cpu")
        z[:first].normal_(generator=generators[0])
        if len(x) > first:
            z[first:].normal_(generator=generators[1])
        x = step(score, x, float(t), float(s), z.to(x.device))
        if observe:
            observe(x, float(s))
    assert x is not None
    return x


def run_blocks(
    run: Callable[[int, int], Block],
    draws: int,
    *,
    device: torch.device,
    memory_mib: int,
    store: Path | None = None,
    recipe: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    text: str = "backward process",
) -> Block:
    """run(block, size) for all blocks of `draws` draws; the results joined along the first axis.

    With `store` every finished block is kept in that folder, beside `recipe`; blocks of an earlier
    run with the same recipe are read instead of run again.
    """
    sizes = [min(BLOCK, draws - start) for start in range(0, draws, BLOCK)]
    done = _opened(store, recipe) if store is not None else {}
    stop = threading.Event()

    def one(block: int) -> Block:
        if block in done:
            return done[block]
        if stop.is_set():
            raise InterruptedError
        found = run(block, sizes[block])
        if store is not None:
            _keep(store / f"block-{block:06d}.npz", found)
        return found

    results: list[Block] = []
    with workers(device, memory_mib) as pool:
        try:
            for found in pool.map(one, range(len(sizes))):
                results.append(found)
                if progress:
                    progress(len(results), len(sizes), text)
        except BaseException:
            stop.set()
            raise
    return {k: np.concatenate([x[k] for x in results]) for k in results[0]}


def generators(seed: int, stream: str, block: int) -> tuple[torch.Generator, torch.Generator]:
    """The two generators of a block for `descend`."""
    return torch_generator(seed, f"{stream} trunk", block), torch_generator(seed, stream, block)


def _opened(store: Path, recipe: Mapping[str, Any] | None) -> dict[int, Block]:
    """Blocks that are there already; `InputError` if they belong to another run."""
    text = json.dumps(recipe, sort_keys=True, default=str)
    named = store / "recipe.json"
    store.mkdir(parents=True, exist_ok=True)
    if named.exists() and named.read_text(encoding="utf-8") != text:
        raise InputError(
            f"{store} holds the unfinished run of other options; remove it, or choose another "
            "folder."
        )
    named.write_text(text, encoding="utf-8")
    found = {}
    for path in store.glob("block-*.npz"):
        with np.load(path, allow_pickle=False) as data:
            found[int(path.stem.removeprefix("block-"))] = {k: data[k] for k in data.files}
    return found


def _keep(path: Path, found: Block) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        np.savez(file, **found)  # type: ignore[arg-type]
    os.replace(temporary, path)
