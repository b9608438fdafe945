"""Watching a training in the loops that people write: three lines in each.

    python examples/monitor.py [--quick] [--loop NAME] [--out FOLDER]

The same digits are learned in a loop of plain torch, in one of accelerate, in one like diffusers'
own training script (accelerate, a scheduler of rates, a running average) and by Lightning's
Trainer. In each, the lines that watch are marked: the monitor is made before the loop, asked after
each step of the optimizer, and ends the loop when it says so. Lightning is left out where it is not
installed. One sees when each stopped, and why; FOLDER/LOOP/monitor.csv has every look.
"""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import diffregimes as dr
from diffregimes.data.groups import hold_out
from diffregimes.process import schedule

RATE, BATCH = 1e-3, 64


class Network(nn.Module):
    """Predicts the noise in images (m, 1, 8, 8) at steps (m,) of 1000."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(64 + 32, width)
        self.rest = nn.Sequential(nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.last = nn.Linear(width, 64)
        self.register_buffer("waves", torch.exp(torch.linspace(0, -7, 16)))

    def forward(self, x: Tensor, step: Tensor) -> Tensor:
        angle = step.float()[:, None] * self.waves
        h = self.first(torch.cat([x.flatten(1), angle.sin(), angle.cos()], 1))
        out: Tensor = self.last(h + self.rest(h)).reshape(x.shape)
        return out


def noise_loss(network: Any, images: Tensor) -> Tensor:
    """Of the noise in images, at steps of the linear schedule."""
    kept = torch.from_numpy(np.exp(-2 * schedule("linear").finite_times)).float()
    steps, noise = torch.randint(1000, (len(images),)), torch.randn_like(images)
    share = kept[steps].reshape(-1, 1, 1, 1)
    given = share.sqrt() * images + (1 - share).sqrt() * noise
    return (network(given, steps) - noise).square().mean()


def loader(images: Tensor) -> Any:
    """Batches without end."""
    data = torch.utils.data.TensorDataset(images)
    draws = torch.utils.data.RandomSampler(data, replacement=True, num_samples=10**6)
    return torch.utils.data.DataLoader(data, BATCH, sampler=draws)


def plain_torch(images: Tensor, held_out: Tensor, steps: int, options: dict[str, Any]) -> Any:
    network = Network(64 if steps < 100 else 512)
    optimizer = torch.optim.Adam(network.parameters(), RATE)
    watch = dr.monitor(network, schedule("linear"), images, held_out, **options)  # watching
    for step, (batch,) in enumerate(loader(images), 1):
        loss = noise_loss(network, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if watch.step(step) or step == steps:  # watching
            break
    return watch


def accelerate_loop(images: Tensor, held_out: Tensor, steps: int, options: dict[str, Any]) -> Any:
    from accelerate import Accelerator

    accelerator = Accelerator(cpu=True)
    network = Network(64 if steps < 100 else 512)
    optimizer = torch.optim.Adam(network.parameters(), RATE)
    network, optimizer, batches = accelerator.prepare(network, optimizer, loader(images))
    # watching; in several processes make and ask it where accelerator.is_main_process
    watch = dr.monitor(network, schedule("linear"), images, held_out, **options)
    for step, (batch,) in enumerate(batches, 1):
        accelerator.backward(noise_loss(network, batch))
        optimizer.step()
        optimizer.zero_grad()
        if watch.step(step) or step == steps:  # watching
            break
    return watch


def diffusers_script(images: Tensor, held_out: Tensor, steps: int, options: dict[str, Any]) -> Any:
    from accelerate import Accelerator
    from diffusers import DDPMScheduler, UNet2DModel
    from diffusers.optimization import get_scheduler
    from diffusers.training_utils import EMAModel

    accelerator = Accelerator(cpu=True)
    model = UNet2DModel(
        sample_size=8, in_channels=1, out_channels=1, layers_per_block=1, norm_num_groups=8,
        block_out_channels=(8, 16) if steps < 100 else (32, 64),
        down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2,
    )  # fmt: skip
    ema_model = EMAModel(
        model.parameters(), decay=0.998, model_cls=UNet2DModel, model_config=model.config
    )
    noise_scheduler = DDPMScheduler(num_train_timesteps=1000)
    optimizer = torch.optim.AdamW(model.parameters(), RATE)
    lr_scheduler = get_scheduler("cosine", optimizer, num_warmup_steps=0, num_training_steps=steps)
    prepared = accelerator.prepare(model, optimizer, loader(images), lr_scheduler)
    model, optimizer, train_dataloader, lr_scheduler = prepared
    watch = dr.monitor(ema_model, noise_scheduler, images, held_out, **options)  # watching
    for global_step, (clean_images,) in enumerate(train_dataloader, 1):
        with accelerator.accumulate(model):
            noise = torch.randn_like(clean_images)
            timesteps = torch.randint(1000, (len(clean_images),))
            noisy_images = noise_scheduler.add_noise(clean_images, noise, timesteps)
            loss = (model(noisy_images, timesteps).sample - noise).square().mean()
            accelerator.backward(loss)
            optimizer.step()
            lr_scheduler.step()
            optimizer.zero_grad()
        ema_model.step(model.parameters())
        if watch.step(global_step) or global_step == steps:  # watching
            break
    return watch


def lightning_loop(images: Tensor, held_out: Tensor, steps: int, options: dict[str, Any]) -> Any:
    import lightning

    class Task(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = Network(64 if steps < 100 else 512)

        def training_step(self, batch: Any, _: int) -> Tensor:
            return noise_loss(self.network, batch[0])

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.network.parameters(), RATE)

        def on_train_start(self) -> None:  # watching
            self.watch = dr.monitor(self.network, schedule("linear"), images, held_out, **options)

        def on_train_batch_end(self, *_: Any) -> None:  # watching
            self.trainer.should_stop = self.watch.step(self.global_step)

    task = Task()
    trainer = lightning.Trainer(
        max_steps=steps, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(task, loader(images))
    return task.watch


LOOPS = {
    "torch": plain_torch,
    "accelerate": accelerate_loop,
    "diffusers": diffusers_script,
    "lightning": lightning_loop,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a few steps of small networks")
    parser.add_argument("--loop", choices=list(LOOPS), help="one of them; all without")
    parser.add_argument("--out", type=Path, default=Path("runs/monitor"))
    options = parser.parse_args()

    data = dr.load("digits", pixel_range=(-1, 1))
    kept, out = hold_out(data.labels, 0.96)
    out = out[: 60 if options.quick else None]
    images, held_out = (torch.from_numpy(data.points[k]).reshape(-1, 1, 8, 8) for k in (kept, out))
    steps, few = 3000, {}
    if options.quick:
        steps, few = 6, {"every": 3, "draws": 32, "samples": 4, "steps": 3}
    for name in [options.loop] if options.loop else LOOPS:
        if name == "lightning" and find_spec("lightning") is None:
            print("lightning: not installed")
            continue
        torch.manual_seed(0)
        watch = LOOPS[name](images, held_out, steps, {"out": options.out / name, **few})
        last = watch.rows[-1]
        found = ", ".join(f"{x.name} {last[f'share_{x.name}']:.2f}" for x in watch.levels)
        print(
            f"{name}: {len(watch.rows)} looks, the last after {int(last['step'])} steps; stop: "
            f"{watch.stop or 'no'}; share of the exact score's gap: {found}; "
            f"{int(last['copies'])} of {int(last['samples'])} samples are copies"
        )


if __name__ == "__main__":
    main()
