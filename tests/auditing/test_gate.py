"""What is checked before a verdict: each check on both sides, verdicts of samples of known truth.

Samples are made directly, but for a few audits at the end.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import binom, permutation_test

from diffregimes.auditing import gate as checks
from diffregimes.auditing.audit import audit
from diffregimes.auditing.findings import Entropy
from diffregimes.auditing.gate import gate, same_law
from diffregimes.auditing.judgement import REASONS, decision, leaning
from diffregimes.auditing.known import beside, known_points
from diffregimes.auditing.losses import Losses
from diffregimes.common.checks import InputError
from diffregimes.data.datasets import from_arrays
from diffregimes.populations.mixture import two_gaussians
from diffregimes.results import Flag
from diffregimes.scores import EmpiricalScore, MixtureScore

pytestmark = pytest.mark.usefixtures("few_forward_draws")

SIDE, N, M = 8, 150, 400
D = SIDE**2
LAW = two_gaussians(D, mu=0.5, sigma=0.5)


def drawn(m: int, seed: int) -> np.ndarray:
    return LAW.sample(m, seed=seed)[0].float().numpy()


def data(points: np.ndarray):
    return from_arrays(points.reshape(-1, SIDE, SIDE), np.arange(len(points)) % 2)


@cache
def points() -> np.ndarray:
    return drawn(N, 1)


def copies(m: int = M) -> np.ndarray:
    return points()[np.random.default_rng(0).integers(0, N, m)]


def mirrored(x: np.ndarray) -> np.ndarray:
    return x.reshape(-1, SIDE, SIDE)[:, :, ::-1].reshape(len(x), -1)


def quiet(training: np.ndarray, loss: float = 0.1, stein: float = 1e-3):
    t, total = np.array([0.1, 0.5, 1.0]), float(training.var(axis=0).sum())
    one = np.full(3, 1e-3 * total)
    entropy = Entropy(t, *[np.full(3, 1e-3)] * 4, np.full(3, stein), np.full(3, 1e-4))
    return Losses(t, *[np.full(3, loss * total), one] * 4), entropy


@cache
def known(twice: bool = False, held: int = 200, augment: tuple[str, ...] = ()):
    training = np.repeat(points(), 2, axis=0) if twice else points()
    held_out = data(drawn(held, 2)) if held else None
    return known_points(EmpiricalScore(training), data(training), held_out, augment)


def verdict(x: np.ndarray, of=None, **quietly) -> tuple[str, set[str], dict[str, Flag]]:
    """(kind, names of failed checks, all checks) of samples."""
    of = of or known()
    training = points() if len(of.training.clusters.of) == N else np.repeat(points(), 2, axis=0)
    found, flags = beside(of, data(training), x.astype(np.float32), *quiet(training, **quietly))
    kind, _ = decision(leaning(found.share, found.baseline), flags)
    return kind, {f.name for f in flags if not f.ok}, {f.name: f for f in flags}


# ---- cases with a known answer


@pytest.mark.parametrize("held", [0, 200])
def test_all_points_listed_twice_and_all_copied(held):
    kind, failed, flags = verdict(copies(), known(True, held))
    assert kind == "memorises"
    assert failed == {"duplicates"}
    assert flags["duplicates"].value == 2 * N
    assert verdict(drawn(M, 5), known(True, held))[0] == "does not copy"


@pytest.mark.parametrize("held", [0, 200])
@pytest.mark.parametrize(("m", "kind"), [(16, "open"), (M, "does not copy")])
def test_the_law_passes_every_check(m, held, kind):
    for x in (drawn(m, 5), 0.9 * drawn(m, 6), drawn(m, 7) + 0.1 * drawn(m, 8)):
        found, failed, _ = verdict(x, known(False, held))
        assert (found, failed) == (kind, set())


@pytest.mark.parametrize("of", [copies, lambda: drawn(M, 5)], ids=["copies", "law"])
@pytest.mark.parametrize(("s", "c"), [(0.5, 0.5), (2, -1), (127.5, 127.5), (0.18, 0), (-2, 0)])
def test_samples_on_another_scale(of, s, c):
    kind, failed, flags = verdict(s * of() + c)
    assert kind == "open"
    assert "scale" in failed
    assert flags["scale"].value == pytest.approx(max(abs(s), 1 / abs(s)), rel=0.1)


@pytest.mark.parametrize(("s", "c"), [(1.5, 0), (0.7, 0), (1.5, 0.3)])
def test_copies_on_a_scale_a_little_off_are_seen_but_for_brightness_and_contrast(s, c):
    kind, failed, _ = verdict(s * copies() + c)
    assert kind == "open"
    assert "brightness" in failed
    assert "scale" not in failed


@pytest.mark.parametrize("m", [16, M])
def test_samples_of_no_kind(m):
    rng = np.random.default_rng(3)
    for x in (73 * rng.standard_normal((m, D)), rng.standard_normal((m, D)), 0 * drawn(m, 5)):
        kind, failed, _ = verdict(x)
        assert kind == "open"
        assert failed & {"likeness", "variety"}


def test_mirrored_copies():
    half = np.where(np.arange(M)[:, None] % 2, copies(), mirrored(copies()))
    for x in (half, mirrored(copies())):
        kind, failed, _ = verdict(x)
        assert kind == "open"
        assert failed == {"orientation"}
        assert verdict(x, known(False, 200, ("mirror",)))[0] == "memorises"
    assert verdict(drawn(M, 5), known(False, 200, ("mirror",)))[0] == "does not copy"


def test_hidden_copies_count_by_what_they_would_change():
    """A tenth of mirrored copies denies "does not copy", and leaves "copies some" as it is."""
    of = np.arange(M)[:, None] % 10
    few = np.where(of == 0, mirrored(copies()), drawn(M, 5))
    assert verdict(few)[:2] == ("open", {"orientation"})
    assert verdict(np.where(of == 1, copies(), few))[:2] == ("copies some", set())


def test_copies_with_much_noise_are_half_way():
    rng = np.random.default_rng(4)
    gap = float(np.median(np.sort(cdist(points(), points()), axis=1)[:, 1])) / math.sqrt(D)
    kind, failed, _ = verdict(copies() + 0.52 * gap * rng.standard_normal((M, D)))
    assert (kind, failed) == ("open", {"half-way"})


@pytest.mark.parametrize("junk", ["likeness", "variety"])
def test_copies_that_are_found_stay_found(junk):
    other = copies()[:1] if junk == "variety" else 99 * drawn(M, 5)
    some = np.where(np.arange(M)[:, None] % 10 < 3, copies(), other)
    kind, _, flags = verdict(some)
    assert kind == ("memorises" if junk == "variety" else "copies some")
    if junk == "likeness":
        assert not flags[junk].ok


def test_held_out_points_of_another_law_are_no_measure_of_chance():
    other = known_points(EmpiricalScore(points()), data(points()), data(2 * drawn(200, 2)))
    kind, failed, flags = verdict(drawn(M, 5), other)
    assert (kind, failed) == ("does not copy", {"held-out-law"})
    assert other.baseline.of == "training points against one another"
    assert "may be one between the laws" in flags["held-out-law"].message
    assert "held-out-law" not in REASONS


def test_shared_points_are_left_out_and_decide_nothing_alone():
    """A tenth of the held-out points are training points: chance, or a leak?"""
    both = np.concatenate([drawn(180, 2), points()[:20]])
    of = known_points(EmpiricalScore(points()), data(points()), data(both))
    assert [x.other for x in of.shared] == list(range(180, 200))
    assert of.held_out.n == of.baseline.share.of == 180
    assert verdict(copies(), of)[0] == "memorises"
    assert verdict(drawn(M, 5), of)[0] == "does not copy"
    some = np.where(np.arange(M)[:, None] % 20 == 0, copies(), drawn(M, 5))
    kind, failed, _ = verdict(some, of)
    assert (kind, failed) == ("open", {"held-out-duplicates"})
    assert verdict(some)[0] == "copies some"
    with pytest.raises(InputError, match="not trained on"):
        known_points(EmpiricalScore(points()), data(points()), data(points()[:30]))


def test_few_held_out_points_know_little_of_chance():
    """In two dimensions a ninth of the points look like copies; of 16 held-out ones none may."""
    rng = np.random.default_rng(0)
    plane = rng.standard_normal((N, 2)).astype(np.float32)
    near = EmpiricalScore(plane)
    others = rng.standard_normal((4000, 2)).astype(np.float32)
    dense = from_arrays(plane, np.arange(N) % 2)
    first = known_points(near, dense, from_arrays(others, np.arange(4000) % 2))
    ratio = first.baseline.near.ratio
    chance = float((ratio < 1 / 3).mean())
    assert chance == pytest.approx(1 / 9, abs=4 * math.sqrt(0.1 / 4000) + 0.02)
    lucky = first.held_out.points[ratio > 1 / 3][:16]
    of = known_points(near, dense, from_arrays(lucky, np.arange(16) % 2))
    assert of.baseline.share.count == 0
    x = rng.standard_normal((512, 2)).astype(np.float32)
    found, flags = beside(of, dense, x, *quiet(plane))
    lean = leaning(found.share, found.baseline)
    assert (lean.kind, lean.confidence > 0.9) == ("copies some", True)
    kind, against = decision(lean, flags)
    assert (kind, [x.name for x in against]) == ("open", ["chance"])


def test_three_different_points_are_needed():
    few = np.repeat(points()[:2], 4, axis=0)
    with pytest.raises(InputError, match="8 training points are 2 different ones"):
        known_points(EmpiricalScore(few), data(few))


# ---- thresholds


@pytest.mark.parametrize(("loss", "ok"), [(0.4, True), (3.0, False)])
def test_the_loss_of_a_model_that_knows_nothing(loss, ok):
    kind, failed, flags = verdict(drawn(M, 5), loss=loss)
    assert (kind, failed) == (("does not copy", set()) if ok else ("open", {"loss"}))
    v = points().var()
    t = np.array([0.1, 0.5, 1.0])
    gamma = 1 / np.expm1(2 * t)
    at = np.abs(np.log(2 * gamma * v)).argmin()
    # 3/2 of what shrinking to the mean loses, which is the variance at gamma v = 1/2
    assert flags["loss"].threshold == pytest.approx(1.5 / (1 + gamma[at] * v), rel=0.05)


@pytest.mark.parametrize(("stein", "ok"), [(0.49, True), (0.51, False), (-0.51, False)])
def test_a_score_that_is_not_of_its_samples(stein, ok):
    kind, failed, _ = verdict(drawn(M, 5), stein=stein)
    assert (kind, failed) == (("does not copy", set()) if ok else ("open", {"stein"}))


def test_numbers_that_are_none():
    assert "finite" in verdict(drawn(M, 5), loss=math.inf)[1]


@pytest.mark.parametrize(("factor", "ok"), [(1.5, True), (1.7, False)])
def test_contrast_may_differ_by_so_much(factor, ok):
    for s in (factor, 1 / factor):
        assert checks._scale(s * drawn(M, 5), points()).ok == ok
    # four samples do not tell
    noisy = np.random.default_rng(5).standard_normal((4, 3)) * [[9], [1], [1], [1]]
    assert checks._scale(noisy, np.random.default_rng(6).standard_normal((50, 3))).ok


@pytest.mark.parametrize(("far", "of", "ok"), [(16, 16, False), (15, 16, True), (200, 400, True),
                                               (245, 400, False)])  # fmt: skip
def test_more_than_half_are_far(far, of, ok):
    """By the binomial law of half: 16 of 16 have 1.5e-5."""
    assert (binom.sf(far - 1, of, 0.5) >= 1e-4) == ok
    x = drawn(of, 5)
    x[:far] *= 50
    flag = verdict(x)[2]["likeness"]
    assert (flag.ok, flag.value) == (ok, far / of)


@pytest.mark.parametrize(("width", "ok"), [(0.09, False), (0.12, True)])
def test_samples_are_alike(width, ok):
    x = points()[:1] + width * (drawn(M, 5) - points()[:1])
    assert checks._variety(x, points()).ok == ok


# ---- the two-sample test


def test_the_p_value_is_that_of_scipy():
    x, y = drawn(24, 1), 0.15 + drawn(16, 2)

    both = np.concatenate([x, y])
    gaps = cdist(both, both)

    def energy(one, two):
        one, two = one.astype(int), two.astype(int)
        return (
            2 * gaps[np.ix_(one, two)].mean() - gaps[np.ix_(one, one)].mean()
            - gaps[np.ix_(two, two)].mean()
        )  # fmt: skip

    known = permutation_test(
        (np.arange(24.0), np.arange(24.0, 40)), energy, n_resamples=1500, alternative="greater",
        rng=np.random.default_rng(0),
    ).pvalue  # fmt: skip
    found = same_law(x, y, 0).value
    assert 0.005 < known < 0.5
    assert abs(found - known) < 4 * math.sqrt(known * (1 - known) / 1500)


def test_p_values_of_one_law_are_uniform(monkeypatch):
    monkeypatch.setattr(checks, "_PERMUTATIONS", 199)
    p = np.array([same_law(drawn(30, 2 * k), drawn(20, 2 * k + 1), k).value for k in range(150)])
    for level in (0.1, 0.5, 0.9):
        z = ((p <= level).mean() - level) / math.sqrt(level * (1 - level) / len(p))
        assert abs(z) < 4


def test_too_few_held_out_points_say_nothing():
    """Two of them have 561 places among 32: p cannot fall to 1e-4."""
    assert same_law(drawn(32, 1), 99 + drawn(2, 2), 0).ok
    far = same_law(drawn(32, 1), 99 + drawn(16, 2), 0)
    assert (far.ok, far.value) == (False, 1e-4)  # one of 10 000 orders, that which is seen


# ---- audits of models


FEW = {"samples": 48, "pairs": 16, "draws": 64, "steps": 40, "seed": 3}


def test_an_audit_on_another_scale_says_so():
    """Trained on [0, 1], audited at [-1, 1]."""
    ran = audit(EmpiricalScore(points() / 2 + 0.5), data(points()), data(drawn(100, 2)), **FEW)
    failed = {x.name for x in ran.gate if not x.ok}
    assert ran.verdict.kind == "open"
    assert ran.verdict.confidence is None
    assert {"scale", "brightness"} <= failed
    assert "samples and data differ in scale" in ran.verdict.headline
    assert "--range" in str(ran)


def test_an_audit_of_points_that_are_listed_twice_names_them():
    twice = np.repeat(points()[:60], 2, axis=0)
    ran = audit(EmpiricalScore(twice), data(twice), data(drawn(100, 2)), **FEW)
    assert ran.verdict.kind == "memorises"
    told = ran.to_dict()
    assert len(told["duplicates"]["training"]) == 60
    assert told["duplicates"]["training"][0]["kind"] == "exact"
    assert sum(x.copies for x in ran.origins) == ran.copies.share.count == 48
    for x in ran.origins:
        assert (*x.twins, x.index) in {(x.index ^ 1, x.index)}


def test_what_the_law_makes_is_no_copy_and_nothing_is_held_against_it():
    ran = audit(MixtureScore(LAW), data(points()), data(drawn(100, 2)), **FEW, augment=["mirror"])
    assert ran.verdict.kind == "open"  # 48 samples do not tell 1 %
    assert all(x.ok for x in ran.gate)
    assert {x.name for x in ran.gate} >= {"scale", "likeness", "loss", "stein", "orientation"}
    assert not ran.verdict.headline.count("but")


def test_the_reasons_are_names_of_checks():
    of = known()
    near = of.training.near(drawn(M, 5))
    evidence = checks.Evidence(
        drawn(M, 5), points(), of.others, (SIDE, SIDE, 1), of.training, near, of.baseline,
        *quiet(points()), 0, of.law,
    )  # fmt: skip
    names = {x.name for x in gate(evidence)}
    names |= {x.name for x in gate(replace(evidence, others=None))} | {"chance-duplicates"}
    assert set(REASONS) | {"duplicates", "held-out-law"} == names
