"""The boundary between files and the program, and what a person gets to read of names."""

from __future__ import annotations

import ast
import csv
import json
import lzma
import os
import struct
import tokenize
import warnings
import zipfile
import zlib

import numpy as np
import pytest

from diffregimes.common import serial
from diffregimes.common.checks import InputError, in_range
from diffregimes.common.files import hidden, write_atomically
from diffregimes.common.readable import printable
from diffregimes.common.reading import check_regular, read_json, readable, why
from diffregimes.common.recipe import check_device
from diffregimes.data.datasets import from_arrays
from diffregimes.data.readers import load

ERRORS = [
    OSError(5, "Input/output error"), EOFError(), ValueError("no"), MemoryError(),
    RecursionError("deep"), OverflowError("large"), struct.error("short"), zlib.error("bad"),
    lzma.LZMAError("bad"), zipfile.BadZipFile("no"), tokenize.TokenError("EOF", (1, 0)),
    IndentationError("odd"), UnicodeDecodeError("utf-8", b"x", 0, 1, "no"), csv.Error("long"),
    NotImplementedError("later"), RuntimeError("locked"),
]  # fmt: skip


@pytest.mark.parametrize("error", ERRORS, ids=lambda x: type(x).__name__)
def test_whatever_a_parser_raises_is_one_message(error):
    said = r"a.b cannot be read as an X .*; do Y"
    with pytest.raises(InputError, match=said) as caught, readable("a.b", "an X", "do Y."):
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("bug", ["len(3)", "{}['x']", "().x", "1 / 0", "[][0]", "nothing"])
def test_bugs_of_the_package_are_seen_and_those_of_libraries_told(bug):
    """The same line, in a module of the package and beyond it."""
    code = compile(f"def fail():\n    {bug}", "x.py", "exec")
    ours, theirs = {"__name__": "diffregimes.data.readers"}, {"__name__": "library"}
    for names, told in ((ours, False), (theirs, True)):
        exec(code, names)
        with pytest.raises(Exception) as caught, readable("a.b", "an X"):  # noqa: PT011
            names["fail"]()
        assert isinstance(caught.value, InputError) == told


def test_what_the_package_says_of_a_file_is_no_bug():
    names = {"__name__": "diffregimes.data.readers"}
    exec("def fail():\n    raise ValueError('an odd header')", names)
    with pytest.raises(InputError, match="an odd header"), readable("a.b", "an X"):
        names["fail"]()


def test_messages_pass_and_warnings_do_not():
    with pytest.raises(InputError, match=r"^mine$"), readable("a", "b"):
        raise InputError("mine")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with readable("a", "b"):
            warnings.warn("odd", stacklevel=1)
    with pytest.raises(KeyboardInterrupt), readable("a", "b"):
        raise KeyboardInterrupt


def test_why():
    assert why(ValueError("one\ntwo")) == "one"
    assert why(ValueError("\n")) == "ValueError"
    assert len(why(ValueError("x" * 10**6))) < 210


def test_a_caller_who_stops_the_run_is_not_a_damaged_file(tmp_path):
    from PIL import Image

    for name in "ab":
        (tmp_path / name).mkdir()
        Image.new("L", (2, 2), ord(name)).save(tmp_path / name / "x.png")

    def stop(done, total, text):
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match=r"^enough$"):
        load(tmp_path, progress=stop)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000 + "]" * 100_000, "not JSON"),
        ("{", "not JSON"),
        ('{"a": "\udcff"}', "not JSON"),
        (None, "cannot read .*No such file"),
    ],
)
def test_json_that_is_none(tmp_path, text, message):
    path = tmp_path / "a.json"
    if text is not None:
        path.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(InputError, match=f"{message}.*expected a list"):
        read_json(path, "a list")


def test_pipes_and_folders_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(InputError, match="no regular file"):
        read_json(tmp_path / "pipe.json", "a list")
    with pytest.raises(InputError, match="a pipe or a device"):
        check_regular(tmp_path / "pipe.json", "a list")
    with pytest.raises(InputError, match="is a folder"):
        check_regular(tmp_path, "a list")
    for source in (tmp_path / "pipe.json", "/dev/null"):
        with pytest.raises(InputError, match="kind that is not read"):
            load(source)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cat", "cat"),
        ("Größe 3×3 日本 👩‍🚀 हिन्दी", "Größe 3×3 日本 👩‍🚀 हिन्दी"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("caf\udce9", r"caf\xe9"),
        ("\ud800", r"\ud800"),
        ("a\u202egnp", r"a\u202egnp"),
        ("a\u2067b\u200e", r"a\u2067b\u200e"),
        ("a\r\nb\x9b\u2028", r"a\x0d\x0ab\x9b\u2028"),
    ],
)
def test_names_are_printable(text, shown):
    assert printable(text) == shown
    assert printable(shown) == shown


def test_names_of_classes_and_files_are_made_printable_where_they_come_in(tmp_path):
    from PIL import Image

    for k, name in enumerate([b"caf\xe9", b"\x1b[31mred", "a\u202eb".encode()]):
        place = os.path.join(os.fsencode(tmp_path), name)
        os.mkdir(place)
        for j in range(2):
            with open(os.path.join(place, b"\xff%d.png" % j), "wb") as file:
                Image.new("L", (2, 2), 60 * k + j).save(file, "png")
    data = load(tmp_path)
    assert data.class_names == (r"\x1b[31mred", r"a\u202eb", r"caf\xe9")
    assert data.files[0] == r"\x1b[31mred/\xff0.png"
    assert data.conditions == (0, 1, 2)
    assert load(tmp_path, classes=[r"caf\xe9"]).class_names == (r"caf\xe9",)
    assert load(tmp_path, classes=["caf\udce9"]).class_names == (r"caf\xe9",)


def test_names_that_print_alike_are_refused():
    with pytest.raises(InputError, match="told apart"):
        from_arrays(np.eye(4), ["\x1b", "\x1b", r"\x1b", r"\x1b"])


def test_text_that_is_no_unicode_is_written_and_read(tmp_path):
    said = serial.text({"source": "caf\udce9"})
    assert json.loads(said)["source"] == "caf\udce9"
    write_atomically(tmp_path / "a.json", said)
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))["source"] == "caf\udce9"
    write_atomically(tmp_path / "a.csv", "caf\udce9")
    assert ast.literal_eval(f'"{(tmp_path / "a.csv").read_text()}"') == "caf\udce9"


def test_hidden_names_fit(tmp_path):
    for name in ("x" * 255, "é" * 127, "short"):
        beside = hidden(tmp_path / name, ".partial-1234567")
        beside.touch()
        assert beside.name.startswith(f".{name[:4]}")
        assert beside.name.endswith(".partial-1234567")


@pytest.mark.parametrize(
    "value", [10**5000, -(10**5000), 3, np.nan], ids=["huge", "low", "3", "nan"]
)
def test_numbers_out_of_range_are_told_whatever_their_length(value):
    with pytest.raises(InputError, match=r"seed is .*expected a number from 0 to 2") as caught:
        in_range("seed", value, 0, 2)
    assert len(str(caught.value)) < 100


def test_labels_in_another_encoding(tmp_path):
    with pytest.raises(InputError, match=r"cannot be read as UTF-8 .*latin-1"):
        from_arrays(np.eye(4), np.array(["é".encode("latin-1")] * 4))
    np.save(tmp_path / "a.npy", np.eye(4))
    (tmp_path / "l.txt").write_bytes("é\né\na\na\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"cannot be read as a text file .*expected UTF-8"):
        load(tmp_path / "a.npy", labels=tmp_path / "l.txt")
    (tmp_path / "l.csv").write_text('a\nb\na\n"' + "b" * 200_000)
    with pytest.raises(InputError, match="cells of 1000 characters"):
        load(tmp_path / "a.npy", labels=tmp_path / "l.csv")


@pytest.mark.parametrize(
    "device", ["", "x", "cpu:-1", "cuda:999999999999999999999", "hpu", "privateuseone", "mkldnn"]
)
def test_devices_that_are_not_known(device):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match=r"cannot be used .*; try cpu"):
            check_device(device)
