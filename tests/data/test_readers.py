"""Files to datasets: every format gives back the points put in, every defect has its message."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from diffregimes.common.checks import InputError
from diffregimes.data import readers
from diffregimes.data.datasets import from_arrays
from diffregimes.data.kinds import Raw
from diffregimes.data.readers import READERS, Reader, load

RNG = np.random.default_rng(1)
GREY = RNG.integers(0, 256, (8, 5, 6), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (8, 5, 6, 3), dtype=np.uint8)
LABELS = np.array([1, 8, 8, 1, 8, 1, 8, 1], dtype=np.uint8)
POINTS = RNG.standard_normal((8, 4)).astype(np.float32)


def write_idx(path, array):
    code = {"u1": 8, "i4": 12, "f4": 13}[array.dtype.str[1:]]
    data = struct.pack(">BBBB", 0, 0, code, array.ndim) + struct.pack(
        f">{array.ndim}I", *array.shape
    )
    data += array.astype(array.dtype.newbyteorder(">")).tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def write_images(folder, images, labels=None, suffix=".png"):
    for k, pixels in enumerate(images):
        place = folder if labels is None else folder / str(labels[k])
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{k:03d}{suffix}")
    return folder


def same(data, expected):
    np.testing.assert_array_equal(data.points, expected.points)
    np.testing.assert_array_equal(data.labels, expected.labels)
    assert data.sample_shape == expected.sample_shape
    assert data.class_names == expected.class_names
    assert data.scale == expected.scale


def fails(message, *args, **options):
    with pytest.raises(InputError, match=message) as caught:
        load(*args, **options)
    assert "Traceback" not in str(caught.value)
    return str(caught.value)


@settings(deadline=None, max_examples=15)
@given(
    images=hnp.arrays(np.uint8, st.tuples(st.just(4), st.integers(1, 5), st.integers(1, 5))),
    zipped=st.booleans(),
)
def test_every_format_gives_the_same_points(images, zipped):
    images[0, 0, 0], images[1, 0, 0] = 0, 255
    labels = np.array([0, 0, 1, 1], dtype=np.uint8)
    expected = from_arrays(images, labels)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(folder / "a.npz", images=images, labels=labels)
        same(load(folder / "a.npz"), expected)
        np.save(folder / "a.npy", images)
        np.save(folder / "l.npy", labels)
        same(load(folder / "a.npy", labels=folder / "l.npy"), expected)
        (folder / "idx").mkdir()
        end = ".gz" * zipped
        write_idx(folder / f"idx/train-images-idx3-ubyte{end}", images)
        write_idx(folder / f"idx/train-labels-idx1-ubyte{end}", labels)
        same(load(folder / "idx"), expected)
        write_images(folder / "pictures", images, labels)
        same(load(folder / "pictures"), expected)


def test_the_digits_are_those_of_scikit_learn(monkeypatch):
    """From its file, and where that is somewhere else from its function."""
    from sklearn.datasets import load_digits

    found, data = load_digits(), readers.load("digits")
    np.testing.assert_array_equal(data.points.reshape(-1, 8, 8) * 16, found.images)
    np.testing.assert_array_equal(data.labels, found.target)
    monkeypatch.setattr("diffregimes.data.kinds.find_spec", lambda name: None)
    assert readers.load("digits").fingerprint == data.fingerprint


def test_digits():
    data = load("digits", classes=[0, 1])
    assert data.n == 360
    assert data.source == "digits"
    assert data.sample_shape == (8, 8, 1)
    assert set(np.unique(data.points * 16)) == set(range(17))
    assert load("digits", pixel_range=(-1, 1)).points.min() == -1
    assert load("digits").class_names == tuple("0123456789")


def test_a_file_named_digits_is_reached_by_its_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "digits", GREY, LABELS)
    assert load("./digits").n == 8
    assert load("digits").n == 1797


def test_every_kind_is_named_where_none_fits(tmp_path):
    message = fails("there is no file or folder", tmp_path / "absent")
    (tmp_path / "a.xyz").touch()
    unknown = fails("of a kind that is not read", tmp_path / "a.xyz")
    for reader in READERS:
        assert reader.words in message
        assert reader.words in unknown
        assert reader.read.__doc__


def test_a_reader_is_one_declaration(tmp_path, monkeypatch):
    new = Reader(
        "rows", "a .rows file", lambda text, path: path.suffix == ".rows",
        lambda request: Raw(np.loadtxt(request.path)),
    )  # fmt: skip
    monkeypatch.setattr(readers, "READERS", (*READERS, new))
    np.savetxt(tmp_path / "a.rows", POINTS)
    np.testing.assert_array_equal(load(tmp_path / "a.rows").points, POINTS)
    for name, value in {"key": "x", "split": "test", "resize": 8, "crop": True}.items():
        fails(
            f"{name} .--.* is a .rows file, which has no use", tmp_path / "a.rows", **{name: value}
        )
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.rows").touch()
    fails("Give a file of it, for example .*a.rows", tmp_path / "in")


def test_source_is_written_as_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", points=POINTS)
    assert load("a.npz").source == "a.npz"


# ---- samples of a known law


def test_two_gaussian_classes():
    text = "gmm:d=6,n=2001,mu=0.5,sigma=2,weight=0.25,seed=3"
    data = load(text)
    assert data.points.shape == (2001, 6)
    assert data.points.dtype == np.float32
    assert data.class_names == ("+m", "-m")
    assert data.class_counts == (500, 1501)
    assert (data.source, data.labelled, data.sample_shape) == (text, True, (6,))
    assert "d = 6, n = 2001, mu = 0.5, sigma = 2, weight = 0.25, seed = 3" in data.notes[0]
    law = data.population
    assert law.means.tolist() == [[0.5] * 6, [-0.5] * 6]
    assert law.eigenvalues() == pytest.approx([4 + 6 * 0.25 * 0.75, 4, 4, 4, 4, 4])
    for label, sign in enumerate((1, -1)):
        own = data.points[data.labels == label].astype(float)
        error = own.std(axis=0) / np.sqrt(len(own))
        assert (np.abs(own.mean(axis=0) - sign * 0.5) < 4 * error).all()
        assert np.abs(own.std() / 2 - 1) < 4 / np.sqrt(2 * own.size)
    assert load(text).fingerprint == data.fingerprint
    assert load(text.replace("seed=3", "seed=4")).fingerprint != data.fingerprint
    assert load("digits").population is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("labels", "none"),
        ("key", "a"),
        ("classes", "+m"),
        ("per_class", 5),
        ("pixel_range", (0, 1)),
        ("pad", 2),
    ],
)
def test_options_would_change_a_known_law(name, value):
    message = fails("would change the law", "gmm:d=4,n=10", **{name: value})
    assert message.startswith(f"{name} (--")


def test_known_laws_that_cannot_be_drawn(tmp_path, monkeypatch):
    fails("lacks n, the number of points", "gmm:d=4")
    fails(r"classes [+]m and -m 1 and 9 points.*Raise n", "gmm:d=4,n=10,weight=0.1")
    fails("all 10 points are identical", "gmm:d=4,n=10,mu=0,sigma=0")
    fails("Did you mean gmm:d=1024,n=20000", "gmm")
    assert "gmm:d=1024,n=20000" in fails("Did you mean", "GMM:d=4,n=10")
    monkeypatch.chdir(tmp_path)
    write_images(tmp_path / "gmm:d=4", GREY, LABELS)
    assert load("./gmm:d=4").n == 8


# ---- .npz and .npy


@pytest.fixture
def archive(tmp_path):
    def save(**arrays):
        path = tmp_path / "data.npz"
        np.savez(path, **arrays)
        return path

    return save


def test_npz_points_are_read_without_labels_too(archive):
    data = load(archive(points=POINTS))
    assert not data.labelled
    np.testing.assert_array_equal(data.points, POINTS)


def test_npz_takes_what_is_unambiguous(archive):
    path = archive(faces=GREY, person=LABELS, is_val=LABELS > 1, mean=np.float64(3))
    data = load(path)
    same(data, from_arrays(GREY, LABELS))
    assert "the points are the array faces" in data.notes
    assert "the labels are the array person" in data.notes


def test_npz_keys_by_name(archive):
    path = archive(x_train=GREY, y_train=LABELS, x_test=COLOUR, y_test=LABELS[::-1])
    same(load(path, key="x_test", labels="y_test"), from_arrays(COLOUR, LABELS[::-1]))
    assert not load(path, key="x_train", labels="none").labelled
    data = load(path, key="x_test")
    same(data, from_arrays(COLOUR, LABELS[::-1]))
    assert "the labels are the array y_test" in data.notes
    same(load(path), from_arrays(GREY, LABELS))
    assert any("the part train was read (test left out" in x for x in load(path).notes)
    same(load(path, split="test"), from_arrays(COLOUR, LABELS[::-1]))
    message = fails("split .--split. is 'val', and .* has the parts test, train", path, split="val")
    fails("has no array 'x' .--key.; it holds x_train", path, key="x")
    path = archive(faces=GREY, colours=COLOUR, person=LABELS, pose=LABELS)
    message = fails("several arrays that could be the data", path)
    assert "colours (8, 5, 6, 3) uint8" in message
    assert "person (8,) uint8" in message
    fails("several arrays that could be labels .person, pose", path, key="faces")
    path = archive(x_train=GREY, y_train=LABELS, x_test=COLOUR, y_test=LABELS[::-1])
    assert "y_test (8,)" in fails(
        "neither a key of the archive nor", path, key="x_test", labels="y"
    )


def test_npz_labels_of_shape_n_1_are_not_taken_for_data(archive):
    same(load(archive(data=GREY, labels=LABELS[:, None])), from_arrays(GREY, LABELS))
    same(load(archive(data=GREY, y=LABELS[:, None]), labels="y"), from_arrays(GREY, LABELS))


def test_npz_without_data(archive):
    fails("holds no data; expected one called images", archive(labels=LABELS))
    fails("several arrays", archive(images=GREY, points=POINTS))
    fails("It has no arrays", archive())


def test_labels_from_a_file_go_with_an_npz(archive, tmp_path):
    (tmp_path / "l.txt").write_text("\n".join(map(str, LABELS)))
    same(load(archive(images=GREY), labels=tmp_path / "l.txt"), from_arrays(GREY, LABELS))


def test_arrays_that_need_pickle_are_refused(archive, tmp_path):
    ragged = np.array([GREY[0], POINTS], dtype=object)
    fails("needs pickle.*plain dtype", archive(images=ragged))
    fails("needs pickle", archive(images=GREY, labels=LABELS.astype(object)))
    np.save(tmp_path / "o.npy", ragged)
    fails("needs pickle", tmp_path / "o.npy")


def test_damaged_archives(archive, tmp_path):
    path = tmp_path / "no.npz"
    path.write_bytes(b"hello")
    fails("is not an .npz archive", path)
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("images.npy", b"hello")
    fails("cannot be read as an .npz file", path)
    whole = archive(images=GREY, labels=LABELS).read_bytes()
    path.write_bytes(whole[:-30])
    fails("was cut short", path)
    path.write_bytes(whole[:400] + b"xyz" + whole[403:])
    fails("cannot be read as an .npz file .*CRC", path)


def test_damaged_npy(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, GREY)
    path.write_bytes(path.read_bytes()[:-9])
    fails("cannot be read as an .npy file", path)
    path.write_bytes(b"")
    fails("cannot be read as an .npy file", path)
    buffer = io.BytesIO()
    np.savez(buffer, a=GREY)
    path.write_bytes(buffer.getvalue())
    fails("archive under the name .npy. Rename", path)


def test_key_is_for_npz_alone(tmp_path):
    np.save(tmp_path / "a.npy", GREY)
    fails("is an .npy file, which has no use for it", tmp_path / "a.npy", key="images")
    fails("is for an .npz file, a .mat file", "digits", key="images")


# ---- labels


@pytest.mark.parametrize("column", ["-1", "column:4", "4", -1])
def test_a_column_of_labels_is_taken_out_of_the_points(tmp_path, column):
    np.save(tmp_path / "a.npy", np.column_stack([POINTS, LABELS]))
    data = load(tmp_path / "a.npy", labels=column)
    same(data, from_arrays(POINTS, LABELS))
    assert any("column" in note for note in data.notes)


def test_a_column_that_does_not_exist(tmp_path):
    np.save(tmp_path / "a.npy", POINTS)
    fails(r"name column 9 but the points have the shape \(8, 4\)", tmp_path / "a.npy", labels="9")
    fails("not all integers", tmp_path / "a.npy", labels="0")
    fails("name column 0 but", "digits", labels="0")


@pytest.mark.parametrize(
    ("name", "text", "spec"),
    [
        ("l.txt", "1\n8\n8\n1\n8\n1\n8\n1\n\n", "l.txt"),
        ("l.txt", "1.0e+00\n8.0\n8\n1\n8\n1\n8\n1", "l.txt"),
        ("l.csv", "digit\n1\n8\n8\n1\n8\n1\n8\n1\n", "l.csv"),
        (
            "l.csv",
            "﻿id,digit\n" + "".join(f"{k},{x}\n" for k, x in enumerate(LABELS)),
            "l.csv:digit",
        ),
        (
            "l.csv",
            "id;digit\n" + "".join(f"{k}; {x}\n" for k, x in enumerate(LABELS)),
            "l.csv:digit",
        ),
    ],
)
def test_files_of_labels(tmp_path, name, text, spec):
    (tmp_path / name).write_text(text, encoding="utf-8")
    np.save(tmp_path / "a.npy", POINTS)
    same(load(tmp_path / "a.npy", labels=tmp_path / spec), from_arrays(POINTS, LABELS))


def test_labels_that_are_words_or_too_large_for_floats_stay_strings(tmp_path):
    np.save(tmp_path / "a.npy", POINTS)
    (tmp_path / "l.txt").write_text("cat\ndog\n" * 4)
    assert load(tmp_path / "a.npy", labels=tmp_path / "l.txt").class_names == ("cat", "dog")
    (tmp_path / "l.txt").write_text("90071992547409931\n90071992547409930\n" * 4)
    assert len(load(tmp_path / "a.npy", labels=tmp_path / "l.txt").class_names) == 2


def test_an_idx_file_of_labels(tmp_path):
    np.save(tmp_path / "a.npy", POINTS)
    write_idx(tmp_path / "x-labels-idx1-ubyte", LABELS)
    data = load(tmp_path / "a.npy", labels=tmp_path / "x-labels-idx1-ubyte")
    same(data, from_arrays(POINTS, LABELS))


@pytest.mark.parametrize(
    ("name", "text", "spec", "message"),
    [
        ("l.txt", "1\n8\n", "l.txt", r"labels have the shape \(2,\) for 8 points"),
        ("l.txt", "\n", "l.txt", "is empty"),
        ("l.csv", "a,b\n1,2\n", "l.csv", "several columns .a, b.*l.csv:NAME"),
        ("l.csv", "a,b\n1,2\n", "l.csv:c", "no column 'c'; it has a, b"),
        ("l.csv", "a,b\n1,2\n1\n", "l.csv:b", "no entry in column 2 of row 3"),
        ("l.txt", "1\n", "l.txt:b", "is not a .csv file"),
        ("l.json", "1\n", "l.json", "a table of JSON; .*this converts it"),
        ("l.txt", "1\n", "m.txt", "there is no such file"),
    ],
)
def test_files_of_labels_that_do_not_fit(tmp_path, name, text, spec, message):
    (tmp_path / name).write_text(text)
    np.save(tmp_path / "a.npy", POINTS)
    fails(message, tmp_path / "a.npy", labels=tmp_path / spec)


def test_labels_that_are_not_text(tmp_path):
    (tmp_path / "l.txt").write_bytes(b"\xff\xfe\x00")
    fails("cannot be read as a text file", "digits", labels=tmp_path / "l.txt")


# ---- IDX


@pytest.fixture
def mnist(tmp_path):
    folder = tmp_path / "mnist"
    folder.mkdir()
    write_idx(folder / "t10k-images-idx3-ubyte", GREY[:3])
    write_idx(folder / "t10k-labels-idx1-ubyte", LABELS[:3])
    write_idx(folder / "train-images-idx3-ubyte.gz", GREY)
    write_idx(folder / "train-labels-idx1-ubyte.gz", LABELS)
    return folder


def test_idx_folder_prefers_train(mnist):
    data = load(mnist)
    same(data, from_arrays(GREY, LABELS))
    assert "read train-images-idx3-ubyte.gz (t10k-images-idx3-ubyte left out)" in data.notes


def test_idx_file_with_labels_beside_it(mnist):
    (mnist / "t10k-labels-idx1-ubyte").unlink()
    write_idx(mnist / "t10k-labels-idx1-ubyte.gz", np.array([0, 1, 1], np.uint8))
    path = mnist / "t10k-images-idx3-ubyte"
    fails("class 0 has 1 point", path)
    (mnist / "t10k-labels-idx1-ubyte.gz").unlink()
    write_idx(path, GREY)
    data = load(path)
    assert not data.labelled
    assert any("no labels file t10k-labels-idx1-ubyte" in note for note in data.notes)
    labels = mnist / "train-labels-idx1-ubyte.gz"
    same(load(path, labels=labels), from_arrays(GREY, LABELS))


def test_idx_of_floats_and_dotted_names(tmp_path):
    write_idx(tmp_path / "train-images.idx2-ubyte", POINTS)
    write_idx(tmp_path / "train-labels.idx1-ubyte", LABELS.astype(np.int32))
    same(load(tmp_path), from_arrays(POINTS, LABELS))


def test_images_win_over_idx_files(mnist):
    write_images(mnist, COLOUR, LABELS)
    assert load(mnist).sample_shape == (5, 6, 3)


def test_damaged_idx(mnist):
    path = mnist / "train-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:60])
    fails("cannot be read as an IDX file .*cut short", mnist)
    path.write_bytes(whole[:20] + b"....." + whole[25:])
    fails("cannot be read as an IDX file", mnist)
    plain = gzip.decompress(whole)
    path.write_bytes(plain[:-5])
    fails("is truncated: its header, shape .8, 5, 6. of uint8, asks for 240 .* 235", mnist)
    path.write_bytes(plain[:10])
    fails("is truncated: its header alone has 16 bytes", mnist)
    path.write_bytes(plain + b"x")
    fails("is too long", mnist)
    path.write_bytes(b"\x89PNG....")
    fails("is not an IDX file: it starts with the bytes 89 50 4e 47", mnist)
    path.write_bytes(b"")
    fails("is not an IDX file", mnist)


def test_idx_files_that_do_not_belong_together(mnist):
    write_idx(mnist / "train-labels-idx1-ubyte.gz", LABELS[:5])
    fails(r"holds 8 images but train-labels-idx1-ubyte.gz has labels of the shape \(5,\)", mnist)
    fails("labels, it seems; expected a file of images", mnist / "t10k-labels-idx1-ubyte")
    for path in mnist.glob("*images*"):
        path.unlink()
    fails("has IDX files but none of images", mnist)


# ---- image folders


ORDER = np.argsort(LABELS, kind="stable")  # folders come one after the other
CLASSES = LABELS[ORDER]


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
@pytest.mark.parametrize("images", [GREY, COLOUR])
def test_lossless_formats(tmp_path, suffix, images):
    write_images(tmp_path, images, LABELS, suffix)
    same(load(tmp_path), from_arrays(images[ORDER], CLASSES))


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".JPEG"])
def test_lossy_formats(tmp_path, suffix):
    smooth = np.linspace(0, 255, 8 * 16 * 16).reshape(8, 16, 16).astype(np.uint8)
    write_images(tmp_path, smooth, LABELS, suffix)
    expected = from_arrays(smooth[ORDER], CLASSES).points
    grey = load(tmp_path).points.reshape(8, 256, -1).mean(axis=-1)  # WebP is always RGB
    np.testing.assert_allclose(grey, expected, atol=0.05)


def test_the_first_frame_of_a_gif(tmp_path):
    for k, pixels in enumerate(GREY):
        frames = [Image.fromarray(pixels), Image.fromarray(GREY[k - 1])]
        frames[0].save(tmp_path / f"{k}.gif", save_all=True, append_images=frames[1:])
    first = load(tmp_path).points.reshape(*GREY.shape, -1)[..., 0]
    np.testing.assert_allclose(first * 255, GREY, atol=1e-4)


def test_any_colour_makes_all_colour_and_alpha_is_dropped(tmp_path):
    write_images(tmp_path, [*GREY[:4], *COLOUR[4:]], LABELS)
    alpha = np.full((5, 6, 1), 9, np.uint8)
    Image.fromarray(np.concatenate([COLOUR[4], alpha], axis=-1)).save(tmp_path / "8" / "004.png")
    data = load(tmp_path)
    mixed = np.concatenate([np.repeat(GREY[:4, ..., None], 3, axis=-1), COLOUR[4:]])
    same(data, from_arrays(mixed[ORDER], CLASSES))
    assert "4 grey images were made RGB, as others are in colour" in data.notes
    assert "the alpha channel of 1 images was dropped" in data.notes


def test_grey_with_alpha_stays_grey(tmp_path):
    for k, pixels in enumerate(GREY):
        Image.fromarray(pixels).convert("LA").save(tmp_path / f"{k}.png")
    assert load(tmp_path).sample_shape == (5, 6, 1)


def test_sixteen_bits_are_kept_or_brought_down_to_the_others(tmp_path):
    deep = GREY.astype(np.uint16) * 257
    deep[0, 0] = [3, 70, 500, 40000, 65535, 0]
    write_images(tmp_path / "deep", deep, LABELS)
    same(load(tmp_path / "deep"), from_arrays(deep[ORDER], CLASSES))
    write_images(tmp_path / "mixed", [*deep[:4], *GREY[4:]], LABELS)
    mixed = np.concatenate([(deep[:4] >> 8).astype(np.uint8), GREY[4:]])
    data = load(tmp_path / "mixed")
    same(data, from_arrays(mixed[ORDER], CLASSES))
    assert any("4 images of 16 bits were reduced" in note for note in data.notes)
    write_images(tmp_path / "colour", [*deep[:4], *COLOUR[4:]], LABELS)
    assert load(tmp_path / "colour").sample_shape == (5, 6, 3)


def test_pixels_that_are_not_16_bit_or_not_whole(tmp_path):
    write_images(tmp_path, [x.astype(np.int32) * 1000 for x in GREY], suffix=".tif")
    fails("are not 16-bit", tmp_path)
    write_images(tmp_path, [x.astype(np.float32) for x in GREY], suffix=".tif")
    fails("holds floats", tmp_path, skip_unreadable=True)


def test_images_in_the_folder_itself_have_no_labels(tmp_path):
    write_images(tmp_path, GREY)
    (tmp_path / "._000.png").write_bytes(b"a mac's shadow file")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "empty").mkdir()
    data = load(tmp_path)
    assert not data.labelled
    np.testing.assert_array_equal(data.points, from_arrays(GREY).points)
    assert "subfolders without images left out: empty" in data.notes
    fails("no labels to choose by", tmp_path, classes="1")


@pytest.mark.parametrize("header", ["", "file,label\n"])
def test_labels_by_file_name(tmp_path, header):
    folder = write_images(tmp_path / "a", GREY)
    rows = [f"{k:03d}.png,{LABELS[k]}\n" for k in (5, 4, 7, 6, 0, 1, 2, 3)]
    (tmp_path / "l.csv").write_text(header + "".join(rows) + "gone.png,1\n")
    data = load(folder, labels=tmp_path / "l.csv")
    same(data, from_arrays(GREY, LABELS))
    assert any("1 rows of" in note and "name no image" in note for note in data.notes)


def test_labels_by_file_name_in_a_named_column(tmp_path):
    folder = write_images(tmp_path / "a", GREY, LABELS)
    names = [f"{LABELS[k]}/{k:03d}.png" for k in range(8)]
    rows = "".join(f"{k % 2},{name},x\n" for k, name in enumerate(names))
    (tmp_path / "l.csv").write_text("odd,file,other\n" + rows)
    data = load(folder, labels=f"{tmp_path / 'l.csv'}:odd")
    assert data.labels.tolist() == (ORDER % 2).tolist()
    fails("has 3 column.s. .odd, file, other", folder, labels=tmp_path / "l.csv")
    (tmp_path / "l.csv").write_text("file,odd\n1/000.png,3\n")
    fails("has no label for 7 of 8 images, the first 1/003.png", folder, labels=tmp_path / "l.csv")
    fails("no such file; expected a .csv", folder, labels=tmp_path / "m.csv")


def test_labels_in_the_order_of_the_names(tmp_path):
    folder = write_images(tmp_path / "a", GREY)
    np.save(tmp_path / "l.npy", LABELS)
    same(load(folder, labels=tmp_path / "l.npy"), from_arrays(GREY, LABELS))
    np.save(tmp_path / "l.npy", LABELS[:3])
    fails(r"shape \(3,\) for 8 points", folder, labels=tmp_path / "l.npy")


def test_images_in_the_folder_and_below_need_a_word(tmp_path):
    write_images(tmp_path, GREY[:4])
    write_images(tmp_path, GREY[4:], LABELS[4:])
    fails("4 images itself and 4 in subfolders", tmp_path)
    assert load(tmp_path, labels="none").n == 8


def test_folders_named_like_numbers_are_chosen_by_name_and_only_these_opened(tmp_path):
    write_images(tmp_path, GREY, LABELS)
    (tmp_path / "3").mkdir()
    (tmp_path / "3" / "broken.png").write_bytes(b"")
    data = load(tmp_path, classes=[8, 1], per_class=3)
    assert data.class_names == ("8", "1")
    assert data.class_counts == (3, 3)
    assert load(tmp_path, classes=["8"]).class_names == ("8",)
    fails("class 'x' does not exist; the data have the classes 1, 3, 8", tmp_path, classes="1,x")


def test_images_of_different_sizes_are_named(tmp_path):
    write_images(tmp_path, [*GREY[:7], GREY[7, :4]], LABELS)
    message = fails("different sizes", tmp_path)
    assert "1/000.png is 6×5 and 1/007.png is 6×4 (1 of 8 differ" in message
    assert "Resize" in message


def test_unreadable_images_stop_the_run_or_are_counted(tmp_path):
    write_images(tmp_path, RNG.integers(0, 256, (8, 40, 40), dtype=np.uint8), LABELS)
    good = load(tmp_path)
    (tmp_path / "1" / "000.png").write_bytes(b"not an image")
    assert "1/000.png" in fails("cannot be read as an image.*--skip-unreadable", tmp_path)
    cut = tmp_path / "8" / "006.png"
    cut.write_bytes(cut.read_bytes()[:600])  # its header is whole
    data = load(tmp_path, skip_unreadable=True, per_class=2)
    np.testing.assert_array_equal(data.points, good.points[[1, 2, 4, 5]])
    assert "2 images could not be read and were left out, the first 1/000.png" in data.notes
    (tmp_path / "1" / "000.png").unlink()
    assert "006.png" in fails("cannot be read as an image", tmp_path)


def test_a_folder_of_unreadable_images(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    fails("none of the 1 images", tmp_path, skip_unreadable=True)


def test_progress_counts_every_image(tmp_path):
    write_images(tmp_path, GREY, LABELS)
    (tmp_path / "1" / "bad.png").write_bytes(b"")
    calls = []
    load(tmp_path, skip_unreadable=True, progress=lambda *call: calls.append(call))
    assert calls[:9] == [(k + 1, 9, "reading image headers") for k in range(9)]
    assert calls[9:] == [(k + 1, 8, "decoding images") for k in range(8)]


# ---- sources that are none


def test_sources_that_do_not_exist(tmp_path):
    np.save(tmp_path / "faces.npy", GREY)
    assert "faces.npy" in fails("Did you mean", tmp_path / "face.npy")
    assert "Did you mean digits?" in fails("there is no file or folder 'digit'", "digit")
    fails("there is no folder .*nowhere", tmp_path / "nowhere" / "a.npz")
    fails("there is no file or folder ''", "")
    fails("Check the spelling[.]$", "zzzzzzzzzzzzzz")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.png", "single image: give its folder"),
        ("a.xyz", "Convert the data to .npz"),
        ("a", "no suffix"),
    ],
)
def test_files_of_other_kinds(tmp_path, name, message):
    (tmp_path / name).write_bytes(b"x")
    assert "IDX" in fails(message, tmp_path / name)


def test_folders_without_data(tmp_path):
    fails("it is empty", tmp_path)
    (tmp_path / "a.npz").write_bytes(b"")
    assert "Give a file of it" in fails("no data in the folder", tmp_path)
    write_images(tmp_path / "train", GREY, LABELS)
    same(load(tmp_path), load(tmp_path / "train"))


def test_a_folder_that_may_not_be_read(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    fails("Permission denied.*check that it is there and that you may read it", tmp_path)


# ---- the real data of the paper's table 1

DATA = os.environ.get("DIFFREGIMES_DATA")
real_data = pytest.mark.skipif(not DATA, reason="DIFFREGIMES_DATA is not set")


def largest_first_channel(data):
    first = data.points.reshape(data.n, -1, data.sample_shape[2])[:, :, 0]
    return np.linalg.eigvalsh(np.cov(first.T.astype(np.float64)))[-1]


@real_data
def test_mnist_one_and_eight():
    data = load(Path(DATA) / "mnist", classes="1,8", per_class=5000, pad=2)
    assert data.points.shape == (10000, 32 * 32)
    assert data.class_counts == (5000, 5000)
    assert largest_first_channel(data) == pytest.approx(7.668, abs=1e-3)


@real_data
def test_cifar_automobile_and_horse():
    path = Path(DATA) / "cifar10-auto-horse" / "cifar10_auto_horse_train.npz"
    data = load(path, classes=[1, 7], per_class=1500)
    assert data.points.shape == (3000, 32 * 32 * 3)
    assert largest_first_channel(data) == pytest.approx(16.722, abs=1e-3)
