"""Datasets as people have them, and what is right of each: the table of `test_datasets_table`.

`ANALYSED` are points and labels of which `analyze` must find the times that `right_of` finds, a
float64 evaluation of its own on the distinct points; `REFUSED` those that it must refuse, with
words of the message.
"""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.special import expit
from sklearn import datasets as bundled

from clouds import near_duplicates

DRAWS = 400  # of `right_of`, two to three hundredths of the width of phi_C
COPIED = 0.35, 0.65  # of phi_C: copying has begun for about half of the samples


@dataclass(frozen=True)
class Right:
    """Ranges that the times lie in, None where there is none."""

    speciation: tuple[float, float] | None
    collapse: tuple[float, float] | None


def right_of(points: np.ndarray, labels: np.ndarray | None, seed: int = 0) -> Right:
    """By the definition, on the distinct points: where phi_C is near one half, and where the
    leave-one-out weights are as sure of the class, and as right about it, as speciation asks for.

    Without labels t_S is half the log of the largest eigenvalue, or of what is left of it when the
    noise of the sample is taken off.
    """
    rows = np.asarray(points, dtype=np.float64).reshape(len(points), -1)
    rows, first, count = np.unique(rows, axis=0, return_index=True, return_counts=True)
    if labels is None:
        kinds = np.zeros(len(rows), dtype=int)
    else:
        kinds = np.unique(np.ravel(labels), return_inverse=True)[1][first]
    order = np.argsort(kinds, kind="stable")
    rows, kinds, count = rows[order] - rows.mean(axis=0), kinds[order], count[order]
    # a stream of its own: with that of the data the noise would be the points themselves
    curves = _curves(rows, kinds, np.random.default_rng([*b"judge", seed]))
    ends = [_first(curves, "same_point", x) for x in COPIED]
    collapse = None if None in ends else (ends[1], ends[0])
    if labels is None:
        return Right(_spectral(rows, count), collapse)
    blind = float(((np.bincount(kinds) / len(kinds)) ** 2).sum())
    level = blind + 0.55 * (1 - blind)
    sure, right = _first(curves, "confidence", level), _first(curves, "own", level)
    if sure is None:
        return Right(None, collapse)
    # where few points decide they are surer than right: the time of the law lies between
    return Right((min(right or 0.0, sure), max(right or sure, sure)), collapse)


def _curves(rows: np.ndarray, kinds: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Means over `DRAWS` noised points; `rows` (n, d) sorted by class."""
    n = len(rows)
    mu = np.resize(rng.permutation(n), DRAWS)
    square = cdist(rows[mu], rows, "sqeuclidean")
    along = np.empty_like(square)
    for k in range(0, DRAWS, 50):
        z = rng.standard_normal((50, rows.shape[1]))
        along[k : k + 50] = z @ rows.T - (z * rows[mu[k : k + 50]]).sum(1, keepdims=True)
    low = 0.01 * math.log(n) / rows.var(axis=0).sum()
    near = np.sort(np.where(square > 0, square, np.inf).min(axis=1))
    gammas = np.geomspace(low, max(400 * (1 + math.log(n)) / near[len(near) // 20], 10 * low), 70)
    place, starts = np.arange(DRAWS), np.unique(kinds, return_index=True)[1]
    out: dict[str, list[float]] = {"same_point": [], "confidence": [], "own": []}
    for gamma in gammas:
        logits = -0.5 * gamma * square + math.sqrt(gamma) * along
        logits[place, mu] = -np.inf
        top = logits.max(axis=1)
        of_class = np.add.reduceat(np.exp(logits - top[:, None]), starts, axis=1)
        total = of_class.sum(axis=1)
        p = of_class / total[:, None]
        out["same_point"].append(expit(-top - np.log(total)).mean())
        out["confidence"].append((p**2).sum(axis=1).mean())
        out["own"].append(p[place, kinds[mu]].mean())
    return {"gamma": gammas, **{name: np.array(x) for name, x in out.items()}}


def _first(curves: dict[str, np.ndarray], name: str, level: float) -> float | None:
    """The largest t at which the curve crosses the level from below."""
    gammas, curve = curves["gamma"], curves[name]
    over = np.flatnonzero((curve[:-1] < level) & (curve[1:] >= level))
    if not len(over):
        return None
    k = over[0]
    part = (level - curve[k]) / (curve[k + 1] - curve[k])
    return 0.5 * math.log1p(1 / (gammas[k] * (gammas[k + 1] / gammas[k]) ** part))


def _spectral(rows: np.ndarray, count: np.ndarray) -> tuple[float, float] | None:
    weight = count / count.sum()
    values = np.linalg.svd((rows - weight @ rows) * np.sqrt(weight)[:, None], compute_uv=False) ** 2
    noise = (1 + math.sqrt(rows.shape[1] / len(rows))) ** 2
    if values[0] <= 1:
        return None
    return 0.5 * math.log(max(values[0] / noise, 1.0)), 0.5 * math.log(values[0])


def _sklearn(name: str, **options: Any) -> Callable[[], tuple[Any, Any]]:
    def make() -> tuple[Any, Any]:
        data = getattr(bundled, f"load_{name}")(**options)
        return data.data, data.target

    return make


def _made(name: str, **options: Any) -> Callable[[], tuple[Any, Any]]:
    def make() -> tuple[Any, Any]:
        points, labels = getattr(bundled, f"make_{name}")(random_state=0, **options)
        return points, labels

    return make


def _diabetes() -> tuple[Any, Any]:
    data = bundled.load_diabetes()
    return data.data, (data.target > np.median(data.target)).astype(int)


def aeon(name: str) -> Callable[[], tuple[Any, Any]]:
    """The training and test series that the package aeon has inside its wheel; read as text, so
    that `pip install --no-deps aeon` is enough."""

    def make() -> tuple[Any, Any]:
        found = importlib.util.find_spec("aeon")
        if found is None or found.origin is None:
            pytest.skip("aeon is not installed (pip install --no-deps aeon)")
        series, labels = [], []
        folder = Path(found.origin).parent / "datasets" / "data" / name
        for part in ("TRAIN", "TEST"):
            text = (folder / f"{name}_{part}.ts").read_text(encoding="utf-8")
            for line in text.lower().split("@data")[1].split():
                *channels, label = line.split(":")
                series.append(np.array([x.split(",") for x in channels], dtype=float).ravel())
                labels.append(label)
        return np.array(series), np.array(labels)

    return make


def real(source: str, **options: Any) -> Callable[[], tuple[Any, Any]]:
    """Of the folder of real data, as `diffregimes.load` reads it."""

    def make() -> tuple[Any, Any]:
        folder = os.environ.get("DIFFREGIMES_DATA")
        if not folder or not Path(folder).is_dir():
            pytest.skip("DIFFREGIMES_DATA is not set: no folder of real datasets")
        import diffregimes as dr

        data = dr.load(Path(folder) / source, **options)
        return data.points, data.labels

    return make


def olivetti(people: int) -> Callable[[], tuple[Any, Any]]:
    def make() -> tuple[Any, Any]:
        folder = os.environ.get("DIFFREGIMES_DATA")
        if not folder or not Path(folder).is_dir():
            pytest.skip("DIFFREGIMES_DATA is not set: no folder of real datasets")
        from scipy.io import loadmat

        faces = loadmat(Path(folder) / "olivetti" / "olivettifaces.mat")["faces"].T
        return faces[: 10 * people].reshape(-1, 64, 64), np.arange(10 * people) // 10

    return make


def _gauss(n: int, d: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d))


def _two(n: int = 300, d: int = 30, mu: float = 1.0, seed: int = 0) -> tuple[Any, Any]:
    """Two Gaussian classes at +-mu in every feature."""
    labels = np.arange(n) % 2
    return _gauss(n, d, seed) + mu * (2 * labels - 1)[:, None], labels


def _medical(channels: tuple[int, ...]) -> tuple[Any, Any]:
    """Images (n, 28, 28) or (n, 28, 28, 3), uint8, of three classes with labels (n, 1)."""
    rng = np.random.default_rng(0)
    labels = np.arange(240) % 3
    axis = np.linspace(-1, 1, 28)
    blob = np.exp(-4 * ((axis[:, None] - 0.4 * (labels - 1)[:, None, None]) ** 2 + axis**2))
    noise = rng.standard_normal((240, 28, 28, *channels))
    images = 160 * blob.reshape(240, 28, 28, *(1,) * len(channels)) + 25 * noise + 40
    return images.clip(0, 255).astype(np.uint8), labels[:, None]


def _replaced(points: np.ndarray, rows: Any, values: Any) -> np.ndarray:
    points = points.copy()
    points[rows] = values
    return points


def _black() -> tuple[Any, Any]:
    """Images of which 80 % are black."""
    images, labels = _medical(())
    images[np.random.default_rng(1).permutation(240)[:192]] = 0
    return images, labels


def _unix() -> tuple[Any, Any]:
    """A column of times near 1.7e9 beside others; it varies as they do."""
    points, labels = _two(400, 12)
    return np.column_stack([points, 1.7e9 + 20 * _gauss(400, 1, 5)]), labels


def _counts() -> tuple[Any, Any]:
    """Words of 300 texts on two subjects, 800 words, most of them absent."""
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 2
    rates = 0.05 * rng.gamma(0.3, 3.0, (2, 800))
    return rng.poisson(rates[labels]).astype(np.int64), labels


def _unequal() -> tuple[Any, Any]:
    points, labels = _two(600, 20, 0.5)
    kept = np.concatenate([np.flatnonzero(labels == 0), np.flatnonzero(labels == 1)[:8]])
    return points[kept], labels[kept]


def pairs(classes: int = 5000) -> tuple[Any, Any]:
    """Classes of two points each."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(np.arange(classes), 2))
    centres = rng.standard_normal((classes, 64))
    noise = 0.5 * rng.standard_normal((2 * classes, 64))
    return (centres[labels] + noise).astype(np.float32), labels


def _scaled(by: float) -> Callable[[], tuple[Any, Any]]:
    return lambda: (by * _two()[0], _two()[1])


def _bits(distance: float) -> tuple[Any, Any]:
    """Masks of 0 and 1, as bytes: each class agrees with a pattern of its own."""
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    pattern = rng.integers(0, 2, (2, 12, 12))
    flipped = rng.random((200, 12, 12)) < distance
    return (pattern[labels] ^ flipped).astype(np.uint8), labels


def _spheres() -> tuple[Any, Any]:
    """Two spheres of one centre: classes that differ by their radius alone."""
    labels, points = np.arange(400) % 2, _gauss(400, 20, 7)
    return points / np.linalg.norm(points, axis=1)[:, None] * (3 + 2 * labels[:, None]), labels


def _exclusive_or() -> tuple[Any, Any]:
    sides = np.random.default_rng(7).integers(0, 2, (400, 2))
    points = _gauss(400, 10)
    points[:, :2] += 4 * (2 * sides - 1)
    return points, sides.sum(axis=1) % 2


def _turned() -> tuple[Any, Any]:
    """Two moons in a plane that lies anyhow in 100 dimensions."""
    points, labels = _made("moons", n_samples=400, noise=0.1)()
    return points @ np.linalg.qr(_gauss(100, 2, 7))[0].T, labels


def _in_one_another() -> tuple[Any, Any]:
    labels = np.arange(400) % 2
    return _gauss(400, 8) * np.where(labels, 0.02, 1.0)[:, None], labels


def _far_class() -> tuple[Any, Any]:
    points, labels = _two(400, 16, 0.8)
    points[:12] += 60
    return points, np.where(np.arange(400) < 12, 2, labels)


def _answers() -> tuple[Any, Any]:
    """Six answers of yes or no, of which the first is the class: 64 different rows of 1000."""
    rows = np.random.default_rng(7).integers(0, 2, (1000, 6))
    return rows, rows[:, 0]


def _missing() -> tuple[Any, Any]:
    """-999 where a value is missing."""
    points, labels = _two(400, 12)
    return _replaced(points, (np.random.default_rng(7).random(400) < 0.05, 3), -999.0), labels


LATTICE = np.stack(np.meshgrid(np.arange(18.0), np.arange(18.0)), -1).reshape(-1, 2)
ANALYSED = {
    "iris": _sklearn("iris"),
    "wine": _sklearn("wine"),
    "breast cancer": _sklearn("breast_cancer"),
    "digits": _sklearn("digits"),
    "digits, zero and one": _sklearn("digits", n_class=2),
    "diabetes, above and below the median": _diabetes,
    "linnerud, no labels": lambda: (bundled.load_linnerud().data, None),
    "three blobs": _made("blobs", n_samples=300, n_features=8),
    "two moons": _made("moons", n_samples=400, noise=0.1),
    "circles": _made("circles", n_samples=400, noise=0.05, factor=0.5),
    "swiss roll, no labels": lambda: (_made("swiss_roll", n_samples=500)()[0], None),
    "classification": _made("classification", n_samples=400),
    "quantiles of a Gaussian": _made("gaussian_quantiles", n_samples=400, n_features=5),
    "sparse regression, no labels": lambda: (
        _made("sparse_uncorrelated", n_samples=300)()[0],
        None,
    ),
    "low rank, no labels": lambda: (bundled.make_low_rank_matrix(300, 80, random_state=0), None),
    "aeon GunPoint": aeon("GunPoint"),
    "aeon ArrowHead": aeon("ArrowHead"),
    "aeon ItalyPowerDemand": aeon("ItalyPowerDemand"),
    "aeon BasicMotions": aeon("BasicMotions"),
    "aeon OSULeaf": aeon("OSULeaf"),
    "medical images, grey": lambda: _medical(()),
    "medical images, colours": lambda: _medical((3,)),
    "MNIST one and eight": real("mnist", classes="1,8", per_class=400),
    "Fashion-MNIST": real("fashion-mnist", per_class=100),
    "CIFAR-10 pair": real("cifar10-auto-horse/cifar10_auto_horse_train.npz", per_class=400),
    "panda and seashore": real(
        "imagenet-panda-seashore/tiny_imagenet32_panda_seashore.npz", per_class=400
    ),
    "Olivetti, five people": olivetti(5),
    "Olivetti, forty people": olivetti(40),
    "one zero vector": lambda: (_replaced(_gauss(300, 30), 7, 0.0), np.arange(300) % 2),
    "half of the rows zero": lambda: (_replaced(_two()[0], slice(0, 150), 0.0), _two()[1]),
    "four of five images black": _black,
    "every point twice": lambda: tuple(np.concatenate([x, x]) for x in _two(150)),
    "near copies of all points": lambda: near_duplicates(200, 60),
    "constant columns": lambda: (np.hstack([_two()[0], np.full((300, 50), 3.0)]), _two()[1]),
    "scale 1e-6": _scaled(1e-6),
    "scale 1e-2": _scaled(1e-2),
    "scale 1e6": _scaled(1e6),
    "masks of 0 and 1": lambda: _bits(0.2),
    "Unix time": _unix,
    "one outlier x30": lambda: (_replaced(_two(500)[0], 3, 30 * _two(500)[0][3]), _two(500)[1]),
    "one outlier x1e5": lambda: (_replaced(_two(500)[0], 3, 1e5 * _two(500)[0][3]), _two(500)[1]),
    "Cauchy": lambda: (np.random.default_rng(0).standard_cauchy((400, 6)), np.arange(400) % 2),
    "one feature": lambda: (_gauss(5000, 1), None),
    "a flat Gaussian": lambda: (_gauss(2000, 2), None),
    "five points": lambda: (_gauss(5, 3), None),
    "four points": lambda: (_two(4, 3)[0], [0, 1, 0, 1]),
    "tight clusters": lambda: (np.sign(_two(2000, 3)[0]) + 1e-3 * _gauss(2000, 3), _two(2000)[1]),
    "50 points of 20 000 features": lambda: _two(50, 20_000, 0.05),
    "far from zero": lambda: (_two()[0] + 1e4, _two()[1]),
    "counts of words": _counts,
    "1 in 40 is of the other class": _unequal,
    "5000 classes of two": pairs,
    "concentric spheres": _spheres,
    "exclusive or": _exclusive_or,
    "labels at random": lambda: (_gauss(300, 30), np.random.default_rng(7).integers(0, 2, 300)),
    "a lattice": lambda: (LATTICE, None),
    "two moons in 100 dimensions": _turned,
    "a random walk": lambda: (_gauss(400, 64, 7).cumsum(axis=0), None),
    "-999 for missing": _missing,
    "saturated": lambda: ((0.5 + 0.8 * _two(300, 64, 0.4)[0]).clip(0, 1), _two(300)[1]),
    "a tight class in a wide one": _in_one_another,
    "a far small class": _far_class,
    "points and their mirror images": lambda: (
        np.concatenate([_two(200, 16)[0], -_two(200, 16)[0]]),
        np.concatenate([_two(200)[1], 1 - _two(200)[1]]),
    ),
    "yes or no": _answers,
    "rounded to one decimal": lambda: tuple(x.round(1) for x in _two(400, 2, 1.5)),
}
REFUSED = {
    "two points": (lambda: (_gauss(2, 3), None), "expected at least 2"),
    "one point": (lambda: (_gauss(1, 3), None), "at least 2"),
    "one class": (lambda: (_gauss(60, 3), np.zeros(60, int)), "one class only"),
    "a class of one point": (
        lambda: (_gauss(61, 3), [*[0, 1] * 30, 2]),
        "at least 2 in every class",
    ),
    "a NaN": (lambda: (_replaced(_gauss(60, 3), (4, 1), np.nan), None), "point"),
    "all points alike": (lambda: (np.ones((60, 3)), None), "identical"),
    "fourteen labels a point": (lambda: (_medical(())[0], np.ones((240, 14), int)), "labels"),
    "real numbers as labels": (lambda: (_gauss(60, 3), _gauss(60, 1)[:, 0]), "labels"),
}
# what of these points is judged by: one of each pair
JUDGED = {"near copies of all points": lambda: tuple(x[:100] for x in near_duplicates(200, 60))}
FAST = {
    "iris", "two moons", "one zero vector", "every point twice", "scale 1e-6", "Unix time",
    "one outlier x30", "a class of one point", "fourteen labels a point", "four points",
}  # fmt: skip


def in_units(points: Any) -> np.ndarray:
    """As the command takes them: integers as pixels, of which 255, or the largest, is white, and 1
    where there is nothing above."""
    array = np.asarray(points)
    if array.dtype.kind == "f":
        return array
    most = int(array.max())
    return array / (max(255, most) if most > 1 else 1)
