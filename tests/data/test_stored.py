"""Arrays in files: what is chosen is what the whole array gives, and no more is held than that."""

from __future__ import annotations

import gzip
import tracemalloc

import numpy as np
import pytest

from diffregimes.common import memory
from diffregimes.common.checks import InputError
from diffregimes.data.arrayfiles import stored_idx, stored_npy, stored_npz
from diffregimes.data.datasets import from_arrays
from diffregimes.data.readers import load
from diffregimes.data.streams import DEFLATED
from files_of_kinds import idx

MIB = 2**20


def written(folder, array, how):
    """The array in a file, as it is stored there."""
    path = folder / how
    if how.endswith(".npy"):
        np.save(path, np.asfortranarray(array) if how.startswith("f") else array)
        return stored_npy(path)
    if how.endswith(".npz"):
        save = np.savez_compressed if how.startswith("c") else np.savez
        save(path, images=array)
        return stored_npz(path, "images")
    path.write_bytes(gzip.compress(idx(array)) if how.endswith(".gz") else idx(array))
    return stored_idx(path)


PLAIN = ["a.npy", "f.npy", "a.npz", "c.npz", "a-idx2-ubyte", "a-idx2-ubyte.gz"]


@pytest.mark.parametrize("how", PLAIN)
def test_rows_blocks_and_columns_are_those_of_the_array(tmp_path, monkeypatch, how):
    monkeypatch.setattr("diffregimes.data.stored._BLOCK", 1000)
    rng = np.random.default_rng(1)
    array = rng.normal(size=(300, 7))
    stored = written(tmp_path, array, how)
    for indices in ([], [0], [299], [3, 4, 5, 90, 92], list(range(300)), list(range(1, 300, 2))):
        np.testing.assert_array_equal(stored.rows(np.array(indices, dtype=int)), array[indices])
    np.testing.assert_array_equal(np.concatenate(list(stored.blocks())), array)
    assert how.startswith("f") or len(list(stored.blocks())) > 10
    assert stored.extremes() == (array.min(), array.max())
    np.testing.assert_array_equal(stored.column(-2), array[:, -2])
    left = stored.leaving(-2)
    np.testing.assert_array_equal(left.rows(np.array([2, 7])), np.delete(array, -2, 1)[[2, 7]])
    assert left.shape == (300, 6)
    np.testing.assert_array_equal(left.read(), np.delete(array, -2, axis=1))


@pytest.mark.parametrize("how", PLAIN)
@pytest.mark.parametrize("scale", [None, (-1, 1), "none"])
@pytest.mark.parametrize("dtype", ["uint8", "float64"])
def test_a_part_of_a_file_is_the_part_of_its_array(tmp_path, how, scale, dtype):
    """Whatever decides the map of the values: the dtype, or the extremes of all that there is."""
    rng = np.random.default_rng(2)
    array = rng.integers(0, 200, (90, 6)).astype(dtype)
    array[-1] = 255  # not among the chosen: the last of its class
    labels = np.arange(90) % 3
    np.save(tmp_path / "l.npy", labels)
    written(tmp_path, array, how)
    found = load(
        tmp_path / how, labels=tmp_path / "l.npy", per_class=4, classes="2,0", pixel_range=scale
    )
    wanted = from_arrays(array, labels, per_class=4, classes="2,0", pixel_range=scale)
    np.testing.assert_array_equal(found.points, wanted.points)
    np.testing.assert_array_equal(found.indices, wanted.indices)
    assert found.pixel_map == wanted.pixel_map
    assert found.fingerprint == wanted.fingerprint
    if scale == (-1, 1):  # 255 is white though it was not chosen: 199 is the most that was
        assert found.points.max() <= 2 * 199 / 255 - 1


def test_values_that_were_not_chosen_are_asked_only_where_they_decide(tmp_path):
    array = np.random.default_rng(3).random((30, 4))
    array[1] = np.nan
    np.save(tmp_path / "a.npy", array)
    np.save(tmp_path / "l.npy", np.arange(30) % 3)
    how = {"labels": tmp_path / "l.npy", "classes": "0,2"}
    np.testing.assert_allclose(load(tmp_path / "a.npy", **how).points[0], array[0])
    with pytest.raises(InputError, match="outside of the chosen classes"):
        load(tmp_path / "a.npy", **how, pixel_range=(-1, 1))


@pytest.mark.parametrize("how", ["a.npy", "c.npz", "a.npz", "a-idx2-ubyte.gz"])
def test_no_more_is_held_than_what_is_chosen(tmp_path, monkeypatch, how):
    """96 MiB of zeros, and the stream of a zip passes over 16 at a time."""
    array = np.zeros((192, MIB // 2), dtype=np.uint8)
    array[::2, 0], array[100] = 9, 1
    stored = written(tmp_path, array, how)
    np.save(tmp_path / "l.npy", np.arange(192) % 2)
    del array
    tracemalloc.start()
    rows = stored.rows(np.array([99, 100, 101]))
    data = load(tmp_path / how, labels=tmp_path / "l.npy", per_class=2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rows[:, 5].tolist() == [0, 1, 0]
    assert data.n == 4
    assert peak < 48 * MIB


def test_what_does_not_fit_is_refused_by_its_size(tmp_path, monkeypatch):
    path = tmp_path / "a.npy"
    rng = np.random.default_rng(0)
    np.save(path, rng.integers(0, 256, (4096, 1024), dtype=np.uint8))
    monkeypatch.setattr(memory, "available", lambda: 8 * MIB)
    with pytest.raises(InputError, match=r"needs 0.0195 GiB .* 0.00781 GiB that are free"):
        load(path)
    np.save(tmp_path / "l.npy", np.arange(4096) % 2)
    assert load(path, labels=tmp_path / "l.npy", per_class=9).n == 18
    images = tmp_path / "b.npy"
    np.save(images, np.arange(32, dtype=np.uint8).reshape(2, 4, 4))
    with pytest.raises(InputError, match=r"2 points of the shape \(4, 4\) with 10000000000 pixels"):
        load(images, pad=10**10)
    with pytest.raises(InputError, match="needs 10"):
        load(images, pad=10**300)


def test_the_memory_of_this_machine():
    free = memory.available()
    assert free is None or 2**20 < free < 2**50


def test_of_a_group_of_processes_the_cache_can_be_had(tmp_path):
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("900\n")
    (tmp_path / "memory.stat").write_text("anon 300\ninactive_file 500\nactive_file 50\n")
    assert memory._of_group(str(tmp_path), "memory.max", "memory.current") == 650
    (tmp_path / "memory.max").write_text("max\n")
    assert memory._of_group(str(tmp_path), "memory.max", "memory.current") is None
    assert memory._of_group(str(tmp_path), "no", "no") is None


def test_a_header_that_asks_for_more_than_its_file_can_hold(tmp_path):
    """Before any of it is allocated; deflate makes nothing smaller than by 1032."""
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((4, 4)))
    path.write_bytes(path.read_bytes().replace(b"(4, 4)", b"(4, 9)"))
    with pytest.raises(InputError, match=r"truncated: its header, shape .4, 9. .*288 bytes.* 128"):
        load(path)
    zipped = tmp_path / "a-idx2-ubyte.gz"
    head = idx(np.zeros((1, 1), np.uint8))[:4] + (2**31).to_bytes(4, "big") * 2
    zipped.write_bytes(gzip.compress(head + bytes(10**6)))
    size = zipped.stat().st_size
    with pytest.raises(InputError, match=f"asks for {2**62} bytes.* {size * DEFLATED}"):
        load(zipped)


def test_zeros_that_go_on_and_on_are_not_read(tmp_path):
    """A header of 12 images before a body that unpacks to 30 MB."""
    path = tmp_path / "a-images-idx3-ubyte.gz"
    honest = idx(np.random.default_rng(0).integers(0, 9, (12, 4, 4)).astype(np.uint8))
    path.write_bytes(gzip.compress(honest + bytes(30 * MIB)))
    tracemalloc.start()
    with pytest.raises(InputError, match="too long"):
        load(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * MIB


@pytest.mark.parametrize("axes", [65, 255])
def test_idx_of_many_axes(tmp_path, axes):
    path = tmp_path / "a-images-idx3-ubyte"
    path.write_bytes(bytes([0, 0, 8, axes]) + (1).to_bytes(4, "big") * axes + b"x")
    with pytest.raises(InputError, match="expected"):
        load(path)


def test_text_of_letters_that_are_none(tmp_path):
    path = tmp_path / "l.npy"
    np.save(path, np.array(["a", "b"]))
    path.write_bytes(path.read_bytes().replace(b"b\0\0\0", b"b\0\0\xff"))
    with pytest.raises(InputError, match="letters that are none"):
        stored_npy(path).read()
    np.save(path, np.array(["a", "b"]).astype(">U1"))
    assert stored_npy(path).read().tolist() == ["a", "b"]
