"""What `import diffregimes as dr` offers, and that names once documented still import."""

from __future__ import annotations

import pkgutil
import subprocess
import sys
from importlib import import_module

import pytest

import diffregimes as dr
from diffregimes._moved import MOVED

ROOMS = ["theory", "populations", "process", "backward", "learned", "auditing"]
VERBS = ["load", "from_arrays", "analyze", "audit", "run_clones", "load_score"]
# what the pages of the first version imported
OLD = {
    "audit_page": "write_audit",
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


@pytest.mark.parametrize("name", VERBS)
def test_verbs_are_functions_and_no_room_takes_their_name(name):
    text = f"import diffregimes as dr, diffregimes.auditing.audit; assert callable(dr.{name})"
    subprocess.run([sys.executable, "-c", text], check=True)


@pytest.mark.parametrize("name", ROOMS)
def test_rooms_open_without_another_import(name):
    text = f"import diffregimes as dr; print([getattr(dr.{name}, x) for x in dir(dr.{name})])"
    run = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("room", [x for x in dr.__all__ if hasattr(getattr(dr, x), "__path__")])
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


@pytest.mark.parametrize("room", [x for x in dr.__all__ if hasattr(getattr(dr, x), "__path__")])
def test_the_modules_of_a_room_are_there_without_another_import(room):
    module = getattr(dr, room)
    inside = {x.name for x in pkgutil.iter_modules(module.__path__) if not x.name.startswith("_")}
    assert inside <= set(module.__all__)
    text = f"import diffregimes as dr; print(*[dr.{room}.__getattr__(x) for x in {sorted(inside)}])"
    subprocess.run([sys.executable, "-c", text], check=True, capture_output=True)
