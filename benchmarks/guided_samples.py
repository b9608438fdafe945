"""Guidance of a trained network: always on, in the advised interval, and outside of it.

    python benchmarks/guided_samples.py [--network residual] [--data digits] [--points 1200]
        [--shrink 1] [--steps 4000] [--seeds 2] [--each 80] [--out runs/guided]
    python benchmarks/guided_samples.py --network unet
    python benchmarks/guided_samples.py --data FOLDER/fashion-mnist --shrink 4 --points 2000

A class-conditional network is trained for each seed, its condition left out in one of ten images:
the residual network of few_digits.py, or a small `UNet2DModel`. Then samples of every class by DDIM
in 50 evenly spaced steps from the same noise each time, with D_0 + w (D_c - D_0) where guidance
acts and D_c where it does not. The interval is that of `advise` on the training points. Means over
classes:

    accuracy   share of the samples that a support vector machine, trained on held-out points, finds
               in their class
    spread     mean distance between two samples of a class, over that of held-out points
    energy     energy distance to the held-out points of the class (energy.py)

and `copies` by the rule of an audit. The last lines are interval - always and interval - complement
with the errors of these differences. Errors hold the chance of starting noise and of held-out
points, not that of the training: the lines of single seeds show it. Networks in --out are not
trained again. docs/advice.md has the tables.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.spatial.distance import cdist
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC
from torch import Tensor, nn

import diffregimes as dr
from diffregimes.backward.samplers import ddim
from diffregimes.backward.tracking import copy_ratio, is_copy
from diffregimes.learned import LearnedScore
from diffregimes.learned.conditions import Condition
from diffregimes.learned.conventions import ddpm_convention
from diffregimes.process import schedule
from energy import Measured, apart, average, common, energy, mean
from few_digits import BATCH, Network, chosen

RATE, KEPT, WITHOUT, SAMPLER_STEPS = 1e-3, 0.998, 0.1, 50
SCALES = 1.0, 2.0, 4.0, 8.0
KINDS = "always", "interval", "complement"


class Told(nn.Module):
    """The residual network with one vector for each class, and one for none."""

    def __init__(self, d: int, classes: int, width: int = 256) -> None:
        super().__init__()
        self.network, self.told = Network(d, width), nn.Embedding(classes + 1, width)

    def forward(self, x: Tensor, timestep: Tensor, class_labels: Tensor) -> Tensor:
        return self.network(x, timestep, self.told(class_labels))


def untrained(data: dr.Dataset, kind: str) -> Any:
    if kind == "residual":
        return Told(data.d, len(data.class_names))
    import diffusers

    height, width, channels = data.sample_shape
    return diffusers.UNet2DModel(
        sample_size=(height, width), in_channels=channels, out_channels=channels,
        layers_per_block=1, block_out_channels=(16, 32), norm_num_groups=8, add_attention=False,
        down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2,
        num_class_embeds=len(data.class_names) + 1,
    )  # fmt: skip


def trained(data: dr.Dataset, kind: str, steps: int, seed: int, out: Path) -> Any:
    """The averaged network, from a file in `out` if it is there; the class after the last is none,
    which a share WITHOUT of the images has."""
    torch.manual_seed(seed)
    network = untrained(data, kind)
    file = out / f"{kind}-{data.d}-{data.n}-{steps}-{seed}.pt"
    if file.is_file():
        network.load_state_dict(torch.load(file, weights_only=True))
        return network
    kept = copy.deepcopy(network).requires_grad_(False)
    new, old = list(network.parameters()), list(kept.parameters())
    optimizer = torch.optim.Adam(new, RATE, fused=True)
    images = torch.from_numpy(data.points).reshape(-1, *data.sample_shape).movedim(-1, 1)
    labels = torch.from_numpy(data.labels)
    product = torch.from_numpy(np.exp(-2 * schedule("linear").finite_times)).float()
    losses = []
    for step in range(steps):
        some, k = torch.randint(data.n, (BATCH,)), torch.randint(1000, (BATCH,))
        a, share = images[some], product[k].reshape(-1, 1, 1, 1)
        z = torch.randn_like(a)
        given = share.sqrt() * a + (1 - share).sqrt() * z
        asked = share.sqrt() * z - (1 - share).sqrt() * a
        told = labels[some].masked_fill(torch.rand(BATCH) < WITHOUT, len(data.class_names))
        answer = network(given, k, class_labels=told)
        loss = (getattr(answer, "sample", answer) - asked).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(old, new, 1 - min(KEPT, (1 + step) / (10 + step)))
        losses.append(loss.item())
        if step % 500 == 499:
            print(f"seed {seed}, step {step + 1}: loss {np.mean(losses[-500:]):.4f}", flush=True)
    torch.save(kept.state_dict(), file)
    return kept


def score(
    network: Any, data: dr.Dataset, classes: Tensor, guidance: float | None = None
) -> LearnedScore:
    """Of states (m, d) under classes (m,)."""
    height, width, channels = data.sample_shape
    count = len(data.class_names)
    told = {"class_labels": torch.arange(count + 1)}
    return LearnedScore(
        network, ddpm_convention(schedule("linear"), "velocity"), (channels, height, width),
        condition=Condition(told, {"class_labels": torch.tensor([count])}), guidance=guidance,
        asked=classes, batch=512,
    )  # fmt: skip


def sampled(
    network: Any,
    data: dr.Dataset,
    classes: Tensor,
    guidance: float,
    acts: Callable[[float], bool],
) -> np.ndarray:
    """Samples (m, d) of the classes (m,) with guidance where `acts(t)`."""
    plain = score(network, data, classes)
    guided = plain if guidance == 1 else score(network, data, classes, guidance)
    times = schedule("linear").finite_times[np.arange(1000, 0, -1000 // SAMPLER_STEPS) - 1]
    x = torch.randn(len(classes), data.d, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for t, s in zip(times, [*times[1:], 0.0], strict=True):
            x = ddim(guided if acts(float(t)) else plain, x, float(t), float(s), None)
    return x.numpy().astype(np.float64)


class Judge:
    """Held-out points, and a classifier trained on them."""

    def __init__(self, held_out: dr.Dataset) -> None:
        self.points, self.labels = held_out.points.astype(np.float64), held_out.labels
        self.svm = SVC().fit(self.points, self.labels)
        right = cross_val_score(SVC(), self.points, self.labels, cv=5).mean()
        print(f"the classifier is right on {right:.3f} of {held_out.n} held-out points, by folds")

    def columns(self, x: np.ndarray, classes: np.ndarray) -> dict[str, Measured]:
        found: dict[str, list[Measured]] = {"accuracy": [], "spread": [], "energy": []}
        for c in np.unique(self.labels):
            mine, theirs = x[classes == c], self.points[self.labels == c]
            found["accuracy"].append(mean(self.svm.predict(mine) == c))
            one, scale = apart(mine), apart(theirs).value
            found["spread"].append(Measured(one.value / scale, (one.parts[0] / scale,)))
            found["energy"].append(energy(mine, theirs))
        return {k: average(v) for k, v in found.items()}


def told(name: str, columns: dict[str, Measured]) -> None:
    print(f"  {name:26}", "   ".join(f"{k} {x}" for k, x in columns.items()), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--network", choices=["residual", "unet"], default="residual")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--points", type=int, default=1200)
    parser.add_argument("--shrink", type=int, default=1)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--each", type=int, default=80, help="samples of a class")
    parser.add_argument("--out", type=Path, default=Path("runs/guided"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    data, held_out = chosen(options.data, options.points, options.shrink)
    judge = Judge(held_out)
    guidance = dr.analyze(data, seed=0).advise("linear")["guidance"]
    begin, finish = (x.at.t if x.at else 0.0 for x in guidance.settings)
    print(f"{data.n} points; guidance from t = {begin:.3g} to {finish:.3g}")
    told("the training points", judge.columns(data.points.astype(np.float64), data.labels))
    where = {
        "always": lambda t: True,
        "interval": lambda t: finish <= t <= begin,
        "complement": lambda t: not finish <= t <= begin,
    }
    classes = torch.arange(len(data.class_names)).repeat_interleave(options.each)
    runs: dict[tuple[float, str], list[dict[str, Measured]]] = {}
    for seed in range(options.seeds):
        network = trained(data, options.network, options.steps, seed, options.out)
        for scale in SCALES:
            for kind in KINDS[: 1 if scale == 1 else None]:
                x = sampled(network, data, classes, scale, where[kind])
                columns = judge.columns(x, classes.numpy())
                near = np.sort(cdist(x, data.points), axis=1)[:, :2]
                copies = is_copy(copy_ratio(*near.T)).mean()
                told(f"seed {seed}, w = {scale:g} {kind}", columns)
                print(f"    copies {copies:.3f}", flush=True)
                runs.setdefault((scale, kind), []).append(columns)
    print("mean over seeds")
    means = {}
    for (scale, kind), found in runs.items():
        means[scale, kind] = {k: common([x[k] for x in found]) for k in found[0]}
        told(f"w = {scale:g} {kind}", means[scale, kind])
    for scale in SCALES[1:]:
        for other in ("always", "complement"):
            one, two = means[scale, "interval"], means[scale, other]
            told(f"w = {scale:g} interval - {other}", {k: one[k] - two[k] for k in one})


if __name__ == "__main__":
    main()
