"""Tables as programs write them: what is no number or no value is told, or read as what it is."""

from __future__ import annotations

import contextlib
import csv
import json
import shlex
import struct
import sys
import zipfile
import zlib

import numpy as np
import pytest
import scipy.io
from PIL import Image
from scipy import sparse

from diffregimes.common.checks import InputError
from diffregimes.data.datasets import from_arrays
from diffregimes.data.readers import load

RNG = np.random.default_rng(3)
N = 24
CODES = np.arange(N) % 2
WORDS = np.array(["cat", "dog"])[CODES]
POINTS = RNG.standard_normal((N, 3)).round(4) + 2 * CODES[:, None]


def same(data, points, labels):
    expected = from_arrays(points, labels)
    np.testing.assert_allclose(data.points, expected.points, rtol=1e-6)
    np.testing.assert_array_equal(data.labels, expected.labels)
    assert data.class_names == expected.class_names
    assert data.labelled == (labels is not None)


def text(path, head, *columns, mark=",", decimal="."):
    """A table of POINTS with more columns before and after them."""
    before, after = [*columns, [], []][:2]
    rows = [
        [*(str(x[k]) for x in before), *(str(y).replace(".", decimal) for y in POINTS[k].tolist()),
         *(str(x[k]) for x in after)]
        for k in range(N)
    ]  # fmt: skip
    path.write_text(head + "".join(mark.join(x) + "\n" for x in rows))
    return path


def fails(path, message, **options):
    with pytest.raises(InputError, match=message):
        load(path, **options)


def told(data, words):
    return any(words in x for x in data.notes)


@pytest.mark.parametrize("mark", [";", "\t"])
def test_decimal_commas(tmp_path, mark):
    head = mark.join(["a", "b", "c", "label"]) + "\n"
    data = load(text(tmp_path / "x.csv", head, [], [WORDS], mark=mark, decimal=","))
    same(data, POINTS, WORDS)
    assert told(data, "decimal commas")
    data = load(text(tmp_path / "x.csv", head, [], [WORDS], mark=mark))
    same(data, POINTS, WORDS)
    assert not told(data, "decimal commas")


def test_commas_that_part_thousands_are_no_decimals(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("a;b\n" + "".join(f"{k + 1},234;{k}\n" for k in range(N)))
    with pytest.raises(InputError, match=r"columns a are not numbers \(the first has '1,234'\)"):
        load(path)
    path.write_text("a;b\n" + "".join(f"{k + 1},234;{k},5\n" for k in range(N)))
    same(load(path), np.column_stack([np.arange(N) + 1.234, np.arange(N) + 0.5]), None)


@pytest.mark.parametrize(
    "head",
    [
        "sep=;\na;b;c;label\n",
        "# made on a Monday\n\n# by me; twice; a; day\na;b;c;label\n",
        "# a;b;c;label\n",  # as np.savetxt writes it
        "#a;b;c;label\n",
        "\n\na;b;c;label\n",
    ],
)
def test_lines_before_a_table(tmp_path, head):
    same(load(text(tmp_path / "x.csv", head, [], [CODES], mark=";")), POINTS, CODES)


def test_a_comment_that_is_no_header(tmp_path):
    path = text(tmp_path / "x.csv", "# a,b\n", [], [WORDS])
    same(load(path), POINTS, WORDS)
    same(load(path, labels="3"), POINTS, WORDS)
    for nothing in ("# a,b\n", ",\n", "# ,\n;;\n", "sep=;\n", ""):
        path.write_text(nothing)
        with pytest.raises(InputError, match="is empty; expected a row"):
            load(path)


def test_what_names_the_rows_or_is_empty_is_left_out(tmp_path):
    days = [f"2024-01-{k + 1:02}" for k in range(N)]
    data = load(text(tmp_path / "x.csv", "day,a,b,c,\n", [days], [[""] * N]))
    same(data, POINTS, None)
    assert told(data, "the column 'day', which names the rows, was left out")
    assert told(data, "the column '', which is empty, was left out")
    data = load(text(tmp_path / "x.csv", "who,a,b,c,kind\n", [[f"p{k}" for k in days]], [WORDS]))
    same(data, POINTS, WORDS)
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(POINTS).assign(when=pandas.to_datetime(days), kind=WORDS)
    same(load(frame), POINTS, WORDS)


def test_cells_between_bars(tmp_path):
    values = RNG.standard_normal((N, 3)).round(3)
    rows = ["|".join([*map(str, x), word]) for x, word in zip(values, WORDS, strict=True)]
    (tmp_path / "x.txt").write_text("\n".join(["a|b|c|label", *rows]))
    same(load(tmp_path / "x.txt"), values, WORDS)


def test_a_table_of_labels_alone(tmp_path):
    (tmp_path / "x.csv").write_text("\n".join(["label", *WORDS]))
    with pytest.raises(InputError, match=r"x.csv: there is no column of numbers; expected"):
        load(tmp_path / "x.csv")


def test_a_zip_of_a_table_holds_no_images(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        file.writestr("x.csv", "a,b,label\n1,2,x\n")
    for labels in (None, "label"):
        with pytest.raises(InputError, match=r"holds no images.*Unpack it"):
            load(tmp_path / "x.zip", labels=labels)


@pytest.mark.parametrize("cell", ["{} %", "1,00{}", "<{}>"])
def test_what_is_no_number_is_shown(tmp_path, cell):
    column = [f'"{cell.format(k % 10)}"' for k in range(N)]
    shown = cell.format(0)
    with pytest.raises(InputError, match=rf"columns x are not numbers \(the first has '{shown}'\)"):
        load(text(tmp_path / "x.csv", "x,a,b,c,label\n", [column], [WORDS]))


def test_true_and_false_are_values_but_among_labels(tmp_path):
    flags = (np.arange(N) % 3 == 0).astype(str)
    path = text(tmp_path / "x.csv", "f,a,b,c,label\n", [flags], [WORDS])
    values = np.column_stack([flags == "True", POINTS])
    same(load(path), values, WORDS)
    same(load(path, labels="label"), values, WORDS)
    path = text(tmp_path / "x.csv", "a,b,c,churned\n", [], [flags])
    same(load(path), POINTS, flags)
    path = text(tmp_path / "x.csv", "e,a,b,c,f\n", [1 - CODES], [flags])
    same(load(path, labels="e"), np.column_stack([POINTS, flags == "True"]), 1 - CODES)
    path = text(tmp_path / "x.csv", "e,a,b,c,f\n", [flags], [flags])
    same(load(path), np.column_stack([flags == "True", POINTS, flags == "True"]), None)


def test_a_column_that_looks_like_classes_is_told(tmp_path):
    first = load(text(tmp_path / "x.data", "", [CODES + 1]))  # UCI's wine.data, UCR's .tsv
    assert not first.labelled
    assert told(first, "the column 0 has 2 values, all others many")
    same(load(tmp_path / "x.data", labels="0"), POINTS, CODES + 1)
    last = load(text(tmp_path / "x.csv", "id,a,b,c,kind\n", [np.arange(N)], [CODES]))
    assert told(last, "(--labels kind)")
    np.save(tmp_path / "x.npy", np.column_stack([POINTS, CODES]))
    assert told(load(tmp_path / "x.npy"), "(--labels -1)")
    for points in (POINTS, np.column_stack([CODES, POINTS, CODES]), np.insert(POINTS, 1, CODES, 1)):
        np.save(tmp_path / "x.npy", points)
        assert not told(load(tmp_path / "x.npy"), "if it tells the classes")
    assert not told(load(tmp_path / "x.data", labels="none"), "if it tells the classes")


def test_not_utf_8(tmp_path):
    path = tmp_path / "x.csv"
    for code in ("utf-16", "latin-1"):
        path.write_bytes("é,b\n1,2\n2,3\n".encode(code))
        with pytest.raises(InputError, match="expected one in UTF-8"):
            load(path)


# ---- other kinds, told how to convert


def converted(path, folder, made):
    with pytest.raises(InputError) as caught:
        load(path)
    line = str(caught.value).partition("this converts it: ")[2]
    code, *arguments = shlex.split(line[line.index("python -c") :])[2:]
    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "argv", ["-c", *arguments])
        exec(code, {})
    return load(folder / made)


def test_structs_and_sparse_arrays_of_matlab(tmp_path):
    path = tmp_path / "x.mat"
    scipy.io.savemat(path, {"data": {"X": POINTS, "y": CODES}})
    same(converted(path, tmp_path, "x.npz"), POINTS, CODES)
    some = np.maximum(POINTS, 0)
    scipy.io.savemat(path, {"X": sparse.csr_matrix(some), "y": CODES})
    same(converted(path, tmp_path, "x.npz"), some, CODES)
    scipy.io.savemat(path, {"X": POINTS, "y": CODES, "made": {"by": "me"}})
    same(load(path), POINTS, CODES)


def test_sparse_matrices_of_scipy(tmp_path):
    some = np.maximum(POINTS, 0)
    for make in (sparse.csr_matrix, sparse.csc_array, sparse.coo_matrix):
        sparse.save_npz(tmp_path / "x.npz", make(some))
        same(converted(tmp_path / "x.npz", tmp_path, "x-dense.npz"), some, None)


def test_columns_in_the_names_of_folders(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame(POINTS, columns=list("abc")).assign(label=WORDS)
    frame.to_parquet(tmp_path / "x", partition_cols=["label"])
    order = np.argsort(CODES, kind="stable")
    same(converted(tmp_path / "x", tmp_path, "x.parquet"), POINTS[order], WORDS[order])


def test_decimals_of_arrow(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    prices = pa.array(POINTS[:, 0]).cast(pa.decimal128(9, 4), safe=False)
    table = pa.table({"price": prices, "b": POINTS[:, 1], "label": WORDS})
    parquet.write_table(table, tmp_path / "x.parquet")
    found = load(tmp_path / "x.parquet")
    np.testing.assert_allclose(found.points, POINTS[:, :2], atol=2e-4)
    assert found.class_names == ("cat", "dog")


RECORDS = np.zeros(N, dtype=[("a", "f8"), ("b", "i4"), ("label", "i8")])


@pytest.mark.parametrize(
    ("points", "width"), [(RECORDS, 2), (POINTS + 1j, 6), (np.datetime64("2024") + RNG.integers(
        0, 9, (N, 3)), 3), (POINTS.astype(str), 3)]
)  # fmt: skip
def test_points_of_other_dtypes_are_told_how(points, width):
    with pytest.raises(InputError) as caught:
        from_arrays(points)
    line = str(caught.value).partition("for example by ")[2]
    line = line.removesuffix(".").partition(", with")[0].partition(", real")[0]
    made = eval(line, {"np": np, "points": points})
    assert made.shape == (N, width)
    assert made.dtype.kind == "f"


def test_images_that_windows_calls_jfif(tmp_path):
    for k in range(9):
        Image.fromarray(RNG.integers(0, 255, (6, 6), dtype=np.uint8)).save(
            tmp_path / f"{k}.jfif", format="JPEG"
        )
    assert load(tmp_path).n == 9


FORMS = {
    "spaces": lambda x: " ".join(map(str, x)),
    "json": lambda x: json.dumps(x.tolist()),
    "numpy": lambda x: np.array2string(x, max_line_width=30),  # over several lines
    "tuples": lambda x: str(tuple(x.tolist())),
    "semicolons": lambda x: ";".join(map(str, x)),
}


@pytest.mark.parametrize("form", FORMS)
def test_columns_of_lists(tmp_path, form):
    """As pandas writes columns of embeddings, and FER2013 its pixels."""
    vectors = RNG.standard_normal((N, 9)).round(4)
    with (tmp_path / "x.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["", "id", "embedding", "topic", "year"])
        for k in range(N):
            rows.writerow([k, f"doc {k}", FORMS[form](vectors[k]), WORDS[k], 1990 + k % 5])
    data = load(tmp_path / "x.csv")
    same(data, vectors, WORDS)
    assert told(data, "the points are the lists in the column embedding")
    assert told(data, "left out beside them: '', 'year'")
    same(load(tmp_path / "x.csv", labels="year"), vectors, 1990 + np.arange(N) % 5)


def test_pixels_in_one_column(tmp_path):
    pixels = RNG.integers(0, 256, (N, 16), dtype=np.uint8)
    parts = np.array(["Training", "PublicTest", "Training"] * (N // 3))
    rows = [f"{CODES[k]},{' '.join(map(str, pixels[k]))},{parts[k]}" for k in range(N)]
    (tmp_path / "fer.csv").write_text("\n".join(["emotion,pixels,Usage", *rows]))
    for split, kept in ((None, "Training"), ("test", "PublicTest")):
        chosen = np.flatnonzero(parts == kept)
        data = load(tmp_path / "fer.csv", labels="emotion", split=split)
        same(data, pixels[chosen].reshape(-1, 4, 4), CODES[chosen])
        assert data.sample_shape == (4, 4, 1)
        np.testing.assert_array_equal(data.indices, chosen)
    assert not load(tmp_path / "fer.csv").labelled


def test_lists_that_do_not_fit(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("v,w\n" + "1 2 3 4,a\n1 2 3 4 5,b\n" * 4)
    fails(path, "the lists in column 1 of .* have 4 to 5 numbers")
    path.write_text("v,w\n" + "1 2 3 4,a\n" * 2000 + "1 2 ... 4,b\n")  # beyond what is looked at
    fails(path, "column of lists")
    for last, said in (("b", "row 1003 has 1 cells"), ("b,1 2 3 5\nb,1 nan inf 4", "NaN")):
        path.write_text("w,v\n" + "a,1 2 3 4\n" * 1002 + last)
        fails(path, said)
    path.write_text("v,w,c\n" + "1 2 3 4,4 5 6 7,a\n" * 4)  # which of the two?
    fails(path, "the columns v, w")


@pytest.mark.parametrize("kind", ["csv", "frame", "parquet"])
def test_columns_that_tell_the_part(tmp_path, kind):
    """Such a column is neither a value nor a class, and its parts are not mixed."""
    pandas = pytest.importorskip("pandas")
    parts = np.array(["train", "val", "train", "test"] * (N // 4))
    named = dict(zip("abc", POINTS.T, strict=True))
    source = pandas.DataFrame({**named, "split": parts, "label": WORDS})
    if kind != "frame":
        source.to_csv(tmp_path / "x.csv", index=False)
        if kind == "parquet":
            source.to_parquet(tmp_path / "x.parquet")
        source = tmp_path / f"x.{kind}"
    data = load(source)
    chosen = np.flatnonzero(parts == "train")
    same(data, POINTS[chosen], WORDS[chosen])
    np.testing.assert_array_equal(data.indices, chosen)
    assert told(data, "the part train was read (test, validation left out")
    same(load(source, split="validation"), POINTS[parts == "val"], WORDS[parts == "val"])
    groups = load(source, group="split", labels="label", split=None).groups  # asked for as such
    np.testing.assert_array_equal(groups, parts)
    np.testing.assert_array_equal(load(source, group="label", labels="none").groups, WORDS[chosen])


def test_parts_that_are_not_told(tmp_path):
    path = text(tmp_path / "x.csv", "a,b,c,label\n", [], [WORDS])
    fails(path, "no column of .* tells parts such as train and test; it has a, b, c", split="test")
    vehicles = np.array(["train", "car"])[CODES]
    path = text(tmp_path / "x.csv", "a,b,c,kind\n", [], [vehicles])
    same(load(path), POINTS, vehicles)


def test_values_called_y_beside_a_class(tmp_path):
    path = text(tmp_path / "x.csv", "x,y,z,species\n", [], [WORDS])
    data = load(path)
    same(data, POINTS, WORDS)
    assert told(data, "the column y holds numbers that are no classes")


def test_moments_are_no_points(tmp_path):
    images = RNG.integers(0, 256, (N, 4, 4, 3), dtype=np.uint8)
    law = {"mu": POINTS.mean(0), "sigma": np.cov(POINTS.T)}
    np.savez(tmp_path / "fid.npz", **law)
    fails(tmp_path / "fid.npz", "a mean and a covariance, as FID keeps them")
    np.savez(tmp_path / "adm.npz", arr_0=images, **law, mu_s=law["mu"], sigma_s=law["sigma"])
    same(load(tmp_path / "adm.npz"), images, None)
    np.savez(tmp_path / "own.npz", mu=POINTS[:, 0], sigma=POINTS)  # by shape it is no covariance
    assert load(tmp_path / "own.npz").n == N


def test_a_symmetric_matrix_is_told(tmp_path):
    between = np.linalg.norm(POINTS[:, None] - POINTS, axis=-1)
    assert told(from_arrays(between, None), f"the array ({N}, {N}) is symmetric")
    assert not told(from_arrays(between + np.triu(between), None), "symmetric")


@pytest.mark.parametrize("suffix", ["npz", "mat"])
def test_labels_in_archives(tmp_path, suffix):
    np.save(tmp_path / "x.npy", POINTS)
    path = tmp_path / f"labels.{suffix}"

    def keep(**arrays):
        np.savez(path, **arrays) if suffix == "npz" else scipy.io.savemat(path, arrays)

    keep(codes=CODES[None] if suffix == "mat" else CODES)
    same(load(tmp_path / "x.npy", labels=path), POINTS, CODES)
    keep(first=CODES, labels=CODES[::-1], wide=POINTS)
    same(load(tmp_path / "x.npy", labels=path), POINTS, CODES[::-1])
    same(load(tmp_path / "x.npy", labels=f"{path}:first"), POINTS, CODES)
    fails(
        tmp_path / "x.npy", "expected one array with a label for each point", labels=f"{path}:wide"
    )
    keep(first=CODES, second=CODES)
    fails(tmp_path / "x.npy", r"Name it: .*:NAME", labels=path)
    path.write_bytes(b"PK\3\4 or not")
    fails(tmp_path / "x.npy", "labels", labels=path)


@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_types_that_no_mat_file_has(tmp_path, deflated, order):
    """scipy takes the type of an element for a place in a list of 20, and ends the process."""
    np.save(tmp_path / "x.npy", POINTS)

    def part(kind, content):
        return struct.pack(f"{order}II", kind, len(content)) + content.ljust(
            -(-len(content) // 8) * 8
        )

    for kind in (6, 2000):  # of the values: uint32, and none
        inside = (
            part(6, struct.pack(f"{order}II", 13, 0))  # flags: an array of uint32
            + part(5, struct.pack(f"{order}ii", N, 1)) + part(1, b"codes")
            + part(kind, CODES.astype(f"{order}u4").tobytes())
        )  # fmt: skip
        array = part(14, inside)
        array = struct.pack(f"{order}II", 15, len(zlib.compress(array))) + zlib.compress(array) \
            if deflated else array  # fmt: skip
        mark = b"\0\1IM" if order == "<" else b"\1\0MI"
        (tmp_path / "y.mat").write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + mark + array)
        if kind == 6:
            same(load(tmp_path / "x.npy", labels=tmp_path / "y.mat"), POINTS, CODES)
        else:
            fails(tmp_path / "x.npy", "of the type 2000", labels=tmp_path / "y.mat")
