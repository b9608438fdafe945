"""The denoiser of a network beside the library's own prediction of x_0, at ten noise levels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from diffregimes.common.checks import InputError
from diffregimes.common.rng import torch_generator
from diffregimes.learned.adapters import learned_score, load_score
from diffregimes.learned.conventions import scheduler_class, scheduler_convention
from diffregimes.process import sigma, time_from_snr
from diffregimes.scores import EmpiricalScore
from dressed import config

diffusers = pytest.importorskip("diffusers")
KarrasVe = scheduler_class("KarrasVeScheduler")
pytestmark = pytest.mark.filterwarnings("ignore")  # diffusers' own deprecations

SHAPE = (4, 6, 3)


class Net(torch.nn.Module):
    """Some function of state and step, of which no two steps give the same."""

    def __init__(self) -> None:
        super().__init__()
        self.config, self.seen = config(SHAPE), []

    def forward(self, x: Tensor, step: Tensor) -> Tensor:
        self.seen.append(float(torch.as_tensor(step).flatten()[0]))
        step = torch.as_tensor(step, dtype=x.dtype).reshape(-1, 1, 1, 1)
        return torch.sin(3 * x + torch.log1p(step.abs())) + 0.3 * x.flip(-1)


def noised(level: float) -> Tensor:
    """a + level z, (m, C, H, W)."""
    a, z = torch.randn(2, 5, 3, 4, 6, dtype=torch.float64, generator=torch_generator(0, "pair"))
    return a + level * z


def ours(scheduler, y: Tensor, level: float) -> Tensor:
    """E[a | a + level z = y] by the adapter."""
    t = float(time_from_snr(level**-2.0))
    x = y.movedim(1, -1).flatten(1) * math.exp(-t)
    found = learned_score(Net(), scheduler).denoise(x, t)
    return found.reshape(-1, *SHAPE).movedim(-1, 1)


def by_score_sde(level):
    """Its last step ends at no noise: at the mean there."""
    theirs = diffusers.ScoreSdeVeScheduler(sigma_min=level, sigma_max=1e4)
    theirs.set_timesteps(50)
    theirs.set_sigmas(50)
    y = noised(level)
    said = Net()(y, theirs.discrete_sigmas[0])
    return theirs.step_pred(said, torch.tensor(0.0), y).prev_sample_mean


def by_karras(level):
    theirs, y = KarrasVe(), noised(level)
    said = Net()((y + 1) / 2, level / 2)  # as KarrasVePipeline asks
    return theirs.step(said, level, 0.0, y).pred_original_sample


def by_heun(level):
    theirs, s = diffusers.FlowMatchHeunDiscreteScheduler(), level / (1 + level)
    theirs.set_timesteps(1)
    theirs.sigmas, theirs.timesteps = torch.tensor([s, 0.0]), torch.tensor([1000 * s])
    y = noised(level) * (1 - s)
    return theirs.step(Net()(y, theirs.timesteps[0]), theirs.timesteps[0], y).prev_sample


VE = [
    ("ScoreSdeVeScheduler", by_score_sde, np.geomspace(0.011, 1300, 10)),
    ("KarrasVeScheduler", by_karras, np.geomspace(5e-4, 9000, 10)),
    ("FlowMatchHeunDiscreteScheduler", by_heun, np.geomspace(2e-3, 900, 10)),
]


@pytest.mark.parametrize(("name", "theirs", "levels"), VE)
def test_the_last_step_gives_what_is_denoised(name, theirs, levels):
    for level in levels.tolist():
        found = ours(scheduler_class(name)(), noised(level), level)
        torch.testing.assert_close(found, theirs(level).double(), rtol=1e-5, atol=1e-5)


FLOWS = [
    "UniPCMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "DEISMultistepScheduler",
    "SASolverScheduler",
]


@pytest.mark.parametrize("predicts", ["flow_prediction", "epsilon", "sample"])
@pytest.mark.parametrize("name", FLOWS)
def test_samplers_with_the_sigmas_of_a_flow(name, predicts):
    options = {"use_flow_sigmas": True, "prediction_type": predicts, "flow_shift": 3.0}
    theirs = getattr(diffusers, name)(**options)
    fresh = getattr(diffusers, name)(**options)
    theirs.set_timesteps(11)
    places = [k for k in range(11) if theirs.sigmas[k] < 1][:10]
    for k in places:
        theirs._step_index = k
        s = float(theirs.sigmas[k])
        level = s / (1 - s)
        y = noised(level) * (1 - s)
        # timesteps are whole in set_timesteps, where the network of a flow is given N s
        wanted = theirs.convert_model_output(Net()(y, torch.tensor(1000 * s)), sample=y)
        if name == "DEISMultistepScheduler":  # it takes noise on from there
            wanted = (y - s * wanted) / (1 - s)
        found = ours(fresh, noised(level), level)
        torch.testing.assert_close(found, wanted, rtol=2e-5, atol=1e-5)
    assert len(places) == 10


@pytest.mark.parametrize(
    "ends", [{}, {"sigma_min": 0.002, "sigma_max": 700.0, "use_karras_sigmas": True}]
)
def test_steps_that_are_logarithms_of_sigma(ends):
    options = {
        "timestep_type": "continuous",
        "prediction_type": "v_prediction",
        "beta_schedule": "scaled_linear",
        **ends,
    }
    theirs = diffusers.EulerDiscreteScheduler(**options)
    fresh = diffusers.EulerDiscreteScheduler(**options)
    theirs.set_timesteps(10)
    latest = float(sigma(scheduler_convention(fresh).latest))
    assert latest == pytest.approx(float(theirs.sigmas[0]), rel=0.03)
    for k, step in enumerate(theirs.timesteps):
        theirs._step_index = None
        level = float(theirs.sigmas[k])
        y = noised(level)
        said = Net()(theirs.scale_model_input(y, step), step)
        wanted = theirs.step(said, step, y).pred_original_sample
        torch.testing.assert_close(ours(fresh, y, level), wanted, rtol=1e-5, atol=1e-5)


def test_log_sigma_is_a_step_of_v_prediction_alone():
    """As in the scheduler itself: with another prediction "continuous" changes no step."""
    theirs = diffusers.EulerDiscreteScheduler(timestep_type="continuous")
    theirs.set_timesteps(10)
    step = scheduler_convention(diffusers.EulerDiscreteScheduler(timestep_type="continuous")).step
    for k in range(9):
        t = float(time_from_snr(float(theirs.sigmas[k]) ** -2))
        assert step(t) == pytest.approx(float(theirs.timesteps[k]), abs=0.51)


def test_a_velocity_has_no_place_among_flow_sigmas():
    odd = {"use_flow_sigmas": True, "prediction_type": "v_prediction"}
    with pytest.raises(InputError, match="'v_prediction'; known are flow_prediction"):
        learned_score(Net(), diffusers.UniPCMultistepScheduler(**odd))


EXACT = EmpiricalScore(torch.randn(60, 72, generator=torch_generator(0, "images")))


class ScoreNet(Net):
    """The exact score of a + sigma z, as Song et al. train it."""

    def forward(self, x: Tensor, step: Tensor) -> Tensor:
        level = float(step[0])
        t = float(time_from_snr(level**-2.0))
        flat = x.double().movedim(1, -1).flatten(1)
        a = EXACT.denoise(flat * math.exp(-t), t)
        return ((a - flat) / level**2).reshape(-1, *SHAPE).movedim(-1, 1).to(x)


def test_an_exact_score_comes_back_from_ve():
    score = learned_score(ScoreNet(), diffusers.ScoreSdeVeScheduler())
    for level in (0.02, 0.3, 2.0, 50.0):
        t = float(time_from_snr(level**-2.0))
        x = noised(level).movedim(1, -1).flatten(1) * math.exp(-t)
        torch.testing.assert_close(score.denoise(x, t), EXACT.denoise(x, t), rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ScoreSdeVeScheduler", {}),
        ("KarrasVeScheduler", {}),
        ("FlowMatchHeunDiscreteScheduler", {"shift": 2.0}),
        ("UniPCMultistepScheduler",
         {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}),
        ("EulerDiscreteScheduler",
         {"timestep_type": "continuous", "prediction_type": "v_prediction"}),
    ],
)  # fmt: skip
def test_a_saved_scheduler_is_the_one_in_memory(tmp_path, name, options):
    torch.manual_seed(0)
    net = diffusers.UNet2DModel(
        sample_size=8, in_channels=3, out_channels=3, block_out_channels=(4,), norm_num_groups=4,
        down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",), layers_per_block=1,
        attention_head_dim=4,
    ).eval()  # fmt: skip
    net.save_pretrained(tmp_path)
    scheduler_class(name)(**options).save_pretrained(tmp_path)
    one, two = load_score(tmp_path), learned_score(net, scheduler_class(name)(**options))
    x = torch.randn(3, 192, generator=torch_generator(0, "x"))
    for t in np.geomspace(0.05, 2.5, 10).tolist():
        torch.testing.assert_close(one.denoise(x, t), two.denoise(x, t))
