"""Training a denoising network on a dataset, so that its regimes can be compared with the exact.

The network F minimises the mean over training points a, steps k and noise z of

    |y - F(x_t, k)|^2,   x_t = e^{-t} a + sqrt(Delta_t) z,   e^{-2t} = alphas_cumprod[k],

y being the noise z (Ho, Jain and Abbeel 2020; the paper's) or the velocity e^{-t} z - sqrt(Delta) a
(Salimans and Ho 2022). An error of the noise is one of E[a|x_t] e^t sqrt(Delta) times as large:
before the class is decided (t above t_S) a network that was trained for minutes is then worse than
the mean of the data. An error of the velocity is sqrt(Delta) times as large at any t, which is what
the smaller presets learn.

What is kept is the running average of the weights over the last steps, whose noise is a large part
of the loss of a short run (diffusers' EMAModel; presets tiny and small; the paper's recipe has
none).

The minimum over all functions is the conditional mean E[y | x_t] under the *empirical* law of the
training points: with capacity and time enough the network tends to `EmpiricalScore`, which copies.
What it does instead of that, and how long it takes, is not in this law and has to be measured: the
loss on held-out points stays above the loss on training points from where it begins to copy.

Randomness belongs to the step: seed -> step -> points, noise levels and noise of the whole batch,
whatever the number of processes. A run killed at any moment goes on from its last checkpoint as if
nothing had happened; on a CPU to the last bit, on a GPU to the rounding of its kernels.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..backward.tracking import copy_ratio, is_copy
from ..common import serial
from ..common.checks import InputError, in_range
from ..common.parallel import Progress
from ..common.provenance import INDEXED
from ..common.rng import point_of_pair, torch_generator
from ..data.datasets import Dataset
from ..data.groups import hold_out
from . import checkpoints
from .checkpoints import Row
from .networks import TrainingPreset, network, planned

LEVELS = 1000  # steps of the linear schedule
PREDICTION_TYPES = {"noise": "epsilon", "velocity": "v_prediction"}  # as diffusers calls them
EVALUATED = 512  # draws of the losses on training and on held-out points, the same each time
SAMPLER_STEPS = 50  # of DDIM, for the memorised fraction


@dataclass(frozen=True)
class Trained:
    """The network with its schedule, the rows of loss.csv, and the recipe.

    `main` is True in the one process that writes. A row holds `step`, `loss` (mean over the batches
    since the row before), `train_loss` and `held_out_loss` (the network as it stands, on the same
    noise each time), mean squares a pixel of y - F, and, if asked, `memorised`: the share of
    generated samples whose nearest training point is less than a third as far as the second.
    """

    pipeline: Any
    rows: tuple[Row, ...]
    recipe: dict[str, Any]
    main: bool

    @property
    def parameters(self) -> int:
        return sum(x.numel() for x in self.pipeline.unet.parameters())


def train(
    dataset: Dataset,
    folder: str | Path,
    *,
    preset: str = "tiny",
    steps: int | None = None,
    batch: int | None = None,
    every: int | None = None,
    held_out: float = 0.1,
    memorised: int = 64,
    seed: int = 0,
    device: str | None = None,
    recipe: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train a DDPM on the images of a dataset; checkpoints, loss.csv and recipe.json in `folder`.

    preset : a name in networks.PRESETS; steps, batch, every : instead of those of the preset
    held_out : share of each class that is never trained on; of data with groups whole ones
    memorised : samples generated for each row, for their memorised fraction; 0 for none
    device : cpu, cuda or mps; without, the best there is. Processes are those of accelerate launch
    recipe : what else is to stand in recipe.json

    A folder with checkpoints of the same dataset and options is gone on with, to more steps if
    asked. Needs the extra `diffusers`. Raises `InputError` for data that are not images, another
    run in the folder, and options out of range.
    """
    folder = Path(folder)
    plan = planned(preset, steps, batch, every)
    in_range("memorised (--memorised)", memorised, 0, 10**6)
    in_range("seed (--seed)", seed, 0, 10**18)
    unet = network(plan, dataset.sample_shape, seed)
    kept, out = hold_out(dataset.labels, held_out, seed, dataset.groups)
    full = {
        **(recipe or {}),
        "preset": {"name": preset, **asdict(plan)},
        "steps": plan.steps,
        "held_out": held_out,
        "memorised": memorised,
        "seed": seed,
        **_trained_on(dataset, out),
    }
    full["preset"].pop("steps")
    full = json.loads(json.dumps(full))  # as it comes back from the file
    checkpoints.check_folder(folder, full)
    accelerator = _accelerator(device, plan.batch)
    work = _Work(dataset, kept, out, unet, plan, memorised, seed, accelerator)
    try:
        rows = _run(work, folder, full, progress)
    except OSError as error:
        raise InputError(
            f"cannot write to {folder}: {error.strerror or error}. Free some space: the same "
            "command goes on from the last checkpoint."
        ) from error
    return Trained(work.pipeline, tuple(rows), full, accelerator.is_main_process)


def _trained_on(dataset: Dataset, out: np.ndarray) -> dict[str, Any]:
    """The data as recipe.json tells them from others, with the rows `out` held out."""
    return {
        "fingerprint": dataset.fingerprint,
        **{"scale": dataset.scale, "pixel_map": serial.plain(dataset.pixel_map)},
        "sample_shape": dataset.sample_shape,
        "classes": dataset.class_names,
        "points": dataset.n - len(out),
        "held_out_indices": dataset.indices[out].tolist(),
        "indexed": INDEXED,
    }


def _run(work: _Work, folder: Path, recipe: dict[str, Any], progress: Progress | None) -> list[Row]:
    """From the last checkpoint, if there is one, to the last step."""
    plan, accelerator = work.plan, work.accelerator
    main = accelerator.is_main_process
    done, rows = 0, list[Row]()
    stored = checkpoints.found(folder)
    if stored:
        done, rows = checkpoints.load(stored[-1], work.unet, work.kept_net, work.optimizer)
        work.resume_average(done)
    if done > plan.steps:
        raise InputError(
            f"{folder} is trained for {done} steps already; expected --steps {done} or more, or "
            "another folder (--out)."
        )
    accelerator.wait_for_everyone()  # all have read before one writes
    if main:
        folder.mkdir(parents=True, exist_ok=True)
        checkpoints.write_recipe(folder, recipe)
        checkpoints.sweep(folder)
        checkpoints.write_rows(folder, rows)
    losses: list[Tensor] = []
    for step in range(done, plan.steps):
        losses.append(work.step(step))
        if (step + 1) % plan.every == 0 or step + 1 == plan.steps:
            work.take_average()
            mean = accelerator.reduce(torch.stack(losses).mean(), "mean").item()
            losses.clear()
            if not np.isfinite(mean):
                raise InputError(
                    f"the loss is {mean} at step {step + 1}; expected a finite number. Scale the "
                    "data to --range=-1,1, or try another --seed."
                )
            if main:
                rows.append({"step": step + 1, "loss": mean, **work.judged()})
                checkpoints.save(folder, step + 1, rows, work.pipeline, work.unet, work.optimizer)
                checkpoints.write_rows(folder, rows)
        if main and progress is not None:
            progress(step + 1, plan.steps, "training")
    accelerator.wait_for_everyone()
    return rows


class _Work:
    """One process of a training run: its network, its optimizer and its part of every batch."""

    def __init__(
        self,
        dataset: Dataset,
        kept: np.ndarray,
        out: np.ndarray,
        unet: Any,
        plan: TrainingPreset,
        memorised: int,
        seed: int,
        accelerator: Any,
    ) -> None:
        import diffusers
        from diffusers.training_utils import EMAModel

        package: Any = diffusers  # its types are not to be relied on

        height, width, channels = dataset.sample_shape
        images = dataset.points.reshape(-1, height, width, channels).transpose(0, 3, 1, 2)
        self.images = torch.from_numpy(np.ascontiguousarray(images))
        self.kept, self.out = kept, out
        self.plan, self.memorised, self.seed = plan, memorised, seed
        self.accelerator, self.unet = accelerator, unet
        # samples are clipped where the data have ends
        ends = dataset.scale
        clip = {} if ends is None else {"clip_sample_range": max(abs(x) for x in ends)}
        self.scheduler = package.DDPMScheduler(
            LEVELS,
            prediction_type=PREDICTION_TYPES[plan.predicts],
            clip_sample=ends is not None,
            **clip,
        )
        self.model = accelerator.prepare(unet)
        # its decay rises as (1 + step)/(10 + step), up to that of the plan
        self.average = EMAModel(unet.parameters(), decay=plan.average)
        self.kept_net = copy.deepcopy(unet).requires_grad_(False)
        self.pipeline = package.DDPMPipeline(unet=self.kept_net, scheduler=self.scheduler)
        self.optimizer = torch.optim.Adam(unet.parameters(), plan.rate)

    def step(self, step: int) -> Tensor:
        """One step of Adam; the loss on this process's part of the batch."""
        size, draw = self.plan.batch, torch_generator(self.seed, "training", step)
        points = self.kept[point_of_pair(len(self.kept), step * size, size, self.seed)]
        levels = torch.randint(LEVELS, (size,), generator=draw)
        noise = torch.randn((size, *self.images.shape[1:]), generator=draw)
        part = slice(self.accelerator.process_index, None, self.accelerator.num_processes)
        self.model.train()
        loss = self._loss(self.model, self.images[points[part]], levels[part], noise[part])
        self.accelerator.backward(loss)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.plan.average:
            self.average.step(self.unet.parameters())
        return loss.detach()

    def take_average(self) -> None:
        """Put what is kept into the network of the pipeline: the average, or the last step's."""
        if self.plan.average:
            self.average.copy_to(self.kept_net.parameters())
        else:
            self.kept_net.load_state_dict(self.unet.state_dict())

    def resume_average(self, done: int) -> None:
        """Go on from the network of the pipeline, the average over `done` steps."""
        kept = [x.detach() for x in self.kept_net.parameters()]
        self.average.load_state_dict({"optimization_step": done, "shadow_params": kept})

    @torch.no_grad()
    def judged(self) -> Row:
        """The rest of a row: the network as it stands."""
        self.kept_net.eval()
        draw = torch_generator(self.seed, "evaluation")
        # one draw in each stretch of the schedule, in no order: points may be sorted by class
        spread = torch.arange(EVALUATED) + torch.rand(EVALUATED, generator=draw)
        levels = (spread / EVALUATED * LEVELS).long().clamp(max=LEVELS - 1)
        levels = levels[torch.randperm(EVALUATED, generator=draw)]
        noise = torch.randn((EVALUATED, *self.images.shape[1:]), generator=draw)
        row: Row = {}
        for name, indices in (("train_loss", self.kept), ("held_out_loss", self.out)):
            row[name] = None
            if len(indices):
                images = self.images[indices[np.arange(EVALUATED) * len(indices) // EVALUATED]]
                size = self.plan.batch
                parts = zip(*(torch.split(x, size) for x in (images, levels, noise)), strict=True)
                sums = [self._loss(self.kept_net, *x).item() * len(x[0]) for x in parts]
                row[name] = sum(sums) / EVALUATED
        if self.memorised:
            row["memorised"] = self._memorised()
        return row

    def _loss(self, model: Any, images: Tensor, levels: Tensor, noise: Tensor) -> Tensor:
        to = self.accelerator.device
        noised = self.scheduler.add_noise(images, noise, levels)
        asked = noise
        if self.plan.predicts == "velocity":
            asked = self.scheduler.get_velocity(images, noise, levels)
        answer: Tensor = model(noised.to(to), levels.to(to)).sample
        return (answer - asked.to(to)).square().mean()

    def _memorised(self) -> float:
        """Share of samples of DDIM, from the same noise each time, that copy a training point."""
        import diffusers

        kind: Any = diffusers.DDIMScheduler

        sampler = kind.from_config(self.scheduler.config, timestep_spacing="trailing")
        sampler.set_timesteps(SAMPLER_STEPS)
        draw = torch_generator(self.seed, "samples")
        start = torch.randn((self.memorised, *self.images.shape[1:]), generator=draw)
        training = self.images[self.kept].flatten(1)
        copies = 0
        for part in torch.split(start, self.plan.batch):
            x = part.to(self.accelerator.device)
            for level in sampler.timesteps:
                answer = self.kept_net(x, level.to(x.device)).sample
                x = sampler.step(answer, level, x).prev_sample
            near = torch.cdist(x.cpu().flatten(1), training).topk(2, largest=False).values
            copies += int(is_copy(copy_ratio(*near.double().numpy().T)).sum())
        return copies / self.memorised


def _accelerator(device: str | None, batch: int) -> Any:
    from accelerate import Accelerator

    try:
        out = Accelerator(cpu=device == "cpu", mixed_precision="no")
    except (ValueError, RuntimeError) as error:
        raise InputError(f"accelerate cannot start on {device or 'this machine'} ({error}).") from (
            error
        )
    if device not in (None, out.device.type):
        raise InputError(
            f"device (--device) is {device!r}, but accelerate takes {out.device.type}; leave it "
            "out, or run by accelerate launch to choose."
        )
    if batch % out.num_processes:
        raise InputError(
            f"the batch of {batch} does not divide among {out.num_processes} processes; set "
            "--batch to a multiple."
        )
    return out
