"""`analyze --given`, `--group` and `--augment` at the prompt."""

from __future__ import annotations

import json

import numpy as np
import pytest

from clouds import blobs
from command import runner, without_drawing


@pytest.fixture
def ran(monkeypatch, capfd, tmp_path):
    without_drawing(monkeypatch)
    run = runner(monkeypatch, capfd)

    def analyze(*arguments):
        return run(*arguments, "--draws", 512, "--out", tmp_path / "out", command=("analyze",))

    return analyze


def images(folder):
    points, labels = blobs(90, 16, 2)
    np.savez(
        folder / "data.npz", images=points.reshape(90, 4, 4), labels=labels,
        patient=np.arange(90) // 3, protocol=np.where(np.arange(90) == 7, "rare", "usual"),
    )  # fmt: skip
    return folder / "data.npz"


def test_all_three_stand_in_results_json(ran, tmp_path):
    source = images(tmp_path)
    done = ran(source, "--key", "images", "--labels", "labels", "--group", "patient", "--given",
               "protocol", "--augment", "mirror,rotate90")  # fmt: skip
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    assert found["given"]["alone"] == [7]
    assert found["given"]["conditions"] == 2
    assert found["grouped"]["groups"] == 30
    assert found["augment"]["members"] == 720
    assert found["recipe"]["headline"]["collapse"] == "group-free-energy"
    options = found["recipe"]["options"]
    assert [options[x] for x in ("group", "given", "augment")] == [
        "patient", "protocol", "mirror,rotate90"
    ]  # fmt: skip
    assert "1 point shares its condition with no other" in " ".join(done.out.split())
    assert "30 groups, which count as one" in " ".join(done.out.split())


def test_a_file_of_conditions_and_classes(ran, tmp_path):
    source = images(tmp_path)
    (tmp_path / "captions.txt").write_text("\n".join(f"c{k // 30}" for k in range(90)))
    done = ran(source, "--key", "images", "--labels", "labels", "--given",
               tmp_path / "captions.txt")  # fmt: skip
    assert done.code == 0, done.err
    found = json.loads((tmp_path / "out" / "results.json").read_text())["given"]
    assert found["conditions"] == 3
    done = ran(source, "--key", "images", "--labels", "labels", "--given", "label", "--dry-run")
    assert done.code == 0, done.err
    assert "2 conditions, 0 of one point" in done.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--given", "colour"), "given (--given) is 'colour'"),
        (("--group", "colour"), "group (--group) is 'colour'"),
        (("--group", "one"), "all points are in one group"),
        (("--given", "empty"), "1 of 90 points have none, the first in row 3"),
        (("--group", "empty"), "1 of 90 points have none, the first in row 3"),
        (("--given", "few.npy"), "89 conditions for the 90 points"),
        (("--augment", "blur"), "names 'blur'"),
        (("--augment", ""), "expected some of mirror"),
        (("--augment", "shift:4"), "shift by 1 to 3 pixels"),
        (("--augment", "mirror", "--key", "flat"), "it is no image"),
        (("--augment", "rotate90", "--key", "wide"), "2 by 8; expected square"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_written(ran, tmp_path, monkeypatch, arguments, said):
    source = images(tmp_path)
    with np.load(source) as data:
        held = dict(data)
    held["one"] = np.full(90, "same")
    held["empty"] = np.where(np.arange(90) == 2, "", "x")
    held["flat"], held["wide"] = held["images"].reshape(90, 16), held["images"].reshape(90, 2, 8)
    np.savez(source, **held)
    np.save(tmp_path / "few.npy", np.arange(89))
    monkeypatch.chdir(tmp_path)
    key = () if "--key" in arguments else ("--key", "images")
    done = ran(source, "--labels", "labels", *key, *arguments)
    assert done.code == 2
    assert said in " ".join(done.err.split())
    assert not (tmp_path / "out").exists()
