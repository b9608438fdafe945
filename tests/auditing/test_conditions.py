"""Every point under its own condition: the exact law of each class dressed as one network with
class embeddings is judged as it is, and its numbers are those of audits of one class each."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import chi2

import diffregimes as dr
from diffregimes.auditing.conditions import Conditions, alone, distinct_captions
from diffregimes.auditing.losses import denoising_losses
from diffregimes.backward.conditioned import PointsWithin, curves_within
from diffregimes.common.checks import InputError
from diffregimes.common.rng import numpy_generator, point_of_pair, torch_generator
from diffregimes.data.datasets import from_arrays
from diffregimes.learned.adapters import OwnConditions, learned_score
from diffregimes.populations.mixture import GaussianMixture
from diffregimes.process import signal, variance
from diffregimes.report.page.audit import render_audit
from diffregimes.scores import EmpiricalScore, MixtureScore
from dressed import Dressed, diffusers

pytestmark = [
    pytest.mark.usefixtures("few_forward_draws"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
PLAN = diffusers.DDIMScheduler(clip_sample=False)
NUMBERS, COUNTS = (0, 2, 5), (30, 50, 70)  # of a model of six classes
WIDTH, SHAPE = 0.2, (4, 4, 1)
FAST = {"samples": 64, "pairs": 64, "draws": 256, "steps": 60, "seed": 3}


def means():
    return 0.5 * np.random.default_rng(7).standard_normal((3, 16))


@cache
def drawn(seed):
    rng = np.random.default_rng(seed)
    places = np.repeat(np.arange(3), COUNTS)
    x = means()[places] + WIDTH * rng.standard_normal((len(places), 16))
    order = rng.permutation(len(places))
    labels = np.array(NUMBERS)[places[order]]
    return from_arrays(x[order].reshape(-1, *SHAPE).astype(np.float32), labels)


def exact(data, place):
    return EmpiricalScore(data.points[data.labels == place])


def law(place):
    return MixtureScore(GaussianMixture(means()[place : place + 1], WIDTH**2))


class OfEach(Dressed):
    """A network with class embeddings: each class has the score that it is given."""

    def __init__(self, scores, **options):
        super().__init__(PLAN, scores[0], SHAPE, **{"num_class_embeds": 6, **options})
        self.scores = dict(zip(NUMBERS, scores, strict=True))

    def forward(self, x, timestep, class_labels=None):
        out = torch.empty_like(x)
        for number in class_labels.unique().tolist():
            mine = class_labels == number
            self.score = self.scores[number]
            out[mine] = super().forward(x[mine], timestep[mine])
        return out


def asked(*scores):
    return learned_score(OfEach(scores), PLAN, label="own")


@cache
def memorising():
    data = drawn(0)
    return dr.audit(asked(*(exact(data, k) for k in range(3))), data, drawn(1), **FAST)


def flag(audit, name):
    return next(x for x in audit.gate if x.name == name)


def test_the_exact_score_of_every_class_memorises_as_the_exact_law_does():
    found = memorising()
    assert found.verdict.kind == "memorises"
    assert found.verdict.confidence > 0.99
    assert flag(found, "pairing").ok
    assert found.speciation is None
    assert any("condition, which is given" in x for x in found.notes)
    # the schedule rounds the noise level between its steps; the rest is that of the exact score
    np.testing.assert_allclose(found.losses.train, found.losses.exact, rtol=2e-3, atol=1e-6)
    np.testing.assert_allclose(found.losses.held_out, found.losses.exact_held_out, rtol=2e-3)
    z = found.clones.z["same_point_probability"]
    assert np.abs(z).max() < 4
    entropy = found.entropy
    z = (entropy.value - entropy.exact) / np.hypot(entropy.se, entropy.exact_se + 1e-3)
    assert np.abs(z[entropy.t > 0.01]).max() < 5
    # at t = infinity the excess is the mean of log n_c
    most = sum(n * np.log(n) for n in COUNTS) / 150 / np.log(150)
    assert entropy.value[-1] == pytest.approx(most, abs=0.02)
    assert [x.n for x in sorted(found.conditions, key=lambda x: int(x.name))] == list(COUNTS)
    assert sum(x.copies.of for x in found.conditions) == 64
    assert sum(x.copies.count for x in found.conditions) == found.copies.share.count
    assert not any(x.elsewhere for x in found.conditions)
    # of the exact score of a class all samples end at points of it
    data, rows = drawn(0), found.samples()
    ended = np.array(data.class_names)[data.labels[found.copies.point]]
    assert next(iter(rows)) == "condition"
    assert list(rows["condition"]) == ended.tolist()


def test_losses_are_those_of_each_class_asked_alone():
    data, times = drawn(0), [0.05, 0.3, 1.0]
    mine = data.only("2")
    alone = denoising_losses(exact(data, 1), mine.points, None, times, draws=2048, seed=5)
    for one in memorising().conditions:
        if one.name == "2":
            at = denoising_losses(
                exact(data, 1), mine.points, None, [one.t, 1.0], draws=2048, seed=9
            )
            z = (one.train - at.train[0]) / np.hypot(one.train_se, at.train_se[0])
            assert abs(z) < 4
            assert one.train == pytest.approx(one.exact, rel=2e-3)
    score = asked(*(exact(data, k) for k in range(3)))
    codes = np.full(len(mine.points), 2)
    within = denoising_losses(
        score, mine.points, None, times, draws=2048, seed=5, conditions=(codes, None)
    )
    np.testing.assert_allclose(within.exact, alone.exact, rtol=1e-5)
    np.testing.assert_allclose(within.train, alone.train, rtol=2e-3)


def test_the_law_of_every_class_does_not_copy():
    score = asked(*(law(k) for k in range(3)))
    found = dr.audit(score, drawn(0), drawn(1), **{**FAST, "samples": 400})
    assert found.verdict.kind == "does not copy"
    assert found.verdict.confidence > 0.9
    assert flag(found, "pairing").ok
    gap = found.losses.gap
    assert np.abs(gap).max() < 4
    # the exact mmse of each Gaussian class
    t = found.losses.t
    gamma = np.exp(-2 * t) / -np.expm1(-2 * t)
    mmse = 16 * WIDTH**2 / (1 + gamma * WIDTH**2)
    z = (found.losses.held_out - mmse) / found.losses.held_out_se
    assert np.abs(z).max() < 4


def test_copies_of_one_class_alone_are_found_and_named():
    data = drawn(0)
    found = dr.audit(asked(law(0), exact(data, 1), law(2)), data, drawn(1), **FAST)
    assert found.verdict.kind == "copies some"
    first, *others = found.conditions
    assert first.name == "2"
    assert first.copies.count == first.copies.of
    assert sum(x.copies.count for x in others) <= 2
    assert first.train == pytest.approx(first.exact, rel=2e-3)
    for one in others:
        assert (one.train - one.exact) / np.hypot(one.train_se, one.exact_se) > 4


@pytest.mark.parametrize("how", ["classes", "points"])
def test_another_pairing_of_points_and_labels_is_told(how):
    """The network was trained on the labels; the audit is given others."""
    data = drawn(0)
    score = asked(*(exact(data, k) for k in range(3)))
    rng = np.random.default_rng(2)
    labels = (data.labels + 1) % 3 if how == "classes" else rng.permutation(data.labels)
    found = dr.audit(score, replace(data, labels=labels), None, **FAST)
    assert not flag(found, "pairing").ok
    assert "paired otherwise" in flag(found, "pairing").message
    assert found.verdict.kind == "memorises"  # a copy is one whatever it was asked for
    losses = found.losses
    z = (losses.train - losses.exact) / np.hypot(losses.train_se, losses.exact_se)
    assert np.abs(z).max() > 5
    if how == "classes":
        assert all(x.elsewhere == x.copies.count > 0 for x in found.conditions)
        # what it was asked for, not what the points near to it are called here
        ended = np.array(data.class_names)[data.labels[found.copies.point]]
        assert list(found.asked) == ended.tolist()


def test_a_network_that_takes_no_notice_of_its_classes_is_told():
    whole = EmpiricalScore(drawn(0).points)
    found = dr.audit(asked(whole, whole, whole), drawn(0), drawn(1), **FAST)
    assert not flag(found, "pairing").ok


# ---- the exact law of each


def test_curves_are_means_over_classes_of_a_plain_evaluation():
    data = drawn(0)
    within = PointsWithin(data.points, data.labels)
    t = np.array([0.05, 0.1, 0.3])
    found = curves_within(within, t, 8192, seed=1)
    rng = numpy_generator(4, "oracle")
    for k, time in enumerate(t):
        e, v = float(signal(time)), float(variance(time))
        same, free = [], []
        for _ in range(3000):
            i = rng.integers(data.n)
            a = data.points[data.labels == data.labels[i]].astype(np.float64)
            x = e * data.points[i] + np.sqrt(v) * rng.standard_normal(16)
            energy = -((x - e * a) ** 2).sum(1) / (2 * v)
            log_w = energy - logsumexp(energy)
            same.append(np.exp(logsumexp(2 * log_w)))
            # log n_c less what x tells of the point: the entropy of the weights
            free.append(-(np.exp(log_w) * log_w).sum() / np.log(data.n))
        for name, values in (("same_point_probability", same), ("excess_entropy_over_alpha", free)):
            error = np.hypot(np.std(values) / np.sqrt(len(values)), found.se[name][k])
            assert abs(found[name][k] - np.mean(values)) < 4 * error


def test_errors_of_many_conditions_are_those_of_repetitions():
    """The same points in each condition: noise that they had in common would not average out."""
    x = np.tile(drawn(0).points[:8], (16, 1))
    points, t = PointsWithin(x, np.repeat(np.arange(16), 8)), np.array([0.1, 0.3])
    found = [curves_within(points, t, 512, seed=k) for k in range(12)]
    for name in found[0].values:
        values = np.array([c[name] for c in found])
        ratio = values.var(axis=0, ddof=1) / np.mean([c.se[name] ** 2 for c in found], axis=0)
        # points are drawn in turn, which the errors do not count on
        assert (11 * ratio < chi2.ppf(0.9999, 11)).all()
        assert (11 * ratio > 0.3 * chi2.ppf(0.0001, 11)).all()


def test_a_condition_that_one_point_has_is_decided():
    x = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
    within = PointsWithin(x.copy(), np.arange(6))
    found = curves_within(within, np.array([0.1, 3.0]), 512)
    assert found["same_point_probability"].tolist() == pytest.approx([1, 1])
    assert found["excess_entropy_over_alpha"].tolist() == [0, 0]
    x[1] = x[0]  # two equal points of one condition share their weight at every t
    twins = curves_within(PointsWithin(x, np.array([0, 0, 1, 2, 3, 4])), np.array([0.1, 3.0]), 512)
    assert twins["same_point_probability"].tolist() == pytest.approx([5 / 6] * 2)
    wanted = 2 / 6 * np.log(2) / np.log(6)
    assert twins["excess_entropy_over_alpha"].tolist() == pytest.approx([wanted] * 2)
    for codes, ok in (([0, 0, 0, 0, 1, 2], True), ([0, 0, 1, 2, 3, 4], False)):
        said = alone(Conditions(np.array(codes), None, {}))
        assert said.ok is ok
        assert said.value == pytest.approx(len(set(codes) - {0}) / 6)
    assert alone(Conditions(np.array([0, 0, 1, 1]), None, {})) is None
    codes = torch.tensor([3, 0, 9])
    noised = torch.randn(3, 4, generator=torch_generator(0, "noised"))
    said = within.given(codes).denoise(noised, 1.0)
    np.testing.assert_allclose(said[:2], x[[3, 0]], atol=1e-6)
    assert said[2].isnan().all()  # of a condition that no point has nothing is known
    index, square = within.given(codes[:2]).nearest_points(noised[:2], 1.0, 2)
    assert index.tolist() == [[3, 3], [0, 0]]
    assert square[:, 1].isinf().all()


def test_states_keep_their_conditions_however_many_are_asked_at_a_time():
    data = drawn(0)
    scores = [exact(data, k) for k in range(3)]
    model = OfEach(scores)
    score = learned_score(model, PLAN, label="own", batch=7)
    assert isinstance(score, OwnConditions)
    assert score.count == 6
    rng = torch_generator(1, "rows")
    x, codes = torch.randn(20, 16, generator=rng), torch.tensor(NUMBERS * 7)[:20]
    found = score.given(codes).denoise(x, 0.4)
    for number in NUMBERS:
        alone = learned_score(model, PLAN, label=number).denoise(x, 0.4)
        mine = codes == number
        torch.testing.assert_close(found[mine], alone[mine], rtol=1e-5, atol=1e-5)
        assert (found[~mine] - alone[~mine]).abs().max() > 0.1
    with pytest.raises(InputError, match="asked under conditions, and none came"):
        score.denoise(x, 0.4)


@pytest.mark.parametrize("batch", [pytest.param(None, marks=pytest.mark.slow), 13])
def test_blocks_are_asked_for_the_conditions_of_the_points(batch):
    """Rows of a step in parts, and clones beside their trunk, have those of their draw."""
    data = drawn(0)
    score = asked(*(exact(data, k) for k in range(3)))
    found = dr.audit(score, data, **{**FAST, "pairs": 16, "samples": 40, "steps": 24}, batch=batch)
    own = data.labels[point_of_pair(data.n, 0, 40, 3)]
    assert data.labels[found.copies.point].tolist() == own.tolist()
    assert found.clones.simulated["same_point_probability"][0] == 1


# ---- bad input


def test_conditions_of_which_no_point_was_drawn():
    """More of them than draws of the losses: what was not measured is not known."""
    data, draws = drawn(0), 16
    labels = np.arange(data.n) // 5
    whole = EmpiricalScore(data.points)
    model = OfEach((whole, whole, whole), num_class_embeds=30)
    model.scores = dict.fromkeys(range(30), whole)
    score = learned_score(model, PLAN, label="own")
    data = from_arrays(data.points.reshape(-1, *SHAPE), labels)
    found = dr.audit(score, data, None, **{**FAST, "samples": 16, "pairs": 16, "draws": draws})
    assert len(found.conditions) == 30
    told = json.loads(found.to_json())["conditions"]
    drawn_of = len(np.unique(labels[point_of_pair(data.n, 0, draws, FAST["seed"])]))
    assert sum(x["train"] is not None for x in told) == drawn_of < 30
    assert len({x["t"] for x in told}) == 1
    page = render_audit(found, data)
    assert "–" in page
    assert f"sample 0 · asked for {found.asked[0]} · ratio" in page
    long = replace(found, asked=("word " * 20,) * 16)
    assert f"asked for {('word ' * 20)[:39]}… · ratio" in render_audit(long, data)


def test_points_and_labels_that_do_not_go_together():
    data = drawn(0)
    score = asked(*(exact(data, k) for k in range(3)))
    few = {**FAST, "samples": 16, "pairs": 16}
    with pytest.raises(InputError, match=r"have no labels.*--labels.*--label 3"):
        dr.audit(score, from_arrays(data.points.reshape(-1, *SHAPE)), **few)
    with pytest.raises(InputError, match=r"held-out points .* have no labels"):
        dr.audit(score, data, from_arrays(data.points.reshape(-1, *SHAPE)), **few)
    wrong = from_arrays(data.points.reshape(-1, *SHAPE), data.labels + 4)
    with pytest.raises(InputError, match=r"classes 0 to 5; .* others: 6 \(6\).*--classes"):
        dr.audit(score, wrong, **few)
    names = np.array(["1", "10", "2"])[data.labels]
    with pytest.raises(InputError, match=r"classes of the data are 1, 10, 2.*--labels FILE"):
        dr.audit(score, from_arrays(data.points.reshape(-1, *SHAPE), names), **few)
    other = from_arrays(data.points.reshape(-1, *SHAPE), data.labels + 1)
    with pytest.raises(InputError, match="have the classes 1, 3, which no training point has"):
        dr.audit(score, data, other, **few)
    with pytest.raises(InputError, match="label is 'own', but the model has no classes"):
        learned_score(Dressed(PLAN, None, SHAPE), PLAN, label="own")
    with pytest.raises(InputError, match="how many classes"):
        learned_score(Dressed(PLAN, None, SHAPE, class_embed_type="timestep"), PLAN, label="own")


# ---- texts


class OfTexts(Dressed):
    """A network of text and images: each text has the score that it is given."""

    def __init__(self, scores):
        blocks = ("CrossAttnDownBlock2D",)
        super().__init__(
            PLAN, scores[0], SHAPE, _class_name="UNet2DConditionModel", down_block_types=blocks
        )
        self.scores = scores

    def forward(self, x, timestep, encoder_hidden_states):
        out = torch.empty_like(x)
        asked = encoder_hidden_states[:, 0, 0].long()
        for number in asked.unique().tolist():
            mine = asked == number
            self.score = self.scores[number]
            out[mine] = super().forward(x[mine], timestep[mine])
        return out


class Encoder:
    """A pipeline that encodes 'point 7' as 7."""

    def encode_prompt(self, prompt, *_):
        return (torch.full((1, 1, 1), float(prompt.split()[1])),)


def told(data, numbers):
    return replace(data, captions=np.array([f"point {k}" for k in numbers]))


@pytest.mark.slow
def test_a_model_that_knows_each_point_by_its_own_text():
    data = told(drawn(0).take(np.arange(40)), range(40))
    held_out = told(drawn(1).take(np.arange(60)), range(40, 100))
    scores = [EmpiricalScore(data.points[k : k + 1]) for k in range(40)] + [law(0)] * 60
    prompts = distinct_captions(data, held_out)
    assert len(prompts) == 100
    score = learned_score(OfTexts(scores), PLAN, prompt=prompts, pipeline=Encoder())
    assert score.count == 100
    found = dr.audit(score, data, held_out, **FAST)
    assert found.verdict.kind == "memorises"
    assert flag(found, "pairing").ok
    assert not flag(found, "conditions").ok
    assert (
        "40 of 40 training points have a condition that no other"
        in flag(found, "conditions").message
    )
    assert found.losses.exact.max() < 1e-8  # the exact law is the point itself
    assert np.isnan(found.losses.exact_held_out).all()  # and has nothing of other texts
    assert np.isnan(found.losses.copied()[0]).all()
    assert found.losses.separation() == found.losses.t[-1]
    own = point_of_pair(40, 0, 64, 3)
    assert found.copies.point.tolist() == own.tolist()
    assert all(x.copies is None or x.copies.count == x.copies.of for x in found.conditions)
    json.loads(found.to_json())
    assert "Condition by condition" in render_audit(found, data)


def test_a_model_of_texts_that_copies_nothing():
    data, held_out = drawn(0), drawn(1)
    data, held_out = (told(x, x.labels) for x in (data, held_out))
    score = learned_score(
        OfTexts([law(k) for k in range(3)]), PLAN, prompt=distinct_captions(data, held_out),
        pipeline=Encoder(),
    )  # fmt: skip
    found = dr.audit(score, data, held_out, **{**FAST, "samples": 400})
    assert found.verdict.kind == "does not copy"
    assert flag(found, "pairing").ok
    assert not [x for x in found.gate if x.name == "conditions"]


def test_texts_that_are_missing():
    data = told(drawn(0), drawn(0).labels)
    score = learned_score(
        OfTexts([law(k) for k in range(3)]), PLAN, prompt=distinct_captions(data, None),
        pipeline=Encoder(),
    )  # fmt: skip
    few = {**FAST, "samples": 16, "pairs": 16}
    with pytest.raises(InputError, match=r"the data .* have no texts.*--prompts"):
        dr.audit(score, drawn(0), **few)
    with pytest.raises(InputError, match=r"held-out points .* have no texts"):
        dr.audit(score, data, drawn(1), **few)
    with pytest.raises(InputError, match=r"150 of the held-out points .* first 'point 9'"):
        dr.audit(score, data, told(drawn(1), [9] * 150), **few)
