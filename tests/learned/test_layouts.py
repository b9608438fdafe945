"""What training scripts leave, and what loops put around a network: loaded as the network itself,
or refused with the line that cures it."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import diffregimes as dr
from diffregimes.common.checks import InputError
from diffregimes.common.rng import torch_generator
from diffregimes.learned.adapters import learned_score, load_score, module_score
from diffregimes.learned.checkpoints import WEIGHTS
from diffregimes.process import Schedule, linear_schedule
from diffregimes.scores import EmpiricalScore

diffusers = pytest.importorskip("diffusers")
pytestmark = pytest.mark.filterwarnings("ignore")  # diffusers' own deprecations

SCHEDULER = diffusers.DDPMScheduler()
TIMES = linear_schedule().times[[0, 5, 30, 100, 200, 350, 500, 700, 900, 999]].tolist()


def unet(seed=0, **options):
    torch.manual_seed(seed)
    return diffusers.UNet2DModel(
        sample_size=8,
        in_channels=1,
        out_channels=1,
        block_out_channels=(8, 16),
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        norm_num_groups=4,
        **options,
    ).eval()


def states() -> Tensor:
    return torch.randn(5, 64, generator=torch_generator(0, "states"))


def same(score, model, rtol=1e-5):
    """By the library's own x_0 at ten noise levels."""
    x, product = states(), SCHEDULER.alphas_cumprod.double()
    for t in TIMES:
        step = int((-0.5 * product.log() - t).abs().argmin())
        images = x.reshape(5, 1, 8, 8)
        with torch.no_grad():
            said = model(images, torch.tensor(step)).sample
        wanted = library_x0(said, step, images).flatten(1)
        atol = 1e-5 * float(wanted.abs().max())
        torch.testing.assert_close(score.denoise(x, t), wanted, rtol=rtol, atol=max(atol, rtol))


def library_x0(said: Tensor, step: int, images: Tensor) -> Tensor:
    theirs = diffusers.DDPMScheduler(clip_sample=False)
    return theirs.step(said, step, images, torch.Generator().manual_seed(0)).pred_original_sample


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    """checkpoint-500/ of train_unconditional.py, by the hooks that it registers."""
    folder = tmp_path / "run" / "checkpoint-500"
    average = diffusers.training_utils.EMAModel(
        unet(1).parameters(), model_cls=diffusers.UNet2DModel, model_config=unet(1).config
    )
    average.save_pretrained(folder / "unet_ema")
    unet(0).save_pretrained(folder / "unet")
    for name in ("optimizer.bin", "scheduler.bin", "random_states_0.pkl"):
        (folder / name).write_bytes(b"never read")
    return folder


# ---- folders


def test_a_checkpoint_has_its_average_taken_and_says_so(checkpoint, tmp_path):
    SCHEDULER.save_pretrained(tmp_path / "plan")
    with pytest.raises(InputError, match=r"noise levels .*--scheduler PATH.*--base PIPELINE"):
        load_score(checkpoint)
    for scheduler in (tmp_path / "plan", tmp_path / "plan" / "scheduler_config.json"):
        score = load_score(checkpoint, scheduler)
        same(score, unet(1))
        assert any("averaged weights in unet_ema/ are taken" in x for x in score.notes)
    plain = load_score(checkpoint / "unet", tmp_path / "plan")
    same(plain, unet(0))
    assert not any("averaged" in x for x in plain.notes)
    diffusers.DDPMPipeline(unet(2), SCHEDULER).save_pretrained(checkpoint.parent)
    around = load_score(checkpoint)  # the finished pipeline around it has the scheduler
    same(around, unet(1))
    assert any(f"the scheduler is that of {checkpoint.parent}" in x for x in around.notes)
    same(load_score(checkpoint / "unet"), unet(0))
    same(load_score(checkpoint.parent), unet(2))
    other = tmp_path / "other"
    diffusers.DDPMPipeline(unet(2), diffusers.DDIMScheduler()).save_pretrained(other)
    same(load_score(checkpoint, base=other), unet(1))
    shutil.copytree(checkpoint / "unet_ema", other / "unet_ema")
    left = load_score(other)
    same(left, unet(2))
    assert any("unet_ema/ beside it left out" in x for x in left.notes)


def test_a_run_that_has_not_ended_names_its_checkpoints(checkpoint):
    with pytest.raises(InputError, match=r"training has not ended.*checkpoint-500"):
        load_score(checkpoint.parent)


@pytest.fixture
def pipeline(tmp_path) -> Path:
    diffusers.DDPMPipeline(unet(), SCHEDULER).save_pretrained(tmp_path / "net")
    return tmp_path / "net"


@pytest.mark.parametrize(("variant", "dtype"), [("fp16", torch.float16), ("bf16", torch.bfloat16)])
def test_variants_of_a_precision(tmp_path, variant, dtype):
    coarse = diffusers.DDPMPipeline(unet().to(dtype), SCHEDULER)
    coarse.save_pretrained(tmp_path, variant=variant)
    score = load_score(tmp_path)
    assert next(score.module.parameters()).dtype == torch.float32
    same(score, unet().to(dtype).float())
    (tmp_path / "unet" / "diffusion_pytorch_model.non_ema.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match=rf"variants {variant}, non_ema.*folder of their own"):
        load_score(tmp_path)


def test_weights_in_parts(pipeline):
    (pipeline / "unet" / WEIGHTS).unlink()
    unet().save_pretrained(pipeline / "unet", max_shard_size="20KB")
    parts = sorted((pipeline / "unet").glob("*-of-*"))
    assert len(parts) > 2
    same(load_score(pipeline), unet())
    parts[1].unlink()
    with pytest.raises(InputError, match=rf"lacks 1 of the {len(parts)} parts.*{parts[1].name}"):
        load_score(pipeline)


def test_parts_of_a_variant(pipeline):
    (pipeline / "unet" / WEIGHTS).unlink()
    unet().half().save_pretrained(pipeline / "unet", max_shard_size="20KB", variant="fp16")
    same(load_score(pipeline), unet().half().float())


@pytest.mark.parametrize(
    "before",
    ["_orig_mod.", "module.", "module._orig_mod.", "model.", "unet.", "net.model._orig_mod."],
)
@pytest.mark.parametrize("name", [WEIGHTS, "model.safetensors"])
def test_names_of_wrappers_are_taken_off(pipeline, before, name):
    path = pipeline / "unet" / WEIGHTS
    state = {f"{before}{k}": v for k, v in load_file(path).items()}
    if before == "module.":
        state["n_averaged"] = torch.tensor(7)
    path.unlink()
    save_file(state, pipeline / "unet" / name)
    same(load_score(pipeline), unet())


def test_names_are_taken_off_where_all_have_them(pipeline):
    path = pipeline / "unet" / WEIGHTS
    state = {f"unet.{k}": v for k, v in load_file(path).items()}
    save_file({**state, "text_encoder.weight": torch.zeros(2)}, path)
    with pytest.raises(InputError, match=r"differ in \d+ weights, conv_in.bias first"):
        load_score(pipeline)


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8])
def test_quantised_weights_are_refused(pipeline, dtype):
    path = pipeline / "unet" / WEIGHTS
    state = load_file(path)
    state["conv_in.weight"] = (20 * state["conv_in.weight"].abs()).to(dtype)
    save_file({**state, "conv_in.weight.SCB": torch.ones(8)}, path)
    kind = str(dtype).removeprefix("torch.")
    with pytest.raises(InputError, match=rf"quantised \(conv_in.weight is {kind}\).*dequantize"):
        load_score(pipeline)


def test_what_was_saved_otherwise_has_a_way_out(tmp_path):
    torch.save(unet().state_dict(), tmp_path / "model_00050000.pth")
    for place in (tmp_path, tmp_path / "model_00050000.pth"):
        with pytest.raises(InputError, match=r"k-diffusion.*module_score\(network, scheduler"):
            load_score(place)
    (tmp_path / "config.json").write_text('{"model": {"type": "image_v1"}}')
    with pytest.raises(InputError, match=r"names no class of diffusers.*module_score"):
        load_score(tmp_path)
    vae = tmp_path / "vae"
    diffusers.AutoencoderKL(block_out_channels=(8,), norm_num_groups=4).save_pretrained(vae)
    with pytest.raises(InputError, match="It is a VAE: expected the pipeline"):
        load_score(vae)
    unet().save_pretrained(tmp_path / "unet")
    diffusers.RePaintScheduler().save_pretrained(tmp_path / "unet")
    with pytest.raises(InputError, match=r"RePaintScheduler; known are DDPM.*--scheduler PATH"):
        load_score(tmp_path / "unet")
    SCHEDULER.save_pretrained(tmp_path / "plan")
    same(load_score(tmp_path / "unet", tmp_path / "plan"), unet())


def test_the_cache_of_the_hub(pipeline, tmp_path):
    home = tmp_path / "models--someone--something"
    for name, at in (("abc", unet(3)), ("def", unet(0))):
        diffusers.DDPMPipeline(at, SCHEDULER).save_pretrained(home / "snapshots" / name)
    with pytest.raises(InputError, match="2 snapshots; expected one"):
        load_score(home)
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("abc\n")
    same(load_score(home), unet(3))


def test_a_single_file_says_how_to_convert_it(pipeline):
    path = pipeline / "unet" / WEIGHTS
    save_file({f"model.diffusion_model.{k}": v for k, v in load_file(path).items()}, path)
    with pytest.raises(InputError, match=r"from_single_file\(path\)\.save_pretrained"):
        load_score(pipeline)
    with pytest.raises(InputError, match="is a file; expected the folder"):
        load_score(path)


# ---- low-rank adapters


def lowrank(model, rank=2) -> dict[str, tuple[str, Tensor, Tensor]]:
    """Name -> (A, B) for a linear layer and a convolution."""
    generator = torch_generator(1, "adapter")
    found = {}
    for name in ("mid_block.attentions.0.to_q", "down_blocks.0.resnets.0.conv1"):
        weight = model.get_submodule(name).weight
        a = torch.randn(rank, *weight.shape[1:], generator=generator)
        shape = (weight.shape[0], rank, *[1] * (weight.ndim - 2))
        found[name] = (a, torch.randn(shape, generator=generator))
    return found


def adapted(model, pairs, by):
    """W x + by B(A x) by the layers themselves, not by a product of matrices."""
    for name, (a, b) in pairs.items():
        layer = model.get_submodule(name)
        padding = getattr(layer, "padding", None)

        def forward(x, layer=layer, a=a, b=b, padding=padding, own=layer.forward):
            if padding is None:
                return own(x) + by * torch.nn.functional.linear(torch.nn.functional.linear(x, a), b)
            inner = torch.nn.functional.conv2d(x, a, padding=padding)
            return own(x) + by * torch.nn.functional.conv2d(inner, b)

        layer.forward = forward
    return model


@pytest.mark.parametrize("style", ["diffusers", "before", "alpha", "header", "peft"])
def test_an_adapter_is_added_to_its_base(pipeline, tmp_path, style):
    pairs, state, header = lowrank(unet()), {}, {}
    by = {"alpha": 4 / 2, "header": 6 / 2, "peft": 8 / 2}.get(style, 1.0)
    for name, (a, b) in pairs.items():
        down, up = ("lora.down", "lora.up") if style == "before" else ("lora_A", "lora_B")
        front = "base_model.model." if style == "peft" else "unet."
        state |= {f"{front}{name}.{down}.weight": a, f"{front}{name}.{up}.weight": b}
        if style == "alpha":
            state[f"{front}{name}.alpha"] = torch.tensor(4.0)
    if style == "header":
        header = {"lora_adapter_metadata": json.dumps({"unet.r": 2, "unet.lora_alpha": 6})}
    folder = tmp_path / "adapter"
    folder.mkdir()
    name = "pytorch_lora_weights.safetensors"
    if style == "peft":
        name = "adapter_model.safetensors"
        (folder / "adapter_config.json").write_text(json.dumps({"r": 2, "lora_alpha": 8}))
    save_file(state, folder / name, header)
    wanted = adapted(unet(), pairs, by)
    with pytest.raises(InputError, match=r"a low-rank adapter.*--base PIPELINE"):
        load_score(folder)
    score = load_score(folder, base=pipeline)
    same(score, wanted, rtol=1e-4)
    assert any("is added to the weights of the network" in x for x in score.notes)
    for file in folder.iterdir():
        shutil.copy(file, pipeline)
    same(load_score(pipeline), wanted, rtol=1e-4)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda x: x.update({"unet.nowhere.lora_A.weight": torch.zeros(2, 2)}), "no adapter of"),
        (lambda x: x.update({"unet.conv_in.bias": torch.zeros(8)}), "more than low-rank pairs"),
        (lambda x: x.update({"text_encoder.q.lora_A.weight": torch.zeros(8)}), "text encoder too"),
        (lambda x: x.pop(min(x)), "no adapter of|more than"),
        (lambda x: x.clear(), "more than low-rank pairs"),
    ],
)
def test_adapters_of_another_kind(pipeline, spoil, said):
    name = "mid_block.attentions.0.to_q"
    a, b = lowrank(unet())[name]
    state = {f"unet.{name}.lora_A.weight": a, f"unet.{name}.lora_B.weight": b}
    spoil(state)
    save_file(state, pipeline / "pytorch_lora_weights.safetensors")
    with pytest.raises(InputError, match=said):
        load_score(pipeline)


def test_an_adapter_of_peft_by_peft(pipeline, tmp_path):
    """Trained, saved and asked by the library itself."""
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=2, lora_alpha=6, target_modules=["to_q", "to_v", "conv1"])
    model = peft.get_peft_model(unet(), config)
    for name, value in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.3, generator=torch_generator(2, "peft"))
    model.save_pretrained(tmp_path / "adapter")
    same(load_score(tmp_path / "adapter", base=pipeline), model.eval(), rtol=1e-4)
    same(learned_score(model, SCHEDULER), model, rtol=1e-5)


# ---- wrappers


def test_wrappers_are_taken_off():
    from torch.optim.swa_utils import AveragedModel

    model, other = unet(), unet(1)
    averaged = AveragedModel(model)
    averaged.update_parameters(model)
    compiled = torch.compile(model, backend="eager")
    ema = diffusers.training_utils.EMAModel(
        other.parameters(), model_cls=type(other), model_config=other.config
    )
    for wrapped, inner in (
        (averaged, model),
        (AveragedModel(compiled), model),
        (compiled, model),
        (torch.nn.DataParallel(model), model),
        (ema, other),
    ):
        score = dr.load_score(wrapped, SCHEDULER)
        assert isinstance(score.module, diffusers.UNet2DModel)
        same(score, inner)
    assert not score.module.training
    with pytest.raises(InputError, match=r"ema\.copy_to\(model\.parameters\(\)\)"):
        dr.load_score(diffusers.training_utils.EMAModel(other.parameters()), SCHEDULER)


def test_what_accelerate_prepared():
    accelerate = pytest.importorskip("accelerate")
    prepared = accelerate.Accelerator(cpu=True).prepare(unet())
    same(dr.load_score(prepared, SCHEDULER), unet())


def test_a_pipeline_in_memory():
    same(dr.load_score(diffusers.DDPMPipeline(unet(), SCHEDULER)), unet())
    score = learned_score(unet(), SCHEDULER)
    assert dr.load_score(score) is score
    with pytest.raises(InputError, match=r"UNet2DModel came without a scheduler"):
        dr.load_score(unet())


def test_a_scheduler_where_a_schedule_is_asked_for():
    score = EmpiricalScore(torch.randn(9, 6, generator=torch_generator(0, "points")))
    theirs = diffusers.DDPMScheduler(prediction_type="sample", beta_schedule="squaredcos_cap_v2")
    product = theirs.alphas_cumprod.double().numpy()

    def module(x, step):
        t = float(torch.as_tensor(-0.5 * math.log(product[int(step[0])])))
        return score.denoise(x, t)

    found = module_score(module, theirs, shape=(6,))
    own = module_score(module, Schedule("own", product), predicts="denoised", shape=(6,))
    x = states()[:, :6]
    for k in (3, 200, 800):
        t = -0.5 * math.log(product[k]) + 1e-9
        torch.testing.assert_close(found.denoise(x, t), score.denoise(x, t), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(found.denoise(x, t), own.denoise(x, t))


def test_a_latent_network_by_itself_says_so(pipeline):
    index = pipeline / "model_index.json"
    told = {**json.loads(index.read_text()), "vae": ["diffusers", "AutoencoderKL"]}
    index.write_text(json.dumps(told))
    (pipeline / "vae").mkdir()
    with pytest.raises(InputError, match=rf"of a latent pipeline.*{pipeline}: its VAE"):
        load_score(pipeline / "unet", pipeline / "scheduler")
