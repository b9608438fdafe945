"""zarr: arrays kept by chunks in a folder, a .zip or at an address, versions 2 and 3 of the format.

A chunk that is not there is read as the fill value, without a word: a writer leaves chunks out that
hold nothing else, and a copy that was cut short loses others. So they are looked for first.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np

from ..common.reading import readable
from .archives import Archive, named_arrays
from .blocks import Blocks, Span
from .extras import extra
from .request import Raw, Request

_MARKS = ("zarr.json", ".zarray", ".zgroup")
_KIND = "a zarr store"
_DEPTH = 8  # of groups in groups
_REQUESTS = 32  # at a time


def is_zarr(text: str, path: Path) -> bool:
    """Whether a source is a zarr store; an address can be nothing else."""
    if "://" in text:
        return True
    if path.is_dir():
        named = path.name.lower().endswith(".zarr")
        return named or any((path / x).is_file() for x in _MARKS)
    return path.name.lower().endswith(".zarr.zip") and path.is_file()


def zarr(request: Request) -> Raw:
    """zarr, a folder, a .zarr.zip or an address of fsspec (s3://bucket/data.zarr): arrays as in an
    .npz, named by their path, such as train/images; needs the extra "zarr", and for addresses the
    package that fsspec asks for."""
    where = request.text if "://" in request.text else request.path
    with extra("zarr", where):
        import zarr as package
    with readable(where, _KIND, "expected a group or an array of zarr; check the address."):
        node = package.open(_store(where), mode="r")
        if isinstance(node, package.Array):
            found = {"images" if node.ndim > 2 else "points": node}
        else:
            members = node.members(max_depth=_DEPTH)
            found = {name: x for name, x in members if isinstance(x, package.Array)}
    headers = {name: (x.shape, _dtype(x)) for name, x in found.items() if x.shape}
    absent = dict[str, str]()

    def read(key: str) -> np.ndarray | Blocks:
        array = found[key]
        with readable(f"{where}/{key}", _KIND):
            if headers[key][1].kind == "U":
                return np.array(np.asarray(array[...]).tolist(), dtype=str)
            cut, spans, parts = _absent(array)
        if array.ndim < 2 and not cut:  # of labels in their order many are the fill value
            parts, spans = parts + len(spans), ()
        if parts:
            absent[key] = (
                f"{parts} chunks of {key} are not in the store and count as {array.fill_value}, "
                "as one leaves chunks out that hold nothing else"
            )
        return _blocks(str(where), key, array, tuple(sorted((*cut, *spans))))

    raw = named_arrays(request, Archive(where, headers, read))
    return raw.noting(*absent.values())


def _store(where: Path | str) -> Any:
    """What zarr opens."""
    if not str(where).endswith(".zip"):
        return str(where)
    from zarr.storage import ZipStore

    return ZipStore(where, mode="r")


def _dtype(array: Any) -> np.dtype:
    """Text of any length is told as text."""
    return np.dtype("U1") if array.dtype.kind in "TO" else array.dtype


def _blocks(where: str, key: str, array: Any, absent: tuple[Span, ...]) -> Blocks:
    inside = array.path  # of the store; a worker of a cluster opens it itself

    def opened() -> Any:
        import zarr as package

        return package.open_array(_store(where), path=inside, mode="r")

    return Blocks(
        f"{where}/{key}" if inside else where, _KIND, array.shape, array.dtype,
        lambda first, last: np.asarray(opened()[first:last]),
        array.chunks[0], lambda: repr(opened().metadata), absent,
    )  # fmt: skip


def _absent(array: Any) -> tuple[tuple[Span, ...], tuple[Span, ...], int]:
    """Spans of rows of which a chunk was cut short, those of which none is in the store, and how
    many chunks of others are not there."""
    from zarr.core.common import concurrent_map
    from zarr.core.sync import sync

    size = array.shards or array.chunks
    counts = [math.ceil(n / k) for n, k in zip(array.shape, size, strict=True)]
    store, inside = array.store, f"{array.path}/" if array.path else ""
    blosc = array.shards is None and any(
        type(x).__name__.startswith("Blosc") for x in array.compressors[-1:]
    )

    async def checked(keys: list[str]) -> list[bool | None]:
        try:
            there = {x async for x in store.list_prefix(inside)}
        except (OSError, NotImplementedError, ValueError):  # as a server without listings
            there = set()

        async def whole(key: str) -> bool | None:
            if key not in there and not await store.exists(key):
                return None
            return not blosc or await _blosc_whole(store, key)

        return list(await concurrent_map([(x,) for x in keys], whole, limit=_REQUESTS))

    grid = itertools.product(*map(range, counts))
    states = sync(checked([inside + array.metadata.encode_chunk_key(x) for x in grid]))
    cut, spans, parts = list[Span](), list[Span](), 0
    each = len(states) // max(1, counts[0])
    for k in range(counts[0]):
        of_rows = states[k * each : (k + 1) * each]
        span = k * size[0], min((k + 1) * size[0], array.shape[0])
        if False in of_rows:
            cut.append(span)
        elif not any(of_rows):
            spans.append(span)
        else:
            parts += of_rows.count(None)
    return tuple(cut), tuple(spans), parts


async def _blosc_whole(store: Any, key: str) -> bool:
    """Whether a chunk is as long as its head says: Blosc reads on beyond the end of one that was
    cut short, and returns what happens to lie in memory there."""
    from zarr.abc.store import RangeByteRequest
    from zarr.core.buffer import default_buffer_prototype

    told = await store.get(key, default_buffer_prototype(), RangeByteRequest(12, 16))
    size = await store.getsize(key)
    return bool(size >= 16 and int.from_bytes(told.to_bytes(), "little") == size)
