"""Bootstrap sums, some resamples at a time: those that one array of all counts would give."""

from __future__ import annotations

import numpy as np
import pytest

from diffregimes.common import numerics


@pytest.mark.parametrize("at_a_time", [1, 3, 10, 400])
def test_resamples_come_some_at_a_time(monkeypatch, at_a_time):
    size, times = 30, 10
    monkeypatch.setattr(numerics, "_COUNTS", at_a_time * size)
    values = np.random.default_rng(1).standard_normal((size, 2, 3))
    got = numerics.resampled_sums(values, np.random.default_rng(5), times)
    counts = np.random.default_rng(5).multinomial(size, np.full(size, 1 / size), size=times)
    np.testing.assert_allclose(got, np.einsum("bi,ijk->bjk", counts, values), rtol=1e-12)
    rounds = list(numerics.resample_counts(size, np.random.default_rng(5), times))
    np.testing.assert_array_equal(np.concatenate(rounds), counts)
    assert max(map(len, rounds)) <= at_a_time


def test_a_resample_is_never_cut(monkeypatch):
    monkeypatch.setattr(numerics, "_COUNTS", 4)
    rounds = list(numerics.resample_counts(9, np.random.default_rng(0), 3))
    assert [x.shape for x in rounds] == [(1, 9)] * 3
    assert all(x.sum() == 9 for x in rounds)
