"""Shards on the workers of a cluster: the same numbers, whatever happens to the workers."""

from __future__ import annotations

import logging
import os
import signal
import time

import numpy as np
import pytest

import diffregimes as dr
import diffregimes.posterior.cluster as cluster_module
from diffregimes.data import filecloud, infile
from diffregimes.data.filecloud import prepare_file
from diffregimes.posterior.sweep import sweep

distributed = pytest.importorskip("distributed")
TIMES = np.array([0.05, 0.15, 0.4])


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cluster")
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 600)
    values = rng.uniform(80, 170, (3, 8, 8))[labels] + 25 * rng.standard_normal((600, 8, 8))
    np.save(folder / "x.npy", np.clip(values, 0, 255).astype(np.uint8))
    np.save(folder / "y.npy", labels)
    return folder / "x.npy", folder / "y.npy"


def data(source):
    return dr.load(source[0], labels=source[1], memory_mib=0)


@pytest.fixture
def shards_of_64(monkeypatch):
    monkeypatch.setattr(filecloud, "_SHARD", 64)
    monkeypatch.setattr(infile, "_PART", 100 * 64 * 4)


@pytest.fixture(scope="module")
def threads():
    """A cluster whose workers are threads of this process."""
    with (
        distributed.LocalCluster(
            n_workers=2, processes=False, dashboard_address=":0", silence_logs=logging.CRITICAL
        ) as place,
        distributed.Client(place) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def processes():
    with cluster_module.connected(None, 2) as client:
        yield client


def same(one, two):
    for name, values in one.curves().values.items():
        scale = np.abs(values).max()
        np.testing.assert_allclose(two.curves()[name], values, atol=1e-6 * scale, err_msg=name)


def curves(left, client=None, draws=1024):
    return sweep(prepare_file(left.points, left.labels, None, client), TIMES, draws=draws)


@pytest.mark.parametrize("sets", [1, 3, 64])
def test_sets_of_points_change_nothing(source, threads, shards_of_64, monkeypatch, sets):
    monkeypatch.setattr(cluster_module, "SETS", sets)
    left = data(source)
    same(curves(left), curves(left, threads))


def test_an_analysis_is_that_of_threads(source, threads, shards_of_64):
    left = data(source)
    one, two = (dr.analyze(left, draws=512, times=TIMES, client=x) for x in (None, threads))
    for a, b in zip(one.times, two.times, strict=True):
        assert (b.t is None) == (a.t is None)
        assert b.t is None or b.t == pytest.approx(a.t, rel=1e-5)
        assert b.low is None or b.low == pytest.approx(a.low, rel=1e-5)
    assert [x.index for x in one.points] == [x.index for x in two.points]


def test_points_in_memory_are_refused(source, threads):
    with pytest.raises(dr.InputError, match="Lower memory_mib"):
        dr.analyze(dr.load(source[0], labels=source[1]), draws=512, client=threads)


def test_a_worker_of_another_version_is_told(source, threads, monkeypatch):
    versions = iter(["0.0.1"])
    monkeypatch.setattr(cluster_module, "version", lambda name: next(versions, "9.9"))
    with pytest.raises(dr.InputError, match=r"a worker has diffregimes 9\.9"):
        curves(data(source), threads)


def test_a_scheduler_that_does_not_answer(monkeypatch):
    monkeypatch.setattr(cluster_module, "SECONDS", 1)
    for address in ("tcp://127.0.0.1:9", "nonsense", "tcp://:x"):
        with (
            pytest.raises(dr.InputError, match="no scheduler of Dask answered at"),
            cluster_module.connected(address),
        ):
            pass


@pytest.mark.slow
def test_a_worker_dies_and_another_joins(source, processes, monkeypatch):
    monkeypatch.setattr(filecloud, "_SHARD", 64)
    left = data(source)
    whole = curves(left, draws=32768)
    pids = processes.run(os.getpid)
    killed = []

    def kill(done, total, text):
        if not killed:
            os.kill(next(iter(pids.values())), signal.SIGKILL)
            processes.cluster.scale(3)
            killed.append(done)

    cloud = prepare_file(left.points, left.labels, None, processes)
    same(whole, sweep(cloud, TIMES, draws=32768, progress=kill))
    assert killed
    deadline = time.monotonic() + 60
    while len(processes.nthreads()) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    same(whole, curves(left, processes, draws=32768))
