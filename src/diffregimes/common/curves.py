"""Curves: observables over a grid of times, each with its standard error.

In a file they lie as columns, the draws beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import serial
from .shown import Shown


@dataclass(frozen=True)
class Curves(Shown):
    """Observables on a grid of times t (increasing), each with its standard error.

    `values[name]` and `se[name]` are float64 arrays as long as `t`; `draws` is the number of
    noised samples behind every entry. `curves["mmse"]` is short for `curves.values["mmse"]`.
    """

    t: np.ndarray
    values: Mapping[str, np.ndarray]
    se: Mapping[str, np.ndarray]
    draws: int

    def __repr__(self) -> str:
        return (
            f"<Curves: {', '.join(self.values)}; {len(self.t)} times, t = {self.t[0]:.3g} to "
            f"{self.t[-1]:.3g}; {self.draws} draws>"
        )

    def __getitem__(self, name: str) -> np.ndarray:
        return self.values[name]

    def to_dict(self) -> dict[str, list[float]]:
        """Columns by name: t, then each curve and its standard error, NAME_se."""
        out = {"t": self.t.tolist()}
        for name, value in self.values.items():
            out[name] = value.tolist()
            out[f"{name}_se"] = self.se[name].tolist()
        return out

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], draws: int) -> Curves:
        names = [k for k in data if k != "t" and not k.endswith("_se")]
        return cls(
            serial.array(data["t"]),
            {k: serial.array(data[k]) for k in names},
            {k: serial.array(data[f"{k}_se"]) for k in names},
            draws,
        )

    def to_xarray(self) -> Any:
        """The curves as an `xarray.Dataset` over `t` (needs the optional package xarray)."""
        import xarray

        both = {**self.values, **{f"{k}_se": v for k, v in self.se.items()}}
        variables = {k: ("t", v) for k, v in both.items()}
        return xarray.Dataset(variables, coords={"t": self.t}, attrs={"draws": self.draws})


def _curves(data: Mapping[str, Any], _: Any) -> Curves:
    columns = {k: v for k, v in data.items() if k != "draws"}
    return Curves.from_dict(columns, data["draws"])


# curves lie in a file as columns, the draws beside them
serial.converter.register_unstructure_hook(Curves, Curves.to_dict)
serial.converter.register_structure_hook(Curves, _curves)
