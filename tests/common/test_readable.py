"""Numbers with as many digits as they need."""

from __future__ import annotations

import numpy as np
import pytest

from diffregimes.common.readable import decimals_for, interval_text, moment, plus_minus, short


@pytest.mark.parametrize(
    ("t", "sigma", "said"),
    [
        (1.2345, 3.3, "t = 1.23"),
        (0.1, 0.4, "t = 0.10"),
        (0.0749, 0.4, "t = 0.075"),
        (0.01, 0.14, "t = 0.010"),
        (0.00432, 0.0932, "t = 0.0043, σ = 0.093"),
        (9.38e-12, 4.33e-6, "t = 9.4 × 10⁻¹², σ = 4.3 × 10⁻⁶"),
        (2e-60, 2e-30, "t = 2.0 × 10⁻⁶⁰, σ = 2.0 × 10⁻³⁰"),
        (0.00432, None, "t = 0.0043"),
        (31.4, None, "t = 31.40"),
    ],
)
def test_moments_of_a_sentence(t, sigma, said):
    assert moment(t, sigma) == said


@pytest.mark.parametrize(
    ("t", "low", "high", "said"),
    [
        (1.1362, 1.0971, 1.1792, ("1.136", "1.097 to 1.179")),
        (0.00213, 0.0021, 0.0022, ("0.00213", "0.00210 to 0.00220")),
        (0.000213, 0.00021, 0.00022, ("0.000213", "0.000210 to 0.000220")),
        (0.0000213, 0.000021, 0.000022, ("2.13 × 10⁻⁵", "2.10 × 10⁻⁵ to 2.20 × 10⁻⁵")),
        (2.19e-12, 2.11e-12, 2.27e-12, ("2.19 × 10⁻¹²", "2.11 × 10⁻¹² to 2.27 × 10⁻¹²")),
        (2.19e-12, None, None, ("2.19 × 10⁻¹²", "")),
        (0.002, 0.0, 0.2, ("0.002", "0.000 to 0.200")),
    ],
)
def test_a_time_and_its_interval(t, low, high, said):
    assert interval_text(t, low, high) == said


def test_no_time_is_told_as_zero():
    rng = np.random.default_rng(0)
    for _ in range(500):
        t, share = 10 ** rng.uniform(-40, 1.5), 10 ** rng.uniform(-5, 2)
        for text in (interval_text(t, None, None)[0], interval_text(t, t / 2, t + share * t)[0],
                     plus_minus(t, share * t), moment(t), short(t)):  # fmt: skip
            assert any(x in text.split("±")[0].split("×")[0] for x in "123456789"), (t, text)
        value = float(f"{t:.{decimals_for(t, None)}f}")
        assert abs(value / t - 1) < 0.06


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "none"), (0, "0.000"), (0.5, "0.500"), (0.0012345, "0.00123"), (1e-12, "1e-12")],
)
def test_a_column(value, said):
    assert short(value) == said
