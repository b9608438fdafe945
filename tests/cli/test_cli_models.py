"""`diffregimes audit` of every kind of model, from its folder to the report, and bad input."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

import diffregimes as dr
from command import contents, runner, untrained, without_drawing
from diffregimes.learned.latents import Latents, open_latents

diffusers = pytest.importorskip("diffusers")
pytestmark = [
    pytest.mark.filterwarnings("ignore"),  # diffusers' own deprecations
    pytest.mark.usefixtures("few_forward_draws"),
]

FEW = ("--samples", 16, "--pairs", 16, "--steps", 10)
PLAN = diffusers.DDPMScheduler(clip_sample=False)


def oneline(text):
    return " ".join(text.split())


@pytest.fixture
def run(monkeypatch, capfd):
    monkeypatch.setattr("diffregimes.auditing.audit.LOSS_TIMES", 3)
    without_drawing(monkeypatch)
    return lambda *arguments: runner(monkeypatch, capfd)(*arguments, command=("audit",))


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    values = np.random.default_rng(0).integers(0, 256, (48, 16, 16, 3), dtype=np.uint8)
    path = tmp_path_factory.mktemp("data") / "images.npz"
    np.savez(path, images=values, labels=np.arange(48) % 2)
    return path


@pytest.fixture(scope="module")
def latent(tmp_path_factory):
    """DiT and its VAE, as DiTPipeline saves them."""
    folder = tmp_path_factory.mktemp("models") / "dit"
    transformer = diffusers.DiTTransformer2DModel(
        num_attention_heads=2, attention_head_dim=8, in_channels=4, out_channels=8, num_layers=1,
        sample_size=8, patch_size=2, num_embeds_ada_norm=3,
    )  # fmt: skip
    vae = diffusers.AutoencoderKL(
        block_out_channels=(8, 8), down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2, latent_channels=4, norm_num_groups=4,
    )  # fmt: skip
    diffusers.DiTPipeline(transformer, vae, PLAN).save_pretrained(folder)
    return folder


def test_a_latent_model_is_audited_in_its_code(run, latent, images, tmp_path, monkeypatch):
    out = tmp_path / "out"
    ran = run(latent, "--data", images, "--label", 1, "--guidance", 1.5, *FEW, "--out", out)
    assert ran.code == 0, ran.err
    assert "float32" not in ran.err
    told = json.loads((out / "results.json").read_text())
    assert told["dataset"]["sample_shape"] == [8, 8, 4]
    assert told["dataset"]["n"] == 24
    assert told["model"]["guidance"] == 1.5
    assert len(told["model"]["vae"]) == 64
    assert told["recipe"]["options"]["label"] == 1
    assert any("latents of the pipeline's VAE" in x for x in told["notes"])
    assert any("guidance 1.5" in x for x in told["notes"])
    assert {x.name for x in tmp_path.iterdir()} == {"out"}
    page = (out / "report.html").read_text("utf-8")
    assert page.count("data:image/png") > 10
    # another audit of the same data and VAE encodes nothing
    seen, encode = [], Latents._encoded
    monkeypatch.setattr(
        Latents,
        "_encoded",
        lambda self, data, *rest: seen.append(data.n) or encode(self, data, *rest),
    )
    again = run(
        latent, "--data", images, "--label", 1, "--seed", 1, *FEW, "--out", tmp_path / "two"
    )
    assert again.code == 0, again.err
    assert seen == [1]  # the image that goes through the network before the work starts
    notes = json.loads((tmp_path / "two" / "results.json").read_text())["notes"]
    assert any("encoded before, and read from" in x for x in notes)
    assert not any("encoded before" in x for x in told["notes"])
    assert "encoded before" in (tmp_path / "two" / "report.html").read_text("utf-8")


def test_pictures_of_latents_are_those_of_the_decoder(latent, images):
    import base64
    import io

    import torch
    from PIL import Image

    from diffregimes.data.readers import load
    from diffregimes.learned.adapters import load_score
    from diffregimes.report.page.pictures import Painter

    data = load(str(images), pixel_range=(-1, 1))
    latents = load_score(latent, label=0).latents
    code = latents.encode(data)
    shown = Painter(code).point(5).partition(",")[2]
    seen = np.asarray(Image.open(io.BytesIO(base64.b64decode(shown)))) / 255
    x = torch.from_numpy(data.points[5:6]).reshape(1, 16, 16, 3).movedim(-1, 1)
    with torch.no_grad():
        mean = latents.vae.encode(x).latent_dist.mean
        wanted = latents.vae.decode(mean).sample[0].movedim(0, -1) / 2 + 0.5
    np.testing.assert_allclose(seen, wanted.clamp(0, 1), rtol=0, atol=0.003)


def pixels(folder, channels):
    """A network of pixels, 16 x 16."""
    torch.manual_seed(0)
    unet = diffusers.UNet2DModel(
        sample_size=16, in_channels=channels, out_channels=channels, layers_per_block=1,
        norm_num_groups=4, down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",),
        block_out_channels=(4,), attention_head_dim=4,
    )  # fmt: skip
    diffusers.DDPMPipeline(unet, PLAN).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("channels", "named"),
    [(3, "of the base"), pytest.param(1, "by its folder", marks=pytest.mark.slow)],
)
def test_a_vae_as_the_features_of_a_network_of_pixels(
    run, latent, images, tmp_path, monkeypatch, channels, named
):
    """What is near there is near by the encoder's own mean: grey images are given it in colours."""
    monkeypatch.chdir(tmp_path)
    net = pixels(tmp_path / "net", channels)
    values = np.load(images)["images"][..., :channels]
    np.savez("data.npz", images=values[:32], labels=np.arange(32) % 2)
    np.savez("more.npz", images=values[32:], labels=np.arange(16) % 2)
    options = ("vae", "--base", latent) if named == "of the base" else (latent / "vae",)
    files = "--data", "data.npz", "--held-out", "more.npz", "--out", "out"
    ran = run(net, *files, *FEW, "--features", *options)
    assert ran.code == 0, ran.err
    told = json.loads((tmp_path / "out" / "results.json").read_text())
    assert told["dataset"]["sample_shape"] == [16, 16, channels]  # in pixels
    assert "vae" not in told["model"]
    assert told["features"]["of"] == f"latents of {latent / 'vae'}"
    assert told["features"]["distance"] == "Euclidean"
    assert told["features"]["dimension"] == 8 * 8 * 4
    data, more = (dr.load(x, pixel_range=(-1, 1)) for x in ("data.npz", "more.npz"))
    audit = dr.audit(dr.load_score(net), data, more, samples=16, pairs=16, steps=10, draws=2)
    vae, codes = open_latents(latent / "vae", "cpu").vae, []
    for points in (audit.copies.states.clip(-1, 1), values[:32] / 127.5 - 1):
        x = torch.from_numpy(points).float().reshape(-1, 16, 16, channels).movedim(-1, 1)
        with torch.no_grad():
            mean = vae.encode(x.expand(-1, 3, -1, -1)).latent_dist.mean
        codes.append(mean.flatten(1).numpy() * vae.config.scaling_factor)
    gaps = np.sort(cdist(*codes), axis=1)
    with (tmp_path / "out" / "samples.csv").open() as file:
        rows = list(csv.DictReader(file))
    for name, k in (("feature_distance", 0), ("feature_second_distance", 1)):
        np.testing.assert_allclose([float(x[name]) for x in rows], gaps[:, k], rtol=1e-4)


def test_the_latents_of_a_latent_model_are_its_features_already(run, latent, images, tmp_path):
    files = latent, "--data", images, "--label", 1, *FEW, "--out", tmp_path / "out", "--features"
    ran = run(*files, "vae")
    assert ran.code == 2
    assert "latents of the model's VAE already: copies are told in these" in oneline(ran.err)
    assert not (tmp_path / "out").exists()
    # another VAE sees the pictures of the decoder
    other = shutil.copytree(latent / "vae", tmp_path / "other")
    path = other / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "scaling_factor": 2.0}))
    ran = run(*files, other)
    assert ran.code == 0, ran.err
    told = json.loads((tmp_path / "out" / "results.json").read_text())
    assert told["features"]["of"] == f"latents of {other}"
    assert told["features"]["dimension"] == 256


def test_a_checkpoint_of_a_training_script(run, tmp_path):
    base = untrained(tmp_path / "base")
    checkpoint = tmp_path / "run" / "checkpoint-500"
    shutil.copytree(base / "unet", checkpoint / "unet_ema")
    few = "--data", "digits", "--classes", "0,1", *FEW, "--out", tmp_path / "out"
    ran = run(checkpoint, *few)
    assert ran.code == 2
    assert "--scheduler PATH" in ran.err
    assert not (tmp_path / "out").exists()
    for options in (("--scheduler", base / "scheduler"), ("--base", base)):
        ran = run(checkpoint, *options, *few)
        assert ran.code == 0, ran.err
        told = json.loads((tmp_path / "out" / "results.json").read_text())
        assert any("unet_ema/ are taken" in x for x in told["notes"])
        name = options[0].strip("-")
        assert told["recipe"]["options"][name] == str(options[1])


def _lcm(folder):
    path = folder / "scheduler" / "scheduler_config.json"
    diffusers.LCMScheduler().save_pretrained(path.parent)


def _no_vae(folder):
    shutil.rmtree(folder / "vae")


def _consistency(folder):
    path = folder / "model_index.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps({**told, "_class_name": "ConsistencyModelPipeline"}))


@pytest.mark.parametrize(
    ("spoil", "options", "said"),
    [
        (None, ("--label", 3), "label is 3; expected a number from 0 to 2"),
        (None, (), "--label 0"),
        (None, ("--label", 0, "--prompt", "a cat"), "takes no text; leave it out"),
        (None, ("--label", 0, "--guidance", "nan"), "expected a number, 1 for none"),
        (None, ("--label", 0, "--scheduler", "nowhere"), "nowhere"),
        (None, ("--label", 0, "--base", "nowhere"), "nowhere is no folder"),
        (None, ("--label", 0, "--range=0,1"), "--range=-1,1"),
        (_no_vae, ("--label", 0), "names a VAE (vae) that is not there"),
        (_lcm, ("--label", 0), "--samples-from FOLDER"),
        (_consistency, ("--label", 0), "--samples-from FOLDER"),
    ],
)
def test_bad_input(run, latent, images, tmp_path, spoil, options, said):
    folder = shutil.copytree(latent, tmp_path / "net")
    if spoil is not None:
        spoil(folder)
    before = contents(tmp_path)
    ran = run(folder, "--data", images, *options, *FEW, "--out", tmp_path / "out")
    assert ran.code == 2
    assert said in " ".join(ran.err.split())
    assert "Traceback" not in ran.err
    assert contents(tmp_path) == before


def test_guidance_on_an_unconditional_model(run, tmp_path):
    folder = untrained(tmp_path / "net")
    ran = run(folder, "--data", "digits", "--guidance", 2, *FEW, "--out", tmp_path / "out")
    assert ran.code == 2
    assert "UNet2DModel takes no condition; leave it out" in " ".join(ran.err.split())
    assert [x.name for x in tmp_path.iterdir()] == ["net"]
