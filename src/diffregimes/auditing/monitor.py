"""Watching a network while it trains: does it fit, or copy, single points yet?

    watch = dr.monitor(unet, noise_scheduler, data, held_out)  # before the loop
    ...
        if watch.step(step):  # after each step of the optimizer
            break

Now and then (`every` steps, or as often as 5 % of the time allows) the denoising losses of the
network as it stands are taken on training and on held-out points, at three noise levels (`levels`),
and a few samples are made. At each level the gap between the losses is told

    in nats     (gamma/2) (held_out - train): what an e-fold of the signal-to-noise ratio gamma adds
                to (1/2) int (held_out - train) dgamma
    as a share  of the gap that the exact score of the training points has on the same noised
                points: 0 has the law, 1 has memorised

and of the samples, how many are copies by the rule of an audit. `stopping` says when this is a
reason to stop.

The training goes on as if nobody had looked (`undisturbed`). The first look is taken as the monitor
is made: what is wrong from the start raises there. What goes wrong later is warned of, and the
training goes on.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..common.checks import InputError, in_range, out_of_memory
from ..common.parallel import Progress
from ..common.reading import why
from ..common.recipe import versions
from ..data.alike import check_alike
from ..data.datasets import Dataset, from_arrays
from ..data.readers import load
from ..learned.adapters import check_fits
from ..learned.models import class_of_label
from ..process import sigma
from ..scores import EmpiricalScore
from .known import Known, known_points
from .levels import Level, levels
from .logbook import Logbook, Row
from .looking import Eye, Look, Plan
from .samples import about_shared
from .stopping import ALPHA, reason_to_stop
from .undisturbed import on_gpu, undisturbed
from .watched import Watched

SHARE = 0.05  # of the time of a training that looks take, by default
LONGER = 1.5  # than the last a look may take: a busy machine is slower at times
FAILURES = 3  # in a row, after which a monitor looks no more


class Monitor:
    """Made by `monitor`. `step(step)` looks if it is time, `look(step)` at once.

    levels    the noise levels, at increasing t
    rows      one for each look, also of an earlier run: the columns of monitor.csv
    stop      why the training should be stopped: "gap", "copies", both, or "" for not
    notes     what a reader must know
    seconds, training_seconds
              since it was made, with looks and between them
    """

    def __init__(
        self,
        watched: Watched,
        eye: Eye,
        logbook: Logbook,
        *,
        every: int | None = None,
        alpha: float = ALPHA,
        notes: tuple[str, ...] = (),
    ) -> None:
        self._watched, self._eye, self._logbook = watched, eye, logbook
        self._every, self._alpha = every, alpha
        self.levels, self.notes = eye.levels, notes
        self.seconds = self.training_seconds = 0.0
        self.stop = ""
        for k, row in enumerate(self.rows):
            self.stop = self.stop or self._reason(row, k + 1)
        self._failures = 0
        began = time.perf_counter()
        first = self._seen()
        self._last = time.perf_counter() - began  # seconds of the last look
        if not self.rows:
            self._keep(0, first, self._last)
        self._since = time.perf_counter()

    @property
    def rows(self) -> list[Row]:
        return self._logbook.rows

    def step(self, step: int) -> bool:
        """Look at the network after so many steps of training, if it is time; whether to stop.

        Never raises for what goes wrong with a look: it warns, and after three such looks in a row
        takes no more."""
        now = time.perf_counter()
        self.training_seconds += now - self._since
        self._since = now
        if self._failures < FAILURES and self._due(int(step)):
            try:
                self.look(step)
                self._failures = 0
            except Exception as error:  # whatever it is: a training of weeks must not end by it
                self._failures += 1
                self._warn(int(step), error)
        return bool(self.stop)

    def look(self, step: int) -> Row:
        """Look now; the row that was added to the table."""
        self._synchronize()
        now = time.perf_counter()
        self.training_seconds += now - self._since
        try:
            return self._keep(int(step), self._seen(), time.perf_counter() - now)
        finally:
            self._since = time.perf_counter()
            self._last = self._since - now
            self.seconds += self._last

    def _due(self, step: int) -> bool:
        if self._every is not None:
            return step - self.rows[-1]["step"] >= self._every or step < self.rows[-1]["step"]
        return self.seconds + LONGER * self._last <= SHARE * self.training_seconds

    def _seen(self) -> Look:
        with undisturbed(), self._watched.now() as score:
            return self._eye.look(score)

    def _keep(self, step: int, seen: Look, seconds: float) -> Row:
        row = {"step": step, "seconds": seconds, **seen.columns(self.levels)}
        before = sum(x["step"] < step for x in self.rows)
        self.stop = self.stop or self._reason(row, before + 1)
        row["stop"] = bool(self.stop)
        self._logbook.write(row)
        return row

    def _reason(self, row: Row, look: int) -> str:
        return reason_to_stop(row["p_gap"], row["p_copies"], look, self._alpha)

    def _synchronize(self) -> None:
        """Work of the training that a GPU still has to do is none of a look's time."""
        if on_gpu():
            torch.cuda.synchronize()

    def _warn(self, step: int, error: Exception) -> None:
        hint = " Give fewer states at a time (batch=)." if out_of_memory(error) else ""
        end = ""
        if self._failures >= FAILURES:
            end = f" That is {FAILURES} times in a row: it looks no more."
        warnings.warn(
            f"diffregimes: the monitor could not look at step {step} ({type(error).__name__}: "
            f"{why(error)}).{hint} The training goes on.{end}",
            RuntimeWarning,
            stacklevel=3,
        )


def monitor(
    model: Any,
    scheduler: Any,
    data: Any,
    held_out: Any,
    *,
    every: int | None = None,
    out: str | Path = "monitor",
    writers: Sequence[Any] = (),
    label: int | None = None,
    prompt: str | None = None,
    guidance: float | None = None,
    draws: int = 256,
    samples: int = 32,
    steps: int = 50,
    alpha: float = ALPHA,
    seed: int = 0,
    batch: int | None = None,
    memory_mib: int = 1024,
    progress: Progress | None = None,
) -> Monitor:
    """Watch a network while it trains; see the module for what is told, and `Monitor`.

    model : the network, inside of whatever a training loop puts around it; an EMAModel; a function
        without arguments that gives the network to look at; a pipeline; or a score
    scheduler : of diffusers, or a `process.Schedule` for a module that predicts the noise; None for
        what knows its own (a pipeline, a score, denoisers of other libraries)
    data, held_out : what it is trained on, and points of the same law that it is not: a `Dataset`,
        arrays (n, d) or (n, H, W, C), tensors (n, C, H, W), or what `load` reads, in the scale that
        the network is given
    every : steps between two looks; without, as often as 5 % of the time allows
    out : folder of monitor.csv and monitor.json; a table that is there already is gone on with
    writers : beside it: a SummaryWriter of torch, a run of Weights & Biases, an Accelerator, ...
    label, prompt, guidance : as in `load_score`; with a label the points of its class count
    draws : noised points of each set; samples : generated in `steps` steps
    alpha : probability of a stop where nothing is memorised, at the most
    batch : states that the network is given at a time; memory_mib : for what is beside it

    Raises `InputError` for what does not go together. In several processes make and ask it in the
    main one alone.
    """
    _check(every, draws, samples, steps, alpha, batch, memory_mib)
    with undisturbed():
        points = _dataset(data, "data")
        if held_out is None:
            raise InputError(
                "held_out is None; expected points of the same law that the network is not trained "
                "on, or its losses on training points have nothing to be compared with. Set some "
                "aside: kept, out = data.groups.hold_out(labels, 0.1)."
            )
        others = _dataset(held_out, "held_out", points)
        check_alike(points, others)
        options = {"label": label, "prompt": prompt, "guidance": guidance, "batch": batch or 256}
        watched = Watched(model, scheduler, points.sample_shape, options)
        with watched.now() as score:
            label = getattr(score, "label", label)
            if label is not None:
                points, others = _of_label(points, label), _of_label(others, label)
            check_fits(score, points)
            ends = float(getattr(score, "earliest", 1e-9)), float(getattr(score, "latest", 300.0))
        plan = Plan(draws, samples, steps, seed, batch, memory_mib)
        told = {**vars(plan), "alpha": alpha, "label": label, "prompt": prompt,
                "guidance": guidance, "data": points.fingerprint,
                "held_out": others.fingerprint}  # fmt: skip
        told = {k: v for k, v in told.items() if k not in ("batch", "memory_mib")}
        logbook = Logbook(Path(out), told, writers)
        search = EmpiricalScore(points.points, memory_mib=memory_mib)
        known = known_points(search, points, others, seed=seed)
        if known.held_out is None:
            raise InputError(
                "all held-out points are of groups that training points are of; expected some of "
                "groups (groups=) that the network is not trained on."
            )
        found = _levels(logbook, points, ends, seed, memory_mib, progress)
        eye = Eye(known, points.points, found, plan)
        logbook.open(_facts(eye, known))
    notes = about_shared(known, points, others)
    if known.law is not None and not known.law.ok:
        notes = (*notes, f"the gap counts for no stop: {known.law.message}")
        warnings.warn(f"diffregimes: {notes[-1]}", RuntimeWarning, stacklevel=2)
    return Monitor(watched, eye, logbook, every=every, alpha=alpha, notes=notes)


def _check(
    every: int | None,
    draws: int,
    samples: int,
    steps: int,
    alpha: float,
    batch: int | None,
    memory_mib: int,
) -> None:
    if every is not None and (not isinstance(every, int) or isinstance(every, bool) or every < 1):
        raise InputError(
            f"every is {every!r}; expected a whole number of steps between two looks, or None for "
            f"as often as {SHARE:.0%} of the time allows."
        )
    in_range("draws", draws, 16, 10**7, "Fewer tell nothing of a loss.")
    in_range("samples", samples, 4, 10**6, "Fewer tell nothing of a share.")
    in_range("steps", steps, 2, 10**5)
    in_range("alpha", alpha, 1e-12, 0.5, "It is the probability of a stop without a reason.")
    in_range("memory_mib", memory_mib, 16, 10**7, "It is the budget in MiB.")
    if batch is not None:
        in_range("batch", batch, 1, 10**9)


def _dataset(given: Any, name: str, like: Dataset | None = None) -> Dataset:
    """What came as a `Dataset`, in the scale of another."""
    if isinstance(given, Dataset):
        return given
    how = None if like is None else like.pixel_map
    try:
        if not (isinstance(given, np.ndarray | torch.Tensor)):
            return load(given, pixel_range=how)
        if isinstance(given, torch.Tensor):
            given = given.detach().cpu()
            if given.ndim == 4 and given.shape[1] <= 4 < given.shape[3]:  # as networks take them
                given = given.movedim(1, -1)
        return from_arrays(given, pixel_range=how, source=name)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error


def _of_label(points: Dataset, label: int) -> Dataset:
    asked, _ = class_of_label(points, label)
    return points if asked is None else points.only(asked)


def _levels(
    logbook: Logbook,
    points: Dataset,
    ends: tuple[float, float],
    seed: int,
    memory_mib: int,
    progress: Progress | None,
) -> tuple[Level, ...]:
    """Those of an earlier run with the same data, else from the data."""
    stored = logbook.found.get("levels")
    if stored:
        return tuple(Level(x["name"], x["t"]) for x in stored)
    return levels(points, *ends, seed=seed, memory_mib=memory_mib, progress=progress)


def _facts(eye: Eye, known: Known) -> dict[str, Any]:
    """What the numbers of the table are to be read with."""
    train, train_se, out, out_se = eye.exact
    return {
        "levels": [
            {
                "name": x.name, "t": x.t, "sigma": float(sigma(x.t)),
                "exact_train": float(train[k]), "exact_train_se": float(train_se[k]),
                "exact_held_out": float(out[k]), "exact_held_out_se": float(out_se[k]),
            }
            for k, x in enumerate(eye.levels)
        ],
        "baseline": {"count": known.baseline.share.count, "of": known.baseline.share.of,
                     "points": known.baseline.of},
        "versions": versions(),
    }  # fmt: skip
