"""Every command leaves the options that it ran with: the same names in the same order."""

from __future__ import annotations

import json
from typing import Any

import pytest
import typer

from command import runner, untrained, without_drawing
from diffregimes.cli.app import app


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    without_drawing(monkeypatch)


DATA = {"labels": None, "key": None, "split": None, "classes": "0,1", "per_class": 12}
PIXELS = {"pixel_range": None, "pad": 0, "resize": None, "crop": False, "standardize": False}
NETWORK = dict.fromkeys(["label", "prompt", "guidance", "null_label", "scheduler", "base"])
SCORE = {"score": None, **NETWORK}
SAMPLING = {"sampler": "bridge", "grid": None, "steps": 12}
REST = {**DATA, **PIXELS, "seed": 3, "device": "cpu"}
FEW = ("digits", "--classes", "0,1", "--per-class", 12, "--seed", 3)
CASES = {
    "clones": (
        (*FEW, "--steps", 12, "--pairs", 4, "--times", "0.1,0.5"),
        {"source": "digits", "times": "0.1,0.5", "pairs": 4, "branches": 2}
        | SCORE | SAMPLING | REST,
    ),
    "uturn": (
        (*FEW, "--steps", 12, "--pairs", 4, "--sampler", "ddpm"),
        {"source": "digits", "times": None, "pairs": 4}
        | SCORE | SAMPLING | {"sampler": "ddpm"} | REST,
    ),
    "generate": (
        (*FEW, "--steps", 12, "--samples", 4, "--score", "empirical", "--memory-mib", 512),
        {"source": "digits", "samples": 4}
        | SCORE | {"score": "empirical"} | SAMPLING | REST,
    ),
    "analyze": (
        (*FEW, "--draws", 256, "--times", "0.1,0.2,0.5,1", "--range=0,2"),
        {"source": "digits", "labels": None, "key": None, "classes": "0,1", "per_class": 12,
         "range": [0, 2], "pad": 0, "split": None, "resize": None, "crop": False,
         "standardize": False, "times": [0.1, 0.2, 0.5, 1], "schedule": "linear",
         "skip_unreadable": False, "levels": None, "windows": None, "groups": None,
         "group": None, "given": None, "augment": None},
    ),
    "train-classifier": (
        (*FEW, "--epochs", 1, "--force"),
        {"source": "digits", "held_out": 0.1, "epochs": 1} | DATA
        | PIXELS | {"seed": 3},
    ),
    "train": (
        (*FEW, "--steps", 2, "--batch", 4, "--memorised", 0, "--device", "cpu"),
        {"source": "digits", "preset": "tiny", "steps": 2, "batch": 4, "every": None,
         "held_out": 0.1, "memorised": 0} | DATA | PIXELS | {"group": None, "seed": 3},
    ),
}  # fmt: skip


@pytest.mark.parametrize("command", CASES)
def test_options_are_recorded(monkeypatch, capfd, tmp_path, command):
    without_drawing(monkeypatch)
    if command == "train":
        pytest.importorskip("accelerate")
        monkeypatch.setattr("diffregimes.learned.training.EVALUATED", 8)
    arguments, expected = CASES[command]
    ran = runner(monkeypatch, capfd)(*arguments, "--out", tmp_path / "out", command=(command,))
    assert ran.code == 0, ran.err
    assert _recorded(tmp_path / "out", command) == list(expected.items())


def test_options_of_an_audit_are_recorded(monkeypatch, capfd, tmp_path):
    model = untrained(tmp_path / "model")
    monkeypatch.setattr("diffregimes.auditing.audit.LOSS_TIMES", 3)
    without_drawing(monkeypatch)
    ran = runner(monkeypatch, capfd)(
        model, "--data", "digits", "--classes", "0,1", "--per-class", 12, "--samples", 16,
        "--pairs", 16, "--steps", 10, "--augment", "mirror, flip", "--seed", 3, "--batch", 8,
        "--out", tmp_path / "out", command=("audit",),
    )  # fmt: skip
    assert ran.code == 0, ran.err
    expected = {
        "data": "digits", "held_out": None, "samples": 16, "pairs": 16, "steps": 10,
        "augment": "mirror, flip", "features": None, "prompts": None, **NETWORK, **DATA, **PIXELS,
        "group": None, "seed": 3, "device": "cpu",
    }  # fmt: skip
    assert _recorded(tmp_path / "out", "audit") == list(expected.items())


def _recorded(folder, command):
    files = {"train": "recipe.json", "train-classifier": "classifier.json"}
    found = json.loads((folder / files.get(command, "results.json")).read_text())
    recipe = found if command == "train" else found["recipe"]
    assert recipe["command"] == command
    return list(recipe["options"].items())


NETWORK_NAMES = "label prompt guidance null_label scheduler base"
SHARED = "labels key split classes per_class pixel_range pad resize crop standardize"
BACKWARD = f"sampler grid steps batch {SHARED} seed device memory_mib out"
ORDER = {
    "analyze": f"source {SHARED} group given augment skip_unreadable levels windows groups "
    "precision draws times seed schedule device memory_mib dask workers out figures format dry_run",
    "clones": f"source times pairs branches score model {NETWORK_NAMES} classifier {BACKWARD}",
    "uturn": f"source times pairs score model {NETWORK_NAMES} classifier {BACKWARD}",
    "generate": f"source samples score model {NETWORK_NAMES} {BACKWARD}",
    "train": f"source preset steps batch every held_out memorised {SHARED} group seed device out",
    "train-classifier": f"source held_out epochs {SHARED} seed device out force",
    "audit": "model samples_from data held_out samples pairs steps augment "
    f"features prompts {NETWORK_NAMES} classifier batch {SHARED} group seed device memory_mib out "
    "figures",
    "advise": f"source {SHARED} scheduler steps epsilon held_out pilot pilot_points seed device "
    "memory_mib out format",
    "points-needed": f"source at {SHARED} seed",
}


@pytest.mark.parametrize("command", ORDER)
def test_options_stand_in_order(command):
    group: Any = typer.main.get_command(app)
    assert [x.name for x in group.commands[command].params] == ORDER[command].split()
