"""Randomness that belongs to a draw.

A seed and a stream name give one generator for each block of draws, whatever the chunk size, the
number of workers or the point where an earlier run stopped. Nothing here or elsewhere touches
the global generators.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import torch


def _words(seed: int, stream: str, block: int) -> np.random.SeedSequence:
    return np.random.SeedSequence([seed, zlib.crc32(stream.encode()), block])


def torch_generator(seed: int, stream: str, block: int = 0) -> torch.Generator:
    """A CPU generator for one block of a named stream."""
    words = _words(seed, stream, block).generate_state(2, np.uint32)
    # manual_seed takes 63 bits without a sign
    return torch.Generator().manual_seed((int(words[0]) << 31) ^ int(words[1]))


def numpy_generator(seed: int, stream: str, block: int = 0) -> np.random.Generator:
    """A numpy generator for one block of a named stream."""
    return np.random.default_rng(_words(seed, stream, block))


def point_of_pair(n: int, first: int, count: int, seed: int) -> np.ndarray:
    """Training points of the pairs first .. first + count - 1: a random order of all n, again
    and again, so that every point serves equally often (stratified sampling)."""
    pairs = np.arange(first, first + count)
    out = np.empty(count, dtype=np.int64)
    for epoch in np.unique(pairs // n):
        mine = pairs // n == epoch
        order = numpy_generator(seed, "points", int(epoch)).permutation(n)
        out[mine] = order[pairs[mine] % n]
    return out


def sobol(dimension: int, count: int, seed: int, stream: str, block: int = 0) -> np.ndarray:
    """Scrambled Sobol points (count, dimension) in the open unit cube; `count` a power of two.
    torch's: scipy.stats, which has them too, takes half a second to load."""
    scrambled = int(numpy_generator(seed, stream, block).integers(2**62))
    made: Any = torch.quasirandom.SobolEngine  # which has no types
    engine = made(dimension, scramble=True, seed=scrambled)
    return np.asarray(engine.draw(count, dtype=torch.float64).numpy().clip(1e-12, 1 - 1e-12))
