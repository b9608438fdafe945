"""Worker threads that run whole blocks of draws, and the callback that tells how far they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import torch

# progress(done, total, text): both in the unit of the text; may raise to stop the run.
Progress = Callable[[float, float, str], None]
_MIB_PER_WORKER = 64  # buffers of one worker of the pass at 4096 columns


@contextmanager
def workers(
    device: torch.device, memory_mib: int, beside: int = 0, blocks: int | None = None
) -> Iterator[ThreadPoolExecutor]:
    """Threads that each run whole blocks with one core: no waiting for each other inside a block.

    `beside` are MiB that a worker needs beside its buffers, `blocks` how many there are: a single
    one gets all cores. On a GPU one worker feeds the device. The number of torch threads is put
    back afterwards.
    """
    threads = torch.get_num_threads()
    fit = memory_mib // (_MIB_PER_WORKER + beside)
    count = 1 if device.type != "cpu" else max(1, min(threads, fit, blocks or threads))
    one = (lambda: torch.set_num_threads(1)) if count > 1 else None
    pool = ThreadPoolExecutor(count, initializer=one)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(threads)
