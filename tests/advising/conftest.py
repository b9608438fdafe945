"""An analysis that the tests of this folder share."""

from __future__ import annotations

import numpy as np
import pytest

import diffregimes as dr


@pytest.fixture(scope="session")
def analysis() -> dr.Analysis:
    """Of 800 points of two classes at ±0.8 in each of 8 features."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], 400)
    points = 0.4 * rng.standard_normal((800, 8)) + np.where(labels, 0.8, -0.8)[:, None]
    return dr.analyze(points.astype(np.float32), labels, draws=2048)
