"""Denoisers of other libraries beside what those libraries themselves give, and an exact score
dressed as each kind."""

from __future__ import annotations

import math
import sys
from importlib.util import find_spec
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest
import torch
from torch import Tensor

import diffregimes as dr
from diffregimes.common.checks import InputError
from diffregimes.common.rng import torch_generator
from diffregimes.process import Schedule, time_from_snr
from diffregimes.scores import EmpiricalScore

LEVELS = np.geomspace(0.003, 70, 10).tolist()
EXACT = EmpiricalScore(torch.randn(40, 48, generator=torch_generator(0, "images")))
SHAPE = (3, 4, 4)


def noised(level: float, shape=SHAPE) -> Tensor:
    a, z = torch.randn(2, 5, *shape, generator=torch_generator(1, "pair"))
    return a + level * z


def clean(y: Tensor, level: float) -> Tensor:
    """E[a | a + level z = y]."""
    t = float(time_from_snr(level**-2.0))
    flat = y.movedim(1, -1).flatten(1).double() * math.exp(-t)
    return EXACT.denoise(flat, t).reshape(len(y), 4, 4, 3).movedim(-1, 1).to(y)


def ours(score, y: Tensor, level: float) -> Tensor:
    t = float(time_from_snr(level**-2.0))
    x = y.movedim(1, -1).flatten(1) * math.exp(-t)
    found = score.denoise(x, t)
    if y.ndim == 2:
        return found
    return found.reshape(len(y), *y.shape[2:], y.shape[1]).movedim(-1, 1)


def close(score, asked, shape=SHAPE, levels=LEVELS, tol=2e-5):
    for level in levels:
        y = noised(level, shape)
        with torch.no_grad():
            wanted = asked(y, level)
        atol = tol * max(1.0, float(wanted.abs().max()))
        torch.testing.assert_close(ours(score, y, level), wanted, rtol=0, atol=atol)


# ---- by the libraries themselves


@pytest.fixture
def installed(monkeypatch):
    """A library, or the test is skipped. They import torchvision, which has no build for the CPU's
    torch, for what is not asked here: datasets and the training of their examples."""
    if find_spec("torchvision") is None:
        monkeypatch.setitem(sys.modules, "torchvision", MagicMock())

    def library(name: str):
        if find_spec(name) is None:
            pytest.skip(f"{name} is not installed (pip install --no-deps -r tests/others.txt)")
        return pytest.importorskip(name, exc_type=ImportError)

    return library


def test_azula(installed):
    azula = installed("azula")
    from azula.denoise import KarrasDenoiser, SimpleDenoiser
    from azula.noise import CosineSchedule, VESchedule, VPSchedule

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(6, 6)

        def forward(self, x, t, **_):
            return torch.sin(self.layer(x) + t.reshape(-1, 1))

    torch.manual_seed(0)
    assert azula
    for kind in (SimpleDenoiser, KarrasDenoiser):
        for schedule in (VPSchedule(), VESchedule(), CosineSchedule()):
            denoiser = kind(Net(), schedule)
            score = dr.load_score(denoiser, shape=(6,))
            for s in (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9):
                alpha, sigma = schedule(torch.tensor(s, dtype=torch.float64))
                y = noised(float(sigma / alpha), (6,))
                with torch.no_grad():
                    wanted = denoiser(float(alpha) * y, torch.tensor(s)).mean
                found = ours(score, y, float(sigma / alpha))
                atol = 1e-5 * max(1.0, float(wanted.abs().max()))
                torch.testing.assert_close(found, wanted, rtol=1e-5, atol=max(atol, 2e-5))
    with pytest.raises(InputError, match=r"does not tell the shape.*shape=\(channels"):
        dr.load_score(denoiser)
    with pytest.raises(InputError, match="label came, but KarrasDenoiser takes none"):
        dr.load_score(denoiser, shape=(6,), label=3)


def test_smalldiffusion(installed):
    small = installed("smalldiffusion").model
    torch.manual_seed(0)
    for kind in (small.TimeInputMLP, *(f(small.TimeInputMLP) for f in
                 (small.Scaled, small.PredX0, small.PredV))):  # fmt: skip
        net = kind(dim=6, hidden_dims=(16,))
        score = dr.load_score(net)
        assert score.shape == (6,)

        def asked(y, level, net=net):
            return y - level * net.predict_eps(y, torch.tensor(level))

        close(score, asked, (6,))
    with pytest.raises(InputError, match="velocity of a flow under the name of noise"):
        dr.load_score(small.PredFlow(small.TimeInputMLP)(dim=6, hidden_dims=(16,)))


@pytest.mark.parametrize("objective", ["pred_noise", "pred_x0", "pred_v"])
def test_lucidrains(objective, installed):
    package = installed("denoising_diffusion_pytorch")
    torch.manual_seed(0)
    net = package.Unet(dim=8, dim_mults=(1, 2), flash_attn=False)
    theirs = package.GaussianDiffusion(net, image_size=8, objective=objective)
    score = dr.load_score(theirs)
    product = theirs.alphas_cumprod.double()
    for k in (0, 10, 50, 100, 300, 500, 700, 800, 900, 990):
        level = float(((1 - product[k]) / product[k]).sqrt())
        y = noised(level, (3, 8, 8))
        with torch.no_grad():
            said = theirs.model_predictions(y * product[k].sqrt().float(), torch.full((5,), k))
        wanted = said.pred_x_start
        atol = 2e-5 * max(1.0, float(wanted.abs().max()))
        torch.testing.assert_close(ours(score, y, level), wanted, rtol=0, atol=atol)


def test_lucidrains_elucidated(installed):
    package = installed("denoising_diffusion_pytorch")
    torch.manual_seed(0)
    net = package.Unet(dim=8, dim_mults=(1, 2), flash_attn=False, learned_sinusoidal_cond=True)
    theirs = package.ElucidatedDiffusion(net, image_size=8)
    score = dr.load_score(theirs)
    assert score.shape == (8, 8, 3)

    def asked(y, level):
        return theirs.preconditioned_network_forward(y, level)

    close(score, asked, (3, 8, 8), levels=LEVELS[1:])


# ---- exact scores, dressed as each by its definition


class Edm(torch.nn.Module):
    """As NVlabs' preconditioned networks: D(x, sigma, labels), with these attributes."""

    img_resolution, img_channels, label_dim, sigma_min, sigma_max = 4, 3, 2, 0, float("inf")

    def round_sigma(self, sigma):
        return torch.as_tensor(sigma)

    def forward(self, x, sigma, class_labels=None):
        assert class_labels is None or class_labels.shape[1] == 2
        which = class_labels[:, 1] if class_labels is not None else torch.zeros(len(x))
        return clean(x, float(sigma[0])) + which[:, None, None, None]


def test_edm():
    close(dr.load_score(Edm(), label=0), clean)
    close(dr.load_score(Edm(), label=1), lambda y, s: clean(y, s) + 1)
    # a row of zeros is no class: here it answers as the first
    close(dr.load_score(Edm(), label=1, guidance=3.0), lambda y, s: clean(y, s) + 3)
    with pytest.raises(InputError, match="label is None; expected a class number"):
        dr.load_score(Edm())
    with pytest.raises(InputError, match="label is 2; expected a number from 0 to 1"):
        dr.load_score(Edm(), label=2)


class Lucid(torch.nn.Module):
    """As lucidrains' GaussianDiffusion, by its attributes."""

    def __init__(self, objective, self_condition=False):
        super().__init__()
        self.objective, self.self_condition = objective, self_condition
        self.alphas_cumprod = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000), 0)
        self.channels, self.image_size = 3, (4, 4)

    def model(self, x, steps):
        t = float(np.interp(float(steps[0]), np.arange(1000), self.times))
        alpha, sigma = math.exp(-t), math.sqrt(-math.expm1(-2 * t))
        a = clean(x / alpha, sigma / alpha)
        z = (x - alpha * a) / sigma
        return {"pred_x0": a, "pred_noise": z, "pred_v": alpha * z - sigma * a}[self.objective]

    @property
    def times(self):
        return Schedule("", self.alphas_cumprod.double().numpy()).times


@pytest.mark.parametrize("objective", ["pred_noise", "pred_x0", "pred_v"])
def test_gaussian_diffusion_by_its_attributes(objective):
    close(dr.load_score(Lucid(objective)), clean, levels=np.geomspace(0.011, 60, 10), tol=3e-4)
    with pytest.raises(InputError, match=r"its own last answer \(self_condition\)"):
        dr.load_score(Lucid(objective, True))


def test_elucidated_diffusion_by_its_attributes():
    class Elucidated(torch.nn.Module):
        sigma_min, sigma_max, channels, image_size = 0.002, 80.0, 3, 4

        def preconditioned_network_forward(self, x, sigma):
            return clean(x, float(sigma[0]))

    score = dr.load_score(Elucidated())
    assert score.shape == (4, 4, 3)
    close(score, clean)
    assert score.latest == pytest.approx(float(time_from_snr(80.0**-2)))


class Noise(torch.nn.Module):
    """As smalldiffusion's models, by their attributes: one level for all states."""

    input_dims = SHAPE

    def predict_eps(self, x, sigma):
        assert sigma.shape == ()
        return (x - clean(x, float(sigma))) / sigma


def test_sigma_and_noise():
    close(dr.load_score(Noise()), clean, tol=1e-4)


class Posterior(torch.nn.Module):
    """As azula's denoisers, by their attributes."""

    def schedule(self, t):
        return 1 - t, 0.001 + t

    def forward(self, x, t):
        alpha, sigma = self.schedule(t.double())
        return SimpleNamespace(mean=clean(x / float(alpha), float(sigma / alpha)))


def test_a_posterior_of_a_schedule():
    score = dr.load_score(Posterior(), shape=SHAPE)
    close(score, clean, tol=3e-4)
    assert score.latest == math.inf
    assert score.earliest == pytest.approx(float(time_from_snr(0.001**-2.0)))


def test_what_nobody_knows():
    with pytest.raises(InputError, match=r"Linear came without a scheduler.*module_score"):
        dr.load_score(torch.nn.Linear(2, 2))
    with pytest.raises(InputError, match="SimpleNamespace came without a scheduler"):
        dr.load_score(SimpleNamespace())
