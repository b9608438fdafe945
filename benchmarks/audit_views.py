"""How often the verdicts on parts and in features are right (docs/audit.md).

    python benchmarks/audit_views.py              # 30 laws, some ten minutes
    python benchmarks/audit_views.py --laws 6

Random laws of images (smooth fields whose spectrum falls off by a random power, 12 to 20 pixels a
side, one or three channels, with a border in common or none, with or without a few clear classes),
n = 60 to 400 training images, held-out images or none, with and without groups of two frames. Of
each 64 or 256 samples of which a share w is known by construction to be copied: in parts (left
half, a patch of a quarter of the area), shifted (which features that do not shift must see, and
nothing else may), or whole.

Right is a verdict of the view whose range holds w; at the edges, 1 % and 50 %, both neighbours are.
The check of chance by training points among one another, which could only open more verdicts on
parts, is left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import numpy as np
import torch

from diffregimes.auditing import Encoder
from diffregimes.auditing.features import in_features, space_of
from diffregimes.auditing.judgement import MOST, RARE, judged_beside
from diffregimes.auditing.known import known_points
from diffregimes.auditing.parts import in_parts
from diffregimes.common.checks import InputError
from diffregimes.data.datasets import Dataset, from_arrays
from diffregimes.results import Share
from diffregimes.scores import EmpiricalScore

SHARES = (0.0, 0.1, 0.5, 1.0)
Row = tuple[str, str, float, float]  # case, kind, confidence, w


class Law:
    """A random field, sampled."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.side, self.channels = int(rng.choice((12, 16, 20))), int(rng.choice((1, 3)))
        waves = np.hypot(*np.meshgrid(*[np.fft.fftfreq(self.side) * self.side] * 2))
        self.spectrum = 1 / (1 + waves ** rng.uniform(0.8, 2.0))
        self.border = int(rng.choice((0, 0, 3)))
        self.classes = rng.uniform(0, 1.5) * self._field(rng, int(rng.choice((1, 4))))

    def _field(self, rng: np.random.Generator, count: int) -> np.ndarray:
        noise = rng.standard_normal((count, self.channels, self.side, self.side))
        field = np.fft.ifft2(np.fft.fft2(noise) * self.spectrum).real
        return np.moveaxis(field / self.spectrum.std(), 1, -1)

    def sample(self, rng: np.random.Generator, count: int) -> np.ndarray:
        out = self._field(rng, count)
        out = out + self.classes[rng.integers(0, len(self.classes), count)]
        if self.border:
            inner = np.zeros((self.side, self.side, 1), dtype=bool)
            inner[self.border : -self.border, self.border : -self.border] = True
            out = np.where(inner, out, -1.0)
        return out.astype(np.float32)


def unshifted(images: torch.Tensor) -> torch.Tensor:
    """Does not change where an image is shifted around."""
    return torch.fft.fft2(images - images.mean((2, 3), keepdim=True)).abs().flatten(1)


def encoders(rng: np.random.Generator, d: int) -> dict[str, Callable[[torch.Tensor], torch.Tensor]]:
    plane = torch.from_numpy(rng.standard_normal((d, 32)).astype(np.float32))
    return {
        "random projection": lambda x: x.flatten(1) @ plane,
        "almost constant": lambda x: 1 + 1e-3 * torch.tanh(x.flatten(1) @ plane / d**0.5),
        "unshifted": unshifted,
        "one of twelve words": lambda x: torch.nn.functional.one_hot(
            (x.flatten(1) @ plane)[:, :12].argmax(1), 12).float(),
    }  # fmt: skip


def of_a_law(seed: int) -> Iterator[Row]:
    rng = np.random.default_rng(seed)
    law, n = Law(rng), int(rng.choice((60, 150, 400)))
    train = law.sample(rng, n)
    groups = None
    if rng.random() < 0.3:  # frames of one scene: half of the picture stays
        groups = np.arange(n) // 2
        keep = train[: 2 * (n // 2) : 2]
        train[1 : 2 * (n // 2) : 2, :, law.side // 2 :] = keep[:, :, law.side // 2 :]
    data = from_arrays(train, np.arange(n) % 2, groups=groups)
    others = law.sample(rng, int(rng.choice((60, 300))))
    held_out = from_arrays(others, np.arange(len(others)) % 2) if rng.random() < 0.6 else None
    m = int(rng.choice((64, 256)))

    def mixed(copied: np.ndarray, share: float) -> Dataset:
        chosen = (rng.permutation(m) < round(share * m))[:, None, None, None]
        return from_arrays(np.where(chosen, copied, law.sample(rng, m)))

    half = np.zeros((law.side, law.side, 1), dtype=bool)
    half[:, : law.side // 2] = True
    patch = np.zeros_like(half)
    at = rng.integers(law.border, law.side - law.border - law.side // 2 + 1, 2)
    patch[at[0] : at[0] + law.side // 2, at[1] : at[1] + law.side // 2] = True
    known = known_points(EmpiricalScore(data.points), data, held_out)
    whole = {name: train[rng.integers(0, n, m)] for name in ("left half", "patch")}
    made = {
        (name, share): mixed(np.where(mask, whole[name], law.sample(rng, m)), share).points
        for name, mask in (("left half", half), ("patch", patch))
        for share in SHARES
    }
    parts = in_parts(known, data, np.concatenate(list(made.values())), ())
    for (name, share), copied in zip(made, parts.copied.reshape(-1, m) if parts else (),
                                     strict=parts is not None):  # fmt: skip
        found = Share.counted(int(copied.sum()), m)
        verdict = judged_beside(found, parts.baseline, "", (), "", "")
        yield (f"parts: {name}, {100 * share:g} %", verdict.kind,
               max(verdict.probabilities.values()), share)  # fmt: skip
    for name, encoder in encoders(rng, train[0].size).items():
        words = name.startswith("one of")
        for share in SHARES[:1] if words else SHARES:
            whole = train[rng.integers(0, n, m)]
            shift = name == "unshifted" and not law.border
            made = mixed(np.roll(whole, law.side // 3, axis=2) if shift else whole, share)
            try:
                space = space_of(Encoder(name, encoder), known, data, memory_mib=1024)
            except InputError:  # words that tell nothing apart are refused
                continue
            verdict = in_features(space, known, data, held_out, made.points).verdict
            yield (f"features: {name}, {100 * share:g} %", verdict.kind,
                   max(verdict.probabilities.values()), share)  # fmt: skip


def right(kind: str, w: float) -> bool:
    """Whether a decided verdict is."""
    low, high = {"memorises": (MOST, 1.0), "copies some": (RARE, MOST), "does not copy": (0, RARE)}[
        kind
    ]
    return bool(low <= w <= high)


def table(rows: list[Row]) -> None:
    print("| samples | cases | right | open | wrong | wrong, confidence > 99 % |")
    print("|---|---|---|---|---|---|")
    for name in dict.fromkeys(x[0] for x in rows):
        mine = [x for x in rows if x[0] == name]
        opened = sum(x[1] == "open" for x in mine)
        wrong = [x for x in mine if x[1] != "open" and not right(x[1], x[3])]
        sure = sum(x[2] > 0.99 for x in wrong)
        shown = (f"{100 * x / len(mine):.1f} %"
                 for x in (len(mine) - opened - len(wrong), opened, len(wrong)))  # fmt: skip
        print(f"| {name} | {len(mine)} | {' | '.join(shown)} | {sure} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--laws", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[Row] = []
    for k in range(given.laws):
        for row in of_a_law(given.seed + k):
            rows.append(row)
            if row[1] != "open" and not right(row[1], row[3]):
                print(f"wrong at law {given.seed + k}: {row}", flush=True)
        print(f"{k + 1} laws", flush=True)
        if (k + 1) % 5 == 0 or k + 1 == given.laws:
            table(rows)


if __name__ == "__main__":
    main()
