"""Figures 2 and 3 of the paper in small versions: against theory, complete, the same each time."""

from __future__ import annotations

import csv
import io
import json
import math

import matplotlib.pyplot as plt
import numpy as np
import pytest

from command import contents
from diffregimes.populations.mixture import GaussianMixture, two_gaussians
from diffregimes.reproduce import figure_2, figure_3
from diffregimes.reproduce.tables import write
from diffregimes.theory import TwoGaussians, excess_entropy, phi

POINTS = 500
FILES = {
    f"{name}{end}"
    for name in ("figure-2", "figure-3")
    for end in (".png", ".svg", ".csv", "-table.csv")
}


def rough(patch):
    """An eighth of the draws for the upper end of the band, which adds their error to itself."""
    density = GaussianMixture.information_density
    patch.setattr(
        GaussianMixture,
        "information_density",
        lambda law, t, draws, seed=0: density(law, t, draws // 8, seed),
    )


def small(monkeypatch_or_context, seed=0):
    """Figure 2 with two dimensions and 1000 pairs, figure 3 with two and few draws."""
    with monkeypatch_or_context as patch:
        rough(patch)
        patch.setattr(figure_2, "DIMENSIONS", (256, 4096))
        patch.setattr(figure_2, "STEPS", 200)
        patch.setattr(figure_3, "DIMENSIONS", {64: (512, 0.01), 256: (512, 0.01)})
        patch.setattr("diffregimes.common.numerics.RESAMPLES", 50)
        patch.setattr("diffregimes.transitions.scaling.RESAMPLES", 50)
        two = figure_2.reproduce(pairs=1000, seed=seed)
        return two, figure_3.reproduce(n=POINTS, seed=seed)


def written(found, folder):
    folder.mkdir(parents=True)
    write(found, folder)
    return contents(folder)


@pytest.fixture(scope="module")
def figures():
    return small(pytest.MonkeyPatch.context())


@pytest.fixture(scope="module")
def files(figures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    return [written(found, folder / found.name) for found in figures]


def columns(found):
    return {name: np.array(values) for name, values in found.numbers.items()}


def rows_of(data: bytes):
    return list(csv.DictReader(io.StringIO(data.decode())))


# against theory


def test_figure_2_agrees_with_the_integral(figures):
    two, _ = figures
    assert {row.d for row in two.rows} == {256, 4096, None}
    for row in two.rows:
        assert abs(row.z) < 4, row
        assert row.z == pytest.approx((row.ours - row.theory) / row.se)
        assert row.paper in (0.775, 1.0, 0.5 * math.log(row.d or 1))
    p = float(two.sentences[0].split("p = ")[1].rstrip("."))
    assert 0.01 < p <= 1
    numbers = columns(two)
    z = (numbers["phi"] - numbers["theory"]) / numbers["se"]
    assert np.abs(z).max() < 4
    runs = [k for k, value in enumerate(numbers["simulated"]) if value is not None]
    assert len(runs) == 2 * len(figure_2.TIMES[::2])
    value, error, z = (numbers[name][runs].astype(float) for name in figure_2.SIMULATED)
    np.testing.assert_allclose(z, (value - numbers["theory"][runs]) / error)
    assert np.abs(z).max() < 4


def test_figure_3_lies_in_the_bracket_of_theory(figures):
    _, three = figures
    numbers = columns(three)
    assert (numbers["high"] >= numbers["exact"]).all()
    above = numbers["exact"] >= 0
    assert above.sum() > 10
    assert np.abs(numbers["z"]).max() < 4
    inside = np.clip(numbers["f_over_alpha"], numbers["exact"], numbers["high"])
    z = (numbers["f_over_alpha"] - inside) / numbers["se"]
    np.testing.assert_allclose(numbers["z"][above], z[above])
    for row in three.rows:
        if row.quantity.startswith("f/alpha"):
            assert abs(row.z) < 4, row
        else:  # the crossing times of n points lie above those of the population, by little
            assert abs(row.ours - row.theory) < 0.1 * row.theory


def test_the_upper_end_is_precise_on_both_sides():
    """E log[1 + (n-1) e^{-i}]: log n - I far above the collapse, small and positive below."""
    law, times = two_gaussians(64), np.array([0.05, 0.1, 0.4, 1.0, 4.0, 8.0])
    log_n = math.log(POINTS)
    high = figure_3.upper_end(law, times, POINTS, 0)
    exact = excess_entropy(TwoGaussians(64), times, log_n) * 64 / log_n
    assert (high >= np.maximum(exact, 0)).all()
    np.testing.assert_allclose(high[-2:], exact[-2:], rtol=5e-5)
    assert (np.diff(high) > 0).all()
    assert high[0] < 1e-3


@pytest.mark.parametrize("wrong", [0.95, 1.05])
def test_a_wrong_theory_is_caught(figures, monkeypatch, wrong):
    """With mu off by 5 % the same measurements are many standard errors away."""
    two, _ = figures
    numbers = columns(two)
    at = numbers["d"] == 4096
    theory = phi(TwoGaussians(4096, wrong), numbers["t"][at])
    steps = (numbers["phi"][at] - theory) / numbers["se"][at]
    assert np.abs(steps).max() > 4

    real = figure_2.phi
    monkeypatch.setattr(figure_2, "DIMENSIONS", (256, 4096))
    monkeypatch.setattr(figure_2, "STEPS", 10)
    monkeypatch.setattr("diffregimes.common.numerics.RESAMPLES", 20)
    monkeypatch.setattr("diffregimes.transitions.scaling.RESAMPLES", 20)
    monkeypatch.setattr(figure_2, "phi", lambda law, t: real(TwoGaussians(law.d, wrong), t))
    found = figure_2.reproduce(pairs=4000)
    assert max(abs(row.z) for row in found.rows if row.quantity == "phi at t_S") > 3
    assert float(found.sentences[0].split("p = ")[1].rstrip(".")) < 1e-3


def test_a_wrong_mean_is_caught_in_figure_3(figures, monkeypatch):
    """Without the class (mu = 0) theory is the leading order: measured values lie below it."""
    _, three = figures
    numbers = columns(three)
    measured = figure_3.Measured(
        64, POINTS, 512, *(numbers[k][:16] for k in ("t", "f_over_alpha", "se", "high")), (), 1.0
    )
    np.testing.assert_allclose(measured.z, numbers["z"][:16])
    monkeypatch.setattr(figure_3.Measured, "law", property(lambda self: TwoGaussians(self.d, 0.0)))
    assert measured.z[-8:].min() < -4


def test_standard_errors_fall_as_one_over_the_root_of_the_draws(monkeypatch):
    rough(monkeypatch)
    monkeypatch.setattr(figure_2, "STEPS", 10)
    few, many = figure_2.measure(256, 500, 0), figure_2.measure(256, 8000, 0)
    between = (few.theory > 0.55) & (few.theory < 0.95)
    np.testing.assert_allclose(few.se[between] / many.se[between], 4, rtol=0.3)
    small, large = (figure_3.measure(64, draws, n=300, seed=3) for draws in (1024, 16384))
    assert (small.draws, large.draws) == (1024, 16384)
    above = small.theory("exact") > 0.2
    ratio = small.se[above] / large.se[above]
    np.testing.assert_allclose(ratio, 4, rtol=0.2)


def test_the_clouds_are_independent(monkeypatch):
    """Points and noise of their own: shared noise would move all means alike, unseen by the error.

    chi^2 of the clouds' means about their mean is 1 a degree of freedom while draws are fewer than
    points; the median over times of a chi^2_3/3 has a standard deviation below sqrt(2/3).
    """
    rough(monkeypatch)
    sweep, seen = figure_3.sweep, []

    def watched(cloud, times, *, seed, **more):
        seen.append((seed, float(cloud.coordinates[0, 0])))
        return sweep(cloud, times, seed=seed, **more)

    monkeypatch.setattr(figure_3, "sweep", watched)
    found = [figure_3.measure(64, 1024, n=1000, seed=k) for k in range(4)]
    assert len({seed for seed, _ in seen}) == len({point for _, point in seen}) == 16
    assert abs(np.mean([x.scatter for x in found]) - 1) < 3 * math.sqrt(2 / 3 / 4)


# what is written


def test_every_file_is_there_and_complete(figures, files):
    assert set().union(*files) == FILES | {"results.json"}
    for found, data in zip(figures, files, strict=True):
        results = json.loads(data["results.json"], parse_constant=pytest.fail)
        assert results["format"] == "diffregimes.reproduction/1"
        assert results["name"] == found.name
        assert results["sentences"] == list(found.sentences)
        assert len(results["rows"]) == len(found.rows) > 0
        fields = {"quantity", "d", "ours", "se", "paper", "theory", "z"}
        assert all(set(row) == fields for row in results["rows"])
        recipe = results["recipe"]
        assert recipe["seed"] == 0
        assert {"torch", "numpy", "diffregimes"} <= recipe["versions"].keys()
        table = rows_of(data[f"{found.name}-table.csv"])
        assert [row["quantity"] for row in table] == [row.quantity for row in found.rows]
        assert [float(row["ours"]) for row in table] == [row.ours for row in found.rows]
        assert all(row["z"] == "" or math.isfinite(float(row["z"])) for row in table)
        assert data[f"{found.name}.png"].startswith(b"\x89PNG")
        assert b"</svg>" in data[f"{found.name}.svg"]
        for text in (data[f"{found.name}.csv"], data["results.json"]):
            assert b"nan" not in text.lower()
            assert b"inf" not in text.lower().replace(b"-infinity", b"")
    two, three = (json.loads(data["results.json"])["recipe"] for data in files)
    assert (two["pairs"], two["mu"], two["sigma"]) == (1000, 1, 1)
    assert (three["n"], three["share"], three["clouds"]) == (POINTS, 1, 4)


def drawn(axes, count):
    """x and y of the points of every errorbar, in the order they were drawn."""
    points = [box.lines[0] for box in axes.containers]
    assert len(points) == count
    return [line.get_xydata() for line in points]


def test_the_csv_is_what_is_drawn(figures, files):
    two, three = (rows_of(data[f"{x.name}.csv"]) for x, data in zip(figures, files, strict=True))
    cases = (
        (figures[0], two, (256, 4096), "phi", [None, "t_over_t_s", "t_minus_t_s"]),
        (figures[1], three, (64, 256), "f_over_alpha", [None, "t_over_t_c"]),
    )
    for found, rows, dims, value, places in cases:
        for axes, place in zip(found.figure.axes, places, strict=True):
            name = place or "t"
            for d, points in zip(dims, drawn(axes, 2), strict=True):
                own = [row for row in rows if int(row["d"]) == d]
                if name in own[0]:
                    np.testing.assert_allclose(points[:, 0], [float(x[name]) for x in own])
                np.testing.assert_allclose(points[:, 1], [float(x[value]) for x in own])


def test_the_same_seed_gives_the_same_bytes_and_another_other_numbers(figures, files, tmp_path):
    again = small(pytest.MonkeyPatch.context())
    other = small(pytest.MonkeyPatch.context(), seed=1)
    for old, data, new, changed in zip(figures, files, again, other, strict=True):
        assert written(new, tmp_path / "again" / old.name) == data
        assert [row.ours for row in changed.rows] != [row.ours for row in old.rows]
        value = "phi" if old.name == "figure-2" else "f_over_alpha"
        one, two = columns(old), columns(changed)
        apart = (one[value] - two[value]) / np.hypot(one["se"], two["se"])
        assert 0 < np.abs(apart[one["se"] > 1e-4]).max() < 4.5


def test_no_figure_is_left_to_pyplot(figures):
    assert plt.get_fignums() == []


def test_progress_counts_every_dimension(monkeypatch):
    seen = []
    monkeypatch.setattr(figure_2, "DIMENSIONS", (256, 1024))
    monkeypatch.setattr(figure_2, "STEPS", 10)
    monkeypatch.setattr("diffregimes.transitions.scaling.RESAMPLES", 5)
    figure_2.reproduce(pairs=200, progress=lambda *x: seen.append(x))
    done = [x[0] for x in seen]
    assert {x[1:] for x in seen} == {(2, "figure 2")}
    assert done == sorted(done)
    assert {1, 2} <= set(done)


@pytest.mark.slow
def test_figure_3_in_full():
    """A third of the paper's standard errors, and within 3 of theory everywhere above t_C."""
    for d, (draws, paper) in figure_3.DIMENSIONS.items():
        found = figure_3.measure(d, draws)
        assert found.n == 20_000
        assert found.se.max() <= paper / 3
        above = found.theory("exact") >= 0
        assert np.abs(found.z[above]).max() <= 3
        assert (found.high >= found.theory("exact")).all()
