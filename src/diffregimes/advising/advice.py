"""All questions put to one analysis, and lines for diffusers with the answers in them."""

from __future__ import annotations

from pathlib import Path

from ..common.checks import InputError, in_range
from ..common.readable import number
from ..data.datasets import Dataset
from ..process import EDM_STEP, FLOW_STEP, VE_STEP, Schedule, sigma
from ..results import Analysis
from . import class_gain, clocks, danger, gap, image, training
from .pilot import Pilot, training_length
from .pilot import read as read_pilot
from .told import Advice, Item

STEPS, EPSILON = 20, 0.1
_TRAINED = (-1.0, 1.0)  # what diffusers' networks are given


def advise(
    analysis: Analysis,
    schedule: str | Path | Schedule | None = None,
    *,
    steps: int = STEPS,
    epsilon: float = EPSILON,
    dataset: Dataset | None = None,
    held_out: Dataset | None = None,
    pilot: str | Path | Pilot | None = None,
    pilot_points: int | None = None,
    memory_mib: int = 1024,
) -> Advice:
    """Turn an analysis into the settings of a sampler and of a training run.

    schedule : linear, cosine, a scheduler_config.json of diffusers, the folder of a scheduler or a
        pipeline, or a `process.Schedule`; that of the analysis without, where it has a name
    steps : how many noise levels a sampler may take
    epsilon : nats by which a late start may differ from the law of the noised data
    dataset, held_out : the data of the analysis, and points of the same law that are not trained
        on, prepared alike: for the danger zone, which is measured on both within `memory_mib`
    pilot : a training on fewer points that was watched, the folder of `diffregimes train` or a
        loss.csv; `pilot_points` how many, where it does not say so

    But for the danger zone no pass is made: every number is one of the curves. Raises `InputError`
    for what the user can mend.
    """
    in_range("steps (--steps)", steps, 2, 1000, "It is the number of noise levels.")
    in_range("epsilon (--epsilon)", epsilon, 1e-6, 10, "It is a divergence in nats.")
    if pilot is None and pilot_points is not None:
        raise InputError(
            "pilot points (--pilot-points) came without a pilot; give its folder or loss.csv: "
            "--pilot PATH, or advise(pilot=...)."
        )
    clock = _clock(analysis, schedule)
    seen = pilot if isinstance(pilot, Pilot | None) else read_pilot(pilot, pilot_points)
    guidance = class_gain.guidance(analysis, clock)
    start = image.late_start(analysis, clock, epsilon)
    chosen = image.worth_taking(analysis, clock, steps)
    items = (
        guidance, class_gain.strength(analysis, clock), start, chosen,
        training.training_noise(analysis, clock), gap.validation(analysis, clock),
        training.experts(analysis, clock), training.points(analysis, clock, guidance),
        danger.danger(analysis, clock, dataset, held_out, memory_mib=memory_mib),
        training_length(analysis, seen),
    )  # fmt: skip
    facts = analysis.dataset
    return Advice(
        facts.source, facts.scale, clock.name, clock.clock, len(clock.times), items,
        _code(clock, guidance, chosen),
        (*_notes(facts.scale), *_other_scale(items[4], clock), *_of_groups(analysis)),
    )  # fmt: skip


def _clock(analysis: Analysis, schedule: str | Path | Schedule | None) -> Schedule:
    if schedule is not None:
        return clocks.scheduler(schedule)
    name = analysis.recipe.schedule
    if name not in ("linear", "cosine"):
        raise InputError(
            f"the analysis counts the steps of {name}, whose noise levels it does not hold; give "
            "that scheduler again: --scheduler PATH, or advise(schedule=...)."
        )
    return clocks.scheduler(name)


def _notes(scale: tuple[float, float] | None) -> tuple[str, ...]:
    if scale is None or tuple(scale) == _TRAINED:
        return ()
    return (
        f"the pixels are on [{scale[0]:g}, {scale[1]:g}]; every level moves with the scale, and a "
        "model trained on [-1, 1], as those of diffusers are, needs the analysis of --range=-1,1",
    )


def _of_groups(analysis: Analysis) -> tuple[str, ...]:
    if analysis.grouped is None:
        return ()
    return (
        "t_S and t_C are those of groups, which count as one; guidance, strength, late start and "
        "levels come from curves that count points one by one: points of a group help each other "
        "there, and the class seems told earlier than to a new group",
    )


def _other_scale(noise: Item, clock: Schedule) -> tuple[str, ...]:
    """Where the data do not lie between the least and the most noise of the schedule."""
    data = noise.numbers.get("sigma_data")
    least, most = (float(x) for x in sigma(clock.finite_times[[0, -1]]))
    if data is None or 2 * least < data < most / 2:
        return ()
    return (
        f"the data have a spread of {number(data)}, and the noise of the schedule goes from "
        f"{number(least)} to {number(most)}: it is not made for data of this scale, and the steps "
        "mean little. Give the scale of the model (--range, --standardize).",
    )


def _code(clock: Schedule, guidance: Item, chosen: Item) -> str:
    """For the scheduler of a pipeline `pipe`."""
    lines = []
    name = "sigmas" if "sigmas" in chosen.lists else "timesteps"
    values = chosen.lists[name]
    if name == "timesteps":
        shown = ", ".join(str(int(x)) for x in values)
    else:
        shown = ", ".join(f"{x:.5g}" for x in values)
    lines.append(f"{name} = [{shown}]")
    if clock.clock in (EDM_STEP, VE_STEP):
        lines.append("# for a sampler of your own: diffusers' schedulers of this kind take no list")
    elif clock.clock == FLOW_STEP:
        lines.append("pipe.scheduler.set_shift(1.0)  # the levels have the shift in them")
        lines.append("pipe.scheduler.set_timesteps(sigmas=sigmas)")
    else:  # DDIM and PNDM take none either
        lines.append("pipe.scheduler.set_timesteps(timesteps=timesteps)  # DDPM, DPM-Solver, Euler")
    if "start" in guidance.numbers and "stop" in guidance.numbers:
        lines.append(
            f"interval = {guidance.numbers['start']:.3f}, {guidance.numbers['stop']:.3f}  "
            "# start and stop of a guider, for evenly spaced steps"
        )
    return "\n".join(lines)
