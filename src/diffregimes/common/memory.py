"""How much memory there is, asked before it is taken: what cannot fit is refused by its size.

Linux grants more than it has and kills whoever uses it, so that a MemoryError never comes.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from pathlib import Path

from .checks import InputError

# the group of processes that this one belongs to: its limit, what is in use, and of what kind
_GROUPS = (
    ("/sys/fs/cgroup", "memory.max", "memory.current"),
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
)
_CACHE = "inactive_file", "active_file"  # given back when memory is wanted


# of glibc's malloc.h: M_ARENA_MAX and M_MMAP_THRESHOLD
_ARENA_MAX, _MMAP_THRESHOLD = -8, -3
_LARGE = 2**22  # bytes


def one_arena() -> None:
    """Let all threads of the process take their memory from one place: buffers of one that has
    ended serve the next, where glibc would keep them for each thread. Large ones go back to the
    system when they are freed, where glibc would keep blocks up to 32 MiB, with holes between
    them. Elsewhere nothing happens."""
    with suppress(AttributeError, OSError, TypeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_ARENA_MAX, 1)
        libc.mallopt(_MMAP_THRESHOLD, _LARGE)


def available() -> int | None:
    """Bytes that can still be had; None where the system does not say."""
    known = [x for x in (_of_machine(), *(_of_group(*names) for names in _GROUPS)) if x is not None]
    return min(known) if known else None


def check_fits(need: int, what: str, way_out: str) -> None:
    """Raise `InputError` if `what` needs more bytes than there are."""
    free = available()
    if free is not None and need > free:
        raise InputError(
            f"{what} needs {_gib(need)} GiB of memory; expected no more than the {_gib(free)} GiB "
            f"that are free. {way_out}"
        )


def _gib(size: int) -> str:
    """Size in GiB, whole numbers of any length included."""
    return f"{size / 2**30:.3g}" if size < 2**900 else f"10^{len(str(size)) - 10}"


def _of_machine() -> int | None:
    try:
        return _counted(Path("/proc/meminfo"))["MemAvailable:"] * 1024
    except (OSError, KeyError):
        pass
    try:  # no Linux: all that the machine has
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def _of_group(folder: str, limit: str, used: str) -> int | None:
    place = Path(folder)
    try:
        most, now = ((place / x).read_text().strip() for x in (limit, used))
        held = _counted(place / "memory.stat")
        cache = sum(held.get(f"total_{x}", held.get(x, 0)) for x in _CACHE)
        return None if most == "max" else max(0, int(most) - int(now) + cache)
    except (OSError, ValueError):
        return None


def _counted(path: Path) -> dict[str, int]:
    """The lines "name number" of a file."""
    rows = (line.split() for line in path.read_text().splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdigit()}
