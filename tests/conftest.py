"""Options and fixtures of the whole suite."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:
    # workers share the cores: threads of their own would wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the tests marked slow as well")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--slow"):
        return
    skip = pytest.mark.skip(reason="takes more than a few seconds; run with --slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """A cache of the tests' own, in the place of the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real datasets that DIFFREGIMES_DATA names; the test is skipped without it."""
    named = os.environ.get("DIFFREGIMES_DATA")
    if not named:
        pytest.skip("DIFFREGIMES_DATA is not set: no folder of real datasets")
    folder = Path(named)
    if not folder.is_dir():
        pytest.skip(f"DIFFREGIMES_DATA is {named}, which is not a folder")
    return folder


@pytest.fixture
def few_forward_draws(monkeypatch):
    """A quarter of the draws behind the curves that clones stand beside; z has their error."""
    monkeypatch.setattr("diffregimes.backward.experiment.FORWARD_DRAWS", 2048)
