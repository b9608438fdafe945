"""The datasets of the paper with its numbers, where they are found, and how to get them.

All pixels are in [0, 1], as in the paper's table 1: t counts noise against the spread of the data,
so that another scale would shift every time. `tiny` holds what two cores can train on; the paper's
numbers stand beside the datasets that have the size of its own.

Beside scikit-learn's digits every dataset lies in a folder of its own below the one that the
environment variable DIFFREGIMES_DATA names: an .npz, MNIST's IDX files, or images in a subfolder a
class. Larger images are halved, by means over 2 x 2 pixels, until they have the size asked for.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..common.checks import InputError
from ..common.parallel import Progress
from ..data.datasets import Dataset
from ..data.readers import load
from ..transitions.crossing import Interval

VARIABLE = "DIFFREGIMES_DATA"
DIGITS = "digits"

_MNIST = (
    "curl --create-dirs --output-dir $DIFFREGIMES_DATA/mnist -O "
    "https://storage.googleapis.com/cvdf-datasets/mnist/train-images-idx3-ubyte.gz -O "
    "https://storage.googleapis.com/cvdf-datasets/mnist/train-labels-idx1-ubyte.gz"
)
_CIFAR = (
    "mkdir -p $DIFFREGIMES_DATA/cifar10-auto-horse && cd $DIFFREGIMES_DATA/cifar10-auto-horse && "
    "curl https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz | tar xz && "
    'python -c "import glob, numpy as n; '
    "r = n.concatenate([n.fromfile(f, 'u1').reshape(-1, 3073) "
    "for f in sorted(glob.glob('cifar-10-batches-bin/data_batch_*'))]); "
    "n.savez('cifar10.npz', labels=r[:, 0], "
    'images=r[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))"'
)
_PANDAS = (
    "mkdir -p $DIFFREGIMES_DATA/imagenet-panda-seashore && "
    "curl -O http://cs231n.stanford.edu/tiny-imagenet-200.zip && "
    "for x in n02509815=panda n09428293=seashore; do unzip -qj tiny-imagenet-200.zip "
    '"tiny-imagenet-200/train/${x%=*}/images/*" '
    "-d $DIFFREGIMES_DATA/imagenet-panda-seashore/${x#*=}; done"
)
_LSUN = (
    "church_outdoor and conference_room from https://github.com/fyu/lsun, 64 x 64 images in "
    "$DIFFREGIMES_DATA/lsun-church-conference/church and /conference"
)


class MissingData(InputError):
    """The dataset is not on this machine; the message says how to get it."""


@dataclass(frozen=True)
class Paper:
    """What the paper says of a dataset: n, d, Lambda and t_S of its table 1, and the mean last
    change of its figure 5; `crossing`, the t at which phi of the clones of its network falls to
    0.775, from the points of its figure 4, with a 95 % interval."""

    n: int
    d: int
    largest: float
    t_s: float
    last_change: float | None = None
    crossing: Interval = (None, (None, None))


@dataclass(frozen=True)
class Source:
    """A dataset: `key` names its folder of results, `where` is "digits" or a folder below
    DIFFREGIMES_DATA, `size` the height of the images, `steps` those that its network is trained,
    `pairs` the clones run with it (and trajectories, in figure 5); `note` a reader must know.
    """

    key: str
    name: str
    where: str
    steps: int
    size: int
    pairs: int
    get: str = ""
    classes: tuple[str, ...] | None = None
    per_class: int | None = None
    pad: int = 0
    paper: Paper | None = None
    note: str = ""


@dataclass(frozen=True)
class Preset:
    """What is trained and how long it is looked at.

    network : one of learned.networks.PRESETS
    grid, steps : of the sampler
    speciation, collapse : datasets of figure 4 and table 1, of figure 5
    """

    name: str
    network: str
    grid: str
    steps: int
    speciation: tuple[Source, ...]
    collapse: tuple[Source, ...]


# 1 and 8 at 8 x 8 have Lambda < 1, and no t_S
_DIGITS = Source("digits", "digits 0/1", DIGITS, 2000, 8, 512, classes=("0", "1"))
_MNIST_TINY = Source("mnist", "MNIST 1/8", "mnist", 2000, 16, 256, _MNIST, ("1", "8"), 2000, 2)
_LONG = 350_000
_STAND_IN = "images of Tiny ImageNet, which stand in for those of downsampled ImageNet"
_NET_16 = Source(
    "imagenet16", "ImageNet16", "imagenet-panda-seashore", _LONG, 16, 1024, _PANDAS,
    paper=Paper(2000, 768, 3.05, 0.56, 0.325, (0.580, (0.558, 0.601))), note=_STAND_IN,
)  # fmt: skip
_NET_32 = Source(
    "imagenet32", "ImageNet32", "imagenet-panda-seashore", _LONG, 32, 1024, _PANDAS,
    paper=Paper(2000, 3072, 12.11, 1.25, 0.627, (1.149, (1.100, 1.199))), note=_STAND_IN,
)  # fmt: skip
_PANDAS_TINY = replace(
    _NET_16, key="pandas", name="panda/seashore", steps=2800, pairs=256,
    note=f"{_STAND_IN}; the network is far smaller than the paper's",
)  # fmt: skip
_LSUN_64 = Source(
    "lsun", "LSUN", "lsun-church-conference", _LONG, 64, 1024, _LSUN, None, 20_000,
    paper=Paper(40_000, 12_288, 60.52, 2.05, None, (1.513, (None, None))),
)  # fmt: skip

PRESETS = {
    "tiny": Preset(
        "tiny", "tiny", "log-snr", 150, (_DIGITS, _MNIST_TINY, _PANDAS_TINY),
        (replace(_DIGITS, key="few-digits", name="64 digits", steps=9000, pairs=256,
                 per_class=32),),
    ),
    "paper": Preset(
        "paper", "paper", "linear", 1000,
        (replace(_MNIST_TINY, steps=_LONG, size=32, pairs=1024, per_class=5000,
                 paper=Paper(10_000, 1024, 7.66, 1.02, None, (0.943, (0.916, 0.971)))),
         Source("cifar", "CIFAR automobile/horse", "cifar10-auto-horse", _LONG, 32, 1024, _CIFAR,
                ("1", "7"), 1500,
                paper=Paper(3000, 3072, 16.72, 1.41, None, (0.953, (0.927, 0.979)))),
         _NET_16, _NET_32, _LSUN_64),
        (_NET_16, _NET_32,
         replace(_LSUN_64, key="few-lsun", name="LSUN, n = 200", per_class=100,
                 paper=Paper(200, 12_288, 60.52, 2.05, 1.705))),
    ),
}  # fmt: skip

IMAGES = _NET_32  # of figure 5 under the exact score


def preset(name: str) -> Preset:
    if name not in PRESETS:
        raise InputError(f"preset (--preset) is {name!r}; expected one of {', '.join(PRESETS)}.")
    return PRESETS[name]


def read(source: Source, progress: Progress | None = None) -> Dataset:
    """The dataset, in its size and in [0, 1]; `MissingData` where it is not on this machine."""
    data = load(
        where(source),
        classes=source.classes,
        per_class=source.per_class,
        pad=source.pad,
        progress=progress,
    )
    while data.is_image and data.sample_shape[0] > source.size:
        data = halved(data)
    if data.sample_shape[0] != source.size:
        raise InputError(
            f"{data.source} holds samples of the shape {data.sample_shape}; expected images of "
            f"height {source.size}, or that times 2, 4, 8, ..."
        )
    return data


def read_all(
    sources: Sequence[Source], progress: Progress | None = None
) -> tuple[list[tuple[Source, Dataset]], list[str]]:
    """Those that are on this machine, and a sentence for each that is not; `MissingData` if none
    is."""
    data, skipped = [], []
    for source in sources:
        try:
            data.append((source, read(source, progress)))
        except MissingData as error:
            skipped.append(str(error))
    if not data:
        raise MissingData("\n".join(skipped))
    return data, skipped


def where(source: Source) -> str:
    """What `readers.load` is to be given."""
    if source.where == DIGITS:
        return DIGITS
    named = os.environ.get(VARIABLE)
    folder = Path(named, source.where) if named else None
    if folder is None or not folder.is_dir() or not any(folder.iterdir()):
        why = f"{folder} is not there" if named else f"{VARIABLE} names no folder of datasets"
        raise MissingData(f"{source.name} is skipped: {why}. To get it: {source.get}")
    arrays = sorted(folder.glob("*.npz"))
    return str(arrays[0] if arrays else folder)


def halved(dataset: Dataset) -> Dataset:
    """Images at half the size, by means over 2 x 2 pixels."""
    if not dataset.is_image or any(x % 2 for x in dataset.sample_shape[:2]):
        raise InputError(
            f"{dataset.source} has samples of the shape {dataset.sample_shape}; expected images of "
            "even height and width to take half the size of. Leave out --halved."
        )
    height, width, channels = dataset.sample_shape
    images = dataset.points.reshape(dataset.n, height // 2, 2, width // 2, 2, channels)
    return replace(
        dataset,
        points=images.mean(axis=(2, 4)).reshape(dataset.n, -1),
        sample_shape=(height // 2, width // 2, channels),
        source=f"{dataset.source} at {height // 2}x{width // 2}",
        population=None,
    )
