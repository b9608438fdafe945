"""Times of parts of the samples: closed forms, planted classes and copies, the whole as a part."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import chi2

import diffregimes as dr
import mixture_reference as mixture
from clouds import evidence_of
from diffregimes.data.cloud import prepare
from diffregimes.data.windows import parts_of
from diffregimes.posterior.groups import GROUPS, T95, dealt_as
from diffregimes.posterior.left_out import left_out_means
from diffregimes.process import snr, time_from_snr
from diffregimes.theory import TwoGaussians, finite_n
from diffregimes.transitions import balance
from diffregimes.transitions.collapse import FREE
from diffregimes.transitions.part import Found, Part, searched
from diffregimes.transitions.speciation import LOO, OWN
from diffregimes.transitions.windows import _together, groups_of_points


def seen_through(data, features, blocks=4, seed=0, method="clone-loo"):
    """One part, from `blocks` blocks of draws."""
    evidence = evidence_of(data, blocks, seed)
    points = np.ascontiguousarray(data.points[:, features])
    part = Part(evidence, groups_of_points(evidence), 1.0, seed)
    return part.seen(points, data, SimpleNamespace(method=method))


def z_of(found, exact):
    """Of log gamma, by the end of the interval on that side."""
    t, low, high = (math.log(snr(max(x, 1e-9))) for x in found.t)
    gap = t - math.log(snr(exact))
    return gap / ((t - high if gap > 0 else low - t) / T95)


def exact_collapse(d, mu, sigma, n, guess):
    """Zero of the bounded free energy, mean over sets of n points."""
    times = guess * np.exp(np.linspace(-0.15, 0.15, 5))
    law = finite_n.Classes.two(TwoGaussians(d, mu, sigma))
    known = finite_n.means(law, times, math.log(n))
    return float(np.exp(np.polyfit(known.bounded, np.log(times), 2)[-1]))


def drawn_law(seed):
    """Independent pixels with means of their own, n points, and the exact times of some of them."""
    rng = np.random.default_rng(seed)
    n, d, sigma = int(rng.integers(300, 700)), 64, rng.uniform(0.5, 1.5)
    means = sigma * rng.uniform(0.45, 0.7) * rng.uniform(0.3, 1.7, d) * rng.choice([-1, 1], d)
    labels = np.arange(n) % 2
    points = (2 * labels[:, None] - 1) * means + sigma * rng.standard_normal((n, d))
    features = rng.choice(d, int(rng.integers(8, 24)), replace=False)
    mu = math.sqrt((means[features] ** 2).mean())
    data = dr.from_arrays(points.astype(np.float32), labels)
    return data, features, mu, sigma


def errors_over_laws(laws):
    """z of t_S and t_C over random laws."""
    classes, points = [], []
    for seed in laws:
        data, features, mu, sigma = drawn_law(seed)
        seen = seen_through(data, features, blocks=2, seed=seed)
        exact = exact_collapse(len(features), mu, sigma, data.n, seen.collapse.t[0])
        points.append(z_of(seen.collapse, exact))
        if seen.speciation.places is not None:
            exact = mixture.speciation_time(len(features), mu, sigma)
            classes.append(z_of(seen.speciation, exact))
    assert len(classes) > 0.8 * len(points)
    return np.array(classes), np.array(points)


def honest(z):
    """Mean z^2 is that of Student's t of 15 degrees, from both sides."""
    low, high = chi2.ppf([5e-4, 1 - 5e-4], len(z)) / len(z) * (GROUPS - 1) / (GROUPS - 3)
    assert low < np.mean(z**2) < high, (low, np.mean(z**2), high)


@pytest.mark.slow
def test_random_laws_have_their_exact_times():
    classes, points = errors_over_laws(range(10))
    honest(points)
    assert np.mean(np.abs(classes) < T95) >= 0.8
    assert np.abs(classes).max() < 5


@pytest.mark.slow
def test_many_random_laws_have_their_exact_times():
    classes, points = errors_over_laws(range(100, 180))
    honest(points)
    assert abs(points.mean()) < 3.3 * points.std() / math.sqrt(len(points))
    honest(classes)
    assert np.mean(np.abs(classes) < T95) > 0.88


def test_curves_are_followed_to_where_they_cross():
    """From starts on either side, each row at its own place; none where a row never crosses."""
    own = np.linspace(-0.2, 0.2, 1 + GROUPS)

    def ask(nodes):
        rising = {x: 1 / (1 + np.exp(own - at[:, None])) for x, at in nodes.items()}
        rising["never"] = 0.7 * rising["never"] if "never" in nodes else None
        return {x: np.stack([rising[x], rising[x] ** 2], -1) for x in nodes}

    levels = {"early": 0.5, "late": 0.5, "never": 0.75}
    found = searched(ask, {"early": 3.0, "late": -3.0, "never": 0.0}, levels)
    assert set(found) == {"early", "late"}
    for at, rows, places in found.values():
        assert rows.shape == (len(at), 1 + GROUPS, 2)
        assert (np.diff(at) > 0).all()
        np.testing.assert_allclose(places, own, atol=5e-3)


def test_the_class_parts_where_the_mean_of_confidence_and_true_class_does():
    """Read off the same draws at that place; the confidence alone is later."""
    data, features, _, _ = drawn_law(6)
    seen = seen_through(data, features, blocks=2, seed=6)
    assert seen.speciation.method == "clone-loo"
    evidence = evidence_of(data, 2, 6)
    cloud = prepare(np.ascontiguousarray(data.points[:, features]), data.labels)
    times = time_from_snr(np.exp(seen.speciation.places[[0, 3]]))
    means = left_out_means(
        cloud, {LOO: times, OWN: times}, blocks=2, seed=6,
        parts=dealt_as(cloud, groups_of_points(evidence)),
    )  # fmt: skip
    for k, column in enumerate([0, 3]):
        middle = (means[LOO] + means[OWN])[k, column] / 2
        assert abs(middle - evidence.level) < 3e-4  # five times, and straight lines between them
    assert means[LOO][0, 0] > evidence.level + 1e-3


def planted(n=400, seed=0, shift=0.45):
    """8 x 8 images of noise; the class is in the upper left quadrant alone."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    images = rng.standard_normal((n, 8, 8))
    images[:, :4, :4] += shift * (2 * labels[:, None, None] - 1)
    return images.astype(np.float32), labels


def run(images, labels, **options):
    return dr.analyze(images, labels, draws=2048, **options)


def test_a_class_in_one_quadrant_shows_there_alone():
    images, labels = planted()
    (found,) = run(images, labels, windows=[4]).windows
    t = found.map(found.speciation.t)
    corners = t[::2, ::2]
    assert np.isfinite(corners[0, 0])
    assert np.isnan(corners.ravel()[1:]).all()
    assert abs(z_of(SimpleNamespace(t=[x[0] for x in (
        found.speciation.t, found.speciation.low, found.speciation.high)]),
        mixture.speciation_time(16, 0.45, 1.0))) < 3.5  # fmt: skip
    assert t[0, 0] > np.nanmax(t.ravel()[1:])  # the more of the quadrant, the later
    assert "no class shows" in " ".join(found.notes)
    # copying is the same everywhere: each quadrant has as many points in as many dimensions
    collapse = found.map(found.collapse.t)
    assert np.ptp(collapse) < 0.2 * collapse.mean()


def test_a_quadrant_shared_by_points():
    """Of 600 points four each share it: 150 differ there, with the t_C of 150 points."""
    images, labels = planted(600)
    images[:, 4:, 4:] = images[np.arange(600) // 4, 4:, 4:]
    (found,) = run(images, labels, windows=[4]).windows
    distinct = found.map(found.distinct)
    assert distinct[2, 2] == 150
    assert (distinct.ravel()[:-1] == 600).all()
    assert "150 to 150 of 600 differ" in " ".join(found.notes)
    t = [x[-1] for x in (found.collapse.t, found.collapse.low, found.collapse.high)]
    exact = exact_collapse(16, 1e-9, 1.0, 150, t[0])
    assert abs(z_of(SimpleNamespace(t=t), exact)) < 3.5
    assert t[0] > found.collapse.t[0]  # fewer points are told apart earlier


def test_a_quadrant_nearly_the_same_in_two_points():
    """Copies that differ by a little compete until the noise is as small as that."""
    images, labels = planted()
    rng = np.random.default_rng(1)
    images[200:, 4:, 4:] = images[:200, 4:, 4:] + 0.01 * rng.standard_normal((200, 4, 4))
    (found,) = run(images, labels, windows=[4]).windows
    t = found.map(found.collapse.t)
    assert (found.distinct == 400).all()
    assert t[2, 2] < 0.3 * np.delete(t.ravel(), -1).min()


def test_a_window_of_all_pixels_is_the_run():
    images, labels = planted(300)
    alone, both = run(images, labels), run(images, labels, windows=[8, 4])
    small, whole = both.windows
    assert (small.width, whole.width) == (4, 8)
    for transition in ("speciation", "collapse"):
        time, found = alone.time(transition), whole.of(transition)
        ends = [float(x[0]) for x in (found.t, found.low, found.high)]
        assert ends == [time.t, time.low, time.high]
        assert [found.mean, found.mean_low, found.mean_high] == ends
    assert dataclasses.replace(both, windows=()).to_json() == alone.to_json()


def test_a_part_of_all_pixels_agrees_with_the_run():
    """The same times on the way of the parts, which has draws of its own."""
    images, labels = planted(300, shift=0.25)
    data = dr.from_arrays(images, labels)
    found = dr.analyze(data, draws=3072)
    seen = seen_through(data, np.arange(64), blocks=12, method=found.time("speciation").method)
    for time, part in zip(map(found.time, ("speciation", "collapse")),
                          (seen.speciation, seen.collapse), strict=True):  # fmt: skip
        width = (time.high - time.low) / 2 + (part.t[2] - part.t[1]) / 2
        assert abs(part.t[0] - time.t) < 0.7 * width
        assert 0.4 < (part.t[2] - part.t[1]) / (time.high - time.low) < 2.5


def test_equal_points_of_other_classes_leave_the_class_open():
    """A window whose pixels are 0 in most points of either class never tells the class."""
    rng = np.random.default_rng(0)
    images = rng.standard_normal((400, 4, 4)).astype(np.float32)
    images[:300, :, :2] = 0
    labels = np.arange(400) % 2
    images[300:, :, :2] += 3 * (2 * labels[300:, None, None] - 1)
    data = dr.from_arrays(images, labels)
    (kind,) = parts_of(data, [2], None)
    seen = seen_through(data, kind.parts[0].features)
    assert seen.distinct == 101
    assert seen.speciation.why == "the class stays open"
    assert math.isfinite(seen.collapse.t[0])


def test_no_temperature_is_looked_for_where_no_class_shows(monkeypatch):
    """Labels without a pattern: the weights are sure of a class, and right by chance."""

    def never(*given, **more):
        raise AssertionError("balance was asked")

    monkeypatch.setattr(balance, "balanced", never)
    points = np.random.default_rng(1).standard_normal((300, 16)).astype(np.float32)
    seen = seen_through(dr.from_arrays(points, np.arange(300) % 2), np.arange(8), blocks=2)
    assert seen.speciation.why == "no class shows"


def test_constant_parts_and_those_with_few_points():
    rng = np.random.default_rng(0)
    images, labels = rng.standard_normal((200, 4, 4)).astype(np.float32), np.arange(200) % 2
    images[:, :2, :2] = 0.5
    images[:, :2, 2:] = (np.arange(200) % 5)[:, None, None]
    (found,) = dr.analyze(images, labels, draws=512, windows=[2]).windows
    t_s, t_c = (found.map(x.t) for x in (found.speciation, found.collapse))
    distinct = found.map(found.distinct)
    assert distinct[0, 0] == 1
    assert distinct[0, -1] == 5
    assert np.isnan([t_s[0, 0], t_c[0, 0], t_c[0, -1]]).all()
    said = " ".join(found.notes)
    assert "t_C is none in 1 (constant), 2 (fewer than 64 differ) of 9 windows" in said
    assert found.collapse.known == 6
    assert np.isclose(found.collapse.mean, np.nanmean(t_c))


def test_parts_are_wider_than_the_whole():
    """phi_R <= phi: both transitions of a part come at smaller t."""
    data = dr.load("digits", classes=[0, 1], per_class=150)
    found = dr.analyze(data, draws=512, windows=[4, 6])
    means = [x.collapse.mean for x in found.windows] + [found.time("collapse").t]
    assert (np.diff(means) > 0).all()
    for windows in found.windows:
        assert np.nanmax(windows.speciation.t) < found.time("speciation").high


def test_without_labels_the_spectrum_speaks():
    """1/2 log Lambda of the window, from its covariance; none where Lambda is 1 or less."""
    rng = np.random.default_rng(0)
    scale = np.array([4.0] * 4 + [0.2] * 4)
    points = (rng.standard_normal((500, 8)) * scale).astype(np.float32)
    points[:, 0] *= 3
    found = dr.analyze(points, draws=1024, feature_groups={"wide": [0, 1, 2, 3], "narrow": [5, 6]})
    (groups,) = found.windows
    assert groups.speciation.method == "spectral"
    value = np.linalg.eigvalsh(np.cov(points[:, :4].T.astype(float)))[-1]
    found_s = groups.speciation
    t, low, high = (x[0] for x in (found_s.t, found_s.low, found_s.high))
    assert abs(t - math.log(value) / 2) < 0.01
    assert low < math.log(12**2) / 2 < high
    # the error of log Lambda of Gaussian data is sqrt(2/n)
    assert 0.5 < (high - low) / 2 / T95 / (math.sqrt(2 / 500) / 2) < 1.6
    assert np.isnan(groups.speciation.t[1])
    assert np.isfinite(groups.collapse.t).all()


def test_the_mean_over_parts_has_the_error_of_groups_left_out():
    """By its definition, and with what the intervals of parts are wider by."""
    rng = np.random.default_rng(0)
    shared = 0.1 * rng.standard_normal(1 + GROUPS)
    parts, rows = [], []
    for k in range(3):
        places = k + shared + 0.05 * rng.standard_normal(1 + GROUPS)
        t = time_from_snr(np.exp(places))
        rows.append(t)
        log_error = T95 * math.sqrt((GROUPS - 1) * places[1:].var())
        ends = time_from_snr(np.exp(places[0] + np.array([log_error, -log_error])))
        parts.append(Found(places, (t[0], *ends.tolist()), "x"))
    found = _together([*parts, Found(why="constant")], "x")
    mean = np.mean(rows, axis=0)
    error = T95 * math.sqrt((GROUPS - 1) / GROUPS * ((mean[1:] - mean[1:].mean()) ** 2).sum())
    assert found.mean == pytest.approx(mean[0])
    assert found.known == 3
    half = (found.mean_high - found.mean_low) / 2
    assert error <= half < 1.4 * error  # ends in log gamma are not even in t
    independent = T95 * math.sqrt(sum((GROUPS - 1) * x[1:].var() for x in rows)) / 3
    assert half > 1.3 * independent  # what they share does not average out


@pytest.mark.slow
def test_the_error_of_the_mean_is_that_of_repetitions():
    means, errors = [], []
    for seed in range(40):
        images, labels = planted(400, seed=seed)
        data = dr.from_arrays(images, labels)
        evidence = evidence_of(data, 4, seed)
        group = groups_of_points(evidence)
        (kind,) = parts_of(data, [4], None)
        seen = [
            Part(evidence, group, 0.25, 1000 * seed + k).seen(
                np.ascontiguousarray(data.points[:, x.features]), data,
                SimpleNamespace(method="spectral"),
            ).collapse
            for k, x in enumerate(kind.parts)
        ]  # fmt: skip
        found = _together(seen, "x")
        means.append(found.mean)
        errors.append((found.mean_high - found.mean_low) / 2 / T95)
    z = (np.array(means) - np.mean(means)) / np.array(errors)
    honest(z)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("side", "known"),
    [(16, {7: 0.109, 9: 0.198, 11: 0.296, 13: 0.393}), (32, {13: 0.336, 17: 0.547})],
)
def test_the_local_collapse_of_pandas_and_seashores(real_data, monkeypatch, side, known):
    """Known before, by the plain free energy, to three digits."""
    monkeypatch.setattr("diffregimes.transitions.part.BOUNDED", FREE)
    path = real_data / "imagenet-panda-seashore" / "tiny_imagenet32_panda_seashore.npz"
    data = dr.load(path, per_class=500)
    images = data.points.reshape(data.n, side, 32 // side, side, 32 // side, 3).mean(axis=(2, 4))
    data = dr.from_arrays(images, data.labels)
    evidence = evidence_of(data, 18)
    group = groups_of_points(evidence)
    for kind in parts_of(data, list(known), None):
        seen = [
            Part(evidence, group, len(x.features) / data.d, 1000 * kind.width + k).seen(
                np.ascontiguousarray(data.points[:, x.features]), data,
                SimpleNamespace(method="spectral"),
            ).collapse
            for k, x in enumerate(kind.parts)
        ]  # fmt: skip
        found = _together(seen, "free-energy")
        error = (found.mean_high - found.mean_low) / 2 / T95
        assert abs(found.mean - known[kind.width]) < 3.5 * error + 0.0005
