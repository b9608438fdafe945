"""The shape of the package, read from its syntax trees: who may import whom, and what is late."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import diffregimes

FOLDER = Path(diffregimes.__file__).parent
MODULES = {path.stem: [path] for path in sorted(FOLDER.glob("*.py"))}
# a sub-package counts as one module
PACKAGES = {path.parent.name for path in FOLDER.glob("*/__init__.py")}
MODULES |= {name: sorted((FOLDER / name).glob("*.py")) for name in sorted(PACKAGES)}
ENTRIES = {"__init__", "__main__"}

# Each may import from its own line and from the lines above it, without going round in circles.
ORDER = [
    "checks rng numerics results",
    "process classes theory covariances specs population_curves populations",
    "datasets arrayfiles imagefolder readers",
    "posterior",
    "observables spectrum scores",
    "sweep",
    "transitions reliability exposure",
    "speciation collapse influence scaling",
    "backward learned",
    "needed comparison",
    "verdict",
    "analysis",
    "strip timeaxis wording",
    "timeline",
    "plotting",
    "pictures",
    "report",
    "output phase_plot backward_plots audit_plots",
    "reproduce backward_output audit_page",
    "terminal terminal_backward terminal_audit",
    "cli_options",
    "cli_theory cli_train cli_classifier cli_backward cli_reproduce cli_audit",
    "cli",
]
RANK = {name: rank for rank, line in enumerate(ORDER) for name in line.split()}
GROUND = {"checks", "rng", "numerics", "results"}

HEAVY = {"diffusers", "transformers", "dask", "xarray", "sklearn", "matplotlib", "accelerate"}
# these may load matplotlib as they load
DRAWS = {
    "plotting",
    "pictures",
    "timeaxis",
    "timeline",
    "report",
    "phase_plot",
    "backward_plots",
    "audit_plots",
    "reproduce",
}


def imported(tree: ast.Module, own: str, level: int = 1) -> set[str]:
    """Modules of the package that this one imports, anywhere in its text.

    `level` is the number of dots that lead to the package: 2 from inside a sub-package.
    """
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and 0 < node.level < level:
            continue
        if isinstance(node, ast.ImportFrom) and node.level:
            names = [x.name for x in node.names] if node.module is None else [node.module]
            found |= {name.split(".")[0] for name in names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("diffregimes"):
            raise AssertionError(f"{own} line {node.lineno}: import relatively")
        elif isinstance(node, ast.Import):
            assert not any(x.name.startswith("diffregimes") for x in node.names), own
    return {name for name in found if name in MODULES}


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


def read(paths: list[Path]) -> ast.Module:
    """One tree of all these files."""
    return ast.Module([x for p in paths for x in ast.parse(p.read_text("utf-8")).body], [])


TREES = {name: read(paths) for name, paths in MODULES.items()}
INSIDE = {name: imported(tree, name, 1 + (name in PACKAGES)) for name, tree in TREES.items()}


def test_every_module_has_its_place():
    assert set(MODULES) - ENTRIES <= set(RANK), "give the new module its line in ORDER"


@pytest.mark.parametrize("name", sorted(set(MODULES) - ENTRIES))
def test_imports_point_backwards(name):
    later = {x for x in INSIDE[name] if RANK[x] > RANK[name]}
    assert not later, f"{name} imports {sorted(later)}, which come after it"


def test_no_circles():
    TopologicalSorter({k: v for k, v in INSIDE.items() if k not in ENTRIES}).prepare()


@pytest.mark.parametrize("name", sorted(GROUND))
def test_the_ground_stands_on_checks_alone(name):
    assert INSIDE[name] <= {"checks"}


def test_the_theory_judges_from_outside():
    assert INSIDE["theory"] <= {"process", "checks"}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_heavy_packages_are_imported_late(name):
    heavy = outside(TREES[name]) & HEAVY
    assert heavy <= ({"matplotlib"} if name in DRAWS else set())


def test_the_package_loads_without_what_it_may_not_need():
    command = "import sys, diffregimes; print(*sorted(x.split('.')[0] for x in sys.modules))"
    run = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert not HEAVY & set(run.stdout.split())


def test_the_checker_itself_sees_what_it_should():
    text = (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import dask\n"
        "try:\n    import sklearn.cluster\nexcept ImportError:\n    pass\n"
        "def f():\n    import xarray\n    from .sweep import sweep\n"
        "class A:\n    import matplotlib\nfrom . import process, rng as r\n"
    )
    tree = ast.parse(text)
    assert outside(tree) == {"typing", "sklearn", "matplotlib"}
    assert imported(tree, "example") == {"sweep", "process", "rng"}
    text = "from ..process import snr\nfrom .sweep import other\nfrom .. import checks\n"
    assert imported(ast.parse(text), "example", level=2) == {"process", "checks"}
