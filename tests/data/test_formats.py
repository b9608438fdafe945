"""Formats as people have them: each gives back the points and labels that were put in.

The arrays themselves through `from_arrays` are the second route to every answer.
"""

from __future__ import annotations

import io
import json
import tarfile
import zipfile

import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image

from diffregimes.common.checks import InputError
from diffregimes.data.datasets import from_arrays
from diffregimes.data.layout import _shards
from diffregimes.data.readers import load

RNG = np.random.default_rng(2)
N = 12
GREY = RNG.integers(0, 256, (N, 6, 5), dtype=np.uint8)
SQUARE = RNG.integers(0, 256, (N, 5, 5), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (N, 5, 5, 3), dtype=np.uint8)
OTHER = RNG.integers(0, 256, (N, 5, 5, 3), dtype=np.uint8)
LABELS = np.array([3, 5, 8] * 4)
WORDS = np.array(["ant", "bee", "cow"] * 4)
POINTS = RNG.standard_normal((N, 4))
CODES = np.arange(N) % 3
ORDER = np.argsort(LABELS, kind="stable")  # folders come one after the other


def same(data, points, labels, names=None):
    expected = from_arrays(points, labels, class_names=names)
    np.testing.assert_array_equal(data.points, expected.points)
    np.testing.assert_array_equal(data.labels, expected.labels)
    assert data.class_names == expected.class_names
    assert data.sample_shape == expected.sample_shape
    assert data.labelled == expected.labelled


def fails(message, *args, **options):
    with pytest.raises(InputError, match=message) as caught:
        load(*args, **options)
    return str(caught.value)


def noted(data, text):
    return any(text in x for x in data.notes)


def png(pixels):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def put(folder, names, images=COLOUR):
    """Images under these names."""
    for name, pixels in zip(names, images, strict=False):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(png(pixels))
    return folder


# ---- arrays by name


def test_medmnist(tmp_path):
    path = tmp_path / "m.npz"
    parts = {f"{x}_images": SQUARE for x in ("val", "test")}
    labels = {f"{x}_labels": LABELS[::-1, None] for x in ("val", "test")}
    np.savez(path, train_images=COLOUR, train_labels=LABELS[:, None], **parts, **labels)
    data = load(path)
    same(data, COLOUR, LABELS)
    assert noted(data, "the part train was read (test, validation left out")
    same(load(path, split="val"), SQUARE, LABELS[::-1])
    same(load(path, key="test_images"), SQUARE, LABELS[::-1])
    several = RNG.integers(0, 2, (N, 14))
    several[:6, 3], several[6:, 3] = 0, 1
    np.savez(path, train_images=COLOUR, train_labels=several, test_images=COLOUR)
    assert "--labels train_labels:0" in fails("labels of a point are several", path)
    one = np.eye(14)[np.arange(N) % 2]
    np.savez(tmp_path / "one.npz", train_images=COLOUR, train_labels=one, test_images=COLOUR)
    same(load(tmp_path / "one.npz"), COLOUR, np.arange(N) % 2)
    same(load(path, labels="train_labels:3"), COLOUR, several[:, 3])
    fails("names the column 14 but", path, labels="train_labels:14")
    assert not load(path, labels="none").labelled


@pytest.mark.parametrize("compressed", [False, True])
def test_matlab_with_points_along_the_last_axis(tmp_path, compressed):
    path = tmp_path / "x.mat"
    svhn = {"X": np.moveaxis(COLOUR, 0, -1), "y": LABELS[:, None].astype(float)}
    scipy.io.savemat(path, svhn, do_compression=compressed)
    data = load(path)
    same(data, COLOUR, LABELS)
    assert noted(data, "its last axis counts the points")
    data = load(path, classes="8,3", per_class=2)
    assert data.class_counts == (2, 2)
    assert data.indices.tolist() == [0, 2, 3, 5]
    np.testing.assert_array_equal(data.points, from_arrays(COLOUR[[0, 2, 3, 5]], [3, 8] * 2).points)
    scipy.io.savemat(path, {"fea": POINTS, "gnd": LABELS[:, None]})
    same(load(path), POINTS, LABELS)
    scipy.io.savemat(path, {"fea": POINTS.T, "gnd": LABELS[None]})
    same(load(path), POINTS, LABELS)
    scipy.io.savemat(path, {"faces": POINTS, "names": np.array(["a", "b"], dtype=object)})
    data = load(path)
    assert noted(data, "(12, 4) is read as 12 points of 4 values; if its columns are")


def test_hdf5(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "x.h5"
    with h5py.File(path, "w") as file:
        file["train/images"], file["train/labels"] = COLOUR, LABELS
        file["test/images"], file["test/labels"] = OTHER, LABELS[::-1]
    same(load(path), COLOUR, LABELS)
    same(load(path, split="test"), OTHER, LABELS[::-1])
    chosen = load(path, classes="8,3", per_class=3)
    expected = from_arrays(COLOUR, LABELS, classes="8,3", per_class=3)
    np.testing.assert_array_equal(chosen.points, expected.points)
    np.testing.assert_array_equal(chosen.indices, expected.indices)
    assert chosen.class_names == expected.class_names
    with h5py.File(path, "w") as file:
        file["x"], file["y"] = POINTS, WORDS.tolist()
    same(load(path), POINTS, WORDS)
    wide = {"classes": ["bee", "ant"], "pixel_range": (0, 1)}  # extremes are those of all
    expected = from_arrays(POINTS, WORDS, **wide)
    np.testing.assert_array_equal(load(path, **wide).points, expected.points)
    path.write_bytes(path.read_bytes()[:700])
    fails("cannot be read as an HDF5 file", path)


def test_matlab_of_version_7_3_is_hdf5_with_its_axes_turned(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "x.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["X"], file["y"] = np.moveaxis(COLOUR, 0, -1).T, LABELS[None].astype(float)
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file")
    same(load(path), COLOUR, LABELS)


def test_safetensors(tmp_path):
    from safetensors.numpy import save_file

    path = tmp_path / "x.safetensors"
    latents = RNG.standard_normal((N, 2, 3, 5)).astype(np.float32)
    save_file({"latents": latents.transpose(0, 2, 3, 1).copy(), "labels": LABELS}, path)
    same(load(path), latents.transpose(0, 2, 3, 1), LABELS)
    same(load(path, classes="3,5"), *(x[LABELS < 8] for x in (latents.transpose(0, 2, 3, 1),
                                                             LABELS)))  # fmt: skip
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    fails("truncated", path)
    for text in (
        b"\xff" * 40,
        whole.replace(b'"data_offsets"', b'"data_offsats"', 1),
        whole.replace(b"[0,96]", b"[-9,6]", 1),
        whole.replace(b'"dtype":"I64"', b'"dtype": []  ', 1),
        whole.replace(b'"shape":[12]', b'"shape":[{}]', 1),
        (4).to_bytes(8, "little") + b"[12]",
    ):
        assert text != whole
        path.write_bytes(text)
        fails("cannot be read as a .safetensors file", path)


# ---- tables


@pytest.mark.parametrize("mark", [",", ";", "\t", " "])
@pytest.mark.parametrize("header", ["a,b,c,d,species", ""])
def test_tables(tmp_path, mark, header):
    path = tmp_path / "t.csv"
    rows = [",".join([*(repr(float(x)) for x in row), word]) for row, word in
            zip(POINTS, WORDS, strict=True)]  # fmt: skip
    text = "\n".join([header] * bool(header) + rows) + "\n\n"
    path.write_text(text.replace(",", mark))
    data = load(path)
    same(data, POINTS, WORDS)
    assert noted(data, f"the labels are the column {'species' if header else 4}")
    same(load(path, label="species" if header else "4"), POINTS, WORDS)
    fails("expected one of them", path, label="4", labels="4")


def test_columns_that_number_rows_and_regression_targets(tmp_path):
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "t.csv"
    frame = pandas.DataFrame(POINTS)
    frame.to_csv(path)
    data = load(path)
    same(data, POINTS, None)
    assert noted(data, "the column '', which numbers the rows, was left out")
    frame.to_csv(path, index=False)  # a header of 0,1,2,3
    same(load(path), POINTS, None)
    frame["target"] = POINTS[:, 0] ** 2
    frame.to_csv(path, index=False)
    data = load(path)
    assert data.d == 5
    assert noted(data, "the column target holds numbers that are no classes")
    frame["target"], frame["name"] = LABELS, WORDS
    frame.to_csv(path, index=False)
    message = fails(
        "name are not numbers .the first has 'ant'., and the labels are the column t", path
    )
    assert "--labels COLUMN" in message
    frame.drop(columns="name").to_csv(path, index=False)
    same(load(path, label="target"), POINTS, LABELS)
    fails("neither a column of .* nor a file; its columns are 0, 1, 2", path, label="colour")
    path.write_text("a,b,label\n1,2,x\n3,,y\n5,6,x\n7,8,y\n")
    fails("1 of 4 points hold NaN", path)
    path.write_text("a,b\n1,2\n3\n")
    fails("has 1 cells in row 3 and 2 in the first", path)


def test_pixels_in_a_table_are_images(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(SQUARE.reshape(N, -1), columns=[f"pixel{k}" for k in range(25)])
    frame.insert(0, "label", LABELS)
    frame.to_csv(tmp_path / "t.csv", index=False)
    same(load(tmp_path / "t.csv"), SQUARE, LABELS)
    frame.drop(columns="pixel24").to_csv(tmp_path / "t.csv", index=False)
    data = load(tmp_path / "t.csv")
    assert noted(data, "24 columns of pixels are no square image")
    np.testing.assert_array_equal(data.points, SQUARE.reshape(N, -1)[:, :24])


def test_frames():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(POINTS, columns=list("abcd")).assign(kind=WORDS)
    same(load(frame), POINTS, WORDS)
    same(load(frame.assign(kind=LABELS), label="kind"), POINTS, LABELS)
    assert load(frame).source == "DataFrame of 12"
    same(load(frame.assign(kind=pandas.Categorical(WORDS))), POINTS, WORDS)
    polars = pytest.importorskip("polars")
    same(load(polars.DataFrame({**dict(zip("abcd", POINTS.T, strict=True)), "kind": WORDS})),
         POINTS, WORDS)  # fmt: skip


# ---- Arrow


def image_table(pa, images, labels, names=None):
    struct = pa.array([{"bytes": png(x), "path": None} for x in images])
    table = pa.table({"image": struct, "label": labels})
    kind = {"names": names, "_type": "ClassLabel"} if names else {"dtype": "int64"}
    told = {"info": {"features": {"image": {"_type": "Image"}, "label": kind}}}
    return table.replace_schema_metadata({"huggingface": json.dumps(told)})


@pytest.mark.parametrize("kind", ["parquet", "stream", "file"])
def test_images_of_hugging_face(tmp_path, kind):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    names, codes = ["ant", "bee", "cow"], CODES
    for part, images in (("train", COLOUR), ("test", OTHER)):
        for k in range(2):
            half = slice(6 * k, 6 * k + 6)
            table = image_table(pa, images[half], codes[half], names)
            folder = tmp_path / "set/data"
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{part}-0000{k}-of-00002.{'parquet' if kind == 'parquet' else 'arrow'}"
            if kind == "parquet":
                parquet.write_table(table, path, row_group_size=4)
                continue
            make = pa.ipc.new_stream if kind == "stream" else pa.ipc.new_file
            with make(str(path), table.schema) as sink:
                sink.write_table(table, max_chunksize=4)
    data = load(tmp_path / "set")
    same(data, COLOUR, WORDS)
    assert noted(data, "the part train was read (test left out")
    same(load(tmp_path / "set", split="test"), OTHER, WORDS)
    data = load(tmp_path / "set", classes="cow,ant", per_class=2)
    assert data.class_names == ("cow", "ant")
    assert data.indices.tolist() == [0, 2, 3, 5]
    np.testing.assert_array_equal(data.points, from_arrays(COLOUR[[0, 2, 3, 5]], [3, 8] * 2).points)
    assert data.conditions == (2, 0)
    one = sorted((tmp_path / "set/data").iterdir())[-1]
    same(load(one), COLOUR[6:], WORDS[6:])
    one.write_bytes(one.read_bytes()[:200])
    fails("cannot be read as an Arrow or parquet file", one)


def test_offsets_of_a_damaged_file_lead_nowhere(tmp_path):
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"points": POINTS.tolist(), "label": CODES})
    path = tmp_path / "x.arrow"
    with pa.ipc.new_file(str(path), table.schema) as sink:
        sink.write_table(table)
    whole, offsets = path.read_bytes(), np.arange(0, POINTS.size + 1, POINTS.shape[1], np.int32)
    assert whole.count(offsets.tobytes()) == 1
    for wrong in (-(2**30), 2**30):
        offsets[3] = wrong
        start = whole.index(np.int32([0, POINTS.shape[1], 2 * POINTS.shape[1]]).tobytes())
        path.write_bytes(whole[:start] + offsets.tobytes() + whole[start + offsets.nbytes :])
        fails("cannot be read as an Arrow or parquet file", path)


def test_lists_and_tables_of_arrow(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "x.parquet"
    nested = SQUARE.astype(np.int32).tolist()
    parquet.write_table(pa.table({"pixels": nested, "label": LABELS, "text": WORDS}), path)
    same(load(path), SQUARE.astype(np.int32), LABELS)
    same(load(path, labels="text"), SQUARE.astype(np.int32), WORDS)
    parquet.write_table(pa.table({"embedding": POINTS.tolist(), "other": POINTS.tolist()}), path)
    fails("several columns that could be the data .embedding, other", path)
    same(load(path, key="other"), POINTS, None)
    fails("no column of .*expected one of embedding", path, key="other", labels="label")
    parquet.write_table(pa.table({**dict(zip("abcd", POINTS.T, strict=True)), "y": LABELS}), path)
    same(load(path), POINTS, LABELS)
    ragged = [*POINTS.tolist()[:-1], [1.0]]
    parquet.write_table(pa.table({"embedding": ragged}), path)
    fails("differ in length", path)


class Rows:
    """What the reader uses of a `datasets.Dataset`, on a table of Arrow."""

    def __init__(self, table):
        self.table = table
        self.features = type("Features", (), {"arrow_schema": table.schema})

    def __len__(self):
        return len(self.table)

    def with_format(self, kind):
        assert kind == "arrow"
        return self

    def select_columns(self, names):
        return Rows(self.table.select(names))

    def __getitem__(self, rows):
        return self.table[rows]


def test_datasets_of_hugging_face():
    pa = pytest.importorskip("pyarrow")
    held = Rows(image_table(pa, COLOUR, CODES, ["ant", "bee", "cow"]))
    same(load(held), COLOUR, WORDS)
    order = [4, 3, 2, 1, 0, 5]
    parts = {"train": held, "test": Rows(held.table.take(order))}
    same(load(parts, split="test"), COLOUR[order], WORDS[order])
    same(load(parts), COLOUR, WORDS)


# ---- torch


class Pairs(torch.utils.data.Dataset):
    classes = ("zero", "one", "two")

    def __init__(self, points, labels, noise=0):
        self.points, self.labels, self.noise = points, labels, noise

    def __len__(self):
        return len(self.points)

    def __getitem__(self, k):
        return self.points[k] + self.noise * torch.rand(()), int(self.labels[k])


class Items(torch.utils.data.Dataset):
    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, k):
        return self.items[k]


def test_torch_datasets_and_loaders():
    first = torch.from_numpy(COLOUR.transpose(0, 3, 1, 2) / np.float32(255))
    codes = CODES
    held = Pairs(first, codes)
    data = load(held)
    same(data, np.moveaxis(first.numpy(), 1, -1), codes, names=["zero", "one", "two"])
    assert noted(data, "channels were moved last")
    assert not noted(data, "random transforms")
    assert noted(load(Pairs(first, codes, noise=0.1)), "random transforms")
    whole = [x.clone() for x in torch.from_numpy(COLOUR.transpose(0, 3, 1, 2))]  # bytes
    bare = [(x, y) for x, y in zip(whole, codes, strict=True)]
    same(load(Items(bare)), COLOUR, codes)
    loader = torch.utils.data.DataLoader(held, batch_size=5)
    same(load(loader), np.moveaxis(first.numpy(), 1, -1), codes)
    loader = torch.utils.data.DataLoader(held, batch_size=5, shuffle=True, drop_last=True)
    data = load(loader)
    assert data.n == 10
    assert noted(data, "10 of 12 points")
    assert noted(data, "the DataLoader shuffles")
    images = Pairs([Image.fromarray(x) for x in COLOUR], codes)
    images.__class__ = type(
        "Plain", (Pairs,), {"__getitem__": lambda s, k: (s.points[k], codes[k])}
    )
    same(load(images), COLOUR, codes, names=["zero", "one", "two"])
    with pytest.raises(InputError, match=r"data cannot be read from ndarray.*from_arrays"):
        load(POINTS)


# ---- images and their labels


def test_nested_folders_and_parts(tmp_path):
    names = [f"{word}/{'left' if k % 2 else 'right'}/{k:02d}.png" for k, word in enumerate(WORDS)]
    order = np.argsort(names)
    data = load(put(tmp_path / "nested", names))
    same(data, COLOUR[order], WORDS[order])
    assert noted(data, "read too what lies deeper: left, right")
    assert data.files == tuple(sorted(names))
    flat = [f"{word}/{k:02d}.png" for k, word in enumerate(WORDS)]
    parts = tmp_path / "parts"
    put(parts / "archive" / "train", flat)
    put(parts / "archive" / "test", flat, OTHER)
    data = load(parts)
    same(data, COLOUR[ORDER], WORDS[ORDER])
    assert noted(data, "the part train was read (test left out; another is read by split")
    assert noted(data, "the images are those of the folder archive/train/")
    same(load(parts, split="test"), OTHER[ORDER], WORDS[ORDER])
    fails("is 'val', and .* has the parts test, train", parts, split="val")
    fails("nothing in .* is named by a part", tmp_path / "nested", split="test")


def test_tiny_imagenet(tmp_path):
    put(tmp_path / "train", [f"n{x}/images/n{x}_{k:02d}.png" for k, x in enumerate(LABELS)])
    put(tmp_path / "val/images", [f"val_{k}.png" for k in range(N)], OTHER)
    rows = [f"val_{k}.png\tn{x}\t0\t0\t9\t9" for k, x in enumerate(LABELS)]
    (tmp_path / "val/val_annotations.txt").write_text("\n".join(rows))
    (tmp_path / "wnids.txt").write_text("n3\nn5\nn8\n")
    words = np.array([f"n{x}" for x in LABELS])
    same(load(tmp_path), COLOUR[ORDER], words[ORDER])
    order = np.argsort([f"val_{k}.png" for k in range(N)])
    same(load(tmp_path, split="val"), OTHER[order], words[order])


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl"])
def test_metadata_of_hugging_face(tmp_path, name):
    names = [f"images/{k:02d}.png" for k in range(N)]
    put(tmp_path, names)
    rows = [{"file_name": f, "size": 3, "label": w} for f, w in zip(names, WORDS, strict=True)]
    if name.endswith(".csv"):
        text = "\n".join(
            ",".join(map(str, x)) for x in [list(rows[0]), *(x.values() for x in rows)]
        )
    else:
        text = "\n".join(json.dumps(x) for x in rows)
    (tmp_path / name).write_text(text)
    same(load(tmp_path), COLOUR, WORDS)
    (tmp_path / name).write_text(text.replace("label", "price"))
    data = load(tmp_path)
    assert not data.labelled
    assert noted(data, "has no column called label (file_name, size, price): name one by labels")
    (tmp_path / name).write_text(text.replace("file_name", "path"))
    fails("expected one called file_name", tmp_path)


def shards(folder, per=1000):
    """EDM's names: six images in each of two folders."""
    return put(folder, [f"0000{k // 6}/img{per * (k // 6) + k % 6:08d}.png" for k in range(N)])


def test_shards_are_no_classes(tmp_path):
    folder = shards(tmp_path / "edm")
    data = load(folder)
    same(data, COLOUR, None)
    assert noted(data, "the folders 00000, 00001 number the images and are no classes")
    names = sorted(x.relative_to(folder).as_posix() for x in folder.glob("*/*"))
    pairs = [[x, int(y)] for x, y in zip(names, LABELS, strict=True)]
    (folder / "dataset.json").write_text(json.dumps({"labels": pairs}))
    same(load(folder), COLOUR, LABELS)
    with zipfile.ZipFile(tmp_path / "edm.zip", "w") as out:
        for path in [*folder.glob("*/*"), folder / "dataset.json"]:
            out.write(path, path.relative_to(folder).as_posix())
    same(load(tmp_path / "edm.zip"), COLOUR, LABELS)
    (folder / "dataset.json").write_text('{"labels": null}')
    same(load(folder), COLOUR, None)
    (folder / "dataset.json").write_text('{"labels": [1, 2]}')
    fails(r"are no list of .file, class.", folder)
    signs = put(tmp_path / "signs", [f"0000{k % 3}/00{k % 3}_{k // 3}.png" for k in range(N)])
    assert load(signs).class_names == ("00000", "00001", "00002")  # classes that are numbers
    faces = put(tmp_path / "ffhq", [f"0{k // 6}000/0{k // 6}00{k % 6}.png" for k in range(N)])
    same(load(faces), COLOUR, None)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["00000/img00000999.png", "00001/img00001000.png"], True),
        (["00000/0.png", "01000/01999.png", "2000/2000.png"], True),
        (["0/x3/7.png", "1/x4/1001.png"], True),  # however deep
        (["00000/img00000001.png", "00000/img00000002.png"], False),  # a single one parts nothing
        (["0/1.png", "1/1.png"], False),  # each class counts from the start
        (["0/a_1.png", "0/b_1.png", "1/a_1001.png"], False),  # a number twice is no number of it
        (["0/1.png", "1/999.png"], False),
        (["0/1.png", "1/2000.png"], False),
        (["0/1.png", "1/1001.png", "2000/2001.png"], False),  # of two ways of numbering
        (["cat/1.png", "1/1001.png"], False),
        (["0/1.png", "1/x.png"], False),
        (["-0/1.png", "1/1001.png"], False),
    ],
)
def test_what_shards_are(names, expected):
    assert _shards(names) == expected


def make_tar(path, members):
    with tarfile.open(path, "w") as out:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            out.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize("kind", ["cls", "json"])
def test_webdataset(tmp_path, kind):
    for shard in range(2):
        members = {}
        for k in range(6 * shard, 6 * shard + 6):
            members[f"{k % 6:04d}.png"] = png(COLOUR[k])
            told = json.dumps({"label": int(LABELS[k]), "text": "a b"})
            members[f"{k % 6:04d}.{kind}"] = (str(LABELS[k]) if kind == "cls" else told).encode()
        make_tar(tmp_path / f"train-{shard:06d}.tar", members)
    same(load(tmp_path), COLOUR, LABELS)
    same(load(tmp_path / "train-000001.tar"), COLOUR[6:], LABELS[6:])
    assert load(tmp_path).files[7] == "train-000001/0001.png"
    make_tar(tmp_path / "train-000000.tar", {"0000.png": png(COLOUR[0])})
    fails(f"train-000000/0000.{kind} is not in .*expected one for each", tmp_path)


def test_tars_of_classes_and_a_zip_of_folders(tmp_path):
    for word in ("ant", "bee", "cow"):
        images = {f"{k:02d}.png": png(COLOUR[k]) for k in np.flatnonzero(word == WORDS)}
        make_tar(tmp_path / f"{word}.tar", images)
    same(load(tmp_path), COLOUR[ORDER], WORDS[ORDER])
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as out:
        for k in range(N):
            out.writestr(f"data/{WORDS[k]}/{k:02d}.png", png(COLOUR[k]))
        out.writestr("__MACOSX/data/ant/._00.png", b"a mac's shadow")
    same(load(tmp_path / "all.zip"), COLOUR[ORDER], WORDS[ORDER])
    with zipfile.ZipFile(tmp_path / "none.zip", "w") as out:
        out.writestr("a.txt", "hello")
    fails("holds no images", tmp_path / "none.zip")
    (tmp_path / "bad.tar").write_bytes(b"no tar" * 200)
    fails("cannot be read as a .tar file", tmp_path / "bad.tar")


def test_torchvision_folders(tmp_path):
    def idx(path, array):
        path.parent.mkdir(parents=True, exist_ok=True)
        head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
        path.write_bytes(head + array.astype(np.uint8).tobytes())

    raw = tmp_path / "MNIST/raw"
    idx(raw / "train-images-idx3-ubyte", GREY)
    idx(raw / "train-labels-idx1-ubyte", LABELS)
    idx(raw / "t10k-images-idx3-ubyte", GREY[::-1])
    idx(raw / "t10k-labels-idx1-ubyte", LABELS[::-1])
    for place in (raw, tmp_path / "MNIST", tmp_path):
        same(load(place), GREY, LABELS)
        same(load(place, split="test"), GREY[::-1], LABELS[::-1])
    idx(tmp_path / "FashionMNIST/raw/train-images-idx3-ubyte", GREY)
    fails("holds several sets of IDX files, in FashionMNIST/raw, MNIST/raw", tmp_path)


# ---- labels by name


def test_labels_by_stem_or_name_and_rows_that_disagree(tmp_path):
    folder = put(tmp_path / "a", [f"sub/{k:02d}.png" for k in range(N)])
    path = tmp_path / "l.csv"
    for name in ("sub/{:02d}.png", "{:02d}.png", "{:02d}"):
        rows = [f"{name.format(k)},{WORDS[k]}" for k in range(N)]
        path.write_text("id,label\n" + "\n".join(rows))
        same(load(folder, labels=path), COLOUR, WORDS)
    path.write_text("label,other,id\n" + "\n".join(f"{WORDS[k]},7,{k:02d}" for k in range(N)))
    same(load(folder, labels=path), COLOUR, WORDS)
    path.write_text("id,label\n" + "\n".join([*rows, "03,ant"]))
    same(load(folder, labels=path), COLOUR, WORDS)
    assert noted(load(folder, labels=path), "1 rows of")
    path.write_text("id,label\n" + "\n".join([*rows, "03,cow"]))
    fails("names 03 twice, with the labels ant and cow .row 14", folder, labels=path)
    path.write_text("id,label\nfoo,1\nbar,2\n")
    message = fails("the file names were taken from column 1 .'id'.: foo, bar", folder, labels=path)
    assert "without its suffix" in message
