"""The forward process and its clocks: closed forms, round trips and messages."""

from __future__ import annotations

import json

import numpy as np
import pytest

from diffregimes import process
from diffregimes.common.checks import InputError

TIMES = np.geomspace(1e-6, 15, 60)


def test_signal_and_noise_keep_the_variance_of_unit_data():
    total = process.signal(TIMES) ** 2 + process.variance(TIMES)
    np.testing.assert_allclose(total, 1, rtol=1e-15)


def test_snr_is_signal_over_noise_and_is_inverted():
    expected = process.signal(TIMES) ** 2 / process.variance(TIMES)
    np.testing.assert_allclose(process.snr(TIMES), expected, rtol=1e-12)
    np.testing.assert_allclose(process.time_from_snr(process.snr(TIMES)), TIMES, rtol=1e-12)


def test_small_times_keep_their_digits():
    # Delta_t = 2 t - 2 t^2 + ..., lost in 1 - exp(-2 t)
    np.testing.assert_allclose(process.variance(1e-12), 2e-12 - 2e-24, rtol=1e-15)
    np.testing.assert_allclose(process.snr(1e-12), 0.5e12, rtol=1e-11)


def test_the_other_clocks_share_gamma():
    gamma = process.snr(TIMES)
    np.testing.assert_allclose(process.sigma(TIMES) ** -2, gamma, rtol=1e-12)
    s = process.flow_time(TIMES)
    np.testing.assert_allclose(((1 - s) / s) ** 2, gamma, rtol=1e-8)
    assert np.all((s > 0) & (s < 1))


def test_linear_schedule_is_that_of_ddpm():
    schedule = process.linear_schedule()
    product, expected = 1.0, []
    for k in range(1000):
        product *= 1 - (1e-4 + (2e-2 - 1e-4) * k / 999)
        expected.append(product)
    np.testing.assert_allclose(schedule.alphas_cumprod, expected, rtol=1e-12)
    np.testing.assert_allclose(schedule.alphas_cumprod[-1], 4.0358e-5, rtol=1e-4)
    np.testing.assert_allclose(schedule.times[-1], 5.0589, atol=1e-4)
    # gamma = abar / (1 - abar) is the signal-to-noise ratio of that step
    abar = schedule.alphas_cumprod
    np.testing.assert_allclose(process.snr(schedule.times), abar / (1 - abar), rtol=1e-9)


@pytest.mark.parametrize("schedule", [process.linear_schedule(), process.cosine_schedule()])
def test_steps_count_from_one(schedule):
    for k in (1, 2, 500, 999, 1000):
        assert schedule.step(float(schedule.times[k - 1])) == k
    assert schedule.step(0.0) == 1
    assert schedule.step(float(schedule.times[-1]) * 1.5 + 1) is None
    between = 0.4 * schedule.times[100] + 0.6 * schedule.times[101]
    assert schedule.step(float(between)) == 102


def test_cosine_schedule_follows_the_squared_cosine():
    schedule = process.cosine_schedule()
    k = np.arange(1, 901)
    expected = np.cos((k / 1000 + 0.008) / 1.008 * np.pi / 2) ** 2
    expected /= np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    np.testing.assert_allclose(schedule.alphas_cumprod[:900], expected, rtol=1e-10)


def config(tmp_path, **values):
    path = tmp_path / "scheduler_config.json"
    path.write_text(json.dumps(values))
    return str(path)


BASE = {"num_train_timesteps": 50, "beta_start": 1e-3, "beta_end": 0.1}


def test_configurations_of_diffusers(tmp_path):
    betas = np.linspace(1e-3, 0.1, 50)
    linear = process.schedule(config(tmp_path, beta_schedule="linear", **BASE))
    np.testing.assert_allclose(linear.alphas_cumprod, np.cumprod(1 - betas))
    scaled = process.schedule(config(tmp_path, beta_schedule="scaled_linear", **BASE))
    roots = np.linspace(1e-3**0.5, 0.1**0.5, 50)
    np.testing.assert_allclose(scaled.alphas_cumprod, np.cumprod(1 - roots**2))
    cosine = process.schedule(
        config(tmp_path, beta_schedule="squaredcos_cap_v2", num_train_timesteps=50)
    )
    expected = process.cosine_schedule(50).alphas_cumprod
    np.testing.assert_array_equal(cosine.alphas_cumprod, expected)
    trained = process.schedule(config(tmp_path, trained_betas=[0.1, 0.2, 0.5]))
    np.testing.assert_allclose(trained.alphas_cumprod, [0.9, 0.72, 0.36])
    assert trained.name == "scheduler_config.json"
    assert process.schedule("cosine").name == "cosine"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"beta_schedule": "laplace", **BASE}, "laplace"),
        ({"beta_schedule": "linear"}, "num_train_timesteps"),
        ({"beta_schedule": "linear", **BASE, "beta_end": "much"}, "expected numbers"),
        ({"beta_schedule": "linear", **BASE, "beta_end": 2.0}, "outside"),
        ({"trained_betas": [0.1]}, "at least two"),
    ],
)
def test_bad_configurations_say_what_is_wrong(tmp_path, values, message):
    with pytest.raises(InputError, match=message):
        process.schedule(config(tmp_path, **values))


def test_a_schedule_that_is_no_file_or_no_json(tmp_path):
    with pytest.raises(InputError, match="expected linear, cosine"):
        process.schedule("quadratic")
    with pytest.raises(InputError, match="cannot read"):
        process.schedule(str(tmp_path / "absent.json"))
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        process.schedule(str(broken))
    broken.write_text("[1]")
    with pytest.raises(InputError, match="no JSON object"):
        process.schedule(str(broken))
