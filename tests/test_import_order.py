"""The shape of the package, read from its syntax trees: who may import whom, and what is late.

A module is named by its path below the package, `backward.clones`; its room is the first part.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import diffregimes

FOLDER = Path(diffregimes.__file__).parent
ENTRIES = {"", "__main__", "_moved"}

# Rooms: each may import from itself and from the lines above it.
ORDER = [
    "_interrupts",
    "common",
    "results",
    "process",
    "theory populations",
    "data",
    "posterior",
    "scores",
    "transitions",
    "backward analysis",
    "advising",
    "learned",
    "auditing",
    "report",
    "reproduce",
    "cli",
]
RANK = {name: rank for rank, line in enumerate(ORDER) for name in line.split()}

HEAVY = {"diffusers", "transformers", "dask", "xarray", "sklearn", "matplotlib", "accelerate"}
HEAVY |= {"h5py", "pyarrow", "pandas", "numba", "lightning", "tensorboard", "wandb"}
# these may load matplotlib as they load
DRAWS = {"report", "reproduce"}
COMPILED = "posterior.compiled"  # itself imported late


def name_of(path: Path) -> str:
    """backward.clones for backward/clones.py, backward for backward/__init__.py."""
    parts = path.relative_to(FOLDER).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(FOLDER.rglob("*.py"))}


def room(name: str) -> str:
    return name.split(".")[0]


def imported(tree: ast.Module, package: str, known: set[str]) -> set[str]:
    """Modules among `known` that a module in `package` imports, anywhere in its text.

    Raises AssertionError for an import of the package that is not relative, and for a relative one
    that leads to no module.
    """
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert not any(room(x.name) == "diffregimes" for x in node.names), "import relatively"
        if not isinstance(node, ast.ImportFrom):
            continue
        if not node.level:
            assert room(node.module or "") != "diffregimes", (
                f"line {node.lineno}: import relatively"
            )
            continue
        above = package.split(".") if package else []
        base = above[: len(above) - node.level + 1] + ([node.module] if node.module else [])
        for name in node.names:
            inside, itself = ".".join([*base, name.name]), ".".join(base)
            assert inside in known or itself in known, f"line {node.lineno}: no module {itself}"
            found.add(inside if inside in known else itself)
    return found


def outside(tree: ast.Module) -> set[str]:
    """Packages that are imported as the module loads: not in functions, not for types alone."""
    found, todo = set(), list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo += node.orelse
            continue
        if isinstance(node, ast.Import):
            found |= {x.name.split(".")[0] for x in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.split(".")[0])
        todo += ast.iter_child_nodes(node)
    return found


def package_of(name: str) -> str:
    return name if MODULES[name].stem == "__init__" else name.rpartition(".")[0]


TREES = {name: ast.parse(path.read_text("utf-8")) for name, path in MODULES.items()}
INSIDE = {name: imported(tree, package_of(name), set(MODULES)) for name, tree in TREES.items()}


def test_modules_of_rooms_are_seen():
    assert {"backward", "report.figures.style", "theory.random_energy", "process"} <= set(MODULES)
    assert {"process", "common.checks", "backward.samplers"} <= INSIDE["backward.experiment"]


def test_every_module_has_its_place():
    assert {room(x) for x in MODULES} - ENTRIES == set(RANK), "rooms and ORDER differ"


@pytest.mark.parametrize("name", sorted(set(MODULES) - ENTRIES))
def test_imports_point_backwards(name):
    later = {x for x in INSIDE[name] - {""} if RANK[room(x)] > RANK[room(name)]}
    assert not later, f"{name} imports {sorted(later)}, which come after it"


def test_the_two_doors_upward():
    """Results show themselves through `common.shown`; nothing else imports a module by its text."""
    doors = {
        (name, ast.unparse(node))
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and name not in ENTRIES
        and ast.unparse(node.func).split(".")[-1] in {"import_module", "__import__"}
    }
    rooms = "report.notebook", "advising.advice"
    assert doors == {("common.shown", f"import_module('..{x}', __package__)") for x in rooms}


def test_no_circles():
    TopologicalSorter({k: v - {k} for k, v in INSIDE.items() if k not in ENTRIES}).prepare()
    rooms: dict[str, set[str]] = {}
    for name in set(MODULES) - ENTRIES:
        used = {room(x) for x in INSIDE[name]} - {room(name), ""}
        rooms[room(name)] = rooms.get(room(name), set()) | used
    TopologicalSorter(rooms).prepare()


@pytest.mark.parametrize("name", sorted(x for x in MODULES if room(x) == "theory"))
def test_the_theory_judges_from_outside(name):
    assert {room(x) for x in INSIDE[name]} <= {"theory", "process", "common"}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_heavy_packages_are_imported_late(name):
    heavy = outside(TREES[name]) & HEAVY
    allowed = {"matplotlib"} if room(name) in DRAWS else set()
    assert heavy <= ({"numba"} if name == COMPILED else allowed)


def test_what_is_compiled_is_imported_late():
    for name, tree in TREES.items():
        loading = [x for x in tree.body if isinstance(x, ast.Import | ast.ImportFrom)]
        at_once = imported(ast.Module(loading, []), package_of(name), set(MODULES))
        assert COMPILED not in at_once, name


def test_the_package_loads_without_what_it_may_not_need():
    command = "import sys, diffregimes; print(*sorted(x.split('.')[0] for x in sys.modules))"
    run = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert not HEAVY & set(run.stdout.split())


def test_the_help_waits_for_nothing_large():
    """Readers and samplers are listed there, from their declarations."""
    command = (
        "import sys, diffregimes.cli.app; print(*sorted(x.split('.')[0] for x in sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert not {*HEAVY, "torch", "scipy", "PIL"} & set(run.stdout.split())


def test_the_checker_itself_sees_what_it_should():
    text = (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import dask\n"
        "try:\n    import sklearn.cluster\nexcept ImportError:\n    pass\n"
        "def f():\n    import xarray\n    from .sweep import sweep\n"
        "class A:\n    import matplotlib\nfrom . import process, rng as r\n"
    )
    tree = ast.parse(text)
    assert outside(tree) == {"typing", "sklearn", "matplotlib"}
    known = {"", "sweep", "process", "rng", "room", "room.other", "room.deep", "room.deep.end"}
    assert imported(tree, "", known) == {"sweep", "process", "rng"}
    text = (
        "from ..process import snr\nfrom .other import x\nfrom .. import rng\nfrom . import deep\n"
    )
    expected = {"process", "room.other", "rng", "room.deep"}
    assert imported(ast.parse(text), "room", known) == expected
    assert imported(ast.parse("from .end import x\n"), "room.deep", known) == {"room.deep.end"}
    assert imported(ast.parse("from ...rng import x\n"), "room.deep", known) == {"rng"}
    for wrong in ("import diffregimes.rng", "from diffregimes import rng", "from .gone import x"):
        with pytest.raises(AssertionError):
            imported(ast.parse(wrong), "room", known)
