"""Modules that README and docs named before the rooms: their old paths still import.

Each import of one warns (DeprecationWarning) and says where it lives now.
"""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType
from typing import Any

MOVED = {
    "audit_page": "report.page.audit",
    "auditing.orbit": "data.orbit",
    "comparison": "transitions.comparison",
    "learned.audit": "auditing.audit",
    "learned.findings": "auditing.findings",
    "learned.losses": "auditing.losses",
    "needed": "transitions.needed",
    "scaling": "transitions.scaling",
    "sweep": "posterior.sweep",
}
_ROOT = __name__.rpartition(".")[0]


class _Finder:  # not of importlib.abc, which takes longer to load than the rest of the package
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        known = name.removeprefix(f"{_ROOT}.") in MOVED and name.startswith(f"{_ROOT}.")
        loader: Any = self
        return spec_from_loader(name, loader) if known else None

    def create_module(self, spec: ModuleSpec) -> None:
        """As usual."""

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        home = f"{_ROOT}.{MOVED[name.removeprefix(f'{_ROOT}.')]}"
        warnings.warn(f"{name} has moved to {home}", DeprecationWarning, stacklevel=2)
        public = {k: v for k, v in vars(import_module(home)).items() if not k.startswith("__")}
        vars(module).update(public)


def install() -> None:
    """Make the old paths importable; found last, so that they never hide a module."""
    if not any(isinstance(x, _Finder) for x in sys.meta_path):
        finder: Any = _Finder()
        sys.meta_path.append(finder)
