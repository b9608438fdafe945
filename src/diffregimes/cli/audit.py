"""The command `audit`: does a trained model copy its training data, from when on, and which?

Every finished block of trajectories is stored; killed at any moment, the same command goes on
where it stood.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..common.checks import InputError, in_range
from .options import (
    ACCURACY,
    DATA,
    Batch,
    Classes,
    Classifier,
    Device,
    Key,
    Label,
    Labels,
    MemoryMib,
    Out,
    Pad,
    PerClass,
    Seed,
    flowing,
    model_scale,
    read,
)

if TYPE_CHECKING:
    from ..data.datasets import Dataset


HELP = """
Audit a trained model: does it copy its training data, from which time on, and which points?

MODEL is a saved diffusers pipeline, or what `diffregimes train` wrote. Generates samples, measures
the denoising loss on training and held-out points, the entropy of what the model generates, and
clones, each beside the exact score of the training points. Writes report.html, results.json,
tables and figures to runs/NAME-audit. Killed, the same command goes on where it stood.

Points held out by `diffregimes train` are known; for other models give them with --held-out.

Examples:

  diffregimes audit runs/digits-train --data digits

  diffregimes audit path/to/pipeline --data images/ --held-out more-images/

  diffregimes audit path/to/pipeline --data cars.npz --classes 1,7 --samples 2048 --device cuda
"""


def audit(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Folder of a diffusers pipeline.")],
    data: Annotated[
        str,
        typer.Option(
            rich_help_panel=DATA,
            metavar="SOURCE",
            help="What the model was trained on: digits, a file, or a folder.",
        ),
    ],
    held_out: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=DATA,
            metavar="SOURCE",
            help="Points of the same kind that it was not trained on; the options below hold for "
            "both.",
            show_default="those of recipe.json in MODEL",
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option(rich_help_panel=ACCURACY, metavar="N", help="Samples to generate.")
    ] = 512,
    pairs: Annotated[
        int, typer.Option(rich_help_panel=ACCURACY, metavar="N", help="Pairs of clones.")
    ] = 128,
    steps: Annotated[
        int,
        typer.Option(
            rich_help_panel=ACCURACY, metavar="N", help="Steps of the sampler, even in log-SNR."
        ),
    ] = 250,
    label: Label = None,
    classifier: Classifier = None,
    batch: Batch = None,
    labels: Labels = None,
    key: Key = None,
    classes: Classes = None,
    per_class: PerClass = None,
    pixel_range: Annotated[
        str | None,
        typer.Option(
            "--range",
            rich_help_panel=DATA,
            metavar="LO,HI",
            help="Scale of the pixels that the model takes.",
            show_default="that of recipe.json in MODEL, else -1,1",
        ),
    ] = None,
    pad: Pad = 0,
    seed: Seed = 0,
    device: Device = "cpu",
    memory_mib: MemoryMib = 1024,
    out: Out = None,
) -> None:
    left_out = "out", "memory_mib", "batch", "model", "classifier"
    options = {k: str(v) if isinstance(v, Path) else v for k, v in locals().items()}
    options = {k: v for k, v in options.items() if k not in left_out}
    in_range("--samples", samples, 16, 10**8)
    in_range("--pairs", pairs, 16, 10**8)
    in_range("--steps", steps, 10, 10**6)
    in_range("--seed", seed, 0, 10**18)
    in_range("--memory-mib", memory_mib, 16, 10**7)
    from ..report.terminal.bar import progress_bar

    with progress_bar() as progress:
        from ..auditing.audit import audit as run
        from ..common.recipe import check_device, versions
        from ..learned.models import open_model
        from ..report.folder import check_target, staged
        from ..report.page.audit import write_audit
        from ..report.terminal.audit import print_audit

        check_device(device)
        folder = out or Path("runs") / f"{model.resolve().name}-audit"
        check_target(folder)

        def points(source: str) -> Dataset:
            return read(
                source,
                labels=labels,
                key=key,
                classes=classes,
                per_class=per_class,
                pixel_range=model_scale(source, pixel_range, model),
                pad=pad,
                progress=progress,
            )

        opened = open_model(model, points(data), label=label, device=device)
        others, judge, warnings = opened.held_out, None, opened.notes
        if held_out is not None:
            others, said = _apart(points(held_out), opened.training)
            warnings = (*warnings, *said)
        if classifier is not None:
            from ..learned.classifier import load_classifier

            judge = load_classifier(classifier, opened.training, device=device)
            warnings = (*warnings, *judge.notes)
        recipe = {
            "command": "audit",
            "options": options,
            "fingerprint": opened.training.fingerprint,
            "held_out_fingerprint": None if others is None else others.fingerprint,
            "model": opened.facts["weights"],
            "classifier": judge and {"folder": str(classifier), **judge.facts},
            "versions": versions(),
        }
        store = folder.parent / f".{folder.name}.unfinished"
        found = run(
            opened.score,
            opened.training,
            others,
            samples=samples,
            pairs=pairs,
            steps=steps,
            classify=judge,
            seed=seed,
            batch=batch,
            device=device,
            memory_mib=memory_mib,
            store=store,
            recipe=recipe,
            model=opened.facts,
            notes=warnings,
            progress=progress,
        )
        with staged(folder) as stage:
            write_audit(found, opened.training, stage)
        shutil.rmtree(store, ignore_errors=True)
    print_audit(found, folder)


def _apart(held_out: Dataset, training: Dataset) -> tuple[Dataset, tuple[str, ...]]:
    """The held-out points that are no training points, and what is to be said of the others."""
    import numpy as np

    known = {x.tobytes() for x in training.points}
    new = np.flatnonzero([x.tobytes() not in known for x in held_out.points])
    shared = held_out.n - len(new)
    if len(new) < 2:
        raise InputError(
            f"{shared} of the {held_out.n} points of --held-out {held_out.source} are training "
            "points as well; expected points that the model was not trained on."
        )
    # floats are stretched between their own extremes: another stretch is another kind of points
    said = [f"held-out points: {x}" for x in held_out.notes if x not in training.notes]
    if not shared:
        return held_out, tuple(said)
    said.append(f"{shared} of {held_out.n} held-out points are training points as well: left out")
    return held_out.take(new), tuple(said)


def add_to(app: typer.Typer) -> None:
    """Put the command on the app."""
    app.command(help=flowing(HELP))(audit)
