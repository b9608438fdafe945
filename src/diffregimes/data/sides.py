"""Two classes for points without labels: the sides of their first principal component."""

from __future__ import annotations

import numpy as np

from ..common.checks import InputError
from .infile import FilePoints, evenly, parts


def principal_sides(points: np.ndarray, files: tuple[str, ...]) -> np.ndarray:
    """0 or 1 for each point (n, d): its side of the first principal component."""
    from ..common.numerics import largest_eigenvector  # late: --help has no need of scipy

    mean = points.mean(axis=0, dtype=np.float64).astype(np.float32)
    some = points[evenly(len(points))] if isinstance(points, FilePoints) else points
    centred = some - mean
    peak = np.abs(centred).max()
    centred /= peak
    direction = largest_eigenvector(centred)[1].astype(np.float32)
    if direction[np.argmax(np.abs(direction))] < 0:  # a singular vector has no sign of its own
        direction = -direction
    sides = [(points[part] - mean) / peak @ direction > 0 for part in parts(points)]
    codes = np.concatenate(sides).astype(np.int64)
    counts = np.bincount(codes, minlength=2)
    if counts.min() < 2:
        index = int(np.flatnonzero(codes == np.argmin(counts))[0])
        named = files[index] if files else index
        raise InputError(
            f"without labels the first principal component splits the {len(points)} points into "
            f"{counts[0]} and {counts[1]}: point {named} stands alone; expected at least 2 on each "
            "side. Remove it if it is an outlier, add points, or pass labels."
        )
    return codes
