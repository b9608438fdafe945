"""Every scheduler as a clock: its config alone gives the noise levels that diffusers itself has."""

from __future__ import annotations

import inspect
import json
import math

import numpy as np
import pytest
import torch

from diffregimes import process
from diffregimes.common.checks import InputError
from diffregimes.learned.conventions import scheduler_class

diffusers = pytest.importorskip("diffusers")
pytestmark = pytest.mark.filterwarnings("ignore")  # diffusers' own deprecations

BETAS = {
    "as it comes": {},
    "scaled": {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
    "cosine": {"beta_schedule": "squaredcos_cap_v2"},
    "sigmoid": {"beta_schedule": "sigmoid"},
    "trained": {"trained_betas": np.geomspace(1e-4, 0.1, 60).tolist()},
    "short": {"num_train_timesteps": 77, "beta_end": 0.1},
    "zero snr": {"rescale_betas_zero_snr": True},
    "zero snr, scaled": {"rescale_betas_zero_snr": True, "beta_schedule": "scaled_linear"},
    "karras": {"use_karras_sigmas": True, "beta_schedule": "scaled_linear"},
}


def takes(name, options):
    known = set(inspect.signature(getattr(diffusers, name).__init__).parameters)
    sigmoid = options.get("beta_schedule") == "sigmoid"
    return options.keys() <= known and not (sigmoid and not name.startswith("DDPM"))


# the one other needs a library of its own as it is made
MADE = [x for x in process.DDPM_FAMILY if x != "DPMSolverSDEScheduler"]
CASES = [(n, b) for n in MADE for b, x in BETAS.items() if takes(n, x)]


def saved(scheduler, tmp_path):
    scheduler.save_pretrained(tmp_path)
    return str(tmp_path / "scheduler_config.json")


@pytest.mark.parametrize(("name", "betas"), CASES)
def test_the_signal_is_that_of_the_library(tmp_path, name, betas):
    theirs = getattr(diffusers, name)(**BETAS[betas])
    found = process.schedule(saved(theirs, tmp_path))
    expected = theirs.alphas_cumprod.double().numpy()
    # theirs is a product in float32
    np.testing.assert_allclose(found.alphas_cumprod, expected, rtol=2e-4, atol=1e-7)
    assert (found.alphas_cumprod[-1] == 0) == (expected[-1] == 0)
    assert found.clock == "DDPM step"
    assert found.name == f"{name} in scheduler_config.json"


def test_who_rescales_and_who_does_not(tmp_path):
    """A flag that another class left in the config moves only those that know it."""
    plain = process.linear_schedule().alphas_cumprod
    rescaled = []
    for name in MADE:
        config = dict(getattr(diffusers, name)().config)
        linear = {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02}
        config |= linear | {"rescale_betas_zero_snr": True}
        found = process.scheduler_schedule(config, "", name).alphas_cumprod
        if abs(found[500] / plain[500] - 1) > 0.01:
            rescaled.append(name)
    knows = [n for n in MADE if takes(n, BETAS["zero snr"])]
    assert rescaled == knows
    assert len(knows) == 9


def test_a_schedule_that_ends_in_pure_noise(tmp_path):
    latent = diffusers.DDPMScheduler(**BETAS["scaled"])
    assert process.schedule(saved(latent, tmp_path)).step(2.0) == 876
    theirs = diffusers.DDPMScheduler(rescale_betas_zero_snr=True, **BETAS["scaled"])
    found = process.schedule(saved(theirs, tmp_path))
    assert found.times[-1] == math.inf
    assert len(found.finite_times) == 999
    assert found.step(2.0) == 798
    alphas = theirs.alphas_cumprod.double().numpy()
    assert int(np.abs(alphas - math.exp(-4)).argmin()) + 1 == 798
    last = found.times[-2]
    assert found.step(last + 0.69) == 999
    assert found.step(last + 0.70) == 1000
    assert found.step(50.0) == 1000


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sigma_schedule": "exponential"},
        {"sigma_min": 0.01, "sigma_max": 10.0, "rho": 3.0, "num_train_timesteps": 40},
        {"sigma_data": 1.0, "prediction_type": "v_prediction"},
    ],
)
@pytest.mark.parametrize("name", process.EDM_FAMILY)
def test_the_sigmas_of_edm(tmp_path, name, options):
    theirs = getattr(diffusers, name)(**options)
    found = process.schedule(saved(theirs, tmp_path))
    sigmas = theirs.sigmas.double().numpy()[:-1][::-1]  # the last is the end of the sampler
    np.testing.assert_allclose(process.sigma(found.times), sigmas, rtol=2e-5)
    assert found.clock == "EDM step"
    for k in (1, len(sigmas) // 2, len(sigmas)):
        assert found.step(float(process.time_from_snr(sigmas[k - 1] ** -2.0))) == k


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"shift": 3.0},
        {"shift": 0.5, "num_train_timesteps": 50},
        {"use_dynamic_shifting": True},
        {"use_dynamic_shifting": True, "shift": 3.0},
        {"shift": 1.7, "use_karras_sigmas": True},
    ],
)
@pytest.mark.parametrize("name", process.FLOW_FAMILY)
def test_the_sigmas_of_a_flow(tmp_path, name, options):
    if not takes(name, options):
        pytest.skip("it has no such setting")
    theirs = getattr(diffusers, name)(**options)
    found = process.schedule(saved(theirs, tmp_path))
    s = theirs.sigmas.double().numpy()[::-1]
    np.testing.assert_allclose(process.flow_time(found.finite_times), s[:-1], rtol=1e-5)
    assert s[-1] == 1
    assert found.times[-1] == math.inf
    assert found.clock == "flow step"
    # x = (1 - s) a + s z by their own forward process, its level by ours
    k = len(s) // 2
    scaled = theirs.scale_noise(torch.ones(1, 1), theirs.timesteps[k - 1 : k], torch.zeros(1, 1))
    level = (1 - float(scaled)) / float(scaled)
    assert found.step(float(process.time_from_snr(level**-2))) == len(s) + 1 - k


def test_the_sigmas_of_other_clocks(tmp_path):
    theirs = diffusers.ScoreSdeVeScheduler(num_train_timesteps=40, sigma_max=90.0)
    found = process.schedule(saved(theirs, tmp_path))
    np.testing.assert_allclose(process.sigma(found.times), theirs.discrete_sigmas, rtol=2e-5)
    assert found.clock == "VE step"
    karras = scheduler_class("KarrasVeScheduler")(sigma_min=0.1, sigma_max=5.0)
    found = process.schedule(saved(karras, tmp_path))
    karras.set_timesteps(1000)
    np.testing.assert_allclose(process.sigma(found.times), karras.schedule.double(), rtol=2e-5)
    theirs = diffusers.UniPCMultistepScheduler(use_flow_sigmas=True, flow_shift=3.0)
    found = process.schedule(saved(theirs, tmp_path))
    theirs.set_timesteps(999)
    inner = process.flow_time(found.finite_times)
    assert np.abs(inner[:, None] - theirs.sigmas[1:-1].double().numpy()).min(0).max() < 2e-3
    options = {"sigma_min": 0.002, "sigma_max": 700.0, "use_karras_sigmas": True}
    options |= {"timestep_type": "continuous", "prediction_type": "v_prediction"}
    theirs = diffusers.EulerDiscreteScheduler(**options)
    found = process.schedule(saved(theirs, tmp_path))
    theirs.set_timesteps(1000)
    sigmas = theirs.sigmas[:-1].double().numpy()[::-1]
    np.testing.assert_allclose(process.sigma(found.times), sigmas, rtol=1e-4)


@pytest.mark.parametrize("spacing", ["use_karras_sigmas", "use_exponential_sigmas"])
@pytest.mark.parametrize("name", ["EulerDiscreteScheduler", "HeunDiscreteScheduler"])
def test_sigmas_between_the_steps_are_told_as_diffusers_tells_them(tmp_path, name, spacing):
    """A sampler spaced otherwise asks its network at steps in between: the nearest is ours."""
    theirs = getattr(diffusers, name)(**{spacing: True})
    found = process.schedule(saved(theirs, tmp_path))
    theirs.set_timesteps(30)
    levels, asked = theirs.sigmas.double().numpy()[:-1], theirs.timesteps.double().numpy()
    seen = {}
    for level, step in zip(levels, asked, strict=False):
        seen[float(step)] = found.step(float(process.time_from_snr(level**-2)))
    assert len(seen) > 20
    assert all(abs(ours - 1 - step) <= 0.75 for step, ours in seen.items())


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"_class_name": "LCM", "sigma_min": 0.1}, "known are DDPMScheduler"),
        ({"_class_name": "ScoreSdeVeScheduler", "sigma_min": 0.1}, "no key 'sigma_max'"),
        ({"_class_name": "EDMEulerScheduler", "sigma_min": 0.1}, "no key 'sigma_max'"),
        ({"_class_name": "FlowMatchEulerDiscreteScheduler"}, "no key 'num_train_timesteps'"),
        ({"num_train_timesteps": 9, "use_flow_sigmas": True}, "no key 'flow_shift'"),
    ],
)
def test_what_is_no_clock(tmp_path, config, message):
    path = tmp_path / "scheduler_config.json"
    path.write_text(json.dumps(config))
    with pytest.raises(InputError, match=message):
        process.schedule(str(path))


@pytest.mark.parametrize(
    ("name", "odd", "message"),
    [
        ("EDMEulerScheduler", {"sigma_min": 0.0}, "0 < sigma_min < sigma_max"),
        ("EDMEulerScheduler", {"sigma_max": "much"}, "expected numbers"),
        ("EDMEulerScheduler", {"sigma_schedule": "beta"}, "karras and exponential"),
        ("FlowMatchEulerDiscreteScheduler", {"shift": 0.0}, "shift above 0"),
        ("FlowMatchEulerDiscreteScheduler", {"invert_sigmas": True}, "invert_sigmas"),
        ("FlowMatchEulerDiscreteScheduler", {"num_train_timesteps": 1}, "three steps"),
        ("DDPMScheduler", {"trained_betas": [0.1, 1.0, 0.1]}, "outside"),
        ("ScoreSdeVeScheduler", {"sigma_max": 0.001}, "0 < sigma_min < sigma_max"),
        ("UniPCMultistepScheduler", {"use_flow_sigmas": True, "flow_shift": 0}, "shift above 0"),
    ],
)
def test_settings_out_of_range(name, odd, message):
    config = {**getattr(diffusers, name)().config, **odd}
    with pytest.raises(InputError, match=message):
        process.scheduler_schedule(config, "", name)
