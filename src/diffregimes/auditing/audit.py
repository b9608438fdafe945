"""Does a trained model copy its training data, from when on, and which points come out?

Samples are generated and compared with the training points, and everything that the exact score of
these points does (it is what a model tends to that memorises) is asked of the model's score too:

    copies      nearest over second nearest distance below 1/3, against points that are no copies
    losses      on training and on held-out points at every t
    entropy     of the law that it generates, from its score norm
    clones      phi and phi_C against the forward pass
    U-turns     of training and of held-out points: which come back as themselves

Nothing of this needs the model's own training run. What speaks against a verdict is looked for
before it is spoken (`gate`). What it leaves open: a copy is one in Euclidean distance, over the
flips and turns of `augment`. Parts at their place are seen through windows (`parts`), shifted and
cropped copies by the features of an encoder alone (`features`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..backward.clones import Classify, Ends, nearest_classes, run_clones
from ..backward.descent import Run
from ..backward.experiment import Experiment, experiment
from ..backward.outcome import outcome
from ..backward.tracking import Tracked, track
from ..common.checks import InputError, in_range
from ..common.numerics import Z95
from ..common.parallel import Progress
from ..data.alike import check_alike
from ..data.classes import listed
from ..data.datasets import Dataset, describe
from ..data.orbit import orbit
from ..learned.adapters import check_fits
from ..results import Curves
from ..scores import AbstractScore
from ..transitions.criteria import clone_level
from ..transitions.crossing import band_crossing
from .conditions import Conditions, alone, conditions_of, pairing, told
from .encoders import Encoder, encoder_of
from .entropy import collapse, model_entropy
from .features import space_of
from .findings import Audit, Entropy, ModelTime
from .further import further
from .judgement import judged
from .known import beside, known_points
from .losses import Losses, losses_within
from .naming import named
from .samples import about_shared
from .uturns import returns

LOSS_TIMES, ENTROPY_TIMES = 20, 40


def audit(
    score: AbstractScore,
    dataset: Dataset,
    held_out: Dataset | None = None,
    *,
    samples: int = 512,
    pairs: int = 128,
    draws: int = 1024,
    steps: int = 250,
    count: int = 8,
    augment: Sequence[str] = (),
    features: Any = None,
    classify: Classify | None = None,
    seed: int = 0,
    batch: int | None = None,
    device: str = "cpu",
    memory_mib: int = 1024,
    store: Path | None = None,
    recipe: Mapping[str, Any] | None = None,
    model: Mapping[str, Any] | None = None,
    notes: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> Audit:
    """Audit a score, as a rule a trained network's (`learned.load_score`), against its data.

    dataset : what it was trained on, in the same size and scale
    held_out : points of the same law that it was not trained on, prepared in the same way
    samples, draws : generated in `steps` steps even in log-SNR; noised of each set for the losses
    pairs, count : clones, parting at so many times; half as many U-turns of each set
    augment : flips and turns used in training, names of `data.orbit.AUGMENTATIONS`
    features : a function of images (N, C, H, W) in [0, 1] that gives (N, F), or `encoders.Encoder`:
        copies are looked for in these, too
    classify : the class of end points; that of the nearest training point without
    batch, device, memory_mib, store, recipe, progress : as in `backward.descent.Run`
    model, notes : what is to stand of the model in the result

    Raises `InputError` where the score, the data and the held-out points do not go together.
    """
    _check(score, dataset, held_out, samples, pairs, augment)
    own = conditions_of(score, dataset, held_out)
    codes = None if own is None else own.training
    if own is not None and classify is not None:
        raise InputError(
            "classify (--classifier) came, and every sample is asked for a class of its own: none "
            "is decided on the way. Leave it out."
        )
    setup = experiment(
        dataset, network=score, conditions=codes, grid="log-snr", steps=steps,
        count=count, classify=classify, seed=seed, memory_mib=memory_mib, device=device,
        progress=progress,
    )  # fmt: skip
    run = Run(setup.grid, seed=seed, batch=batch, dtype=setup.dtype, device=device,
              memory_mib=memory_mib, recipe=recipe, conditions=codes,
              progress=progress)  # fmt: skip
    known = known_points(setup.training, dataset, held_out, augment, seed)
    own = conditions_of(score, dataset, known.held_out)
    space = None
    if features is not None:  # what is wrong with them is told before the work
        space = space_of(
            _function(features), known, dataset, memory_mib=memory_mib, batch=batch, device=device,
            progress=progress,
        )  # fmt: skip
    tracked, ends = _trajectories(score, dataset.labels, setup, samples, pairs, run, store)
    clones = outcome(ends, setup)
    losses, parts = _losses(score, dataset, known.held_out, own, clones.line, draws, run)
    entropy = _entropy(tracked, setup, clones.line, dataset.n, own, seed)
    copies, flags = beside(known, dataset, tracked.states, losses, entropy)
    if own is not None:
        more = pairing(score, dataset.points, own, losses.t, seed, batch), alone(own)
        flags = (*flags, *(x for x in more if x is not None))
    came_back, reach = returns(
        score, dataset, known, own, setup, clones.line, pairs // 2, run, store
    )
    times = (
        *_collapse_times(losses, entropy, ends, clones.line, tracked, dataset.n, seed), reach
    )  # fmt: skip
    return Audit(
        model=dict(model or {}), dataset=describe(dataset),
        held_out=None if known.held_out is None else describe(known.held_out),
        losses=losses, entropy=entropy, clones=clones, returns=came_back,
        speciation=None if own else _speciation(ends, clones.line, dataset, seed), collapse=times,
        **({} if own is None else told(
            own, own.of_samples(samples, seed), copies, losses.t, parts, times[2].exact
        )),
        gate=flags, **named(copies, known.training.clusters, known.shared, dataset, held_out),
        **further(
            judged(copies, losses, entropy, times, dataset.n, flags, came_back), copies, flags,
            known, dataset, held_out, space=space, seed=seed, batch=batch, device=device,
            memory_mib=memory_mib, progress=progress,
        ),
        recipe=dict(recipe or {}),
        notes=tuple(
            dict.fromkeys((*notes, *about_shared(known, dataset, held_out), *clones.notes))
        ),
    )  # fmt: skip


def _trajectories(
    score: AbstractScore,
    labels: np.ndarray,
    setup: Experiment,
    samples: int,
    pairs: int,
    run: Run,
    store: Path | None,
) -> tuple[Tracked, Ends]:
    """Samples, followed on their way, and clones; each keeps its finished blocks in `store`."""
    assert setup.training is not None

    def stored(name: str) -> Run:
        return run if store is None else replace(run, store=store / name)

    # on the way states are noise: there the nearest training point tells the class
    tracked = track(
        score, setup.within or setup.training, samples, run=stored("samples"), norms=True,
        classify=nearest_classes(setup.training, labels),
    )  # fmt: skip
    ends = run_clones(
        score, setup.times, pairs, run=stored("clones"), classify=setup.classify,
        training=setup.within or setup.training,
    )  # fmt: skip
    return tracked, ends


def _losses(
    score: AbstractScore,
    dataset: Dataset,
    held_out: Dataset | None,
    own: Conditions | None,
    line: Curves,
    draws: int,
    run: Run,
) -> tuple[Losses, dict[int, Losses]]:
    """Of all points and of those of each condition, at times around those of the forward curves."""
    low, high = line.t[[0, -1]]
    return losses_within(
        score,
        dataset.points,
        None if held_out is None else held_out.points,
        np.geomspace(max(0.25 * low, run.grid[-2]), min(1.5 * high, run.grid[0]), LOSS_TIMES),
        conditions=None if own is None else (own.training, own.held_out),
        draws=draws,
        seed=run.seed,
        batch=run.batch,
        memory_mib=run.memory_mib,
        device=run.device,
        progress=run.progress,
    )


def _entropy(
    tracked: Tracked, setup: Experiment, line: Curves, n: int, own: Conditions | None, seed: int
) -> Entropy:
    """Of the model and of the exact score, at times of the grid around the forward curves'."""
    low, high = line.t[[0, -1]]
    shown = np.flatnonzero((setup.grid > 0.25 * low) & (setup.grid < 2 * high))
    every = max(1, len(shown) // ENTROPY_TIMES)
    exact = setup.forward(setup.grid[shown[::every]][::-1])
    counts = None if own is None else own.counts(own.of_samples(len(tracked.states), seed))
    return model_entropy(tracked, setup.grid, exact, n, counts)


def _function(features: Any) -> Encoder:
    encoder = encoder_of(features)
    if not isinstance(encoder, Encoder):
        raise InputError(
            f"the features {encoder.name} were taken of samples that are there, and the samples of "
            "a model are made by the audit; expected a function of images. Arrays of features go "
            "with samples alone (auditing.audit_samples, --samples-from)."
        )
    return encoder


def _check(
    score: AbstractScore,
    dataset: Dataset,
    held_out: Dataset | None,
    samples: int,
    pairs: int,
    augment: Sequence[str],
) -> None:
    orbit(augment, dataset.sample_shape)
    in_range("samples", samples, 16, 10**8, "Fewer tell nothing of a share.")
    in_range("pairs", pairs, 16, 10**8, "Fewer tell nothing of a share.")
    check_fits(score, dataset)
    if dataset.n < 3:
        raise InputError(f"the data are {dataset.n} points; expected three or more.")
    label = getattr(score, "label", None)
    if isinstance(label, int) and dataset.labelled and len(dataset.class_names) > 1:
        raise InputError(
            f"the score is asked for label {label}, and the data hold the classes "
            f"{listed(dataset.class_names)}; expected the points of its class alone: "
            "data.only(name), or learned.open_model(folder, data, label=...).training."
        )
    check_alike(dataset, held_out)


def _speciation(ends: Ends, line: Curves, dataset: Dataset, seed: int) -> ModelTime | None:
    if len(dataset.class_names) < 2:
        return None
    return _clone_time(
        ends, line, "same_class_probability", clone_level(dataset.class_counts), seed,
        "two clones that part here agree on the class: 55 % of the way from chance",
    )  # fmt: skip


def _collapse_times(
    losses: Losses, entropy: Entropy, ends: Ends, line: Curves, tracked: Tracked, n: int, seed: int
) -> tuple[ModelTime, ...]:
    """By every method, the exact score's beside the model's."""
    mean, se = tracked.mean_collapse()
    return (
        ModelTime(
            "loss-gap", *_between(losses.t, losses.separation()),
            *_between(losses.t, losses.separation(exact=True)),
            "below it training points are denoised better than held-out ones",
        ),
        ModelTime(
            "entropy", *collapse(entropy.t, entropy.value, entropy.se, n),
            *collapse(entropy.t, entropy.exact, entropy.exact_se, n),
            "the excess entropy of what it generates falls to that of the collapse",
        ),
        _clone_time(
            ends, line, "same_point_probability", 0.5, seed,
            "two clones that part here end nearest to the same training point half of the time",
        ),
        ModelTime(
            "last-change", mean, mean - Z95 * se, mean + Z95 * se, None, None, None,
            "mean of the last changes of the nearest training point on the way",
        ),
    )  # fmt: skip


def _between(t: np.ndarray, at: float | None) -> tuple[float | None, float | None, float | None]:
    """A time of the grid at which something held, and the one after it, at which it did not; None
    where it held to the end of the grid."""
    if at is None:
        return None, None, None
    after = t[t > at]
    return at, at, float(after[0]) if len(after) else None


def _clone_time(
    ends: Ends, line: Curves, name: str, level: float, seed: int, words: str
) -> ModelTime:
    """Where phi or phi_C crosses the level, in clones of the model and in the forward pass."""
    t, bounds = ends.crossing(name, level, seed)
    known = np.stack([line[name] + x * line.se[name] for x in (0, -Z95, Z95)])
    low, high = bounds if t is not None else (None, None)
    return ModelTime("clone", t, low, high, *band_crossing(line.t, known, level), words)
