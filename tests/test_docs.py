"""Functions and tests that the documentation names exist."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

import diffregimes

ROOT = Path(__file__).parent.parent
TESTS = {x.name: x for x in ROOT.glob("tests/**/test_*.py")}
PAGES = sorted([*ROOT.glob("docs/*.md"), ROOT / "README.md"])
CODE = re.compile(r"`([^`\n]+)`")
FILES = {".py", ".md", ".json", ".csv", ".html", ".txt", ".toml", ".cff"}
# objects that the text around them names: attributes of a result or a score, not of the package
OBJECTS = {"curves", "score", "watch"}


def exists(name: str) -> bool:
    """Whether `module.attribute...` can be found in the package, or among its public names."""
    parts = name.removeprefix("diffregimes.").removeprefix("dr.").split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(["diffregimes", *parts[:cut]]))
        except ModuleNotFoundError:
            continue
        return all((found := getattr(found, part, None)) is not None for part in parts[cut:])
    found = diffregimes
    return all((found := getattr(found, part, None)) is not None for part in parts)


def dotted_names(text: str) -> set[str]:
    """What stands in backticks and reads like `module.name`: not files, not local objects."""
    found = {x for x in CODE.findall(text) if re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", x)}
    return {x for x in found if Path(x).suffix not in FILES and x.split(".")[0] not in OBJECTS}


@pytest.mark.parametrize("page", PAGES, ids=lambda x: x.name)
def test_named_functions_exist(page):
    for name in dotted_names(page.read_text(encoding="utf-8")):
        assert exists(name), f"{page.name} names {name}"


def test_a_name_whose_module_is_gone_is_noticed():
    names = dotted_names("`gone_module.snr`, `process.gone`, `process.snr`, `run.py`, `curves.t`")
    assert names == {"gone_module.snr", "process.gone", "process.snr"}
    assert [x for x in sorted(names) if exists(x)] == ["process.snr"]
    assert exists("Analysis.from_dict")
    assert not exists("Analysis.gone")


@pytest.mark.parametrize("page", PAGES, ids=lambda x: x.name)
def test_imports_of_examples_work(page):
    text = page.read_text(encoding="utf-8")
    for module, names in re.findall(r"^from (diffregimes[.\w]*) import ([\w, ]+)$", text, re.M):
        for name in names.split(", "):
            found = f"{module}.{name}".removeprefix("diffregimes.")
            assert exists(found), f"{page.name} imports {found}"


@pytest.mark.parametrize("page", PAGES, ids=lambda x: x.name)
def test_named_tests_exist(page):
    text = page.read_text(encoding="utf-8")
    file = None
    for path, test in re.findall(r"`(?:(?:tests/)?(test_\w+\.py)(?:::)?)?(test_\w+)?`", text):
        file = path or file
        if path:
            assert path in TESTS, f"{page.name} names {path}"
        if test and file:
            assert f"def {test}(" in TESTS[file].read_text(encoding="utf-8"), f"{file}::{test}"


@pytest.mark.parametrize("page", PAGES, ids=lambda x: x.name)
def test_named_files_exist(page):
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"\b(?:examples|benchmarks|docs)/\w+\.\w+", text):
        assert (ROOT / name).is_file(), f"{page.name} names {name}"
    for name in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (page.parent / name).is_file(), f"{page.name} links {name}"
