"""Flux: refused with the way out, which is a function of one's own that agrees with the library."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
import torch

import diffregimes as dr
from diffregimes.common.checks import InputError
from diffregimes.common.rng import torch_generator
from diffregimes.learned import module_score

diffusers = pytest.importorskip("diffusers")
pytestmark = pytest.mark.filterwarnings("ignore")  # diffusers' own deprecations
PAGE = Path(__file__).parents[2] / "docs" / "audit.md"


def flux(guided):
    torch.manual_seed(0)
    return diffusers.FluxTransformer2DModel(
        in_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=8,
        num_attention_heads=2, joint_attention_dim=16, pooled_projection_dim=8,
        axes_dims_rope=(2, 2, 4), guidance_embeds=guided,
    ).eval()  # fmt: skip


@pytest.mark.parametrize("guided", [True, False])
def test_the_function_of_the_page_has_the_librarys_x0(guided):
    page = PAGE.read_text("utf-8")
    (source,) = re.findall(
        r"from diffusers import FluxPipeline\n+(def velocity.*?)\n\n\n", page, re.S
    )
    transformer, rng = flux(guided), torch_generator(0, "flux")
    names = {
        "FluxPipeline": diffusers.FluxPipeline, "transformer": transformer,
        "text": torch.randn(1, 5, 16, generator=rng), "text_ids": torch.zeros(5, 3),
        "pooled": torch.randn(1, 8, generator=rng), "scale": torch.tensor([3.5]),
    }  # fmt: skip
    exec(source, names)
    plan = diffusers.FlowMatchEulerDiscreteScheduler()
    score = module_score(names["velocity"], plan, shape=(4, 6, 8))
    x = torch.randn(3, 4, 6, 8, generator=rng)
    packed = diffusers.FluxPipeline._pack_latents(x, 3, 4, 6, 8)
    ids = diffusers.FluxPipeline._prepare_latent_image_ids(3, 3, 4, "cpu", torch.float32)
    for s in (0.005, 0.02, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.98):
        with torch.no_grad():
            said = transformer(
                hidden_states=packed, timestep=torch.full((3,), s), img_ids=ids,
                guidance=torch.full((3,), 3.5) if guided else None, txt_ids=names["text_ids"],
                encoder_hidden_states=names["text"].expand(3, -1, -1),
                pooled_projections=names["pooled"].expand(3, -1),
            ).sample  # fmt: skip
        # the library's x_0 is sample - sigma * output, in its packed form
        theirs = diffusers.FluxPipeline._unpack_latents(packed - s * said, 48, 64, 8)
        t = math.log(math.hypot(1 - s, s) / (1 - s))
        state = x.movedim(1, -1).flatten(1) * math.exp(-t) / (1 - s)
        found = score.denoise(state, t).reshape(3, 6, 8, 4).movedim(-1, 1)
        error = float((found - theirs).abs().max())
        assert error < 1e-5 * max(1.0, float(theirs.abs().max())), s


def test_flux_is_refused_with_the_way_out(tmp_path):
    plan, model = diffusers.FlowMatchEulerDiscreteScheduler(), flux(False)
    with pytest.raises(InputError, match=r"FluxTransformer2DModel takes 16 .*docs/audit.md"):
        dr.load_score(model, plan)
    model.save_pretrained(tmp_path / "transformer")
    plan.save_pretrained(tmp_path / "scheduler")
    named = {"transformer": type(model).__name__, "scheduler": type(plan).__name__}
    index = {"_class_name": "FluxPipeline", **{k: ["diffusers", v] for k, v in named.items()}}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match=r"names the class FluxTr.*--samples-from FOLDER"):
        dr.load_score(tmp_path)
