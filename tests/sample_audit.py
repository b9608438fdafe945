"""A made-up `Audit` and its parts: copies, losses, entropy, clones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from diffregimes.auditing.entropy import AT_COLLAPSE
from diffregimes.auditing.findings import (
    Audit,
    Copies,
    Entropy,
    InFeatures,
    InParts,
    ModelTime,
    Origin,
    OwnTimes,
    Returns,
    Share,
)
from diffregimes.auditing.judgement import judged, judged_beside
from diffregimes.auditing.losses import Losses
from diffregimes.backward.outcome import Outcome
from diffregimes.data.datasets import Dataset, describe
from diffregimes.results import Curves, Flag
from diffregimes.transitions.crossing import band_crossing
from sample_analysis import digits, fall

SAMPLES, PAIRS = 64, 128
GATE = (Flag("scale", True, 1.1, 1.6, "a factor of 1.1"),)
POINT = "same_point_probability"


def crossed(t: np.ndarray, curve: np.ndarray, level: float) -> float | None:
    return band_crossing(t, np.stack([curve] * 3), level)[0]


def interval(t: float | None) -> tuple[float | None, float | None, float | None]:
    return t, t and 0.97 * t, t and 1.04 * t


def make_copies(dataset: Dataset, share: float, held_out: bool) -> Copies:
    """Samples near a training point, that share of them within a third of its gap."""
    rng = np.random.default_rng(5)
    some = rng.integers(0, min(9, dataset.n), SAMPLES)
    gaps = np.linalg.norm(dataset.points[some][:, None] - dataset.points[None], axis=2)
    gaps[np.arange(SAMPLES), some] = np.inf
    second = gaps.argmin(axis=1)
    apart = gaps.min(axis=1)
    copied = np.arange(SAMPLES) < round(share * SAMPLES)
    wanted = np.where(rng.permutation(copied), rng.uniform(0.01, 0.3, SAMPLES), 0)
    wanted = np.where(wanted > 0, wanted, rng.uniform(0.4, 1, SAMPLES))
    # on the line between the two: distances w/(1 + w) and 1/(1 + w) of the gap
    part = (wanted / (1 + wanted))[:, None]
    states = dataset.points[some] * (1 - part) + dataset.points[second] * part
    chance = np.clip(rng.normal(0.85, 0.12, 200), 0, 1)
    return Copies(
        states, some, second, apart * wanted / (1 + wanted), apart / (1 + wanted),
        np.full(SAMPLES, "as it is"),
        Share.counted(int((wanted < 1 / 3).sum()), SAMPLES),
        Share.counted(int((chance < 1 / 3).sum()), 200),
        "held-out points" if held_out else "training points against one another", chance,
    )  # fmt: skip


def make_losses(d: int, memory: float, held_out: bool) -> Losses:
    t = np.geomspace(0.02, 4, 20)
    known = fall(t, 0.35, 0.5)
    true = 0.08 * d * (1 - fall(t, 0.9, 1.6)) + 0.004 * d
    exact, out = true * (1 - known), true * (1 + 0.8 * known)
    train, other = true * (1 - memory * known), true * (1 + 0.8 * memory * known)
    nothing = np.full_like(t, np.nan)
    columns = [train, other, exact, out]
    if not held_out:
        columns[1] = columns[3] = nothing
    return Losses(t, *(y for x in columns for y in (x, 0.01 * true + 0 * x)))


def make_entropy(memory: float) -> Entropy:
    t = np.geomspace(0.02, 5, 40)
    exact = 1 - fall(t, 0.5, 0.7)
    value = exact - (1 - memory) * 1.6 * fall(t, 0.1, 1)
    se = 0.02 + 0.03 * fall(t, 0.1, 1)
    return Entropy(t, value, se, exact, 0.005 + 0 * t, 0.03 * (1 - exact), 0.01 + 0 * t)


def make_clones(classes: int, memory: float) -> Outcome:
    t, fine = np.geomspace(0.05, 2, 8), np.geomspace(0.04, 2.5, 40)
    base = 1 / classes

    def curves(t: np.ndarray, shift: float, draws: int) -> Curves:
        same = base + (1 - base) * fall(t, 0.9, 0.55)
        point = fall(t, 0.35 * shift, 0.4)
        values = {"same_class_probability": same, "same_point_probability": point}
        se = {k: np.sqrt(x * (1 - x) / draws) for k, x in values.items()}
        return Curves(t, values, se, draws)

    simulated, forward = curves(t, 0.3 + 0.7 * memory, PAIRS), curves(t, 1, 4096)
    intervals = {
        k: (np.clip(x - 0.08, 0, 1), np.clip(x + 0.08, 0, 1)) for k, x in simulated.values.items()
    }
    z = {k: (x - forward[k]) / 0.04 for k, x in simulated.values.items()}
    return Outcome("clones", simulated, intervals, forward, z, curves(fine, 1, 4096), ())


def make_returns(memory: float, held_out: bool) -> Returns:
    t = np.geomspace(0.05, 0.5, 5)
    exact, draws = fall(t, 0.35, 0.4), PAIRS // 2
    training, other = (np.round(draws * x * exact) / draws for x in (memory, 0.1))
    low, high = (np.clip(training + x, 0, 1) for x in (-0.1, 0.1))
    out = [other, np.clip(other - 0.1, 0, 1), np.clip(other + 0.1, 0, 1)]
    if not held_out:
        out = [np.full_like(t, np.nan)] * 3
    return Returns(draws, t, training, low, high, *out, exact, 0.004 + 0 * t)


def make_audit(
    dataset: Dataset | None = None,
    *,
    memory: float = 0.9,
    held_out: bool = True,
    share=None,
    gate=GATE,
) -> Audit:
    """A made-up audit of a model that has `memory` (0 to 1) of its training points."""
    dataset = dataset or digits(0, 1)
    copies = make_copies(dataset, memory if share is None else share, held_out)
    losses, entropy = make_losses(dataset.d, memory, held_out), make_entropy(memory)
    clones, level = make_clones(len(dataset.class_names), memory), AT_COLLAPSE / np.log(dataset.n)
    times = (
        ModelTime(
            "loss-gap", *interval(losses.separation()), *interval(losses.separation(exact=True)),
            "training points are denoised better",
        ),
        ModelTime(
            "entropy", *interval(crossed(entropy.t, entropy.value, level)),
            *interval(crossed(entropy.t, entropy.exact, level)), "the entropy falls",
        ),
        ModelTime(
            "clone", *interval(crossed(clones.simulated.t, clones.simulated[POINT], 0.5)),
            *interval(crossed(clones.line.t, clones.line[POINT], 0.5)), "half of the clones agree",
        ),
        ModelTime("last-change", 0.412, 0.401, 0.423, None, None, None, "mean of the last changes"),
        ModelTime("u-turn", 0.322, 0.291, 0.351, 0.35, 0.345, 0.354, "half of them come back"),
    )  # fmt: skip
    found: dict[int, list[int]] = {}
    for k in np.argsort(copies.ratio, kind="stable"):
        if copies.copied[k]:
            found.setdefault(int(copies.point[k]), []).append(int(k))
    order = sorted(found.items(), key=lambda x: -len(x[1]))
    return Audit(
        model={"name": "tiny-unet", "source": "models/tiny-unet", "kind": "diffusers"},
        dataset=describe(dataset),
        held_out=describe(dataset) if held_out else None,
        copies=copies,
        losses=losses,
        entropy=entropy,
        clones=clones,
        returns=(back := make_returns(memory, held_out)),
        collapse=times,
        speciation=ModelTime("clone", 0.914, 0.871, 0.969, 0.927, 0.921, 0.934, "of a class"),
        origins=tuple(Origin(i, len(k), tuple(k)) for i, k in order),
        gate=gate,
        duplicates=(),
        shared=(),
        verdict=judged(copies, losses, entropy, times, dataset.n, gate, back),
        recipe={"seed": 7, "samples": SAMPLES, "versions": {"torch": "2.13.0"}, "held_out": None},
        notes=("The grid ends where the model's schedule ends.",),
    )


def with_views(found: Audit, dataset: Dataset) -> Audit:
    """The same with copies in features, a part of every fifth sample, and own times."""
    rng = np.random.default_rng(6)
    share = np.where(np.arange(SAMPLES) % 5 == 0, rng.uniform(0.2, 1, SAMPLES), 0)
    counted = Share.counted(int((share > 0).sum()), SAMPLES), Share.counted(1, 200)
    part = judged_beside(
        *counted, "held-out points", (), "Through windows of 4 × 4 pixels,", "hold a part"
    )
    height, width = dataset.sample_shape[:2]
    copies = found.copies
    features = replace(copies, states=rng.standard_normal((SAMPLES, 5)))
    seen = judged_beside(
        copies.share, copies.baseline, copies.baseline_of, (), "In f", "are copies"
    )
    return replace(
        found,
        in_features=InFeatures("m:f", 5, "Euclidean", features, found.origins, (), (), (), seen),
        in_parts=InParts(
            4, 2, share, np.where(share > 0, copies.point, -1),
            np.broadcast_to(np.arange(width) < width // 2, (SAMPLES, height, width)),
            *counted, "held-out points",
            (Flag("chance", False, 0.5, 0.9, "chance is not known"),), part,
        ),
        own_times=OwnTimes(0.3, 0.1, 0.5, "Own times and copies have the rank correlation 0.30",
                           np.arange(9), np.linspace(0.1, 0.9, 9), np.arange(9)),
    )  # fmt: skip
