"""The command `audit`: does a trained model copy its training data, from when on, and which?

Every finished block of trajectories is stored; killed at any moment, the same command goes on
where it stood.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..common.files import hidden
from .audited import AuditOptions
from .command import command, kept_unless_dead
from .options import flowing, source_name

if TYPE_CHECKING:
    from ..common.parallel import Progress
    from ..data.datasets import Dataset
    from ..learned.classifier import Classifier as Judge
    from ..learned.models import Opened


_SAMPLES_ALONE = (
    "samples alone were given: whether they are copies is told, losses, entropy and times of the "
    "model are not known; the share holds for images that were not picked"
)
HELP = """
Audit a trained model: does it copy its training data, from which time on, and which points?

MODEL is a saved diffusers pipeline, a checkpoint of its training scripts, or what `diffregimes
train` wrote; of a latent model the data are encoded by its own VAE. Generates samples, measures
the denoising loss on training and held-out points, the entropy of what the model generates, clones,
and U-turns, each beside the exact score of the training points. Writes report.html, results.json
and tables to runs/NAME-audit. Killed, the same command goes on where it stood.

Points held out by `diffregimes train` are known; for other models give them with --held-out.

Examples:

  diffregimes audit runs/digits-train --data digits

  diffregimes audit path/to/pipeline --data images/ --held-out more-images/

  diffregimes audit path/to/pipeline --data faces/ --augment mirror

  diffregimes audit path/to/DiT --data images/ --label 3

  diffregimes audit path/to/stable-diffusion --data images/ --prompt "a photo of a cat"

  diffregimes audit run/checkpoint-500 --base path/to/pipeline --data images/

  diffregimes audit path/to/pipeline --data scans/ --group patient --features mine:encode

  diffregimes audit --samples-from generated/ --data images/

  diffregimes audit path/to/pipeline --data cars.npz --classes 1,7 --samples 2048 --device cuda
"""


def audit(options: AuditOptions) -> None:
    """Read the model and its points, audit, write, print."""
    options.check()
    if options.model is None:
        return _of_samples(options)
    from ..report.terminal.bar import progress_bar

    with progress_bar() as progress:
        from ..auditing.audit import audit as run
        from ..common.recipe import check_device
        from ..learned.models import model_name
        from ..report.folder import check_target, staged, with_figures
        from ..report.page.audit import write_audit

        computation = options.computation
        check_device(computation.device)
        folder = options.out or Path("runs") / f"{model_name(options.model)}-audit"
        check_target(folder)
        store = hidden(folder, ".unfinished")
        with kept_unless_dead(store):
            opened, held_out, notes = _opened(options, progress)
            judge = _judge(options, opened.training)
            audited = run(
                opened.score,
                opened.training,
                held_out,
                samples=options.samples,
                pairs=options.pairs,
                steps=options.steps,
                augment=options.ways,
                features=options.encoder(opened),
                classify=judge,
                seed=computation.seed,
                batch=options.batch,
                device=computation.device,
                memory_mib=computation.memory_mib,
                store=store,
                recipe=_recipe(options, opened, held_out, judge),
                model=opened.facts,
                notes=(*notes, *(judge.notes if judge else ())),
                progress=progress,
            )
        with staged(folder) as stage:
            files = options.figures or with_figures(folder)
            write_audit(audited, opened.training, stage, figures=files)
        shutil.rmtree(store, ignore_errors=True)
    from ..report.terminal.audit import print_audit

    print_audit(audited, folder)


def _of_samples(options: AuditOptions) -> None:
    """The half of the audit that samples alone allow."""
    from ..report.terminal.bar import progress_bar

    points, computation, source = options.points, options.computation, options.samples_from
    assert source is not None
    with progress_bar() as progress:
        from ..auditing.samples import audit_samples
        from ..common.recipe import check_device, versions
        from ..data.pixels import MODELS
        from ..report.folder import check_target, staged, with_figures
        from ..report.page.audit import write_audit

        check_device(computation.device)
        folder = options.out or Path("runs") / f"{source_name(source)}-audit"
        check_target(folder)
        data = points.read(options.data, points.range() or MODELS, progress)
        assert data.pixel_map is not None
        made = points.alike().read(source, data.pixel_map, progress)
        held_out = None
        if options.held_out is not None:
            held_out = points.read_other(options.held_out, data.pixel_map, progress)
        recipe = {
            "command": "audit",
            "options": options.recorded(),
            "fingerprint": data.fingerprint,
            "held_out_fingerprint": None if held_out is None else held_out.fingerprint,
            "samples": made.fingerprint,
            "versions": versions(),
        }
        audited = audit_samples(
            made, data, held_out, augment=options.ways, features=options.encoder(),
            seed=computation.seed, batch=options.batch, progress=progress,
            device=computation.device, memory_mib=computation.memory_mib, recipe=recipe,
            model={"name": source_name(source), "samples": source, "made": made.n},
            notes=(_SAMPLES_ALONE, *(x for x in made.notes if "principal" not in x)),
        )  # fmt: skip
        with staged(folder) as stage:
            files = options.figures or with_figures(folder)
            write_audit(audited, data, stage, figures=files)
    from ..report.terminal.audit import print_audit

    print_audit(audited, folder)


def _opened(
    options: AuditOptions, progress: Progress
) -> tuple[Opened, Dataset | None, tuple[str, ...]]:
    """The model, the held-out points that are known or given, and what is to be said of both."""
    from ..auditing.conditions import distinct_captions

    points, device = options.points, options.computation.device
    texts = [] if options.prompts is None else options.prompts.split(",")
    first, other = (texts[0], texts[-1]) if texts else (None, None)
    scale = points.range_for(options.data, options.model)
    data, held_out = points.read(options.data, scale, progress, captions=first), None
    if options.held_out is not None:
        # by the map of the training data: between their own extremes they would be other points
        held_out = points.read_other(options.held_out, data.pixel_map, progress, other)
    assert options.model is not None
    asked = distinct_captions(data, held_out)
    opened = options.network.opened(options.model, data, device, progress, asked)
    if held_out is None:
        return opened, opened.held_out, opened.notes
    held_out = opened.prepared(held_out, progress)
    said = (f"held-out points: {x}" for x in held_out.notes if x not in opened.training.notes)
    return opened, held_out, (*opened.notes, *said)


def _judge(options: AuditOptions, training: Dataset) -> Judge | None:
    from ..learned.classifier import load_classifier as load

    where, device = options.classifier, options.computation.device
    return None if where is None else load(where, training, device=device)


def _recipe(
    options: AuditOptions, opened: Opened, held_out: Dataset | None, judge: Judge | None
) -> dict[str, Any]:
    from ..common.recipe import versions

    return {
        "command": "audit",
        "options": options.recorded(),
        "fingerprint": opened.training.fingerprint,
        "held_out_fingerprint": None if held_out is None else held_out.fingerprint,
        **({} if options.prompts is None else {"captions": opened.facts["captions"]}),
        "model": opened.facts["weights"],
        "classifier": judge and {"folder": str(options.classifier), **judge.facts},
        "versions": versions(),
    }


def add_to(app: typer.Typer) -> None:
    """Put the command on the app."""
    app.command(help=flowing(HELP))(command(audit))
