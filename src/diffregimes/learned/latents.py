"""The code of a latent model: its own VAE brings images to latents and back.

A latent diffusion model is a diffusion model of z = (E(x) - shift) scale, E the mean of the VAE's
encoder (VQ: the code before it is quantised). Its law, its training points and its copies are
those of z. What that leaves out is what the VAE does to an image: pictures come from its decoder.
"""

from __future__ import annotations

import hashlib
import io
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..common.checks import InputError, out_of_memory
from ..common.files import write_atomically
from ..common.parallel import Progress
from ..common.reading import readable, why
from ..data.datasets import Dataset
from .checkpoints import weights_digest
from .folders import codec_config
from .weights import fill, read_weights, weight_files

ENCODED = 16  # images at a time: a VAE needs far more room for one than its network
KEPT = 4 * 2**30  # bytes in the cache
SCALE = (-1.0, 1.0)  # of the images that VAEs of diffusers take


class Latents:
    """A VAE with its scaling and shift."""

    def __init__(self, vae: Any) -> None:
        self.vae = vae.eval()
        config = vae.config
        self.factor = float(getattr(config, "scaling_factor", None) or 1.0)
        self.shift = float(getattr(config, "shift_factor", None) or 0.0)
        self.mean, self.std = (
            None if x is None else torch.tensor(x, dtype=torch.float32).reshape(1, -1, 1, 1)
            for x in (getattr(config, "latents_mean", None), getattr(config, "latents_std", None))
        )
        self.channels = int(config.in_channels)
        self.quantised = hasattr(vae, "quantize")
        blocks = getattr(config, "block_out_channels", None)
        self.times_smaller = 2 ** (len(blocks) - 1) if blocks else None  # than images; not known

    @torch.no_grad()
    def code(self, images: Tensor) -> Tensor:
        """Latents (m, c, h, w) of images (m, C, H, W) in [-1, 1]."""
        like = next(self.vae.parameters())
        found = self.vae.encode(images.to(like.device, like.dtype))
        z = (found.latents if self.quantised else found.latent_dist.mode()).float().cpu()
        if self.mean is not None and self.std is not None:
            return torch.as_tensor((z - self.mean) / self.std * self.factor)
        return torch.as_tensor((z - self.shift) * self.factor)

    @torch.no_grad()
    def pictures(self, latents: Tensor) -> Tensor:
        """Images (m, C, H, W) in [-1, 1], or near it, of latents (m, c, h, w)."""
        like = next(self.vae.parameters())
        z = latents.float()
        if self.mean is not None and self.std is not None:
            z = z / self.factor * self.std + self.mean
        else:
            z = z / self.factor + self.shift
        return torch.as_tensor(self.vae.decode(z.to(like.device, like.dtype)).sample).float().cpu()

    def decode(self, points: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Images (m, H, W, C) in [0, 1] of points (m, d) whose latents have the shape (h, w, c)."""
        z = torch.from_numpy(np.asarray(points, dtype=np.float32)).reshape(-1, *shape)
        parts = torch.split(z.movedim(-1, 1).contiguous(), ENCODED)
        images = torch.cat([self.pictures(x) for x in parts]).movedim(1, -1)
        return np.asarray((images / 2 + 0.5).clamp(0, 1).numpy())

    def encode(
        self, dataset: Dataset, *, store: Path | None = None, progress: Progress | None = None
    ) -> Dataset:
        """The dataset in the code: the same points, classes and names, as latents.

        store : a folder that keeps them, as `kept_latents()`: read in place of encoding, which a
            note tells
        Raises `InputError` for data that are no images of its channels in [-1, 1].
        """
        if not dataset.is_image or dataset.sample_shape[2] != self.channels:
            raise InputError(
                f"the VAE of the pipeline encodes images of {self.channels} channels, and the data "
                f"({dataset.source}) are {dataset.sample_shape}; expected such images."
            )
        reach = float(np.abs(dataset.points).max())
        if dataset.scale not in (SCALE, None) or reach > 1.001:
            raise InputError(
                f"the data ({dataset.source}) have the scale {dataset.scale or reach}; expected "
                "that of the VAE, pixel_range=(-1, 1) (--range=-1,1)."
            )
        z, read = self._stored(dataset, store, progress)
        if not np.isfinite(z).all():
            raise InputError("the VAE gave NaN or infinite latents; expected numbers.")
        what = "code before quantising" if self.quantised else "mean"
        said = (
            f"the points are latents of the pipeline's VAE ({what}, scaled by {self.factor:g}): "
            "distances, copies and times are those of latents"
        )
        told = () if read is None else (f"the latents were encoded before, and read from {read}",)
        return replace(
            dataset, points=z.reshape(dataset.n, -1), sample_shape=z.shape[1:], scale=None,
            pixel_map=None, population=None, notes=(*dataset.notes, said, *told),
            decode=lambda points: self.decode(points, z.shape[1:]),
        )  # fmt: skip

    def _stored(
        self, dataset: Dataset, store: Path | None, progress: Progress | None
    ) -> tuple[np.ndarray, Path | None]:
        """Latents (n, h, w, c), encoded once, and where they were read from."""
        if store is None:
            return self._encoded(dataset, progress), None
        lists = [None if x is None else x.flatten().tolist() for x in (self.mean, self.std)]
        own = f"{self.factor} {self.shift} {lists} {self.quantised} {weights_digest(self.vae)}"
        own = f"{own} {dataset.sample_shape} {dataset.fingerprint}"
        path = store / f"latents-{hashlib.sha256(own.encode()).hexdigest()[:16]}.npy"
        if path.is_file():
            with readable(path, "latents", "remove it, to encode again."):
                z = np.asarray(np.load(path, allow_pickle=False))
                with suppress(OSError):
                    os.utime(path)  # those that were not read for longest go first
                return z, path
        z, out = self._encoded(dataset, progress), io.BytesIO()
        np.save(out, z, allow_pickle=False)
        with suppress(OSError):  # a full disk or a folder of others: encoded again next time
            write_atomically(path, out.getvalue())
            _make_room(store, path)
        return z, None

    def _encoded(self, dataset: Dataset, progress: Progress | None) -> np.ndarray:
        out: list[np.ndarray] = []
        for k in range(0, dataset.n, ENCODED):
            part = torch.from_numpy(dataset.points[k : k + ENCODED])
            images = part.reshape(-1, *dataset.sample_shape).movedim(-1, 1).contiguous()
            try:
                out.append(self.code(images).movedim(1, -1).numpy())
            except RuntimeError as error:
                if out_of_memory(error):
                    raise
                raise InputError(
                    f"the VAE fails on images of {dataset.sample_shape} ({why(error)}); expected "
                    "those that the pipeline was trained on, in their size."
                ) from error
            if progress is not None:
                progress(min(k + ENCODED, dataset.n), dataset.n, "encoding")
        return np.concatenate(out).astype(np.float32)


def kept_latents() -> Path:
    """The user's cache of latents, of every model and its data: found again by the content of VAE
    and data, in $XDG_CACHE_HOME or ~/.cache."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "diffregimes" / "latents"


def _make_room(store: Path, latest: Path) -> None:
    """Remove what was not read for longest where all of it is more than KEPT."""
    files = sorted(store.glob("latents-*.npy"), key=lambda x: x.stat().st_mtime, reverse=True)
    room = KEPT
    for path in (latest, *(x for x in files if x != latest)):
        room -= path.stat().st_size
        if room < 0 and path != latest:
            path.unlink()


def open_latents(folder: Path, device: str | torch.device) -> Latents:
    """The VAE in a folder, in float32."""
    import diffusers

    config = codec_config(folder)
    with readable(folder, "a VAE"):
        vae = getattr(diffusers, config["_class_name"]).from_config(config)
    fill(vae, read_weights(weight_files(folder)), folder, torch.float32)
    return Latents(vae.to(device))
