"""The faults of `mutants.py` still fit the source; the script takes minutes and runs apart."""

from __future__ import annotations

import pytest

from mutants import FAULTS, ONCE, ROOT


@pytest.mark.parametrize("fault", [*ONCE, *FAULTS], ids=lambda x: f"{x.module} {x.text[:40]}")
def test_every_fault_has_its_place_and_its_tests(fault):
    source = (ROOT / "src" / "diffregimes" / fault.module).read_text(encoding="utf-8")
    assert source.count(fault.text) == 1
    assert fault.fault != fault.text
    for name in fault.tests.split():
        path, _, test = name.partition("::")
        text = (ROOT / "tests" / path).read_text(encoding="utf-8")
        assert not test or f"def {test.split('[')[0]}(" in text


def test_there_are_enough():
    assert len(FAULTS) >= 40
    assert len({x.module for x in FAULTS}) >= 20
