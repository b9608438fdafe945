"""Whatever comes, nothing but `InputError` comes out: files damaged byte by byte, arrays and
options of all sorts. 50 of each kind; with --slow 2000.
"""

from __future__ import annotations

import time
import warnings
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from diffregimes.common import memory
from diffregimes.common.checks import InputError
from diffregimes.data.datasets import Dataset, from_arrays
from files_of_kinds import KINDS

FEW, MANY = 50, 2000
MOST_SECONDS, MOST_MIB = 5, 64
ODD = [b"\0", b"\xff", b"\x80", b"0", b"9", b"-", b"(", b"{", b'"', b",", b"\n", b"e", b"NaN"]
INTS = [0, 1, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**32 - 1]


def damaged(whole: bytes, rng: np.random.Generator) -> bytes:
    """`whole` with one to four changes, half of them near its head, where headers are."""
    out = bytearray(whole)
    for _ in range(rng.integers(1, 5)):
        size = len(out)
        far = size if rng.random() < 0.5 else min(size, 150)
        at, end = (int(x) for x in sorted(rng.integers(0, far + 1, 2)))
        match rng.integers(8):
            case 0:
                out[at : at + 1] = bytes([rng.integers(256)])
            case 1:
                del out[at:end]
            case 2:
                out[at:at] = bytes(rng.integers(0, 256, rng.integers(1, 20), dtype=np.uint8))
            case 3:
                del out[at:]
            case 4:
                out[at:end] = out[at:end] * int(rng.integers(2, 4))
            case 5:
                order = "little" if rng.random() < 0.5 else "big"
                width = int(rng.choice([2, 4]))
                value = INTS[rng.integers(len(INTS))] % 2 ** (8 * width)
                out[at : at + width] = value.to_bytes(width, order)
            case 6:
                out[at : at + 1] = ODD[rng.integers(len(ODD))]
            case 7:
                out[at:at] = ODD[rng.integers(len(ODD))] * int(rng.choice([1, 30, 3000]))
    return bytes(out)


@contextmanager
def bounded(monkeypatch):
    """No warning, no time, no memory beyond the bounds; `InputError` alone, and not for want of
    memory that nobody foresaw."""
    monkeypatch.setattr(memory, "available", lambda: MOST_MIB * 2**20)
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        refusal = None
        try:
            yield
        except InputError as error:
            refusal = error
    chain: BaseException | None = refusal
    while chain is not None:
        assert not isinstance(chain, MemoryError), refusal
        chain = chain.__cause__
    assert time.process_time() - start < MOST_SECONDS


def break_files(kind, tmp_path, monkeypatch, seeds):
    path = kind.write(tmp_path)
    whole = path.read_bytes()
    assert kind.read(tmp_path, path) is not None  # undamaged
    refused = 0
    for seed in seeds:
        data = damaged(whole, np.random.default_rng(seed))
        path.write_bytes(data)
        try:
            with bounded(monkeypatch):
                refused += 1
                kind.read(tmp_path, path)
                refused -= 1
        except Exception as error:
            error.add_note(f"{kind.name}, seed {seed}: {data[:200]!r}")
            raise
    assert refused > len(seeds) / 20  # the damage is seen, now and then


@pytest.mark.parametrize("kind", KINDS, ids=lambda x: x.name)
def test_damaged_files(kind, tmp_path, monkeypatch):
    break_files(kind, tmp_path, monkeypatch, range(FEW))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=lambda x: x.name)
def test_many_damaged_files(kind, tmp_path, monkeypatch):
    break_files(kind, tmp_path, monkeypatch, range(10**6, 10**6 + MANY))


SHAPES = arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=6)
DTYPES = st.one_of(
    arrays.boolean_dtypes(),
    arrays.integer_dtypes(),
    arrays.unsigned_integer_dtypes(),
    arrays.floating_dtypes(),
    arrays.complex_number_dtypes(),
    arrays.unicode_string_dtypes(max_len=3),
    arrays.byte_string_dtypes(max_len=3),
    arrays.datetime64_dtypes(),
)
POINTS = arrays.arrays(DTYPES, SHAPES)
NUMBERS = st.one_of(st.integers(), st.floats(), st.integers(-3, 40))
WORDS = st.one_of(st.text(max_size=4), st.sampled_from(["none", "0", "1", "a", "\udcff"]))
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "class_names": st.lists(WORDS, max_size=4),
        "classes": st.one_of(WORDS, st.lists(st.one_of(WORDS, st.integers(-2, 5)), max_size=3)),
        "per_class": NUMBERS,
        "pixel_range": st.one_of(WORDS, st.tuples(NUMBERS, NUMBERS), st.lists(NUMBERS, max_size=3)),
        "pad": NUMBERS,
        "white": st.one_of(st.none(), st.integers()),
    },
)


@st.composite
def labelled(draw):
    """Points, and labels of their number as a rule."""
    points = draw(POINTS)
    n = points.shape[0] if points.ndim else 0
    fitting = st.lists(st.one_of(st.integers(0, 2), WORDS), min_size=n, max_size=n)
    numbers = st.lists(st.integers(0, 1), min_size=n, max_size=n)
    return points, draw(st.one_of(st.none(), numbers, fitting, POINTS))


def check_arrays(given_points, options, monkeypatch):
    points, labels = given_points
    with bounded(monkeypatch):
        data = from_arrays(points, labels, **options)
        assert isinstance(data, Dataset)
        assert np.isfinite(data.points).all()
        assert all(x.isprintable() for x in data.class_names)


FUZZ = {
    "derandomize": True,
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "database": None,
}


@settings(max_examples=FEW, **FUZZ)
@given(labelled(), OPTIONS)
def test_arrays_and_options(given_points, options):
    with pytest.MonkeyPatch.context() as monkeypatch:
        check_arrays(given_points, options, monkeypatch)


@pytest.mark.slow
@settings(max_examples=MANY, **FUZZ)
@given(labelled(), OPTIONS)
def test_many_arrays_and_options(given_points, options):
    with pytest.MonkeyPatch.context() as monkeypatch:
        check_arrays(given_points, options, monkeypatch)


def test_damage_differs_from_the_whole():
    whole = bytes(range(256))
    seen = [damaged(whole, np.random.default_rng(k)) for k in range(40)]
    assert all(x != y for x, y in pairwise(seen))
    assert damaged(whole, np.random.default_rng(3)) == seen[3]
