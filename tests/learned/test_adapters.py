"""Networks as scores: the exact denoiser, dressed as a network, comes back as it was."""

from __future__ import annotations

import json
import math
import pickle
import shutil
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from clouds import SCHEDULE, digits01
from diffregimes.backward.clones import nearest_classes, run_clones
from diffregimes.backward.descent import Run
from diffregimes.backward.samplers import bridge, log_snr_times, scheduler_times
from diffregimes.common.checks import InputError
from diffregimes.common.rng import torch_generator
from diffregimes.data.datasets import from_arrays
from diffregimes.learned.adapters import (
    LearnedScore,
    check_fits,
    learned_score,
    load_score,
    module_score,
)
from diffregimes.learned.checkpoints import WEIGHTS
from diffregimes.learned.conventions import scheduler_convention
from diffregimes.process import (
    DDPM_FAMILY,
    SCHEDULERS,
    cosine_schedule,
    signal,
    time_from_snr,
    variance,
)
from diffregimes.scores import PREDICTIONS, EmpiricalScore
from dressed import IMAGE, KINDS, Dressed, config, exact, made

diffusers = pytest.importorskip("diffusers")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # diffusers and numpy 2

TIMES = (1e-4, 1e-3, 0.01, 0.0777, 0.3, 1.0, 2.5, 4.3)


def states(t: float, dtype=torch.float64, m=12) -> Tensor:
    generator = torch_generator(1, "states")
    a = torch.randn(60, math.prod(IMAGE), generator=torch_generator(0, "images"))[:m].double()
    z = torch.randn(m, math.prod(IMAGE), generator=generator, dtype=torch.float64)
    return (float(signal(t)) * a + math.sqrt(float(variance(t))) * z).to(dtype)


# ---- the exact denoiser through every kind of network


@pytest.mark.parametrize("t", TIMES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_exact_denoiser_comes_back(kind, t):
    model = Dressed(made(kind))
    score = learned_score(model, made(kind))
    t = min(t, 0.95 * score.latest)
    x = states(t)
    wanted = exact().denoise(x, t)
    found = score.denoise(x, t)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-8)
    single = score.denoise(x.float(), t)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), wanted, rtol=0, atol=1e-4)
    shapes = {(shape, dtype, steps) for shape, dtype, steps, _ in model.seen}
    asked = (12, 3, 4, 6)
    assert shapes == {(asked, x, x) for x in (torch.float64, torch.float32)}


@pytest.mark.parametrize("t", [6e-5, *TIMES[1:], float(SCHEDULE.times[-1])])
@pytest.mark.parametrize("predicts", PREDICTIONS)
def test_any_module_with_its_prediction(predicts, t):
    def module(x, steps):
        assert steps.shape == (len(x),)
        there = float(np.interp(float(steps[0]), np.arange(1000), SCHEDULE.times))
        a, z = exact().denoise(x, there), exact().noise(x, there)
        velocity = float(signal(there)) * z - math.sqrt(float(variance(there))) * a
        score = exact().score(x, there)
        return {"denoised": a, "noise": z, "velocity": velocity, "score": score}[predicts]

    score = module_score(module, SCHEDULE, predicts=predicts, shape=(math.prod(IMAGE),))
    x = states(t)
    torch.testing.assert_close(score.denoise(x, t), exact().denoise(x, t), rtol=0, atol=1e-8)
    torch.testing.assert_close(score.noise(x, t), exact().noise(x, t), rtol=0, atol=1e-8)


@pytest.mark.parametrize("kind", ["ddpm epsilon", "ddpm v", "edm epsilon", "flow"])
def test_clones_are_those_of_the_exact_score(kind):
    points, labels = digits01()
    score = EmpiricalScore(points)
    dressed = learned_score(Dressed(made(kind), score, (8, 8, 1)), made(kind), batch=100)
    assert dressed.dimension == 64
    run = Run(log_snr_times(4.3, 0.003, 40), seed=3)
    options = {
        "times": [0.1, 0.5, 1.2],
        "pairs": 64,
        "run": run,
        "classify": nearest_classes(score, labels),
        "training": score,
    }
    ours, theirs = run_clones(dressed, **options), run_clones(score, **options)
    assert np.array_equal(ours.classes, theirs.classes)
    assert np.array_equal(ours.points, theirs.points)
    assert len(np.unique(ours.points)) > 30


# ---- diffusers' own functions beside ours


@pytest.mark.parametrize("index", [0, 1, 17, 500, 999])
def test_states_and_velocities_are_those_of_diffusers(index):
    theirs = made("ddpm v")
    theirs.alphas_cumprod = torch.cumprod(1 - theirs.betas.double(), 0)
    t = float(-0.5 * theirs.alphas_cumprod[index].log())
    a, z = torch.randn(2, 5, *IMAGE, dtype=torch.float64, generator=torch_generator(0, "pair"))
    at = torch.full((5,), index)
    x, asked = theirs.add_noise(a, z, at), []

    def model(given, steps):
        asked.append(steps.tolist())
        return theirs.get_velocity(a, z, at).permute(0, 3, 1, 2)

    model.config = config()
    found = learned_score(model, theirs).denoise(x.flatten(1), t)
    np.testing.assert_allclose(asked, [[index] * 5], rtol=0, atol=1e-9)
    torch.testing.assert_close(found, a.flatten(1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_their_ddpm_step_is_our_bridge_step(dtype):
    theirs = diffusers.DDPMScheduler(clip_sample=False, variance_type="fixed_small")
    theirs.alphas_cumprod = torch.cumprod(1 - theirs.betas.double(), 0)
    theirs.one = torch.ones((), dtype=torch.float64)
    theirs.set_timesteps(50)
    model = unet().to(dtype)
    score, times = learned_score(model, theirs), scheduler_times(theirs)
    x = torch.randn(6, 1, 8, 8, dtype=dtype, generator=torch_generator(0, "start"))
    one, two = torch_generator(1, "noise"), torch_generator(1, "noise")
    for k, index in enumerate(theirs.timesteps):
        flat = x.permute(0, 2, 3, 1).flatten(1)
        z = torch.randn(x.shape, generator=two, dtype=dtype).permute(0, 2, 3, 1).flatten(1)
        ours = bridge(score, flat, times[k], times[k + 1], z)
        with torch.no_grad():
            said = model(x, index).sample
        x = theirs.step(said, index, x, generator=one).prev_sample
        step = x.permute(0, 2, 3, 1).flatten(1)
        # an untrained network lets the states grow to a hundred: their rounding counts
        atol = (1e-11 if dtype == torch.float64 else 1e-6) * float(x.abs().max())
        torch.testing.assert_close(ours, step, rtol=0, atol=atol)


@pytest.mark.parametrize("kind", ["edm epsilon", "edm v", "edm dpm-solver"])
def test_edm_denoises_as_its_scheduler(kind):
    theirs, model = made(kind), unet().double()
    score = learned_score(model, theirs)
    for level in (0.002, 0.05, 1.0, 20.0, 80.0):
        t = float(time_from_snr(1 / level**2))
        x = torch.randn(4, 1, 8, 8, dtype=torch.float64, generator=torch_generator(2, "edm"))
        noised = (1 + level) * x  # any state
        step = theirs.precondition_noise(torch.tensor([level], dtype=torch.float64))
        with torch.no_grad():
            said = model(theirs.precondition_inputs(noised, level), step).sample
        wanted = theirs.precondition_outputs(noised, said, level).flatten(1)
        found = score.denoise(noised.flatten(1) * math.exp(-t), t)
        torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kind", ["flow", "flow shifted"])
def test_the_last_step_of_a_flow_gives_the_denoised(kind):
    theirs, model = made(kind), unet()
    score = learned_score(model, theirs)
    for s in (0.01, 0.4, 0.9):
        theirs.set_timesteps(sigmas=[s])
        shifted = float(theirs.sigmas[0])  # they move even those given
        t = float(time_from_snr((1 / shifted - 1) ** 2))
        x = torch.randn(4, 1, 8, 8, generator=torch_generator(3, "flow"))
        with torch.no_grad():
            said = model(x, theirs.timesteps[0]).sample
        wanted = theirs.step(said, theirs.timesteps[0], x).prev_sample.flatten(1)
        # x_flow = (1 - s) e^t x_t
        found = score.denoise(x.flatten(1) * math.exp(-t) / (1 - shifted), t)
        torch.testing.assert_close(found, wanted, rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", DDPM_FAMILY)
def test_the_family_of_ddpm_shares_its_times(name):
    try:
        theirs = getattr(diffusers, name)(beta_start=1e-4, beta_end=0.02, beta_schedule="linear")
    except ImportError as error:
        pytest.skip(str(error))
    ours = scheduler_convention(theirs)
    assert ours.factors(1.0) == scheduler_convention(diffusers.DDPMScheduler()).factors(1.0)
    for index in (0, 1, 500, 999):
        assert ours.step(SCHEDULE.times[index]) == pytest.approx(index, abs=1e-3)
    assert ours.latest == pytest.approx(5.06, abs=0.02)


# ---- steps and ends


def seen_step(score: LearnedScore, t: float) -> float:
    score.module.seen.clear()
    score.denoise(states(max(t, 1e-5)), t)
    return score.module.seen[-1][-1]


def test_steps_between_the_steps():
    model = Dressed(made("ddpm epsilon"))
    score = learned_score(model, made("ddpm epsilon"))
    times = -0.5 * np.log(made("ddpm epsilon").alphas_cumprod.double().numpy())
    assert seen_step(score, float(times[499])) == pytest.approx(499, abs=1e-9)
    between = 0.75 * times[499] + 0.25 * times[500]
    assert seen_step(score, float(between)) == pytest.approx(499.25, abs=1e-9)


@pytest.mark.parametrize("kind", ["ddpm epsilon", "ddpm v", "ddpm sample", "edm epsilon", "flow"])
def test_below_the_first_level_the_network_is_asked_at_the_first(kind):
    score = learned_score(Dressed(made(kind)), made(kind))
    first = seen_step(score, score.earliest)
    assert seen_step(score, score.earliest / 3) == first
    assert seen_step(score, 1e-9) == first
    for t in (score.earliest / 3, 1e-9):
        error = score.denoise(states(t), t) - exact().denoise(states(t), t)
        assert float(error.square().mean().sqrt()) <= math.sqrt(float(variance(score.earliest)))


@pytest.mark.parametrize(
    ("kind", "last"),
    [("ddpm epsilon", SCHEDULE.times[-1]), ("edm epsilon", float(time_from_snr(1 / 80**2)))],
)
def test_beyond_the_last_level_there_is_no_score(kind, last):
    score = learned_score(Dressed(made(kind)), made(kind))
    assert score.latest == pytest.approx(last, abs=0.006)
    score.denoise(states(score.latest), score.latest)
    said = rf"t is 5\.2, beyond .* at t = {score.latest:.4g}; take times"
    with pytest.raises(InputError, match=said):
        score.denoise(states(5.2), 5.2)


def test_half_a_step_after_the_last_still_counts():
    """Of the cosine schedule that is a long way; with no signal at its end, the step before it."""
    score = module_score(torch.nn.Identity(), cosine_schedule(), shape=(72,))
    times = cosine_schedule().times
    assert score.latest == pytest.approx(1.5 * times[-1] - 0.5 * times[-2], rel=1e-12)
    score = learned_score(Dressed(made("ddim zero snr")), made("ddim zero snr"))
    assert score.earliest < 5 < score.latest < 12
    assert seen_step(score, score.latest) == 998
    score = learned_score(Dressed(made("ddpm epsilon")), made("ddpm epsilon"))
    assert seen_step(score, score.latest) == 999


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_steps_are_not_rounded_with_the_network(dtype):
    seen = []

    class Coarse(torch.nn.Linear):
        def forward(self, x, steps):
            assert x.dtype == dtype
            seen.append(float(steps[0]))
            return x

    score = module_score(Coarse(1, 1, dtype=dtype), SCHEDULE, shape=(72,))
    score.denoise(states(0.7, torch.float32), 0.7)
    assert seen[0] == pytest.approx(score.convention.step(0.7), rel=1e-7)


def test_a_flow_has_no_last_level():
    score = learned_score(Dressed(made("flow")), made("flow"))
    assert score.latest == math.inf
    x = states(12.0)
    torch.testing.assert_close(score.denoise(x, 12.0), exact().denoise(x, 12.0), rtol=0, atol=1e-8)


def test_whole_steps_where_asked_for():
    seen = []

    def module(x, steps):
        seen.append(steps)
        return x

    score = module_score(module, cosine_schedule(), shape=(72,), round_steps=True)
    score.denoise(states(0.5), 0.5)
    assert seen[0].dtype == torch.int64
    assert seen[0][0] + 1 == cosine_schedule().step(0.5)


def test_a_model_that_embeds_whole_steps_gets_them():
    options = {"time_embedding_type": "learned", "num_train_timesteps": 1000}
    model = unet(**options)
    score = learned_score(model, diffusers.DDPMScheduler())
    assert score.round_steps
    assert torch.isfinite(score.denoise(torch.randn(2, 64), 0.5)).all()
    with pytest.raises(InputError, match=r"whole steps.*FlowMatchEulerDiscreteScheduler has none"):
        learned_score(model, made("flow"))


# ---- networks as they are


def unet(channels=1, out=None, size=8, **options):
    torch.manual_seed(0)
    return diffusers.UNet2DModel(
        sample_size=size,
        in_channels=channels,
        out_channels=out or channels,
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        norm_num_groups=4,
        dropout=0.5,
        **options,
    ).eval()


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pipeline")
    pipeline = diffusers.DDPMPipeline(unet(3), diffusers.DDPMScheduler())
    pipeline.save_pretrained(folder)
    return folder


@pytest.fixture
def copied(saved, tmp_path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "pipeline"))


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args):
        raise AssertionError("the network was reached for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def asked_directly(model, x, index, t, **extra):
    """E[a|x] from the epsilon prediction, states (m, H, W, C)."""
    with torch.no_grad():
        noise = model(x.movedim(-1, 1), index, **extra).sample.movedim(1, -1)
    return ((x - math.sqrt(float(variance(t))) * noise) / float(signal(t))).flatten(1)


@pytest.mark.parametrize("layout", ["pipeline", "one folder"])
def test_a_saved_pipeline_is_the_network_itself(saved, tmp_path, no_network, layout):
    folder = saved
    if layout == "one folder":
        folder = tmp_path
        for name in (f"unet/{WEIGHTS}", "unet/config.json", "scheduler/scheduler_config.json"):
            shutil.copy(saved / name, folder)
    score, model, times = load_score(folder), unet(3), SCHEDULE.times
    assert not score.module.training
    assert score.shape == (8, 8, 3)
    x = torch.randn(5, 8, 8, 3, generator=torch_generator(0, "saved"))
    for index in (0, 300, 999):
        t = float(times[index])
        found = score.denoise(x.flatten(1), t)
        wanted = asked_directly(model, x, index, t)
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    t = float(times[300] + times[301]) / 2
    found, between = score.denoise(x.flatten(1), t), torch.tensor(300.5)
    torch.testing.assert_close(found, asked_directly(model, x, between, t), rtol=1e-5, atol=1e-5)
    assert score.notes == ("clip_sample of the scheduler is ignored: the network alone counts",)


def test_a_conditional_model_is_asked_for_its_class(tmp_path):
    model = unet(num_class_embeds=3)
    diffusers.DDPMPipeline(model, diffusers.DDPMScheduler()).save_pretrained(tmp_path)
    x, t, found = torch.randn(4, 8, 8, 1), float(SCHEDULE.times[400]), []
    for label in range(3):
        found.append(load_score(tmp_path, label=label).denoise(x.flatten(1), t))
        labels = torch.full((4,), label)
        wanted = asked_directly(model, x, 400, t, class_labels=labels)
        torch.testing.assert_close(found[-1], wanted, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(found[0], found[1], atol=1e-3)
    with pytest.raises(InputError, match=r"label is None; expected a class number.*conditional"):
        load_score(tmp_path)
    with pytest.raises(InputError, match="label is 3; expected a number from 0 to 2"):
        load_score(tmp_path, label=3)
    with pytest.raises(InputError, match="label is 0, but the model has no classes"):
        learned_score(unet(), diffusers.DDPMScheduler(), label=0)
    with pytest.raises(InputError, match="class_embed_type 'identity'"):
        learned_score(unet(class_embed_type="identity"), diffusers.DDPMScheduler(), label=0)


def test_a_predicted_variance_is_left_aside():
    model = unet(3, out=6)
    score, x, t = learned_score(model, diffusers.DDPMScheduler()), torch.randn(2, 8, 8, 3), 1.0
    index = torch.tensor(scheduler_convention(diffusers.DDPMScheduler()).step(t))
    with torch.no_grad():
        said = model(x.movedim(-1, 1), index.float()).sample[:, :3].movedim(1, -1)
    wanted = (x - math.sqrt(float(variance(t))) * said) / float(signal(t))
    torch.testing.assert_close(score.denoise(x.flatten(1), t), wanted.flatten(1))


@pytest.mark.parametrize("kind", ["ddpm epsilon", "ddpm v", "edm epsilon", "flow"])
def test_the_state_keeps_its_precision_beside_a_coarse_network(kind):
    """What is rounded is the answer alone, and that counts as much as there is noise."""
    t, x = 1e-3, torch.randn(6, 64, generator=torch_generator(4, "coarse"))
    coarse = learned_score(unet().bfloat16(), made(kind)).denoise(x, t)
    fine = learned_score(unet(), made(kind)).denoise(x, t)
    assert coarse.dtype == torch.float32
    error = float((coarse - fine).abs().max())
    assert 0 < error < 0.05 * math.sqrt(float(variance(t)))
    loose = float((x.bfloat16().float() - x).abs().max())
    assert error < loose / 3


def test_network_and_precision_asked_for(saved):
    score = load_score(saved, dtype=torch.float64, device="cpu")
    assert {p.dtype for p in score.module.parameters()} == {torch.float64}
    assert score.denoise(torch.randn(2, 192), 0.3).dtype == torch.float32


def test_networks_are_asked_in_batches_in_eval_mode_without_gradients():
    model = unet().train()
    score = learned_score(model, diffusers.DDPMScheduler(), batch=4)
    assert not model.training  # half of it is dropout
    x = torch.randn(10, 64, generator=torch_generator(5, "batches"))
    found = score.denoise(x, 1.0)
    assert not found.requires_grad
    every = learned_score(model, diffusers.DDPMScheduler()).denoise(x, 1.0)
    torch.testing.assert_close(found, every, rtol=1e-4, atol=1e-5)


# ---- nothing is unpickled


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return (exec, (f"open({self.path!r}, 'w').close()",))


@pytest.mark.parametrize("name", ["diffusion_pytorch_model.bin", "unet.ckpt", "model.pt"])
@pytest.mark.parametrize("beside", [False, True])
def test_pickles_are_left_alone(copied, tmp_path, name, beside):
    trap = copied / "unet" / name
    trap.write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    if beside:
        load_score(copied)
    else:
        (copied / "unet" / WEIGHTS).unlink()
        with pytest.raises(InputError, match=rf"weights in {name}; .*safe_serialization=True"):
            load_score(copied)
    assert not (tmp_path / "sprung").exists()
    pickle.loads(trap.read_bytes())  # the trap does work
    assert (tmp_path / "sprung").exists()


def test_an_index_that_names_other_files_is_not_followed(copied):
    index = {"metadata": {}, "weight_map": {"conv_in.weight": "elsewhere.bin"}}
    (copied / "unet" / f"{WEIGHTS}.index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match="as one file"):
        load_score(copied)


# ---- messages


def changed(path: Path, **options):
    path.write_text(json.dumps({**json.loads(path.read_text()), **options}))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("unet/config.json", r"cannot read .*config\.json \(No such file.*model_index\.json"),
        ("scheduler/scheduler_config.json", r"cannot read .*scheduler_config\.json"),
        (f"unet/{WEIGHTS}", "has no diffusion_pytorch_model.safetensors"),
    ],
)
def test_missing_files(copied, name, message):
    (copied / name).unlink()
    with pytest.raises(InputError, match=message):
        load_score(copied)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("unet/config.json", {"_class_name": "UNet1DModel"}, "class UNet1DModel"),
        ("unet/config.json", {"_class_name": "UNet2DConditionModel"}, "differ in 20 weights"),
        ("unet/config.json", {"block_out_channels": [8, 32]}, "differ in 100 weights"),
        ("unet/config.json", {"block_out_channels": [8, 9]}, "makes no model and scheduler"),
        ("unet/config.json", {"num_class_embeds": 3}, "differ in 1 weights, class_embedding"),
        ("unet/config.json", {"add_attention": False}, "differ in"),
        ("unet/config.json", {"sample_size": None}, "no sample_size.*config.json"),
        (
            "scheduler/scheduler_config.json",
            {"_class_name": "LCMScheduler"},
            "a latent consistency",
        ),
        ("scheduler/scheduler_config.json", {"_class_name": None}, "names no class of"),
        ("scheduler/scheduler_config.json", {"beta_schedule": "new"}, "makes no model and sch"),
        ("scheduler/scheduler_config.json", {"prediction_type": "x"}, "prediction_type is 'x'; k"),
        ("model_index.json", {"vae": ["diffusers", "AutoencoderKL"]}, r"a VAE \(vae\) that is not"),
        (
            "model_index.json",
            {"prior": ["diffusers", "X"]},
            "of prior, scheduler, unet; .* prior does",
        ),
        ("model_index.json", {"unet": [None, None]}, "pipeline of scheduler; expected a unet"),
    ],
)
def test_configs_that_are_not_for_this(copied, name, options, message):
    changed(copied / name, **options)
    with pytest.raises(InputError, match=message):
        load_score(copied, label=0 if "num_class_embeds" in options else None)


def test_files_that_are_no_configs(copied, tmp_path):
    with pytest.raises(InputError, match="is no folder"):
        load_score(tmp_path / "nowhere")
    (copied / "unet" / "config.json").write_text("{")
    with pytest.raises(InputError, match="is not JSON"):
        load_score(copied)
    (copied / "unet" / "config.json").write_text("[1]")
    with pytest.raises(InputError, match="names no class of diffusers; known are UNet2DModel"):
        load_score(copied)


def test_weights_cut_short(copied):
    path = copied / "unet" / WEIGHTS
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="cannot be read as weights"):
        load_score(copied)


def test_without_diffusers(saved, monkeypatch):
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(InputError, match=r"pip install 'diffregimes\[diffusers\]'"):
        load_score(saved)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("LCMScheduler", {}, "LCMScheduler, of a latent consistency model.*audit_samples"),
        ("VQDiffusionScheduler", {"num_vec_classes": 9}, "VQDiffusionScheduler; known are DDPM"),
        (
            "DPMSolverMultistepScheduler",
            {"use_flow_sigmas": True, "prediction_type": "v_prediction"},
            "'v_prediction'; known are flow_prediction, epsilon, sample",
        ),
        ("FlowMatchEulerDiscreteScheduler", {"invert_sigmas": True}, "with invert_sigmas"),
        ("DDPMScheduler", {"prediction_type": "eps"}, "'eps'; known are epsilon, sample, v_pre"),
        ("EDMEulerScheduler", {"prediction_type": "sample"}, "'sample'; known are epsilon, v_p"),
    ],
)
def test_schedulers_and_predictions_not_known(name, options, message):
    with pytest.raises(InputError, match=message):
        learned_score(unet(), getattr(diffusers, name)(**options))


def test_a_scheduler_that_is_none():
    with pytest.raises(InputError, match=f"scheduler is object; known are {SCHEDULERS[0]}"):
        learned_score(unet(), object())


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (torch.nn.Linear(3, 3), "Linear takes None channels.*module_score"),
        (SimpleNamespace(config=config(out_channels=5)), "takes 3 channels and gives 5"),
        (SimpleNamespace(config=config(sample_size=None)), "sample_size.*register_to_config"),
    ],
)
def test_models_of_another_kind(model, message):
    with pytest.raises(InputError, match=message):
        learned_score(model, diffusers.DDPMScheduler())


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (lambda x, s: x[:, :1], r"gave the shape \(2, 1, 4, 6\) for states of .*\(2, 3, 4, 6\)"),
        (lambda x, s: (x,), "gave a tuple"),
        (lambda x, s: SimpleNamespace(sample=None), "gave a NoneType"),
        (lambda x, s: x / 0, "NaN or infinite values for 2 of 2 states"),
    ],
)
def test_modules_that_answer_otherwise(module, message):
    score = module_score(module, SCHEDULE, shape=(3, 4, 6))
    with pytest.raises(InputError, match=message):
        score.denoise(torch.ones(2, 72), 0.5)


def test_options_out_of_range():
    with pytest.raises(InputError, match="predicts is 'epsilon'; expected one of denoised"):
        module_score(torch.nn.Identity(), SCHEDULE, predicts="epsilon", shape=(72,))
    with pytest.raises(InputError, match=r"shape is \(6, 4\); expected \(channels"):
        module_score(torch.nn.Identity(), SCHEDULE, shape=(6, 4))
    with pytest.raises(InputError, match="batch is 0"):
        module_score(torch.nn.Identity(), SCHEDULE, shape=(72,), batch=0)


def test_network_and_data_fit_or_not():
    def same(x, steps):
        return x

    images = from_arrays(np.random.default_rng(0).random((6, 4, 6, 3)))
    grey = from_arrays(np.random.default_rng(0).random((6, 4, 6)))
    score = module_score(same, SCHEDULE, shape=(3, 4, 6))
    check_fits(score, images)
    check_fits(score, from_arrays(images.points))  # flattened: the order is the user's word
    check_fits(exact(), images)
    with pytest.raises(InputError, match=r"\(4, 6, 3\), the data \(arrays\) are \(4, 6, 1\)"):
        check_fits(score, grey)
    turned = module_score(same, SCHEDULE, shape=(3, 6, 4))
    with pytest.raises(InputError, match=r"\(6, 4, 3\), the data"):
        check_fits(turned, images)
    with pytest.raises(InputError, match=r"states of 72 numbers, the data \(arrays\) have 24"):
        check_fits(exact(), grey)
    with pytest.raises(InputError, match="states of 72 numbers"):
        check_fits(score, from_arrays(grey.points))


@pytest.mark.parametrize("end", [0, 999])
def test_a_network_that_fails_is_told_by_one_state(end):
    """At either end of its levels, whatever it raises; what it says itself stays as it is."""

    def module(x, steps):
        if round(float(steps[0])) == end:
            raise IndexError("no such row")
        return x

    images = from_arrays(np.random.default_rng(0).random((6, 4, 6, 3)))
    score = module_score(module, SCHEDULE, shape=(3, 4, 6))
    with pytest.raises(InputError, match=r"one state of the shape \(4, 6, 3\).*no such row"):
        check_fits(score, images)
    wrong = module_score(lambda x, steps: x[:, :1], SCHEDULE, shape=(3, 4, 6))
    with pytest.raises(InputError, match=r"^the network gave the shape"):
        check_fits(wrong, images)
