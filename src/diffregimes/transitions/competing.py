"""The collapse among others than all points one by one: what an analysis says of it beside."""

from __future__ import annotations

from dataclasses import replace

from ..data.datasets import Dataset
from ..posterior.sample import Sample
from ..results import Analysis
from .collapse import HEADLINE
from .criteria import Evidence
from .given import given_of, with_given
from .grouped import grouped_of, with_groups


def among_competitors(
    found: Analysis, own: Dataset, torn: int, evidence: Evidence, sample: Sample
) -> Analysis:
    """The analysis of the points `own` with that of their groups, and among those that share a
    condition; `torn` of the points left out had another than the one that was kept."""
    alone = found.time("collapse", HEADLINE)
    if evidence.by_group is not None and evidence.groups is not None:
        groups = grouped_of(evidence.by_group, evidence.groups)
        told = with_groups(found.verdict, groups, own.n, alone)
        found = replace(found, grouped=groups, verdict=told)
    if own.given is not None:
        given = given_of(own.given, own.indices, evidence, sample, alone, torn)
        found = replace(found, given=given, verdict=with_given(found.verdict, given, own.n))
    return found
