"""Results as plain JSON types and back, by cattrs from their dataclasses: no list of fields here.

Arrays of numbers are lists in which None stands for NaN; tuples are lists; what JSON cannot hold
never gets in. Classes whose layout in a file is not that of their fields register a hook.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

import cattrs
import numpy as np
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from .files import encoded

T = TypeVar("T")

converter = cattrs.Converter(unstruct_collection_overrides={tuple: list})


def listed(values: np.ndarray) -> list[Any]:
    """A list for JSON, None for NaN."""
    return [None if np.isnan(x) else x for x in np.asarray(values, dtype=np.float64).tolist()]


def array(values: Any, _: Any = np.ndarray) -> np.ndarray:
    """The float64 array that `listed` wrote."""
    return np.array([np.nan if x is None else x for x in values], dtype=np.float64)


converter.register_unstructure_hook(np.ndarray, listed)
converter.register_structure_hook(np.ndarray, array)


def layout(cls: type, *, optional: tuple[str, ...] = (), untouched: tuple[str, ...] = ()) -> None:
    """Leave `optional` fields out of a file where they are None; take `untouched` as they come."""
    writing: dict[str, Any] = {name: override(omit_if_default=True) for name in optional}
    reading: dict[str, Any] = {
        name: override(struct_hook=lambda value, _: value) for name in untouched
    }
    converter.register_unstructure_hook(cls, make_dict_unstructure_fn(cls, converter, **writing))
    converter.register_structure_hook(cls, make_dict_structure_fn(cls, converter, **reading))


def plain(value: Any) -> Any:
    """`value`, dataclasses and all, in plain JSON types."""
    return converter.unstructure(value)


def text(value: Mapping[str, Any]) -> str:
    """Plain types as they stand in a file; ValueError for NaN and infinity."""
    out = json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False)
    return encoded(out).decode()  # a lone surrogate, in UTF-8 nothing, as JSON writes it: \\udc80


def build(data: Mapping[str, Any], cls: type[T], what: str) -> T:
    """The object that `data` describe; ValueError names the fields that are missing or wrong."""
    try:
        return converter.structure(data, cls)
    except cattrs.BaseValidationError as error:
        wrong = "; ".join(cattrs.transform_error(error, path=what))
        raise ValueError(f"not the {what} of a results.json: {wrong}") from error
