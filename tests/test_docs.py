"""Functions and tests that the documentation names exist."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

import diffregimes

TESTS = Path(__file__).parent
ROOT = TESTS.parent
PAGES = sorted([*ROOT.glob("docs/*.md"), ROOT / "README.md"])
CODE = re.compile(r"`([^`\n]+)`")
FOLDER = Path(diffregimes.__file__).parent
MODULES = {x.stem for x in FOLDER.iterdir()}
FILES = {".py", ".md", ".json", ".csv", ".html", ".txt", ".toml"}


def exists(name: str) -> bool:
    """Whether `module.attribute...` can be found in the package."""
    parts = name.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(["diffregimes", *parts[:cut]]))
        except ModuleNotFoundError:
            continue
        for part in parts[cut:]:
            found = getattr(found, part, None)
        return found is not None
    return False


@pytest.mark.parametrize("page", PAGES, ids=lambda x: x.name)
def test_named_functions_exist(page):
    for name in CODE.findall(page.read_text(encoding="utf-8")):
        dotted = re.fullmatch(r"(\w+)(\.\w+)+", name)
        if dotted and Path(name).suffix not in FILES and dotted[1] in MODULES:
            assert exists(name), f"{page.name} names {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda x: x.name)
def test_named_tests_exist(page):
    text = page.read_text(encoding="utf-8")
    file = None
    for path, test in re.findall(r"`(?:(?:tests/)?(test_\w+\.py)(?:::)?)?(test_\w+)?`", text):
        file = path or file
        if path:
            assert (TESTS / path).is_file(), f"{page.name} names {path}"
        if test and file:
            assert f"def {test}(" in (TESTS / file).read_text(encoding="utf-8"), f"{file}::{test}"


@pytest.mark.parametrize("page", PAGES, ids=lambda x: x.name)
def test_named_files_exist(page):
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"\b(?:examples|benchmarks|docs)/\w+\.\w+", text):
        assert (ROOT / name).is_file(), f"{page.name} names {name}"
    for name in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (page.parent / name).is_file(), f"{page.name} links {name}"
