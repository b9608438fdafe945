"""A time and its interval in every clock, as the page prints them."""

from __future__ import annotations

import math

import pytest

from diffregimes import process
from diffregimes.report.words import clocks
from diffregimes.results import TransitionTime

LOW, T, HIGH = 0.5, 0.7, 1.0


def when(t=T, low=LOW, high=HIGH):
    step = process.linear_schedule().step(t)
    return TransitionTime(
        "speciation", "clone", t, low, high, step, float(process.sigma(t)), float(process.snr(t))
    )


def numbers(text):
    return [float(x.replace("−", "-")) for x in text.split(" to ")]


def test_every_interval_goes_from_low_to_high():
    """log SNR falls with t, the others grow: so its ends change places."""
    found = clocks(when(), "linear")
    schedule = process.linear_schedule()
    snr = [-math.log(math.expm1(2 * t)) for t in (HIGH, LOW)]
    assert numbers(found["log_snr_span"]) == pytest.approx(snr, abs=5e-3)
    assert numbers(found["sigma_span"]) == pytest.approx(
        [math.sqrt(math.expm1(2 * t)) for t in (LOW, HIGH)], rel=5e-3
    )
    assert numbers(found["step_span"]) == [schedule.step(LOW), schedule.step(HIGH)]
    assert numbers(found["t_span"]) == [LOW, HIGH]
    assert float(found["log_snr"].replace("−", "-")) == pytest.approx(
        -math.log(math.expm1(2 * T)), abs=5e-3
    )


def test_ends_of_a_schedule_from_a_file_have_no_steps():
    assert clocks(when(), "scheduler_config.json")["step_span"] == ""
    assert clocks(when(low=None, high=None), "linear")["sigma_span"] == ""
    assert clocks(TransitionTime("speciation", "clone", None), "linear")["step"] == "–"
