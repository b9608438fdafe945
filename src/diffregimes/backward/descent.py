"""Running the backward process: groups of states born on the way, followed to the end together.

A block is 256 draws with random numbers of its own, so that results do not depend on how many
blocks run, in which order, or how many states the score is given at a time (but for rounding).
Blocks run in worker threads and may be stored as they finish: the same run, killed and started
again, goes on where it stood, and one with more draws takes up the whole blocks of one with fewer.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..common.checks import InputError, in_range
from ..common.files import replacing, write_atomically
from ..common.parallel import Progress, workers
from ..common.recipe import versions
from ..common.rng import point_of_pair, torch_generator
from ..scores import AbstractScore, given
from .samplers import Step, decreasing, sampler

BLOCK = 256
NUMBERS = 2**20  # in the states of one step, by default: what a step needs beside is some times it
_PAUSE = 0.25  # seconds between two reports of progress
# Birth of a group: the states already there (rows, d), None at first -> new rows
Birth = Callable[[Tensor | None], Tensor]
Observer = Callable[[Tensor, float], None]
Arrays = dict[str, np.ndarray]


class DeadEnd(InputError):
    """A run that cannot be ended: it would fail again, and its stored blocks are of no use."""


@dataclass(frozen=True)
class Run:
    """How to run backwards: what clones, U-turns and tracking have in common.

    grid : times of the sampler, decreasing, from noise to the data
    sampler : one of `samplers.SAMPLERS`
    batch : states that the score is given at a time; about a million numbers without
    dtype, device : of the states
    memory_mib : decides how many blocks run at a time
    store : folder that keeps finished blocks, so that a run may be killed and started again
    recipe : with `store`, whatever tells this run from others: at least its score and data, for
        the options given here and to the function are put beside it
    conditions : of the training points (n,): a `ConditionalScore` is asked for those of every
        point equally often, draw k for that of the point number `point_of_pair` k
    progress : callback (done, total, text)
    """

    grid: Any
    sampler: str = "bridge"
    seed: int = 0
    batch: int | None = None
    dtype: torch.dtype = torch.float32
    device: str = "cpu"
    memory_mib: int = 1024
    store: Path | None = None
    recipe: Mapping[str, Any] | None = None
    conditions: np.ndarray | None = None
    progress: Progress | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "grid", decreasing(self.grid))
        sampler(self.sampler)
        if self.batch is not None:
            in_range("batch", self.batch, 1, 10**9)
        if self.store is not None and not self.recipe:
            raise InputError(
                "store came without recipe; expected recipe={...} that names the score and the "
                "data, so that blocks of another run are not taken for those of this one."
            )

    @property
    def end(self) -> float:
        return float(self.grid[-1])

    def told(self, **more: Any) -> dict[str, Any]:
        """`recipe`, or what is known here without one: the sampler, `more`, and versions."""
        if self.recipe:
            return dict(self.recipe)
        own = {"sampler": self.sampler, "steps": len(self.grid) - 1, "seed": self.seed}
        return {**own, **more, "versions": versions()}

    def rows(self, d: int) -> int:
        """States of d numbers at a time."""
        return self.batch or max(1, NUMBERS // d)

    def block(
        self,
        stream: str,
        index: int,
        size: int,
        stop: threading.Event | None = None,
        tell: Callable[[float], None] | None = None,
    ) -> Block:
        """Block number `index` of a named stream of random numbers, of `size` draws."""
        trunk, rest = (torch_generator(self.seed, stream + x, index) for x in (" trunk", ""))
        return Block(self, index * BLOCK, size, trunk, rest, stop or threading.Event(), tell)

    def normal(self, generator: torch.Generator, *shape: int) -> Tensor:
        """Standard normal numbers, drawn on the CPU: the same on every device."""
        return torch.randn(*shape, generator=generator, dtype=self.dtype).to(self.device)


@dataclass(frozen=True)
class Block:
    """`size` draws from number `first` on; the first group of states takes its noise from `trunk`,
    all others from `rest`: its path does not depend on theirs. `tell` hears the share done."""

    run: Run
    first: int
    size: int
    trunk: torch.Generator
    rest: torch.Generator
    stop: threading.Event
    tell: Callable[[float], None] | None = None

    def conditions(self, states: int) -> Tensor | None:
        """Of so many states, group after group of `size`; None where there are none."""
        known = self.run.conditions
        if known is None:
            return None
        drawn = point_of_pair(len(known), self.first, self.size, self.run.seed)
        return torch.from_numpy(known[drawn]).repeat(states // self.size)

    def descend(
        self,
        score: AbstractScore,
        births: Mapping[int, Sequence[Birth]],
        observe: Observer | None = None,
    ) -> Tensor:
        """States at the end of the grid, groups in the order of their birth.

        `births[k]` makes the groups that start at grid[k]; `observe` sees all states after each
        step. Raises `InputError` if states become infinite or NaN.
        """
        step = sampler(self.run.sampler).step
        x: Tensor | None = None
        trunk = 0
        groups = np.cumsum([len(births.get(k, ())) for k in range(len(self.run.grid) - 1)])
        share = np.cumsum(groups) / groups.sum()
        for k, (t, s) in enumerate(pairwise(self.run.grid.tolist())):
            if self.stop.is_set():
                raise InterruptedError
            for birth in births.get(k, ()):
                born = birth(x)
                trunk = trunk or len(born)
                x = born if x is None else torch.cat([x, born])
            if x is None:
                continue
            z = torch.empty_like(x, device="cpu")
            z[:trunk].normal_(generator=self.trunk)
            if len(x) > trunk:
                z[trunk:].normal_(generator=self.rest)
            own = self.conditions(len(x))
            x = _by_rows(step, score, own, x, t, s, z.to(x.device), self.run.rows(x.shape[1]))
            if observe:
                observe(x, s)
            if self.tell:
                self.tell(float(share[k]))
        assert x is not None
        if not bool(torch.isfinite(x).all()):
            raise InputError(
                f"the states became infinite or NaN on the way with sampler {self.run.sampler!r}; "
                "take more steps, or dtype float64."
            )
        return x


def _by_rows(
    step: Step,
    score: AbstractScore,
    conditions: Tensor | None,
    x: Tensor,
    t: float,
    s: float,
    z: Tensor,
    rows: int,
) -> Tensor:
    """The step taken with so many states at a time: x serves for the result."""
    if rows >= len(x):
        return step(given(score, conditions), x, t, s, z)
    for first in range(0, len(x), rows):
        part = slice(first, first + rows)
        own = given(score, None if conditions is None else conditions[part])
        x[part] = step(own, x[part], t, s, z[part])
    return x


def run_blocks(
    run: Run,
    stream: str,
    draws: int,
    task: Callable[[Block], Arrays],
    *,
    rows: int,
    dimension: int,
    text: str,
    **options: Any,
) -> Arrays:
    """task(block) for all blocks of `draws` draws; the results joined along the first axis.

    `stream` names the random numbers, `text` the progress; a draw has `rows` states of `dimension`;
    `options` are what the results depend on beside the run and its recipe.
    """
    sizes = [min(BLOCK, draws - start) for start in range(0, draws, BLOCK)]
    stop = threading.Event()
    options |= {"kind": stream, "dimension": dimension}
    store = None if run.store is None else _opened(run, options)
    shares = [0.0] * len(sizes)

    def one(index: int) -> Arrays:
        path = None if store is None else store / f"block-{index:06d}.npz"
        arrays = None if path is None else _kept(path, sizes[index])
        if arrays is None:
            with torch.no_grad():  # in every thread anew: scores and classes may be networks
                tell = partial(shares.__setitem__, index)
                arrays = task(run.block(stream, index, sizes[index], stop, tell))
            if path is not None:
                with replacing(path) as file:
                    np.savez(file, **arrays)  # type: ignore[arg-type]
        shares[index] = 1.0
        return arrays

    # states, noise, and both once more while the next are made
    each = 16 * BLOCK * rows * dimension // 2**20
    with workers(torch.device(run.device), run.memory_mib, each, len(sizes)) as pool:
        futures = [pool.submit(one, index) for index in range(len(sizes))]
        pending = set(futures)
        try:
            while pending:  # a block of a network takes minutes: it is told of on the way
                done, pending = wait(pending, _PAUSE, FIRST_COMPLETED)
                for future in done:
                    future.result()
                if run.progress:
                    run.progress(sum(shares), len(sizes), text)
        except BaseException as error:
            stop.set()
            if isinstance(error, InputError):
                raise DeadEnd(str(error)) from error
            raise
    results = [x.result() for x in futures]
    return {k: np.concatenate([x[k] for x in results]) for k in results[0]}


def _opened(run: Run, options: Mapping[str, Any]) -> Path:
    """The store, without a finished block or of this very run; else `InputError`."""
    assert run.store is not None
    store = Path(run.store)
    known = {
        "grid": run.grid.tolist(),
        "sampler": run.sampler,
        "seed": run.seed,
        "dtype": str(run.dtype),
        **options,
        "recipe": run.recipe,
    }
    text = json.dumps(known, sort_keys=True, default=str)
    named = store / "recipe.json"
    try:
        store.mkdir(parents=True, exist_ok=True)
        if not named.exists() or not any(store.glob("block-*.npz")):
            write_atomically(named, text)
    except OSError as error:
        raise InputError(f"{store} cannot be written ({error}); choose another folder.") from error
    if named.read_text(encoding="utf-8") != text:
        raise InputError(
            f"{store} holds the unfinished run of other options; remove it, or choose another "
            "folder."
        )
    return store


def _kept(path: Path, size: int) -> Arrays | None:
    """A stored block; None where there is none, or one cut short by a full disk or fewer draws."""
    try:
        with np.load(path, allow_pickle=False) as data:
            arrays = {k: data[k] for k in data.files}
    except Exception:  # of a damaged archive nearly anything; not `readable`: threads come here
        return None
    return arrays if arrays and all(len(v) == size for v in arrays.values()) else None
