"""What `import diffregimes as dr` offers, and that names once documented still import."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys
from importlib import import_module

import pytest

import diffregimes as dr
from diffregimes._moved import MOVED

ROOMS = ["theory", "populations", "process", "backward", "learned", "auditing"]
VERBS = ["load", "from_arrays", "analyze", "audit", "monitor", "run_clones", "load_score"]
# what the pages of the first version imported
OLD = {
    "audit_page": "write_audit",
    "auditing.orbit": "orbit",
    "comparison": "compare",
    "learned.audit": "audit",
    "learned.findings": "Audit",
    "learned.losses": "denoising_losses",
    "needed": "points_needed",
    "scaling": "crossing",
    "sweep": "sweep",
}


def test_dir_holds_the_public_names_alone():
    assert set(dir(dr)) == set(dr.__all__)
    assert not [x for x in dir(dr) if x.startswith("_")]
    assert {*ROOMS, *VERBS} <= set(dir(dr))


ALL_ROOMS = [x for x in dr.__all__ if hasattr(getattr(dr, x), "__path__")]
INSIDE = {
    room: {x.name for x in pkgutil.iter_modules(getattr(dr, room).__path__) if x.name[0] != "_"}
    for room in ALL_ROOMS
}
FIRST_USES = {
    **{
        f"dr.{x}": f"import diffregimes.auditing.audit; assert callable(dr.{x})"  # its room first
        for x in VERBS
    },
    **{x: f"[getattr(dr.{x}, name) for name in dir(dr.{x})]" for x in ROOMS},
    **{f"in {x}": f"[dr.{x}.__getattr__(name) for name in {INSIDE[x]}]" for x in ALL_ROOMS},
}
AFRESH = """
import functools, json, sys
from importlib.machinery import SourceFileLoader
# compiled once, also where no bytecode is kept
SourceFileLoader.get_code = functools.cache(SourceFileLoader.get_code)
failed = {}
for name, text in json.loads(sys.argv[1]).items():
    for module in [x for x in sys.modules if x.partition(".")[0] == "diffregimes"]:
        del sys.modules[module]
    try:
        exec("import diffregimes as dr; " + text, {})
    except Exception as error:
        failed[name] = repr(error)
print(json.dumps(failed))
"""


@pytest.fixture(scope="module")
def failed():
    """Which of FIRST_USES fail, each with the package imported anew; one process for all of them,
    since torch and scikit-learn take seconds to load."""
    command = [sys.executable, "-c", AFRESH, json.dumps(FIRST_USES)]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("name", VERBS)
def test_verbs_are_functions_and_no_room_takes_their_name(failed, name):
    assert f"dr.{name}" not in failed, failed


@pytest.mark.parametrize("name", ROOMS)
def test_rooms_open_without_another_import(failed, name):
    assert name not in failed, failed


@pytest.mark.parametrize("room", ALL_ROOMS)
def test_every_name_of_a_room_is_there(room):
    module = getattr(dr, room)
    for name in module.__all__:
        assert getattr(module, name) is not None
    assert module.__doc__


@pytest.mark.parametrize("old", sorted(MOVED))
def test_moved_modules_import_and_say_so(old):
    sys.modules.pop(f"diffregimes.{old}", None)
    with pytest.warns(DeprecationWarning, match=rf"has moved to diffregimes\.{MOVED[old]}"):
        module = import_module(f"diffregimes.{old}")
    name = OLD[old]
    assert getattr(module, name) is getattr(import_module(f"diffregimes.{MOVED[old]}"), name)


def test_what_never_was_does_not_import():
    with pytest.raises(ModuleNotFoundError):
        import_module("diffregimes.nowhere")
    with pytest.raises(AttributeError):
        dr.nowhere  # noqa: B018


@pytest.mark.parametrize("room", ALL_ROOMS)
def test_the_modules_of_a_room_are_there_without_another_import(failed, room):
    assert INSIDE[room] <= set(getattr(dr, room).__all__)
    assert f"in {room}" not in failed, failed
