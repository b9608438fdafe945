"""The collapse among others than all points one by one: what an analysis says of it beside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..data.augmented import orbits, words_of
from ..data.datasets import Dataset
from ..posterior.sample import Sample
from ..results import Analysis
from .augmented import augment_of, with_augment
from .collapse import HEADLINE
from .criteria import Evidence
from .given import conditions_of, given_of, with_given
from .grouped import grouped_of, groups_of, with_groups


def competitors(
    dataset: Dataset,
    listed: int,
    given: Any,
    groups: Any,
    augment: Sequence[str] | str,
    memory_mib: int,
) -> tuple[Dataset, tuple[str, ...]]:
    """The dataset with the condition and the group of each point, and what augmentation does; each
    is asked for, or wrong (`InputError`), before any work. `listed` points made the dataset."""
    dataset = conditions_of(dataset, given, memory_mib, listed)
    dataset = groups_of(dataset, groups, listed)
    return dataset, () if not augment and augment != "" else words_of(augment, dataset)


def among_competitors(
    found: Analysis,
    own: Dataset,
    torn: int,
    augment: Sequence[str],
    evidence: Evidence,
    sample: Sample,
) -> Analysis:
    """The analysis of the points `own` with that of their groups, among those that share a
    condition, and among all that `augment` makes of them; `torn` of the points left out had another
    condition than the one that was kept."""
    alone = found.time("collapse", HEADLINE)
    if evidence.by_group is not None and evidence.groups is not None:
        groups = grouped_of(evidence.by_group, evidence.groups)
        told = with_groups(found.verdict, groups, own.n, alone)
        found = replace(found, grouped=groups, verdict=told)
    if own.given is not None:
        given = given_of(own.given, own.indices, evidence, sample, alone, torn)
        found = replace(found, given=given, verdict=with_given(found.verdict, given, own.n))
    if augment:
        moved = augment_of(own, orbits(own, augment), evidence, alone)
        found = replace(found, augment=moved, verdict=with_augment(found.verdict, moved, own.n))
    return found
