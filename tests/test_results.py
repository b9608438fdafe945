"""Results on paper: plain JSON, read back without loss, or refused with the name of the field."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from diffregimes.common import serial
from diffregimes.results import Analysis, Curves, Recipe, Share
from sample_analysis import make_analysis, with_theory

# written by version 0.1.0, before results were read and written by cattrs
OLD = Path(__file__).parent / "files" / "analysis-1.json"


def test_a_file_of_the_first_format_is_read_and_written_alike():
    data = json.loads(OLD.read_text("utf-8"))
    analysis = Analysis.from_dict(data)
    assert json.loads(analysis.to_json()) == data
    assert analysis.time("collapse").t == data["times"][5]["t"]
    assert analysis.theory is not None
    assert isinstance(analysis.spectrum.eigenvalues, np.ndarray)
    assert analysis.recipe.options["source"] == "gmm:d=4,n=40"


def same(one, two):
    """Equal in every field, arrays by value, tuples not lists."""
    assert type(one) is type(two)
    if isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, two)
    elif hasattr(one, "__dataclass_fields__"):
        for field in fields(one):
            same(getattr(one, field.name), getattr(two, field.name))
    elif isinstance(one, tuple):
        assert len(one) == len(two)
        for a, b in zip(one, two, strict=True):
            same(a, b)
    elif isinstance(one, dict):
        assert list(one) == list(two)
        for key in one:
            same(one[key], two[key])
    else:
        assert one == two


@pytest.mark.parametrize("analysis", [make_analysis(), make_analysis(t_c=None)])
def test_nothing_is_lost(analysis):
    for whole in (analysis, with_theory(analysis)):
        same(whole, Analysis.from_dict(json.loads(whole.to_json())))


def test_what_python_made_has_no_command():
    analysis = make_analysis()
    recipe = replace(analysis.recipe, command=None, options=None)
    data = replace(analysis, recipe=recipe).to_dict()
    assert not {"command", "options"} & set(data["recipe"])
    same(Analysis.from_dict(data).recipe, recipe)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": "other/1"}, "format is 'other/1'"),
        ({"times": [{"t": 1.0}]}, r"times\[0\]\.method"),
        ({"spectrum": None}, "spectrum"),
        ({"curves": {"t": [1.0], "mmse": [2.0]}}, "curves"),
        ({"curves": None}, "curves"),
        ({"draws": "many"}, "draws"),
    ],
)
def test_what_is_wrong_is_named(change, words):
    with pytest.raises(ValueError, match=words):
        Analysis.from_dict({**make_analysis().to_dict(), **change})


@pytest.mark.parametrize("name", ["times", "curves", "recipe", "verdict", "draws"])
def test_what_is_missing_is_named(name):
    data = make_analysis().to_dict()
    del data[name]
    with pytest.raises(ValueError, match=name):
        Analysis.from_dict(data)


def test_what_json_cannot_hold_is_refused():
    analysis = make_analysis()
    infinite = replace(analysis.spectrum, largest=float("inf"))
    with pytest.raises(ValueError, match="JSON"):
        replace(analysis, spectrum=infinite).to_json()


def test_plain_types_alone():
    def walk(value):
        if isinstance(value, dict | list):
            check_type(value)
            for x in value.values() if isinstance(value, dict) else value:
                walk(x)
        else:
            check_type(value)

    def check_type(value):
        assert type(value) in (dict, list, str, int, float, bool, type(None)), type(value)

    walk(with_theory(make_analysis()).to_dict())


def test_arrays_write_nan_as_null():
    values = np.array([1.5, np.nan, -0.0])
    assert serial.listed(values) == [1.5, None, 0.0]
    np.testing.assert_array_equal(serial.array(serial.listed(values)), values)


def test_curves_as_columns():
    curves = Curves(np.array([0.1, 0.2]), {"a": np.ones(2)}, {"a": np.zeros(2)}, 7)
    columns = curves.to_dict()
    assert columns == {"t": [0.1, 0.2], "a": [1.0, 1.0], "a_se": [0.0, 0.0]}
    same(curves, Curves.from_dict(columns, 7))


def test_a_share_in_percent():
    assert Share.counted(0, 512).in_percent() == "0.0 %, 0.0 to 0.7 % at 95 %"
    assert Share.counted(50, 100).in_percent() == "50 %, 40 to 60 % at 95 %"
    assert Recipe.__dataclass_fields__["command"].default is None
