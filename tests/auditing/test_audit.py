"""The audit, without training anything: exact denoisers dressed as networks of every kind.

That of the training points must be found to memorise and to follow the forward pass; that of the
law which they were drawn from must be found not to copy, with the entropy of this law.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

from clouds import digits01
from diffregimes.auditing.audit import audit
from diffregimes.auditing.findings import Share
from diffregimes.auditing.judgement import excess_probability, judged
from diffregimes.common.checks import InputError
from diffregimes.data.datasets import from_arrays
from diffregimes.data.groups import hold_out
from diffregimes.learned.adapters import learned_score
from diffregimes.populations.mixture import two_gaussians
from diffregimes.scores import EmpiricalScore, MixtureScore
from dressed import Dressed, made

pytestmark = [
    pytest.mark.usefixtures("few_forward_draws"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # diffusers and numpy 2
]
KINDS = ["ddpm epsilon", "ddpm sample", "ddpm v", "edm epsilon", "flow"]
# every clock; what else a network may predict differs by a formula (learned/test_adapters.py)
TRIED = [
    pytest.param(x, marks=[pytest.mark.slow] if x in ("ddpm sample", "ddpm v") else [])
    for x in KINDS
]
FAST = {"samples": 128, "pairs": 64, "draws": 256, "steps": 100, "seed": 3}
N, WIDTH = 200, 0.5


@cache
def digits():
    points, labels = digits01()
    data = from_arrays(points.reshape(-1, 8, 8), labels)
    kept, held_out = hold_out(data.labels, 0.2)
    return data.take(kept), data.take(held_out)


@cache
def memorising(kind):
    data, held_out = digits()
    dressed = Dressed(made(kind), EmpiricalScore(data.points), (8, 8, 1))
    return audit(learned_score(dressed, made(kind)), data, held_out, **FAST)


@cache
def drawn():
    """A law of 64 coordinates, and two samples of it as images."""
    law = two_gaussians(64, mu=1.0, sigma=WIDTH)
    both = [law.sample(N, seed=k, stratified=True) for k in (1, 2)]
    return law, *(from_arrays(x.float().reshape(-1, 8, 8), y) for x, y in both)


@cache
def generalising(kind):
    law, data, held_out = drawn()
    dressed = Dressed(made(kind), MixtureScore(law), (8, 8, 1))
    return audit(learned_score(dressed, made(kind)), data, held_out, **FAST)


def normal(gap, *errors):
    return np.abs(gap) / np.sqrt(sum(np.asarray(e) ** 2 for e in errors) + 1e-20)


# ---- the exact score of the training points


@pytest.mark.parametrize("kind", TRIED)
def test_the_exact_score_memorises(kind):
    found = memorising(kind)
    assert found.verdict.kind == "memorises"
    assert found.verdict.confidence > 0.999
    assert found.copies.share.count == found.copies.share.of == FAST["samples"]
    assert found.copies.baseline.count == 0


@pytest.mark.parametrize("kind", TRIED)
def test_the_exact_score_follows_the_forward_pass(kind):
    found = memorising(kind)
    for z in found.clones.z.values():
        assert np.abs(z).max() < 4
    e = found.entropy
    assert normal(e.value - e.exact, e.se, e.exact_se).max() < 4
    assert normal(e.stein, e.stein_se).max() < 4.5
    by = {x.method: x for x in found.collapse}
    for method in ("entropy", "clone"):
        assert by[method].low < by[method].exact < by[method].high
    assert found.speciation.low < found.speciation.exact < found.speciation.high


@pytest.mark.parametrize("kind", TRIED)
def test_the_exact_score_loses_the_mmse(kind):
    losses = memorising(kind).losses
    np.testing.assert_allclose(losses.train, losses.exact, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(losses.held_out, losses.exact_held_out, rtol=1e-3)
    assert losses.separation() == losses.separation(exact=True)
    _, share, _ = losses.copied_near(0.05)
    assert share == pytest.approx(1, abs=1e-3)


def test_copies_are_found_by_hand():
    found, (data, held_out) = memorising(KINDS[0]), digits()
    copies = found.copies
    gaps = cdist(copies.states.astype(float), data.points.astype(float))
    order = np.argsort(gaps, axis=1)
    np.testing.assert_array_equal(copies.point, data.indices[order[:, 0]])
    near = np.take_along_axis(gaps, order[:, :2], axis=1)
    np.testing.assert_allclose(copies.second_distance, near[:, 1], rtol=1e-5)
    # a copy is at the rounding of float32 from its point
    np.testing.assert_allclose(copies.distance, near[:, 0], rtol=0.1, atol=2e-3)
    near = np.sort(cdist(held_out.points.astype(float), data.points.astype(float)), axis=1)
    np.testing.assert_allclose(copies.baseline_ratio, near[:, 0] / near[:, 1], rtol=1e-4)


def test_origins_are_the_points_of_the_copies():
    found = memorising(KINDS[0])
    point, counts = np.unique(found.copies.point, return_counts=True)
    assert {x.index: x.copies for x in found.origins} == dict(
        zip(point.tolist(), counts.tolist(), strict=True)
    )
    assert [x.copies for x in found.origins] == sorted(counts.tolist(), reverse=True)
    for origin in found.origins:
        assert (found.copies.point[list(origin.samples)] == origin.index).all()
    # each of the 288 points has the same weight: samples land on as many points as balls do
    boxes, balls = found.dataset.n, found.copies.share.of
    expected = boxes * (1 - (1 - 1 / boxes) ** balls)
    assert abs(len(found.origins) - expected) < 4 * math.sqrt(
        boxes * (1 - 1 / boxes) ** balls  # above the variance of occupied boxes
    )


# ---- the law


@pytest.mark.parametrize("kind", KINDS[::4])  # all of them are tried on the exact score above
def test_the_law_does_not_copy(kind):
    found = generalising(kind)
    assert found.verdict.kind == "does not copy"
    assert found.verdict.confidence > 0.9
    assert not found.origins
    said = " ".join(found.verdict.sentences)
    assert "ends −" in said  # the law is broader than its points
    assert not re.search(r"[ (]-\d", said)
    losses = found.losses
    assert losses.separation() is None
    assert losses.separation(exact=True) is not None
    assert (losses.train > losses.exact - 4 * losses.train_se).all()
    assert losses.train[0] > 5 * losses.exact[0]
    by = {x.method: x for x in found.collapse}
    assert by["clone"].t is None
    assert by["clone"].exact is not None
    # its classes are decided where those of the exact score are
    phi = found.clones.z["same_class_probability"]
    assert np.abs(phi).max() < 4


@pytest.mark.parametrize("kind", KINDS[::4])
def test_the_entropy_is_that_of_the_law(kind):
    """Against -E log P_t of the two Gaussians, from their densities."""
    e, (law, data, _) = generalising(kind).entropy, drawn()
    generator = np.random.default_rng(0)
    centre = law.means[0].numpy().astype(float)
    a = WIDTH * generator.standard_normal((20000, 64)) + centre
    gaps = []
    for t, value, se in zip(e.t, e.value, e.se, strict=True):
        noise = -math.expm1(-2 * t)
        x = math.exp(-t) * a + math.sqrt(noise) * generator.standard_normal(a.shape)
        width = math.exp(-2 * t) * WIDTH**2 + noise
        squares = np.stack([((x - s * math.exp(-t) * centre) ** 2).sum(1) for s in (1, -1)])
        logs = logsumexp(-squares / (2 * width), axis=0) - math.log(2)
        minus = 32 * math.log(2 * math.pi * width) - logs
        known = (math.log(N) + 32 * math.log(2 * math.pi * math.e * noise) - minus) / math.log(N)
        gaps.append(normal(known.mean() - value, se, known.std() / math.sqrt(len(a))))
    assert data.n == N
    assert max(gaps) < 4
    assert e.value[0] < -1


# ---- what an audit holds


def test_results_are_strict_json():
    for found in (memorising(KINDS[0]), generalising(KINDS[0])):
        told = json.loads(found.to_json())
        assert told["format"] == "diffregimes.audit/2"
        assert told["memorised"]["count"] == found.copies.share.count
        assert told["verdict"]["headline"] == found.verdict.headline
        lengths = {k: {len(x) for x in v.values()} for k, v in told["curves"].items()}
        assert all(len(x) == 1 for x in lengths.values())


def test_without_held_out_points():
    data, _ = digits()
    score = EmpiricalScore(data.points)
    found = audit(score, data, **{**FAST, "samples": 32, "pairs": 16, "draws": 64})
    assert found.held_out is None
    assert "against one another" in found.copies.baseline_of
    gaps = np.sort(cdist(data.points.astype(float), data.points.astype(float)), axis=1)
    np.testing.assert_allclose(found.copies.baseline_ratio, gaps[:, 1] / gaps[:, 2], rtol=1e-3)
    assert json.loads(found.to_json())["curves"]["losses"]["held_out"][0] is None
    assert "Without held-out points" in str(found)


def test_the_same_seed_gives_the_same_audit_and_a_store_is_read_back(tmp_path):
    data, held_out = digits()
    few = {**FAST, "samples": 260, "pairs": 16, "draws": 64, "steps": 30}

    class Counted(EmpiricalScore):
        asked = 0

        def denoise(self, x, t):
            self.asked += len(x)
            return super().denoise(x, t)

    def run(**options):
        score = Counted(data.points)
        found = audit(score, data, held_out, recipe={"a": 1}, **few, **options)
        return found.to_json(), score.asked

    plain, first, second = run(), run(store=tmp_path), run(store=tmp_path)
    assert plain == first
    assert second[0] == plain[0]
    assert second[1] < 0.2 * plain[1]  # the losses alone


def test_classes_come_from_the_classifier_given():
    data, held_out = digits()
    few = {**FAST, "samples": 32, "pairs": 32, "draws": 64, "steps": 40}
    score = EmpiricalScore(data.points)
    found = audit(score, data, held_out, classify=lambda x, t: torch.zeros(len(x)).long(), **few)
    assert (found.clones.simulated["same_class_probability"] == 1).all()


def test_what_does_not_go_together():
    data, held_out = digits()
    score = EmpiricalScore(data.points)
    with pytest.raises(InputError, match="sample_shape of the held-out points"):
        audit(score, data, from_arrays(held_out.points, held_out.labels), **FAST)
    other = from_arrays(held_out.points.reshape(-1, 8, 8) * 2 - 1, held_out.labels)
    scaled = from_arrays(
        (255 * held_out.points).astype(np.uint8).reshape(-1, 8, 8), held_out.labels,
        pixel_range=(-1, 1),
    )  # fmt: skip
    assert other.scale == data.scale
    with pytest.raises(InputError, match="scale of the held-out points"):
        audit(score, data, scaled, **FAST)
    images, others = (x.points.reshape(-1, 8, 8) for x in (data, held_out))
    one = from_arrays(images, data.labels, pixel_range=(-1, 1))
    two = from_arrays(2 * others, held_out.labels, pixel_range=(-1, 1))
    with pytest.raises(InputError, match=r"from 0 to 2 mapped.*pixel_range=data\.pixel_map"):
        audit(score, one, two, **FAST)
    with pytest.raises(InputError, match="samples"):
        audit(score, data, **{**FAST, "samples": 4})
    net = learned_score(Dressed(made("flow"), EmpiricalScore(data.points), (8, 8, 1)), made("flow"))
    wide = from_arrays(np.zeros((10, 6, 6)) + np.arange(10)[:, None, None], np.arange(10) % 2)
    with pytest.raises(InputError, match="8"):
        audit(net, wide, **FAST)


def test_a_label_is_asked_for_the_points_of_its_class():
    data, _ = digits()
    score = EmpiricalScore(data.points)
    score.label = 1
    with pytest.raises(InputError, match=r"label 1.*classes 0, 1.*data\.only"):
        audit(score, data, **FAST)


# ---- the verdict


def share(count, of):
    return Share(count, of, 0.0, 1.0)


@pytest.mark.parametrize(("k", "m", "b", "of"), [(3, 50, 0, 20), (30, 64, 1, 100), (0, 512, 0, 36)])
@pytest.mark.parametrize("level", [0.01, 0.5])
def test_confidences_are_posterior_probabilities(k, m, b, of, level):
    draws = np.random.default_rng(1).beta(
        [k + 0.5, b + 0.5], [m - k + 0.5, of - b + 0.5], (10**6, 2)
    )
    p = float((draws[:, 0] > draws[:, 1] + level * (1 - draws[:, 1])).mean())
    found = excess_probability(share(k, m), share(b, of), level)
    assert abs(found - p) < 4 * math.sqrt(p * (1 - p) / 10**6) + 1e-4


@pytest.mark.parametrize(
    ("count", "of", "kind", "sure"),
    [
        (0, 1000, "does not copy", True),
        (0, 16, "does not copy", False),
        (100, 1000, "copies some", True),
        (900, 1000, "memorises", True),
        (500, 1000, "copies some", False),
    ],
)
def test_verdicts(count, of, kind, sure):
    found = memorising(KINDS[0])
    copies = replace(found.copies, share=share(count, of), baseline=share(0, 10000))
    verdict = judged(copies, found.losses, found.entropy, found.collapse, 288)
    assert verdict.kind == (kind if sure else "open")
    assert verdict.confidence == (verdict.probabilities[kind] if sure else None)
    assert (max(verdict.probabilities.values()) > 0.9) == sure
    assert verdict.headline.startswith("Open") != sure


def test_what_chance_does_is_no_copy():
    """Data that lie in near pairs have ratios below 1/3 of their own."""
    found = memorising(KINDS[0])
    copies = replace(found.copies, share=share(300, 1000), baseline=share(3000, 10000))
    verdict = judged(copies, found.losses, found.entropy, found.collapse, 288)
    assert excess_probability(copies.share, copies.baseline, 0.05 / 0.7) < 0.01
    assert verdict.kind == "open"
    assert verdict.probabilities["memorises"] < 0.001
