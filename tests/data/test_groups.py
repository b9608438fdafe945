"""Groups of points are read as labels are, whatever the source, and are never on both sides."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from diffregimes.common.checks import InputError
from diffregimes.data.datasets import from_arrays
from diffregimes.data.groups import hold_out
from diffregimes.data.readers import load

N = 24
PATIENT = np.array([f"p{k // 4}" for k in range(N)])
LABELS = np.arange(N) % 2
PIXELS = np.random.default_rng(0).integers(0, 256, (N, 6, 6), dtype=np.uint8)


def npz(folder):
    np.savez(folder / "a.npz", images=PIXELS, labels=LABELS, patient=PATIENT)
    return folder / "a.npz", "patient"


def npz_without_labels(folder):
    np.savez(folder / "a.npz", images=PIXELS, patient=PATIENT)
    return folder / "a.npz", "patient"


def file_in_order(folder):
    np.save(folder / "a.npy", PIXELS)
    (folder / "groups.txt").write_text("\n".join(PATIENT))
    return folder / "a.npy", folder / "groups.txt"


def table(folder):
    rows = [",".join([str(x), p, *map(str, y.ravel())]) for x, p, y in zip(
        LABELS, PATIENT, PIXELS, strict=True)]  # fmt: skip
    head = ",".join(["label", "patient", *(f"v{k}" for k in range(36))])
    (folder / "a.csv").write_text("\n".join([head, *rows]))
    return folder / "a.csv", "patient"


def pictures(folder, names):
    for name, image in zip(names, PIXELS, strict=True):
        (folder / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / "data" / name)
    return folder / "data"


def metadata(folder):
    names = [f"{k:02}.png" for k in range(N)]
    out = pictures(folder, names)
    rows = [f"{n},{x},{p}" for n, x, p in zip(names, LABELS, PATIENT, strict=True)]
    (out / "metadata.csv").write_text("\n".join(["file_name,label,patient", *rows]))
    return out, "patient"


def metadata_of_json(folder):
    names = [f"{k:02}.png" for k in range(N)]
    out = pictures(folder, names)
    rows = [{"file_name": n, "label": int(x), "patient": p} for n, x, p in zip(
        names, LABELS, PATIENT, strict=True)]  # fmt: skip
    (out / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return out, "patient"


def file_by_name(folder):
    names = [f"c{x}/{k:02}.png" for k, x in enumerate(LABELS)]
    out = pictures(folder, names)
    rows = [f"{n},{p}" for n, p in zip(names, PATIENT, strict=True)]
    (folder / "groups.csv").write_text("\n".join(["file,patient", *reversed(rows)]))
    return out, f"{folder / 'groups.csv'}:patient"


def folders(folder):
    names = [f"c{x}/{p}/{k:02}.png" for k, (x, p) in enumerate(zip(LABELS, PATIENT, strict=True))]
    return pictures(folder, names), "folder"


def frame(_):
    pandas = pytest.importorskip("pandas")
    values = {f"v{k}": PIXELS.reshape(N, -1)[:, k] for k in range(36)}
    return pandas.DataFrame({"label": LABELS, "patient": PATIENT, **values}), "patient"


KINDS = [npz, npz_without_labels, file_in_order, table, metadata, metadata_of_json, file_by_name,
         folders, frame]  # fmt: skip


def expected(data, kind):
    """The patient of each point, found again by its pixels."""
    known = {x.tobytes(): p for x, p in zip(
        PIXELS.astype(np.float32).reshape(N, -1), PATIENT, strict=True)}  # fmt: skip
    at = [known[np.round(x * (1 if data.scale is None else 255)).tobytes()] for x in data.points]
    return [f"c{k}/{p}" for k, p in zip(data.labels, at, strict=True)] if kind is folders else at


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_source_has_its_groups(kind, tmp_path):
    source, group = kind(tmp_path)
    data = load(source, group=group)
    assert data.d == 36, "groups are no values of a point"
    assert data.groups.tolist() == expected(data, kind)
    assert data.take(np.array([7, 2])).groups.tolist() == [data.groups[7], data.groups[2]]
    if data.labelled:
        one = load(source, group=group, classes=[data.class_names[1]], per_class=5)
        wanted = [x.replace("c0/", "c1/") for x in expected(one, kind)]
        assert one.n == len(wanted) == 5
        assert one.groups.tolist() == wanted


@pytest.mark.parametrize(
    ("group", "said"),
    [
        ("scene", "group (--group) is 'scene', neither a key of the archive nor a file"),
        ("folder", "are no files in folders"),
        ("none", "names no groups"),
        ("short", "5 groups for the 24 points"),
    ],
)
def test_groups_that_are_none(group, said, tmp_path):
    source, _ = npz(tmp_path)
    if group == "short":
        group = tmp_path / "short.txt"
        group.write_text("\n".join("abcde"))
    with pytest.raises(InputError) as caught:
        load(source, group=group)
    assert said in str(caught.value)
    assert "--labels" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "said"),
    [(metadata, "column of"), (table, "its columns are"), (file_in_order, "no such file")],
)
def test_unknown_columns_name_those_there_are(kind, said, tmp_path):
    source, _ = kind(tmp_path)
    with pytest.raises(InputError, match=said) as caught:
        load(source, group="scene")
    assert "group (--group) is 'scene'" in str(caught.value)


def test_a_column_of_an_array_is_no_group(tmp_path):
    np.save(tmp_path / "a.npy", np.c_[np.random.default_rng(0).standard_normal((9, 3)), range(9)])
    with pytest.raises(InputError, match="names no groups"):
        load(tmp_path / "a.npy", group="-1")


def test_groups_of_arrays():
    data = from_arrays(PIXELS, LABELS, groups=PATIENT, classes=[1])
    assert data.groups.tolist() == PATIENT[LABELS == 1].tolist()
    for wrong in (PATIENT[:5], np.ones((N, 2)), np.ones(N)):
        with pytest.raises(InputError, match="groups have the shape"):
            from_arrays(PIXELS, LABELS, groups=wrong)


@pytest.mark.parametrize("share", [0.05, 0.1, 0.3, 0.5, 0.9])
def test_whole_groups_are_held_out(share):
    rng = np.random.default_rng(1)
    groups = rng.choice([f"g{k}" for k in range(40)], 500, p=rng.dirichlet(np.ones(40)))
    seen = set()
    for seed in range(6):
        kept, out = hold_out(np.zeros(500), share, seed, groups)
        assert not set(groups[kept]) & set(groups[out])
        assert sorted([*kept, *out]) == list(range(500))
        # the last group is taken or not, whichever is nearer
        assert abs(len(out) - 500 * share) <= np.unique(groups, return_counts=True)[1].max() / 2
        seen.add(out.tobytes())
    assert len(seen) > 1
    with pytest.raises(InputError, match="of the 1 groups leaves"):
        hold_out(np.zeros(500), share, 0, np.zeros(500))
