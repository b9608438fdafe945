"""Samples alone: the copies half of an audit, the same as in a whole one."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

import diffregimes as dr
from command import contents, runner
from diffregimes.auditing import audit_samples
from diffregimes.auditing.findings import Audit, SamplesAudit
from diffregimes.common.checks import InputError
from diffregimes.common.rng import numpy_generator
from diffregimes.data.datasets import from_arrays
from diffregimes.report import write_audit
from diffregimes.scores import EmpiricalScore

D = 16
RNG = numpy_generator(0, "samples")
POINTS = from_arrays(RNG.standard_normal((80, D)), np.arange(80) % 2)
OTHERS = from_arrays(RNG.standard_normal((200, D)))
MADE = {
    "memorises": POINTS.points[np.arange(96) % 80] + 0.02 * RNG.standard_normal((96, D)),
    "does not copy": RNG.standard_normal((600, D)),
    "copies some": np.concatenate(
        [RNG.standard_normal((320, D)), POINTS.points[:80] + 0.02 * RNG.standard_normal((80, D))]
    ),
}


def of(values):
    return from_arrays(values.astype(np.float32))


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("others", [OTHERS, None])
def test_what_is_made_is_judged(kind, others):
    found = audit_samples(of(MADE[kind]), POINTS, others)
    assert found.verdict.kind == kind
    assert found.verdict.confidence > 0.9
    near = np.linalg.norm(MADE[kind][:, None] - POINTS.points, axis=2)
    two = np.sort(near, axis=1)[:, :2]
    assert found.copies.share.count == int((two[:, 0] < two[:, 1] / 3).sum())  # by definition
    assert not {"loss", "stein"} & {x.name for x in found.gate}
    assert type(found) is SamplesAudit
    told = json.loads(found.to_json())
    assert "curves" not in told
    assert told["verdict"]["kind"] == kind
    assert "loss" not in " ".join(found.verdict.sentences)


def test_it_is_the_copies_of_a_whole_audit():
    whole = dr.audit(
        EmpiricalScore(POINTS.points), POINTS, OTHERS, samples=32, pairs=16, steps=20, draws=32
    )
    assert isinstance(whole, Audit)
    alone = audit_samples(of(whole.copies.states), POINTS, OTHERS)
    assert alone.samples() == whole.samples()
    assert alone.origins == whole.origins
    assert alone.copies.baseline == whole.copies.baseline
    assert alone.verdict.probabilities == whole.verdict.probabilities
    gates = {x.name: x for x in whole.gate}
    assert all(gates[x.name] == x for x in alone.gate if x.name != "finite")


def test_another_scale_is_left_open():
    found = audit_samples(of(5 * MADE["does not copy"]), POINTS, OTHERS)
    assert found.verdict.open
    assert not {x.name: x.ok for x in found.gate}["scale"]


@pytest.mark.parametrize(
    ("samples", "others", "said"),
    [
        (of(MADE["memorises"][:15]), None, "the number of samples is 15; expected"),
        (of(MADE["memorises"][:, :9]), None, "sample_shape of the samples"),
        (of(MADE["memorises"]), of(MADE["memorises"][:, :9]), "sample_shape of the held-out"),
    ],
)
def test_what_does_not_go_together(samples, others, said):
    with pytest.raises(InputError, match=said):
        audit_samples(samples, POINTS, others)


def test_the_page_of_samples_has_no_panels_of_a_score(tmp_path):
    found = audit_samples(of(MADE["memorises"]), POINTS)
    write_audit(found, POINTS, tmp_path, figures=True)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "This model copies its training data" in page
    for absent in ("How far the model is", "All times", "Collapse: the point", "held-out loss"):
        assert absent not in page
    assert {x.name for x in tmp_path.iterdir()} == {
        "report.html", "results.json", "samples.csv", "figures"
    }  # fmt: skip
    assert {x.name for x in (tmp_path / "figures").iterdir()} == {"ratios.png", "ratios.svg"}
    assert "audit of" in found._repr_html_()


@pytest.fixture
def run(monkeypatch, capfd):
    return lambda *arguments: runner(monkeypatch, capfd)(*arguments, command=("audit",))


@pytest.fixture
def pictures(tmp_path):
    """80 pictures by one folder a class, and 40 of them made again."""
    values = numpy_generator(1, "pictures").integers(0, 256, (80, 6, 6), dtype=np.uint8)
    for k, image in enumerate(values):
        folder = tmp_path / "data" / f"class-{k % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{k:02}.png")
        (tmp_path / "made").mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / "made" / f"{k:02}.png")
    np.savez(tmp_path / "made.npz", images=values[:40], labels=np.zeros(40))
    return tmp_path


@pytest.mark.parametrize(("made", "count"), [("made", 80), ("made.npz", 40)])
def test_a_folder_or_an_archive_of_images(run, pictures, made, count):
    out = pictures / "out"
    ran = run("--samples-from", pictures / made, "--data", pictures / "data", "--out", out)
    assert ran.code == 0, ran.err
    told = json.loads((out / "results.json").read_text())
    assert told["verdict"]["kind"] == "memorises"
    assert told["memorised"]["count"] == told["memorised"]["of"] == count
    assert told["dataset"]["classes"] == ["class-0", "class-1"]
    assert told["dataset"]["scale"] == [-1, 1]
    assert told["recipe"]["options"]["samples_from"].endswith(made)
    assert "samples alone were given" in " ".join(ran.out.split())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--data", "data"), "neither came"),
        (("net", "--samples-from", "made", "--data", "data"), "both came"),
        (("--samples-from", "nowhere", "--data", "data"), "nowhere"),
        (("--samples-from", "made", "--data", "data", "--label", 1), "--label came with"),
        (("--samples-from", "made", "--data", "data", "--guidance", 2.0), "--guidance came with"),
        (("--samples-from", "made", "--data", "data", "--resize", 0), "resize"),
        (("--samples-from", "made", "--data", "digits"), "expected the same units"),
    ],
)
def test_nonsense(run, pictures, monkeypatch, options, said):
    monkeypatch.chdir(pictures)
    before = contents(pictures)
    ran = run(*options, "--out", pictures / "out")
    assert ran.code == 2
    assert said in " ".join(ran.err.split())
    assert contents(pictures) == before
