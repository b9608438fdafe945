"""Conditional and latent networks: the library's own x_0 at ten noise levels, and exact scores
dressed as these kinds, which are judged as they are."""

from __future__ import annotations

import csv
import json
import math
import os
import shutil
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import diffregimes as dr
from command import runner, without_drawing
from diffregimes.common.checks import InputError
from diffregimes.common.rng import torch_generator
from diffregimes.data.datasets import from_arrays
from diffregimes.learned.adapters import learned_score, load_score
from diffregimes.learned.latents import Latents
from diffregimes.learned.models import open_model
from diffregimes.populations.mixture import GaussianMixture
from diffregimes.process import linear_schedule
from diffregimes.scores import EmpiricalScore, MixtureScore
from dressed import Dressed

diffusers = pytest.importorskip("diffusers")
pytestmark = pytest.mark.filterwarnings("ignore")  # diffusers' own deprecations

PLAN = diffusers.DDIMScheduler(clip_sample=False)
STEPS = (0, 5, 30, 100, 200, 350, 500, 700, 900, 999)


def library_x0(asked, x: Tensor, step: int) -> Tensor:
    with torch.no_grad():
        said = asked(x, torch.tensor([step]).expand(len(x)))
    said = said[:, : x.shape[1]]
    theirs = diffusers.DDIMScheduler(clip_sample=False)
    theirs.set_timesteps(1000)
    return theirs.step(said, step, x).pred_original_sample


def agree(score, asked, m=3):
    """At ten noise levels, to 1e-5 of the largest value."""
    height, width, channels = score.shape
    x = torch.randn(m, channels, height, width, generator=torch_generator(0, "states"))
    times = linear_schedule().times
    for step in STEPS:
        wanted = library_x0(asked, x, step).movedim(1, -1).flatten(1)
        found = score.denoise(x.movedim(1, -1).flatten(1), float(times[step]))
        error = float((found - wanted).abs().max())
        assert error < 2e-5 * max(1.0, float(wanted.abs().max())), step


def dit(**options):
    torch.manual_seed(0)
    model = diffusers.DiTTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        in_channels=4,
        out_channels=8,
        num_layers=2,
        sample_size=8,
        patch_size=2,
        num_embeds_ada_norm=10,
        **options,
    ).eval()
    for value in model.parameters():  # a new one answers 0
        torch.nn.init.normal_(value, std=0.2, generator=torch_generator(1, str(value.shape)))
    return model


def cross(size=8, channels=4, **options):
    torch.manual_seed(0)
    return diffusers.UNet2DConditionModel(
        sample_size=size,
        in_channels=channels,
        out_channels=channels,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        attention_head_dim=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        **{"cross_attention_dim": 16, **options},
    ).eval()


def kl(**options):
    torch.manual_seed(0)
    return diffusers.AutoencoderKL(
        in_channels=3,
        out_channels=3,
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=16,
        **options,
    ).eval()


def images(n=40, classes=2):
    values = np.random.default_rng(0).integers(0, 256, (n, 16, 16, 3), dtype=np.uint8)
    return from_arrays(values, np.arange(n) % classes, pixel_range=(-1, 1))


# ---- classes


def test_dit_is_asked_for_its_class_and_guided_by_its_row_of_none(tmp_path):
    model, vae = dit(), kl(scaling_factor=0.3)
    diffusers.DiTPipeline(model, vae, PLAN, {str(k): str(k) for k in range(10)}).save_pretrained(
        tmp_path
    )
    score = load_score(tmp_path, label=3)

    def asked(label):
        return lambda x, t: model(x, t, torch.full((len(x),), label)).sample

    agree(score, asked(3))
    assert score.shape == (8, 8, 4)
    assert score.latents is not None
    guided = load_score(tmp_path, label=3, guidance=2.5)
    agree(guided, lambda x, t: asked(10)(x, t) + 2.5 * (asked(3)(x, t) - asked(10)(x, t)))
    agree(load_score(tmp_path, label=3, guidance=1.0), asked(3))
    for label, said in ((10, "label is 10; expected a number from 0 to 9"), (None, "--label 0")):
        with pytest.raises(InputError, match=said):
            load_score(tmp_path, label=label)
    with pytest.raises(InputError, match="takes no text; leave it out"):
        load_score(tmp_path, label=3, prompt="a cat")


def test_a_flow_transformer():
    model, plan = dit(), diffusers.FlowMatchEulerDiscreteScheduler()
    score = learned_score(model, plan, label=2)
    x = torch.randn(3, 8, 8, 4, generator=torch_generator(0, "states"))
    for s in (0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97):
        t = math.log(math.hypot(1 - s, s) / (1 - s))
        given = x.movedim(-1, 1)
        with torch.no_grad():
            said = model(given, torch.full((3,), 1000 * s), torch.full((3,), 2)).sample[:, :4]
        wanted = (given - s * said).movedim(1, -1).flatten(1)  # x = (1 - s) a + s z
        found = score.denoise(x.flatten(1) * math.exp(-t) / (1 - s), t)
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=2e-5)


def test_a_condition_model_of_classes_alone(tmp_path):
    blocks = {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2}
    torch.manual_seed(0)
    model = diffusers.UNet2DConditionModel(
        sample_size=8, in_channels=3, out_channels=3, block_out_channels=(8, 16),
        layers_per_block=1, norm_num_groups=4, mid_block_type=None, num_class_embeds=5, **blocks,
    ).eval()  # fmt: skip
    model.save_pretrained(tmp_path)
    PLAN.save_pretrained(tmp_path)
    labels = torch.full((3,), 4)
    score = load_score(tmp_path, label=4)
    agree(score, lambda x, t: model(x, t, None, class_labels=labels).sample)
    with pytest.raises(InputError, match=r"which class of this UNet2DCond.*--null-label N"):
        load_score(tmp_path, label=4, guidance=2.0)

    def asked(number):
        return lambda x, t: model(x, t, None, class_labels=torch.full((3,), number)).sample

    guided = load_score(tmp_path, label=1, guidance=2.5, null_label=4)
    agree(guided, lambda x, t: asked(4)(x, t) + 2.5 * (asked(1)(x, t) - asked(4)(x, t)))
    own = load_score(tmp_path, label="own", guidance=2.5, null_label=4)
    x = torch.randn(3, 192, generator=torch_generator(0, "own"))
    said = own.given(torch.tensor([2, 1, 0])).denoise(x, 0.5)
    torch.testing.assert_close(said[1:2], guided.denoise(x, 0.5)[1:2], rtol=1e-4, atol=1e-4)
    for options, what in (
        ({"guidance": 2.0, "null_label": 5}, "null_label .* is 5; expected a number from 0 to 4"),
        ({"null_label": 4}, "null_label .* is 4, but UNet2DConditionModel is asked for no guidan"),
    ):
        with pytest.raises(InputError, match=what):
            load_score(tmp_path, label=1, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"encoder_hid_dim": 16, "encoder_hid_dim_type": "image_proj"},
        {"addition_embed_type": "text", "addition_embed_type_num_heads": 2},
    ],
)
def test_conditions_by_images_or_otherwise_are_named(options):
    for prompt in (None, "a cat"):
        with pytest.raises(InputError, match=r"condition by (encoder_hid|addition_embed)"):
            learned_score(cross(**options), PLAN, prompt=prompt)


def test_guidance_where_there_is_no_condition():
    model = diffusers.UNet2DModel(
        sample_size=8, in_channels=1, out_channels=1, block_out_channels=(8,), norm_num_groups=4,
        down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",), layers_per_block=1,
    )  # fmt: skip
    with pytest.raises(InputError, match="UNet2DModel takes no condition; leave it out"):
        learned_score(model, PLAN, guidance=2.0)
    with pytest.raises(InputError, match=r"null_label .* is 3, but UNet2DModel takes no classes"):
        learned_score(model, PLAN, guidance=2.0, null_label=3)
    with pytest.raises(InputError, match=r"guidance .* is nan; expected a number"):
        learned_score(model, PLAN, guidance=math.nan)
    with pytest.raises(InputError, match="takes no text"):
        learned_score(model, PLAN, prompt="a cat")
    with pytest.raises(InputError, match=r"300 texts came \(--prompts\), but UNet2DModel"):
        learned_score(model, PLAN, prompt=("a cat",) * 300)


# ---- prompts


def clip(transformers, hidden=16, projected=None):
    torch.manual_seed(1)
    config = transformers.CLIPTextConfig(
        vocab_size=1000, hidden_size=hidden, intermediate_size=16, num_hidden_layers=2,
        num_attention_heads=2, max_position_embeddings=77, projection_dim=projected or hidden,
        bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    kind = transformers.CLIPTextModelWithProjection if projected else transformers.CLIPTextModel
    return kind(config).eval()


def tokenizer(transformers, folder: Path):
    """Every letter is a word."""
    letters = [chr(k) for k in range(97, 123)]
    words = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{x}</w>" for x in letters)]
    folder.mkdir(exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({w: k for k, w in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return transformers.CLIPTokenizer(
        str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77
    )


def stable(transformers, tmp_path, unet=None, vae=None):
    return diffusers.StableDiffusionPipeline(
        vae=vae or kl(),
        text_encoder=clip(transformers),
        tokenizer=tokenizer(transformers, tmp_path / "words"),
        unet=unet or cross(),
        scheduler=PLAN,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def test_a_prompt_is_encoded_by_the_pipeline(tmp_path):
    transformers = pytest.importorskip("transformers")
    made = stable(transformers, tmp_path)
    made.save_pretrained(tmp_path / "net")
    with torch.no_grad():
        cat, none = (made.encode_prompt(x, "cpu", 1, False)[0] for x in ("a cat", ""))
    assert not torch.allclose(cat, none, atol=1e-3)

    def asked(given):
        return lambda x, t: made.unet(x, t, given.expand(len(x), -1, -1)).sample

    agree(load_score(tmp_path / "net", prompt="a cat"), asked(cat))
    agree(load_score(tmp_path / "net", prompt=""), asked(none))
    agree(dr.load_score(made, prompt="a cat"), asked(cat))
    guided = load_score(tmp_path / "net", prompt="a cat", guidance=3.0)
    agree(guided, lambda x, t: asked(none)(x, t) + 3 * (asked(cat)(x, t) - asked(none)(x, t)))
    with pytest.raises(InputError, match=r"given text, and no prompt came.*--prompt TEXT"):
        load_score(tmp_path / "net")
    with pytest.raises(InputError, match="label is 3, but the model has no classes"):
        load_score(tmp_path / "net", prompt="", label=3)
    # a checkpoint of its network alone, with and without what it was trained from
    unet = tmp_path / "checkpoint-9" / "unet"
    shutil.copytree(tmp_path / "net" / "unet", unet)
    agree(load_score(unet.parent, base=tmp_path / "net", prompt="a cat"), asked(cat))
    with pytest.raises(InputError, match=r"no text encoder is known.*--base PIPELINE"):
        load_score(unet.parent, tmp_path / "net" / "scheduler", prompt="a cat")
    shutil.rmtree(tmp_path / "net" / "text_encoder")
    with pytest.raises(InputError, match="no text encoder is known"):
        load_score(tmp_path / "net", prompt="a cat")


@pytest.mark.usefixtures("few_forward_draws")
def test_every_point_under_its_own_text(tmp_path, monkeypatch, capfd):
    """By the command, a text a line: each state is given the text of its point."""
    transformers = pytest.importorskip("transformers")
    monkeypatch.setattr("diffregimes.auditing.audit.LOSS_TIMES", 3)
    without_drawing(monkeypatch)
    made = stable(transformers, tmp_path)
    made.save_pretrained(tmp_path / "net")
    texts = ["a cat", "a dog", ""]
    score = load_score(tmp_path / "net", prompt=texts)
    x, codes = torch.randn(5, 256, generator=torch_generator(0, "x")), torch.tensor([2, 0, 1, 0, 1])
    found = score.given(codes).denoise(x, 0.7)
    guided = load_score(tmp_path / "net", prompt=texts, guidance=2.0).given(codes).denoise(x, 0.7)
    for k, text in enumerate(texts):
        for said, w in ((found, None), (guided, 2.0)):
            alone = load_score(tmp_path / "net", prompt=text, guidance=w).denoise(x, 0.7)
            torch.testing.assert_close(said[codes == k], alone[codes == k], rtol=1e-4, atol=1e-4)
    values = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3), dtype=np.uint8)
    np.savez(tmp_path / "images.npz", images=values[:16])
    np.savez(tmp_path / "more.npz", images=values[16:])
    lines = [*(f"a {chr(97 + k)}" for k in range(15)), 'two, "three"']
    (tmp_path / "one.txt").write_text("\n".join(lines))
    (tmp_path / "two.txt").write_text("\n".join(["a cat"] * 8))
    monkeypatch.chdir(tmp_path)
    few = ("--samples", 16, "--pairs", 16, "--steps", 10)
    files = ("net", "--data", "images.npz", "--held-out", "more.npz")
    run = runner(monkeypatch, capfd)
    ran = run(*files, "--prompts", "one.txt,two.txt", *few, "--out", "out", command=("audit",))
    assert ran.code == 0, ran.err
    told = json.loads((tmp_path / "out" / "results.json").read_text())
    assert told["model"]["prompts"] == 17
    assert len(told["recipe"]["captions"]) == 64
    names = {f"a {chr(97 + k)}" for k in range(15)} | {'two, "three"'}
    assert {x["name"] for x in told["conditions"]} == names
    with (tmp_path / "out" / "samples.csv").open() as file:
        asked = Counter(row["condition"] for row in csv.DictReader(file))
    assert asked == {x["name"]: x["copies"]["of"] for x in told["conditions"] if x["copies"]}
    assert any("under its own text" in x for x in told["notes"])
    (tmp_path / "two.txt").write_text("\n".join(["a cat"] * 7))
    for options, said in (
        (("--prompts", "one.txt,two.txt"), "7 texts for the 8 points"),
        (("--prompts", "one.txt", "--prompt", "a"), "--prompts came with --prompt"),
        (("--prompts", "nowhere"), "prompts (--prompts) is 'nowhere'"),
    ):
        ran = run(*files, *options, *few, "--out", "none", command=("audit",))
        assert ran.code == 2
        assert said in " ".join(ran.err.split())
        assert not (tmp_path / "none").exists()


def test_a_prompt_without_transformers_or_with_encoders_of_its_own(tmp_path, monkeypatch):
    transformers = pytest.importorskip("transformers")
    assert transformers
    index = {"_class_name": "StableDiffusionPipeline", "scheduler": ["diffusers", "DDIMScheduler"]}
    told = {**index, "text_encoder": ["transformers", "CLIPTextModel"]}
    (tmp_path / "net" / "text_encoder").mkdir(parents=True)
    path = tmp_path / "net" / "model_index.json"
    path.write_text(json.dumps(told))
    with pytest.raises(InputError, match="cannot be read as a pipeline that encodes prompts"):
        learned_score(cross(), PLAN, prompt="a", pipeline=tmp_path / "net")
    path.write_text(json.dumps({**told, "text_encoder": ["my_module", "Mine"]}))
    with pytest.raises(InputError, match="with its own text_encoder; expected a pipeline of"):
        learned_score(cross(), PLAN, prompt="a", pipeline=tmp_path / "net")
    path.write_text(json.dumps(told))
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"pip install 'diffregimes\[text\]'"):
        learned_score(cross(), PLAN, prompt="a", pipeline=tmp_path / "net")


def test_sdxl_is_given_sizes_and_pooled_text(tmp_path):
    transformers = pytest.importorskip("transformers")
    unet = cross(
        cross_attention_dim=32, addition_embed_type="text_time", addition_time_embed_dim=4,
        projection_class_embeddings_input_dim=24 + 16, transformer_layers_per_block=1,
        use_linear_projection=True,
    )  # fmt: skip
    words = tokenizer(transformers, tmp_path / "words")
    made = diffusers.StableDiffusionXLPipeline(
        vae=kl(), text_encoder=clip(transformers), text_encoder_2=clip(transformers, 16, 16),
        tokenizer=words, tokenizer_2=words, unet=unet, scheduler=PLAN, add_watermarker=False,
    )  # fmt: skip
    made.save_pretrained(tmp_path / "net")
    with torch.no_grad():
        found, _, pooled, _ = made.encode_prompt("a cat", device="cpu", num_images_per_prompt=1,
                                                 do_classifier_free_guidance=False)  # fmt: skip
    # as the pipeline itself makes them for an image of its usual size
    sizes = made._get_add_time_ids((16, 16), (0, 0), (16, 16), torch.float32, 16)

    def asked(x, t):
        m = len(x)
        added = {"text_embeds": pooled.expand(m, -1), "time_ids": sizes.expand(m, -1)}
        return unet(x, t, found.expand(m, -1, -1), added_cond_kwargs=added).sample

    agree(load_score(tmp_path / "net", prompt="a cat"), asked)


def test_what_sd3_takes_between_state_and_step():
    torch.manual_seed(0)
    model = diffusers.SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, out_channels=4, num_layers=1,
        attention_head_dim=8, num_attention_heads=2, joint_attention_dim=16,
        caption_projection_dim=16, pooled_projection_dim=12, pos_embed_max_size=8,
    ).eval()  # fmt: skip
    text = torch.randn(1, 5, 16, generator=torch_generator(0, "text"))
    pooled = torch.randn(1, 12, generator=torch_generator(0, "pooled"))

    class Pipeline:
        def encode_prompt(self, *prompts, **_):
            return (text, None, pooled, None)

    plan = diffusers.FlowMatchEulerDiscreteScheduler()
    score = learned_score(model, plan, prompt="a", pipeline=Pipeline())
    x, s = torch.randn(3, 4, 8, 8, generator=torch_generator(0, "states")), 0.4
    with torch.no_grad():
        said = model(x, text.expand(3, -1, -1), pooled.expand(3, -1), torch.full((3,), 400.0))
    wanted = (x - s * said.sample).movedim(1, -1).flatten(1)
    t = math.log(math.hypot(1 - s, s) / (1 - s))
    found = score.denoise(x.movedim(1, -1).flatten(1) * math.exp(-t) / (1 - s), t)
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


# ---- latents


def vq(**options):
    torch.manual_seed(0)
    return diffusers.VQModel(
        in_channels=3, out_channels=3, block_out_channels=(8, 8), latent_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        num_vq_embeddings=32, norm_num_groups=4, **options,
    ).eval()  # fmt: skip


@pytest.mark.parametrize(
    ("vae", "factor", "shift"),
    [(kl(scaling_factor=0.4), 0.4, 0.0), (kl(scaling_factor=1.5, shift_factor=0.2), 1.5, 0.2),
     (vq(scaling_factor=0.7), 0.7, 0.0)],
)  # fmt: skip
def test_the_code_is_the_mean_shifted_and_scaled_and_comes_back(vae, factor, shift):
    data, latents = images(20), Latents(vae)
    found = latents.encode(data)
    x = torch.from_numpy(data.points).reshape(-1, 16, 16, 3).movedim(-1, 1)
    with torch.no_grad():
        out = vae.encode(x)
        mean = out.latents if isinstance(vae, diffusers.VQModel) else out.latent_dist.mean
        wanted = ((mean - shift) * factor).movedim(1, -1)
        pictures = vae.decode(mean).sample
    np.testing.assert_allclose(found.points, wanted.flatten(1), rtol=1e-4, atol=1e-5)
    assert found.sample_shape == tuple(wanted.shape[1:])
    assert (found.labels == data.labels).all()
    assert found.scale is None
    shown = found.decode(found.points)
    np.testing.assert_allclose(
        shown, (pictures / 2 + 0.5).clamp(0, 1).movedim(1, -1), rtol=0, atol=1e-4
    )
    assert "latents of the pipeline's VAE" in found.notes[-1]
    assert found.take(np.arange(3)).decode is found.decode


def test_statistics_of_each_channel():
    vae = kl(
        scaling_factor=0.5, latents_mean=[0.1, 0.2, 0.3, 0.4], latents_std=[1.0, 2.0, 3.0, 4.0]
    )
    x = torch.randn(2, 3, 16, 16, generator=torch_generator(0, "x"))
    with torch.no_grad():
        mean = vae.encode(x).latent_dist.mean
    z = Latents(vae).code(x)
    for c in range(4):
        wanted = (mean[:, c] - 0.1 * (c + 1)) / (c + 1) * 0.5
        torch.testing.assert_close(z[:, c], wanted, rtol=1e-4, atol=1e-5)
    pictures = Latents(vae).pictures(z)
    with torch.no_grad():
        torch.testing.assert_close(pictures, vae.decode(mean).sample, rtol=1e-3, atol=1e-4)


def test_latents_are_encoded_once(tmp_path, monkeypatch):
    data, latents = images(20), Latents(kl())
    found = latents.encode(data, store=tmp_path)
    monkeypatch.setattr(latents, "code", None)
    again = latents.encode(data, store=tmp_path)
    np.testing.assert_array_equal(found.points, again.points)
    assert found.fingerprint == again.fingerprint
    path = next(tmp_path.iterdir())
    assert found.notes[-1].endswith("those of latents")
    assert again.notes[:-1] == found.notes
    assert again.notes[-1].endswith(f"encoded before, and read from {path}")
    others = kl(latents_mean=[0.1] * 4, latents_std=[2.0] * 4)
    vaes = Latents(kl(scaling_factor=0.9)), Latents(others)
    for other, vae in ((images(21), latents), *((data, x) for x in vaes)):
        monkeypatch.setattr(vae, "code", None)
        with pytest.raises(TypeError):
            vae.encode(other, store=tmp_path)


def test_a_cache_keeps_what_was_read_last(tmp_path, monkeypatch):
    latents, made = Latents(kl()), [images(n) for n in (10, 12, 14)]
    size = latents.encode(made[2]).points.nbytes
    monkeypatch.setattr("diffregimes.learned.latents.KEPT", int(2.3 * size))
    for n, data in enumerate(made):
        latents.encode(data, store=tmp_path)
        for k, path in enumerate(sorted(tmp_path.iterdir(), key=lambda x: x.stat().st_size)):
            os.utime(path, (1000 + k, 1000 + k))
        if n == 1:
            latents.encode(made[0], store=tmp_path)  # read again: the second goes
    sizes = sorted(np.load(x).shape[0] for x in tmp_path.iterdir())
    assert sizes == [10, 14]
    # one that cannot be written is none
    blocked = tmp_path / "file"
    blocked.write_text("")
    np.testing.assert_array_equal(
        latents.encode(made[0], store=blocked / "in").points, latents.encode(made[0]).points
    )


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (from_arrays(np.random.default_rng(0).random((9, 16, 16))), "images of 3 channels"),
        (from_arrays(np.random.default_rng(0).random((9, 48))), "images of 3 channels"),
        (from_arrays(3 * np.random.default_rng(0).random((9, 16, 16, 3))), "--range=-1,1"),
        (from_arrays(np.random.default_rng(0).integers(0, 255, (9, 16, 16, 3))), "--range=-1,1"),
        (from_arrays(np.random.default_rng(0).random((9, 15, 15, 3))), None),
    ],
)
def test_data_that_are_no_images_of_the_vae(data, said):
    if said is None:  # a size that it rounds is told by the network below
        assert Latents(kl()).encode(data).sample_shape != (8, 8, 4)
        return
    with pytest.raises(InputError, match=said):
        Latents(kl()).encode(data)


def test_an_ldm_with_its_vq_as_its_pipeline_saves_it(tmp_path):
    """LDMPipeline, whose VAE is called vqvae."""
    torch.manual_seed(0)
    net = diffusers.UNet2DModel(
        sample_size=8, in_channels=3, out_channels=3, block_out_channels=(8,), norm_num_groups=4,
        down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",), layers_per_block=1,
    ).eval()  # fmt: skip
    code = vq(scaling_factor=0.7)
    diffusers.LDMPipeline(code, net, PLAN).save_pretrained(tmp_path)
    assert (tmp_path / "vqvae").is_dir()
    score, data = load_score(tmp_path), images(9)
    agree(score, lambda x, t: net(x, t).sample)
    found = open_model(tmp_path, data).training
    np.testing.assert_allclose(found.points, Latents(code).encode(data).points, atol=1e-5)
    shutil.rmtree(tmp_path / "vqvae")
    with pytest.raises(InputError, match=r"names a VAE \(vqvae\) that is not there"):
        load_score(tmp_path)


def test_a_saved_flow_transformer(tmp_path):
    """As SiT: DiT with a flow's scheduler."""
    plan = diffusers.FlowMatchEulerDiscreteScheduler()
    diffusers.DiTPipeline(dit(), kl(), plan).save_pretrained(tmp_path)
    one, two = load_score(tmp_path, label=2), learned_score(dit(), plan, label=2)
    x = torch.randn(3, 256, generator=torch_generator(0, "flow"))
    for t in np.geomspace(0.02, 2.5, 10).tolist():
        torch.testing.assert_close(one.denoise(x, t), two.denoise(x, t), rtol=1e-4, atol=1e-4)


def test_sd3_as_its_pipeline_saves_it(tmp_path):
    """Without T5, as it may be; the text by its own encode_prompt."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    model = diffusers.SD3Transformer2DModel(
        sample_size=8, patch_size=2, in_channels=4, out_channels=4, num_layers=1,
        attention_head_dim=8, num_attention_heads=2, joint_attention_dim=32,
        caption_projection_dim=16, pooled_projection_dim=32, pos_embed_max_size=8,
    ).eval()  # fmt: skip
    words = tokenizer(transformers, tmp_path / "words")
    plan = diffusers.FlowMatchEulerDiscreteScheduler()
    made = diffusers.StableDiffusion3Pipeline(
        transformer=model, scheduler=plan, vae=kl(), tokenizer=words, tokenizer_2=words,
        text_encoder=clip(transformers, 16, 16), text_encoder_2=clip(transformers, 16, 16),
        text_encoder_3=None, tokenizer_3=None,
    )  # fmt: skip
    made.save_pretrained(tmp_path / "net")
    score = load_score(tmp_path / "net", prompt="a cat")
    with torch.no_grad():
        text, _, pooled, _ = made.encode_prompt(
            "a cat", "a cat", "a cat", device="cpu", do_classifier_free_guidance=False
        )
    x = torch.randn(3, 4, 8, 8, generator=torch_generator(0, "states"))
    for s in np.linspace(0.05, 0.95, 10).tolist():
        step = torch.full((3,), 1000 * s)
        with torch.no_grad():
            said = model(x, text.expand(3, -1, -1), pooled.expand(3, -1), step).sample
        wanted = (x - s * said).movedim(1, -1).flatten(1)
        t = math.log(math.hypot(1 - s, s) / (1 - s))
        found = score.denoise(x.movedim(1, -1).flatten(1) * math.exp(-t) / (1 - s), t)
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=2e-5)


def test_a_latent_pipeline_is_opened_with_its_data_in_its_code(tmp_path):
    model, vae = dit(), kl(scaling_factor=0.4)
    diffusers.DiTPipeline(model, vae, PLAN).save_pretrained(tmp_path)
    data = images(40)
    opened = open_model(tmp_path, data, label=1, store=tmp_path / "store")
    np.testing.assert_allclose(
        opened.training.points, Latents(vae).encode(data.only("1")).points, rtol=1e-5, atol=1e-5
    )
    assert opened.training.sample_shape == (8, 8, 4)
    assert opened.prepared(images(10)).n == 5
    assert any("latents of the pipeline's VAE" in x for x in opened.notes)
    assert len(opened.facts["vae"]) == 64
    with pytest.raises(InputError, match="expected the code of the data"):
        dr.audit(opened.score, data)
    small = np.random.default_rng(0).integers(0, 255, (9, 12, 12, 3), dtype=np.uint8)
    small = from_arrays(small, pixel_range=(-1, 1))
    with pytest.raises(InputError, match=r"\(8, 8, 4\).*\(6, 6, 4\).*of 16 × 16 pixels"):
        open_model(tmp_path, small, label=0)
    alone = tmp_path / "elsewhere" / "alone"
    shutil.copytree(tmp_path / "transformer", alone)
    PLAN.save_pretrained(alone)
    with pytest.raises(InputError, match=r"network of a latent pipeline.*--base PIPELINE"):
        open_model(alone, data, label=0)


# ---- exact scores, dressed as these kinds


class Cut(torch.nn.Module):
    """A VAE whose code is known: every second pixel, times two, less one tenth."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.tensor(2.0))
        self.config = type("C", (), {"in_channels": 1, "scaling_factor": 0.5, "shift_factor": 0.1})

    def encode(self, x):
        z = self.scale * x[:, :, ::2, ::2] + 0.1
        law = type("L", (), {"mode": lambda self: z})()
        return type("E", (), {"latent_dist": law})()

    def decode(self, z):
        x = ((z - 0.1) / self.scale).repeat_interleave(2, 2).repeat_interleave(2, 3)
        return type("D", (), {"sample": x})()


class OfClasses(Dressed):
    """Asked for class 1 it has the score; for another it answers what nobody trained."""

    def forward(self, x, timestep, class_labels=None, encoder_hidden_states=None):
        said = super().forward(x, timestep)
        asked = class_labels if class_labels is not None else encoder_hidden_states[:, 0, 0]
        return torch.where((asked == 1)[:, None, None, None], said, -x)


class Prompts:
    def encode_prompt(self, prompt, *_):
        return (torch.full((1, 1, 1), float(prompt == "yes")),)


@pytest.mark.parametrize("law", ["points", "law"])
@pytest.mark.parametrize("kind", ["classes", "prompt", "latents"])
def test_exact_scores_are_judged_as_they_are(kind, law):
    rng = torch_generator(3, "judged")
    many = 0.25 * torch.randn(300, 8, 8, 1, generator=rng)
    many = many.repeat_interleave(2, 1).repeat_interleave(2, 2) if kind == "latents" else many
    whole = from_arrays(many.clamp(-0.99, 0.99).numpy(), np.arange(300) % 2)
    latents = Latents(Cut()) if kind == "latents" else None
    if latents is not None:
        whole = latents.encode(whole)
        assert float(np.abs(whole.points - many[:, ::2, ::2].flatten(1).numpy()).max()) < 0.7
    shape = whole.sample_shape
    data = whole.only("1")
    data, other = data.take(np.arange(60)), data.take(np.arange(60, 150))
    spread = float(whole.points.std())
    d = whole.points.shape[1]
    exact = EmpiricalScore(data.points)
    if law == "law":
        covariance = spread**2
        exact = MixtureScore(GaussianMixture(np.zeros((1, d)), covariance))
    options = {"num_class_embeds": 3}
    asked = {"label": 1}
    if kind == "prompt":
        options = {
            "_class_name": "UNet2DConditionModel",
            "down_block_types": ("CrossAttnDownBlock2D",),
        }
        asked = {"prompt": "yes", "pipeline": Prompts()}
    model = OfClasses(PLAN, exact, shape, **options)
    score = learned_score(model, PLAN, latents=latents, **asked)
    many = 400 if law == "law" else 64  # so many exclude a share of 1 %
    found = dr.audit(score, data, other, samples=many, pairs=16, steps=24, draws=64)
    assert found.verdict.kind == ("memorises" if law == "points" else "does not copy")
    assert found.verdict.confidence > 0.9
