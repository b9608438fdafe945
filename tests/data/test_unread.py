"""What is not read is told with a line that converts it: each line is run here as it is told."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import shlex
import shutil
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import dump_svmlight_file

from diffregimes.common.checks import InputError
from diffregimes.data.datasets import from_arrays
from diffregimes.data.readers import READERS, load
from diffregimes.data.unread import UNREAD

RNG = np.random.default_rng(5)
N = 8
IMAGES = RNG.integers(0, 256, (N, 32, 32, 3), dtype=np.uint8)
POINTS = RNG.standard_normal((N, 5))
LABELS = [4, 9, 9, 4, 4, 9, 9, 4]


def told(path):
    """The line in the message of a source that is not read."""
    with pytest.raises(InputError) as caught:
        load(path)
    before, _, line = str(caught.value).partition("this converts it: ")
    assert "expected a kind that is read" in before
    return line


def converted(path, folder, made, shell=False):
    """The dataset that the line makes of a source, run in `folder`; packages are there.

    Python's part is run here, where its packages are loaded, unless `shell`.
    """
    before, python, after = told(path).rpartition("python -c")
    line = python + after if python else after
    if shell or not python:
        here = Path(sys.executable).parent
        env = {**os.environ, "PATH": f"{here}{os.pathsep}{os.environ['PATH']}"}
        subprocess.run(line, shell=True, cwd=folder, env=env, check=True, timeout=120)
    else:
        code, *arguments = shlex.split(line)[2:]
        with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patched:
            patched.setattr(sys, "argv", ["-c", *arguments])
            exec(code, {})
    assert not before or before.startswith("pip install")
    return load(folder / made)


def same(data, points, labels):
    expected = from_arrays(points, labels)
    np.testing.assert_allclose(data.points, expected.points, rtol=1e-6)
    np.testing.assert_array_equal(data.labels, expected.labels)
    assert data.class_names == expected.class_names


def test_cifar(tmp_path):
    folder = tmp_path / "it's cifar-10 (py)"  # a name that a shell takes amiss
    folder.mkdir()
    rows = IMAGES.transpose(0, 3, 1, 2).reshape(N, -1)
    for k in range(2):
        half = slice(4 * k, 4 * k + 4)
        batch = {b"data": rows[half], b"labels": LABELS[half]}
        (folder / f"data_batch_{k + 1}").write_bytes(pickle.dumps(batch, protocol=2))
    (folder / "batches.meta").write_bytes(pickle.dumps({}))
    same(converted(folder, tmp_path, f"{folder.name}.npz", shell=True), IMAGES, LABELS)
    with pytest.raises(InputError, match="pickled file: such files can run code"):
        load(folder / "data_batch_1")


@pytest.mark.parametrize("fine", [False, True])
def test_binary_cifar(tmp_path, fine):
    folder = tmp_path / "cifar-bin"
    folder.mkdir()
    labels = np.array(LABELS, dtype=np.uint8)[:, None]
    labels = np.hstack([labels // 2, labels]) if fine else labels
    rows = np.hstack([labels, IMAGES.transpose(0, 3, 1, 2).reshape(N, -1)])
    files = ["train.bin"] if fine else ["data_batch_1.bin", "data_batch_2.bin"]
    for name, part in zip(files, np.split(rows, len(files)), strict=True):
        part.tofile(folder / name)
    same(converted(folder, tmp_path, "cifar-bin.npz"), IMAGES, LABELS)


def test_binary_stl(tmp_path):
    images = RNG.integers(0, 256, (N, 96, 96, 3), dtype=np.uint8)
    folder = tmp_path / "stl"
    folder.mkdir()
    images.transpose(0, 3, 2, 1).tofile(folder / "train_X.bin")  # columns first, as MATLAB writes
    np.array(LABELS, dtype=np.uint8).tofile(folder / "train_y.bin")
    same(converted(folder, tmp_path, "stl.npz"), images, LABELS)


@pytest.mark.parametrize("suffix", ["npy", "pt"])
@pytest.mark.parametrize("classes", [False, True])
def test_a_file_for_each_point(tmp_path, suffix, classes):
    latents = RNG.standard_normal((N, 4, 3, 3)).astype("f4")
    for k, x in enumerate(latents):
        path = tmp_path / "all" / (str(LABELS[k]) if classes else "") / f"{k}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        one = x[None] if k % 2 else x  # scripts that encode one at a time keep their axis
        np.save(path, one) if suffix == "npy" else torch.save(torch.from_numpy(one), path)
    order = np.argsort(LABELS, kind="stable") if classes else np.arange(N)
    data = converted(tmp_path / "all", tmp_path, "all.npz")
    same(data, latents[order], np.array(LABELS)[order].astype(str) if classes else None)


def test_annotations_of_coco(tmp_path):
    """Labels of images; one that shows nothing is of none."""
    (tmp_path / "img").mkdir()
    for k, x in enumerate(IMAGES):
        Image.fromarray(x).save(tmp_path / "img" / f"{k}.png")
    shown = [{"image_id": 100 + k, "category_id": x} for k, x in enumerate(LABELS) if k > 1]
    told_by = {
        "images": [{"id": 100 + k, "file_name": f"{k}.png"} for k in range(N)],
        "annotations": [*shown, {"image_id": 102, "category_id": 4}],
        "categories": [{"id": 4, "name": "cat"}, {"id": 9, "name": "a, dog"}],
    }
    (tmp_path / "it's.json").write_text(json.dumps(told_by))
    with pytest.raises(InputError, match="annotations of COCO") as caught:
        load(tmp_path / "img", labels=tmp_path / "it's.json")
    line = str(caught.value).partition("this converts it: ")[2]
    with contextlib.chdir(tmp_path), pytest.MonkeyPatch.context() as patched:
        _, code, *arguments = shlex.split(line)[1:]
        patched.setattr(sys, "argv", ["-c", *arguments])
        exec(code, {})
    names = ["none", "none", *({4: "cat", 9: "a, dog"}[x] for x in LABELS[2:])]
    same(load(tmp_path / "img", labels=tmp_path / "it's.csv"), IMAGES, np.array(names))


@pytest.mark.parametrize(
    "held", [{"images": IMAGES, "labels": LABELS, "name": "x"}, (IMAGES, LABELS)]
)
def test_pickles(tmp_path, held):
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(held))
    same(converted(tmp_path / "x.pkl", tmp_path, "x.npz"), IMAGES, LABELS)


def test_files_of_torch(tmp_path):
    torch.save((torch.from_numpy(IMAGES), torch.tensor(LABELS)), tmp_path / "x.pt")
    same(converted(tmp_path / "x.pt", tmp_path, "x.npz"), IMAGES, LABELS)


def test_sparse_tables(tmp_path):
    dump_svmlight_file(POINTS, LABELS, str(tmp_path / "x.libsvm"))
    same(converted(tmp_path / "x.libsvm", tmp_path, "x.npz"), POINTS, LABELS)


def test_tables_of_json_and_arff(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(POINTS, columns=list("abcde")).assign(label=LABELS)
    frame.to_json(tmp_path / "x.jsonl", orient="records", lines=True, double_precision=15)
    same(converted(tmp_path / "x.jsonl", tmp_path, "x.csv"), POINTS, LABELS)
    kinds = "".join(f"@attribute {x} real\n" for x in "abcde")
    rows = "\n".join(",".join(map(repr, [*map(float, x), y])).replace("'", "") for x, y in
                     zip(POINTS, LABELS, strict=True))  # fmt: skip
    text = f"@relation x\n{kinds}@attribute label {{4,9}}\n@data\n{rows}\n"
    (tmp_path / "y.arff").write_text(text)
    same(converted(tmp_path / "y.arff", tmp_path, "y.csv"), POINTS, LABELS)


@pytest.mark.parametrize("suffix", ["tif", "gif"])
def test_pages_of_one_image(tmp_path, suffix):
    pages = [Image.fromarray(x[..., 0]) for x in IMAGES]
    path = tmp_path / f"x.{suffix}"
    pages[0].save(path, save_all=True, append_images=pages[1:])
    data = converted(path, tmp_path, "x.npy")
    first = data.points.reshape(N, 32, 32, -1)[..., 0] * 255
    np.testing.assert_allclose(first, IMAGES[..., 0], atol=1e-4)


def test_packed_files(tmp_path):
    np.savez(tmp_path / "in.npz", images=IMAGES, labels=LABELS)
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as out:
        out.add(tmp_path / "in.npz", "in.npz")
    same(converted(tmp_path / "x.tar.gz", tmp_path, "x/in.npz"), IMAGES, LABELS)
    subprocess.run(["gzip", "-k", str(tmp_path / "in.npz")], check=True)
    (tmp_path / "in.npz").unlink()
    same(converted(tmp_path / "in.npz.gz", tmp_path, "in.npz"), IMAGES, LABELS)


def rar(name, data):
    """An archive of RAR 5 of one file, stored as it is: only who owns a licence may pack."""

    def number(x):
        out = [x >> k & 127 | 128 for k in range(0, max(1, x.bit_length()), 7)]
        return bytes([*out[:-1], out[-1] & 127])

    def block(*fields):
        body = b"".join(x if isinstance(x, bytes) else number(x) for x in fields)
        body = number(len(body)) + body
        return zlib.crc32(body).to_bytes(4, "little") + body

    crc = zlib.crc32(data).to_bytes(4, "little")
    head = block(2, 2, len(data), 4, len(data), 0o100644, crc, 0, 1, len(name), name.encode())
    return b"Rar!\x1a\7\1\0" + block(1, 0, 0) + head + data + block(5, 0, 0)


@pytest.mark.parametrize(("suffix", "program"), [("7z", "7z"), ("rar", "unrar")])
def test_archives_by_their_programs(tmp_path, suffix, program):
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    np.savez(tmp_path / "in.npz", images=IMAGES, labels=LABELS)
    path = tmp_path / f"it's.{suffix}"
    if suffix == "rar":
        path.write_bytes(rar("in.npz", (tmp_path / "in.npz").read_bytes()))
    else:
        subprocess.run([program, "a", str(path), str(tmp_path / "in.npz")], check=True)
    same(converted(path, tmp_path, "it's/in.npz"), IMAGES, LABELS)


@pytest.mark.parametrize("volumes", [1, 3])
def test_slices_of_nifti_by_a_stand_in(tmp_path, monkeypatch, volumes):
    volume = RNG.standard_normal((6, 5, 4, volumes)).astype("f4")
    held = volume[..., 0] if volumes == 1 else volume
    image = SimpleNamespace(get_fdata=lambda dtype: held)
    monkeypatch.setitem(sys.modules, "nibabel", SimpleNamespace(load=lambda s: image))
    (tmp_path / "x.nii").write_bytes(b"something")
    data = converted(tmp_path / "x.nii", tmp_path, "x.npy")
    assert (data.n, data.sample_shape) == (4 * volumes, (6, 5, 1))
    kept = {x.tobytes() for x in data.points}
    assert kept == {volume[:, :, i, j].tobytes() for i in range(4) for j in range(volumes)}


def test_dicom_by_a_stand_in(tmp_path, monkeypatch):
    """Of files in folders of folders, one an image."""

    def read(path):
        return SimpleNamespace(pixel_array=IMAGES[int(Path(path).stem), ..., 0])

    monkeypatch.setitem(sys.modules, "pydicom", SimpleNamespace(dcmread=read))
    (tmp_path / "study" / "a").mkdir(parents=True)
    for k in range(N):
        (tmp_path / "study" / "a" / f"{k}.dcm").write_bytes(b"something")
    data = converted(tmp_path / "study", tmp_path, "study.npy")
    np.testing.assert_array_equal(data.points, IMAGES[..., 0].reshape(N, -1))


@pytest.mark.parametrize(
    ("name", "words", "way"),
    [
        ("x.7z", "an archive of 7z", "7z x "),
        ("x.rar", "an archive of RAR", "unrar x "),
        ("x.nii.gz", "a volume of NIfTI", "pip install nibabel"),
        ("x.dcm", "of DICOM", "pip install pydicom"),
        ("x.xlsx", "a spreadsheet", "read_excel"),
        ("base/data.mdb", "a database of LMDB", "pip install lmdb"),
        ("scans/1.dcm", "of DICOM", "pip install pydicom"),
        ("x.csv.bz2", "a packed file", "bunzip2 -k"),
    ],
)
def test_others_name_their_packages(tmp_path, name, words, way):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"something")
    source = path.parent if "/" in name else path
    with pytest.raises(InputError, match=words):
        load(source)
    assert way in told(source)


def test_no_kind_that_is_read_is_refused(tmp_path):
    """A declaration of `UNREAD` never speaks where a reader would read."""
    for name in ("x-idx3-ubyte.gz", "a.npz", "a.npy", "a.csv", "a.tar", "a.zip", "a.parquet"):
        path = tmp_path / name
        path.write_bytes(b"\x80\4 like a pickle")
        assert any(x.recognises(str(path), path) for x in READERS)
        with pytest.raises(InputError) as caught:
            load(path)
        assert "this converts it" not in str(caught.value)
    assert len({x.words for x in UNREAD}) >= 14
