"""Reading the pages that the tests make."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np

from diffregimes.data.datasets import Dataset


def visible(html: str) -> str:
    """The text a reader sees: no styles, no tags, one space between words."""
    html = re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", html))


class Loads(HTMLParser):
    """Collects what a browser would fetch, every element, and ids that occur twice."""

    def __init__(self):
        super().__init__()
        self.sources, self.tags, self.ids = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for key, value in attrs:
            if key in ("src", "href", "srcset", "poster", "data", "action"):
                self.sources.append(value)
            if key == "id":
                self.ids.append(value)


def colour_images(n: int = 40) -> Dataset:
    rng = np.random.default_rng(1)
    points = rng.random((n, 6, 6, 3)).astype(np.float32).reshape(n, -1)
    return Dataset(points, np.arange(n) % 2, ("a", "b"), (6, 6, 3), (0.0, 1.0))
