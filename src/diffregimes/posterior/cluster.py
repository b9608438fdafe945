"""Shards on the workers of a cluster, by Dask.

A worker reads its shards from the file itself, which must be at the same address for all; what
travels is the description of the points and the draws, and back the moments. They are merged in a
tree on the workers. A worker that dies is replaced by what others compute again; one that joins
late takes part.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from typing import Any, TypeVar

import numpy as np
import torch

from ..common.checks import InputError

SECONDS = 20  # that a scheduler may take to answer
SETS = 4  # of shards for each thread of the workers
_Found = TypeVar("_Found")
Work = Callable[[slice], _Found]
Merge = Callable[[_Found, _Found], _Found]


def _of_set(job: tuple[Work, Merge, str], parts: Sequence[slice]) -> Any:
    """On a worker: what the job makes of some shards, merged."""
    work, both, wanted = job
    own = version("diffregimes")
    if own != wanted:
        raise InputError(
            f"a worker has diffregimes {own}, and the run was started by {wanted}; expected one "
            "version everywhere. Install it on the workers and start them again."
        )
    torch.set_num_threads(1)  # a task a core
    return functools.reduce(both, map(work, parts))


def _merged(job: tuple[Work, Merge, str], one: Any, two: Any) -> Any:
    return job[1](one, two)


def reduced(client: Any, work: Work[_Found], both: Merge[_Found], parts: list[slice]) -> _Found:
    """What `work` makes of every part, merged by `both` in a tree."""
    threads = max(1, sum(client.nthreads().values()))
    sets = np.array_split(np.arange(len(parts)), min(len(parts), SETS * threads))
    job = client.scatter((work, both, version("diffregimes")), broadcast=True, hash=False)
    todo = [client.submit(_of_set, job, [parts[k] for k in x], pure=False) for x in sets]
    every = list(todo)
    try:
        while len(todo) > 1:
            pairs = [todo[k : k + 2] for k in range(0, len(todo), 2)]
            todo = [
                client.submit(_merged, job, *x, pure=False) if len(x) > 1 else x[0] for x in pairs
            ]
            every += todo
        found: _Found = todo[0].result()
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"a worker of the cluster cannot run diffregimes ({error}). Install this version, "
            f"{version('diffregimes')}, on the workers and start them again."
        ) from error
    except InputError:
        raise
    except Exception as error:
        if type(error).__module__.split(".")[0] != "distributed":
            raise
        raise InputError(
            f"the workers of the cluster were lost ({type(error).__name__}: {error}). Give them "
            "more memory, or fewer threads each; finished pieces stay, and the same command goes "
            "on."
        ) from error
    finally:
        with suppress(Exception):
            client.cancel(every)
    return found


@contextmanager
def connected(address: str | None, workers: int | None = None) -> Iterator[Any]:
    """A client of the scheduler at `address`, or of so many processes of this machine. Raises
    `InputError`."""
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise InputError(
            'a cluster needs the extra "dask": pip install "diffregimes[dask]".'
        ) from error
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    if address is None:
        place = LocalCluster(  # type: ignore[no-untyped-call]
            n_workers=workers, threads_per_worker=1, dashboard_address=":0",
            silence_logs=logging.CRITICAL,
        )  # fmt: skip
        with place, Client(place) as client:  # type: ignore[no-untyped-call]
            yield client
        return
    try:
        client = Client(address, timeout=SECONDS)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TimeoutError) as error:
        raise InputError(
            f"no scheduler of Dask answered at {address} within {SECONDS} seconds ({error}). Check "
            "the address, such as tcp://host:8786, and that `dask scheduler` runs there."
        ) from error
    with client:
        yield client
