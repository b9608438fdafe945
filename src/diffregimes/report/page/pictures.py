"""Bytes for a page: figures as deterministic SVG or PNG, samples as PNG data URIs."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
from markupsafe import Markup, escape
from PIL import Image

from ... import process
from ...data.datasets import Dataset
from ..figures.style import COLOURS, INK
from .strip import Strip, centre

_FADED = 0.25  # of the contrast is left
LARGEST = 96  # pixels a side: a page holds a hundred pictures, none of them shown larger


def inline_svg(svg: bytes, prefix: str, title: str) -> Markup:
    """The bytes of `svg_bytes` as an <svg> element for a page.

    Ids get `prefix`, so that several figures share a page; ink becomes currentColor and every
    colour of the palette a CSS variable (--noise, --class, ...), so that the page decides how
    they look in light, dark and print. What a page does not need is dropped: namespaces,
    metadata, and the style element that would apply to the whole page.
    """
    text = svg.decode()
    text = text[text.index("<svg") :].rstrip()
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<style[^>]*>.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text)
    text = text.replace("xlink:href=", "href=")
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}-", text)
    text = text.replace(INK, "currentColor")
    for role, colour in COLOURS.items():
        text = text.replace(colour, f"var(--{role})")
    # 'gray' lines and white text on a coloured band read well on any background
    head, body = text.split(">", 1)
    box = re.search(r'viewBox="[^"]*"', head)
    if box is None:  # pragma: no cover - matplotlib always writes one
        raise ValueError("the SVG of the figure has no viewBox")
    return Markup(f'<svg {box[0]} role="img" aria-label="{escape(title)}">{body}')


class Painter:
    """Turns the points of one image dataset into data URIs; what is costly is done once.

    Black and white are the ends of the stated scale, else of the range that holds nearly all
    pixels.
    """

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self.mean = centre(dataset)
        if dataset.scale is not None:
            self.low, self.high = dataset.scale
        else:
            some = dataset.points[:: max(1, dataset.n // 500)]
            self.low, self.high = (float(x) for x in np.quantile(some, [0.005, 0.995]))
        if self.high <= self.low:
            self.low, self.high = self.low - 0.5, self.low + 0.5
        self._known: dict[int, str] = {}

    def point(self, index: int) -> str:
        """A training point."""
        if index not in self._known:
            self._known[index] = self.paint(self.dataset.points[index].astype(np.float64))
        return self._known[index]

    def noised(self, strip: Strip, sample: int, time: int) -> str:
        """A noised sample, its spread brought back to that of the data.

        x_t = e^{-t} a + sqrt(Delta) z is far wider than the pixel range at large t. Times
        sqrt(v / (e^{-2t} v + Delta)), v the variance of a pixel over the samples of the strip,
        noise looks as contrasted as data do, and t = 0 shows the sample itself.
        """
        t = float(strip.times[time])
        chosen = self.dataset.points[strip.index].astype(np.float64) - self.mean
        spread = float(np.mean(chosen**2)) or 1.0
        shrink = np.sqrt(spread / (process.signal(t) ** 2 * spread + process.variance(t)))
        return self.paint(self.mean + shrink * strip.noised[sample, time])

    def paint(self, point: np.ndarray) -> str:
        """Any (d,) in the scale of the dataset."""
        return _png_uri(self._pixels(point))

    def part(self, point: np.ndarray, mask: np.ndarray) -> str:
        """The same with what lies outside of the mask (H, W) faded to grey."""
        pixels = np.clip(self._pixels(point), 0, 1)
        for axis in (0, 1):  # the pixels of a code are larger than those of its images
            mask = mask.repeat(pixels.shape[axis] // mask.shape[axis], axis=axis)
        return _png_uri(np.where(mask[:, :, None], pixels, 0.5 + _FADED * (pixels - 0.5)))

    def shown(self, point: np.ndarray) -> np.ndarray:
        """The same as numbers in 0..1, (H, W) if grey and (H, W, 3) else, no larger than shown."""
        pixels = np.clip(self._pixels(point), 0, 1)
        step = -(-max(pixels.shape[:2]) // LARGEST)
        pixels = pixels[::step, ::step]
        return np.asarray(pixels[:, :, 0] if pixels.shape[2] < 3 else pixels[:, :, :3])

    def _pixels(self, point: np.ndarray) -> np.ndarray:
        if self.dataset.decode is not None:
            return np.asarray(self.dataset.decode(point[None])[0])
        pixels = point.reshape(self.dataset.sample_shape)
        return np.asarray((pixels - self.low) / (self.high - self.low))


def _png_uri(pixels: np.ndarray) -> str:
    """(H, W, C) in 0..1 as a data URI; grey for 1 or 2 channels, colour from 3 on."""
    levels = np.round(255 * np.clip(pixels, 0, 1)).astype(np.uint8)
    grey = levels.shape[2] < 3
    image = Image.fromarray(levels[:, :, 0] if grey else np.ascontiguousarray(levels[:, :, :3]))
    if max(image.size) > LARGEST:
        image.thumbnail((LARGEST, LARGEST), Image.Resampling.BOX)
    out = io.BytesIO()
    image.save(out, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()
