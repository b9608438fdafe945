"""Networks as distributed training has them, in one process over gloo."""

from __future__ import annotations

import pytest
import torch
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.nn.parallel import DistributedDataParallel

import diffregimes as dr
from diffregimes.common.rng import torch_generator

diffusers = pytest.importorskip("diffusers")
pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(not distributed.is_available(), reason="torch without distributed"),
]


@pytest.fixture(scope="module", autouse=True)
def alone(tmp_path_factory):
    place = tmp_path_factory.mktemp("gloo") / "store"
    distributed.init_process_group("gloo", init_method=f"file://{place}", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def unet():
    torch.manual_seed(0)
    return diffusers.UNet2DModel(
        sample_size=8, in_channels=1, out_channels=1, block_out_channels=(8,), norm_num_groups=4,
        down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",), layers_per_block=1,
        num_class_embeds=3,
    )  # fmt: skip


def sharded(model):
    fully_shard(model, mesh=init_device_mesh("cpu", (1,)))
    return model


@pytest.mark.parametrize(
    ("wrapped", "taken_off"),
    [
        (DistributedDataParallel, True),
        (lambda x: torch.compile(DistributedDataParallel(x)), True),
        (lambda x: FullyShardedDataParallel(x, device_id=torch.device("cpu")), False),
        (sharded, False),
    ],
    ids=["ddp", "compiled ddp", "fsdp", "fully_shard"],
)
def test_wrapped_networks_answer_as_they_are(wrapped, taken_off):
    plan = diffusers.DDPMScheduler(clip_sample=False)
    x = torch.randn(3, 64, generator=torch_generator(0, "x"))
    codes = torch.tensor([2, 0, 1])
    plain, model = unet(), wrapped(unet())
    score = dr.load_score(model, plan, label=1)
    assert (type(score.module) is type(plain)) == taken_off
    expected = dr.load_score(plain, plan, label=1).denoise(x, 0.5)
    torch.testing.assert_close(score.denoise(x, 0.5), expected)
    own, theirs = (dr.load_score(k, plan, label="own").given(codes) for k in (model, plain))
    torch.testing.assert_close(own.denoise(x, 0.5), theirs.denoise(x, 0.5))
