"""Features of images: by a function of the user's, by a VAE, or from files.

Two features are compared by |u - v|, u and v brought to length 1 first, whose order is that of the
cosine by which DINOv2 and SSCD compare: the length of such a feature tells contrast rather than
content. The latents of a VAE keep their length, as its diffusion model knows them.

A function gets images (N, C, H, W), float32 in [0, 1], and gives (N, F); points that are no images
come as (N, d). It must give an image the same features whatever else is in the batch: networks
belong into eval mode.
"""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..common.checks import InputError, finite_points, out_of_memory
from ..common.parallel import Progress
from ..common.reading import why
from ..data.arrayfiles import stored_npy
from ..data.classes import to_numpy
from ..data.datasets import Dataset

AT_ONCE = 64  # images
_STEADY = 1e-3  # of the spread of the features: what a batch may change of them
_WAYS = (
    "package.module:function, a function of images (N, C, H, W) in [0, 1] that gives (N, F); vae, "
    "or the folder of a VAE; or with --samples-from DATA.npy,SAMPLES.npy[,HELD-OUT.npy]"
)


@dataclass(frozen=True)
class Encoder:
    """`function` of a batch of images, as the module's law has it, by its `name`; `direction` where
    features are compared by their direction alone."""

    name: str
    function: Callable[[Tensor], Any]
    direction: bool = True


@dataclass(frozen=True)
class FeatureArrays:
    """Features (n, F) that were taken already: of the training points, of the samples and of the
    held-out points, each in their order."""

    training: np.ndarray
    samples: np.ndarray
    held_out: np.ndarray | None = None
    name: str = "arrays"


def encoder_of(features: Any) -> Encoder | FeatureArrays:
    """What `features` of `audit` may be: also a plain function."""
    if isinstance(features, Encoder | FeatureArrays):
        return features
    if not callable(features):
        raise InputError(
            f"features are {type(features).__name__}; expected a function of images (N, C, H, W) "
            "in [0, 1] that gives (N, F), or auditing.FeatureArrays."
        )
    name = getattr(features, "__qualname__", None) or type(features).__name__
    return Encoder(name, features)


def named_features(text: str, pipelines: Sequence[Path], device: str) -> Encoder | FeatureArrays:
    """What --features names; `pipelines` are folders in which "vae" is looked for. Raises
    `InputError`."""
    if text == "vae" or (Path(text).expanduser() / "config.json").is_file():
        return _vae(text, pipelines, device)
    if text.lower().endswith(".npy"):
        return _arrays([x.strip() for x in text.split(",")])
    module, _, name = text.partition(":")
    if not all(x.isidentifier() for x in (*module.split("."), *name.split("."))):
        raise InputError(f"features (--features) is {text!r}; expected {_WAYS}.")
    return Encoder(text, _function(text))


def _function(text: str) -> Callable[[Tensor], Any]:
    here = str(Path.cwd())
    sys.path.insert(0, here)  # a file beside the data is a module too
    try:
        found: Any = pkgutil.resolve_name(text)
    except (Exception, SystemExit) as error:  # what runs there is the user's
        module, _, name = text.partition(":")
        raise InputError(
            f"features (--features) is {text!r}, which cannot be imported ({type(error).__name__}: "
            f"{why(error)}); expected a function {name} in the module {module}, which is installed "
            f"or a file {module.replace('.', '/')}.py in this folder."
        ) from error
    finally:
        sys.path.remove(here)
    if not callable(found) or isinstance(found, type):
        raise InputError(
            f"features (--features) is {text!r}, a {type(found).__name__}; expected a function of "
            "a batch of images."
        )
    function: Callable[[Tensor], Any] = found
    return function


def _vae(text: str, pipelines: Sequence[Path], device: str) -> Encoder:
    from ..learned.folders import codec_in
    from ..learned.latents import open_latents

    places = map(codec_in, pipelines) if text == "vae" else [Path(text).expanduser()]
    folder = next(filter(None, places), None)
    if folder is None:
        what = "the model has none" if pipelines else "samples alone have no model"
        raise InputError(
            f"features (--features) is 'vae', and {what}; expected "
            f"{'--base PIPELINE that has one, or ' if pipelines else ''}the folder of a VAE, "
            "as in --features PIPELINE/vae."
        )
    latents = open_latents(folder, device)

    def encode(images: Tensor) -> Tensor:
        grey = images.shape[1] == 1 and latents.channels == 3
        return latents.code(2 * (images.repeat(1, 3, 1, 1) if grey else images) - 1).flatten(1)

    return Encoder(f"latents of {folder}", encode, direction=False)


def _arrays(files: Sequence[str]) -> FeatureArrays:
    if not 2 <= len(files) <= 3:
        raise InputError(
            f"features (--features) names {len(files)} file(s); expected DATA.npy,SAMPLES.npy or "
            "DATA.npy,SAMPLES.npy,HELD-OUT.npy: a row for each point of --data, of --samples-from "
            "and of --held-out."
        )
    read = [np.asarray(stored_npy(Path(x).expanduser()).read()) for x in files]
    return FeatureArrays(read[0], read[1], read[2] if len(read) > 2 else None, ",".join(files))


def checked(found: Any, n: int, name: str, of: str, width: int | None = None) -> np.ndarray:
    """Features (n, F) in float32. Raises `InputError`."""
    array = to_numpy(found, f"the features {name}")
    if array.ndim != 2 or len(array) != n or not array.shape[1] or array.dtype.kind not in "buif":
        raise InputError(
            f"the features {name} of {of} have the shape {array.shape} and dtype {array.dtype}; "
            f"expected numbers ({n}, F), a row for each. More axes need .flatten(1)."
        )
    if width is not None and array.shape[1] != width:
        raise InputError(
            f"the features {name} of {of} are {array.shape[1]} numbers, of the data {width}; "
            "expected the same number."
        )
    finite_points(array, f"features {name} of {of}")
    return array.astype(np.float32)


def pictures(dataset: Dataset, points: np.ndarray) -> Tensor:
    """Points (m, d) as a function of features gets them."""
    if dataset.decode is not None:
        images = dataset.decode(points)
    elif not dataset.is_image:
        return torch.from_numpy(np.ascontiguousarray(points, dtype=np.float32))
    else:
        images = points.reshape(-1, *dataset.sample_shape)
        if dataset.scale is not None:
            low, high = dataset.scale
            images = np.clip((images - low) / (high - low), 0, 1)
    return torch.from_numpy(np.moveaxis(images, -1, 1).astype(np.float32).copy())


def encoded(
    encoder: Encoder,
    dataset: Dataset,
    points: np.ndarray,
    of: str,
    *,
    batch: int | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> np.ndarray:
    """Features (m, F) of points in the scale of the dataset. Raises `InputError`."""
    size = min(batch or AT_ONCE, AT_ONCE)
    out: list[np.ndarray] = []
    for start in range(0, len(points), size):
        part = points[start : start + size]
        width = out[0].shape[1] if out else None
        out.append(_asked(encoder, pictures(dataset, part).to(device), of, width))
        if start == 0:
            _check_steady(encoder, dataset, part, out[0], device)
        if progress is not None:
            progress(start + len(part), len(points), f"features of {of}")
    return np.concatenate(out)


def _asked(encoder: Encoder, images: Tensor, of: str, width: int | None) -> np.ndarray:
    try:
        with torch.no_grad():
            found = encoder.function(images)
            if isinstance(found, Tensor) and found.layout != torch.strided:
                found = found.to_dense()
    except InputError:
        raise
    except (Exception, SystemExit) as error:  # what runs there is the user's
        if out_of_memory(error):
            raise
        raise InputError(
            f"the features {encoder.name} fail on a batch {tuple(images.shape)} of {of} "
            f"({type(error).__name__}: {why(error)}); expected a function that takes float32 "
            "images (N, C, H, W) in [0, 1] and gives (N, F)."
        ) from error
    return checked(found, len(images), encoder.name, of, width)


def _check_steady(
    encoder: Encoder, dataset: Dataset, part: np.ndarray, found: np.ndarray, device: str
) -> None:
    """Raise where the first points have other features when they are asked for alone."""
    some = found[: max(1, min(2, len(part) - 1))].astype(np.float64)
    images = pictures(dataset, part[: len(some)]).to(device)
    again = _asked(encoder, images, "the first points", found.shape[1])
    spread = float(found.astype(np.float64).std(axis=0).max())
    off = float(np.abs(again - some).max())
    if off > _STEADY * spread + 1e-5 * float(np.abs(some).max()):
        raise InputError(
            f"the features {encoder.name} of one image differ by {off:.2g} from one call to the "
            f"next or with what else is in the batch (their spread is {spread:.2g}); expected the "
            "same each time. Put the network into eval mode, and leave random crops out."
        )


def comparable(training: np.ndarray, direction: bool) -> Callable[[np.ndarray], np.ndarray]:
    """What brings features (m, g, F) to be compared: about the mean of those of the training
    points, for float32 keeps few digits of what all have in common."""

    def one(x: np.ndarray) -> np.ndarray:
        y = x.astype(np.float64)
        if not direction:
            return y
        length = np.linalg.norm(y, axis=-1, keepdims=True)
        return np.asarray(y / np.where(length > 0, length, 1.0))

    mean = one(training[:, 0]).mean(axis=0)
    return lambda x: (one(x) - mean).astype(np.float32)


def metric(direction: bool) -> str:
    """The distance in words."""
    return "Euclidean between features of length 1: √(2 − 2 cosine)" if direction else "Euclidean"
