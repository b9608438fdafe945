"""Nonsense for every option of every command: status 2, one message, nothing written.

The commands are asked for their options, so that a new one is tried as well. A few for each
command; with --slow all.
"""

from __future__ import annotations

import inspect
import os
import random
import warnings
from pathlib import Path

import numpy as np
import pytest

from command import contents, runner, save_pixels
from diffregimes.common.checks import InputError
from diffregimes.report.folder import staged
from nonsense import BY_NAME, commands

REQUIRED = {"source": "a.npz", "model": "net", "data": "a.npz", "at": "0.5"}
# what is odd and has a meaning
ACCEPTED = {
    ("augment", ""),  # none
    *((name, x) for name in ("times",) for x in ("1,0", "1,1", "1e-320,1")),  # in any order
}
ORDERED = {"analyze"}  # whose times must increase
MOST = 1500  # characters of a message
FEW = 9  # of each command

CASES = {
    words: [
        (options, option, value)
        for option in options
        for value in option.nonsense
        if (option.name, value) not in ACCEPTED or words[-1] in ORDERED
    ]
    for words, options in commands()
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with an archive, and with files that are no good."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DIFFREGIMES_DATA", raising=False)
    save_pixels(Path("a.npz"))
    Path("broken.npz").write_bytes(Path("a.npz").read_bytes()[:500])
    Path("wall").write_text("a file, where a folder is expected")
    Path("wall.json").write_text("{}")
    Path("deep.json").write_text("[" * 100_000 + "]" * 100_000)
    huge = '"num_train_timesteps": 1e400, "beta_start": 1e-4, "beta_end": 1e400'
    Path("huge.json").write_text(f'{{"beta_schedule": "linear", {huge}}}')
    head = b"{'descr': '<f4', 'fortran_order': False, 'shape': " + b"(" * 3000 + b")" * 3000 + b"}"
    Path("deep.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head)
    for name in ("pipe", "pipe.npz", "pipe.csv", "pipe.json"):
        os.mkfifo(name)
    Path("net").mkdir()  # what is asked of a network is refused before it is looked for
    return tmp_path


def required(options, but):
    """The arguments without which a command does not start."""
    needed = [x for x in options if x.default is inspect.Parameter.empty and x is not but]
    values = [(x, REQUIRED[x.name]) for x in needed]
    return [y for x, value in values for y in (x.given(value) if x.flag else [value])]


def refuses(words, cases, place, monkeypatch, capfd):
    run = runner(monkeypatch, capfd)
    before = listing(place)
    for options, option, value in cases:
        arguments = [*required(options, option), *option.given(value)]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            ran = run(*arguments, command=words)
        shown = (*words, option.name, value[:40], ran.err[-300:])
        assert ran.code == 2, shown
        assert ran.out == "", shown
        assert "Traceback" not in ran.err, shown
        assert 10 < len(ran.err) < MOST, shown
        assert "\x1b[31m" not in ran.err, shown
        assert listing(place) == before, shown


def listing(place):
    return sorted(x.relative_to(place).as_posix() for x in place.rglob("*"))


@pytest.mark.parametrize("words", CASES, ids=" ".join)
def test_some_nonsense(words, place, monkeypatch, capfd):
    cases = random.Random(" ".join(words)).sample(CASES[words], min(FEW, len(CASES[words])))
    refuses(words, cases, place, monkeypatch, capfd)


@pytest.mark.slow
@pytest.mark.parametrize("words", CASES, ids=" ".join)
def test_all_nonsense(words, place, monkeypatch, capfd):
    refuses(words, CASES[words], place, monkeypatch, capfd)


def test_every_option_is_tried():
    """The table knows all types, and every name in it is that of an option."""
    assert len(CASES) > 10
    named = {option.name for cases in CASES.values() for _, option, _ in cases}
    assert named >= set(BY_NAME)
    assert sum(map(len, CASES.values())) > 1000


def test_the_data_of_the_table_are_good(place, monkeypatch, capfd):
    ran = runner(monkeypatch, capfd)("a.npz", "--dry-run")
    assert ran.code == 0, ran.err
    assert np.load("a.npz")["images"].shape == (60, 4, 3)
    assert set(contents(place)["net"] or ()) == set()


def test_a_home_is_expanded(place, monkeypatch, capfd):
    monkeypatch.setenv("HOME", str(place))
    ran = runner(monkeypatch, capfd)("a.npz", "--dry-run", "--out", "~/x")
    assert f"{place}/x/results.json" in ran.out.replace("\n", "")


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "a" + "é" * 127])
def test_the_longest_names_have_room_for_a_stage(place, name):
    for _ in range(2):  # beside the folder, then in it
        with staged(place / name) as stage:
            (stage / "results.json").write_text("{}")
    assert contents(place / name) == {"results.json": b"{}"}
    assert not [x for x in place.iterdir() if x.name.startswith(".")]


def test_a_failed_run_leaves_no_folders(place):
    (place / "kept").mkdir()
    with pytest.raises(InputError, match="no"), staged(place / "kept" / "new" / "deep" / "out"):
        raise InputError("no")
    assert list((place / "kept").iterdir()) == []
