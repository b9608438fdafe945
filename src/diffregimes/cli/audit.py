"""The command `audit`: does a trained model copy its training data, from when on, and which?

Every finished block of trajectories is stored; killed at any moment, the same command goes on
where it stood.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..common.checks import InputError, in_range
from ..common.files import hidden
from .command import command, kept_unless_dead, recorded
from .options import (
    ACCURACY,
    DATA,
    Batch,
    Classifier,
    Computation,
    Figures,
    GroupedDataOptions,
    Out,
    flowing,
    place,
    range_option,
    source_name,
)
from .scored import NetworkOptions

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
the denoising loss on training and held-out points, the entropy of what the model generates, and
clones, each beside the exact score of the training points. Writes report.html, results.json and
tables to runs/NAME-audit. Killed, the same command goes on where it stood.

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


@dataclass(frozen=True, kw_only=True)
class AuditedDataOptions(GroupedDataOptions):
    """On the scale of the model that is audited."""

    pixel_range: Annotated[
        str | None,
        range_option(
            "that of recipe.json in MODEL, else -1,1 for integer pixels, floats as they are"
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class AuditOptions:
    """The options of `audit`."""

    model: Annotated[
        Path | None,
        typer.Argument(
            parser=place,
            metavar="[MODEL]",
            help="Folder of a diffusers pipeline, or of a checkpoint of a training script.",
            show_default=False,
        ),
    ] = None
    samples_from: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER|FILE.npz",
            help="Generated images in place of MODEL, of any model: are they copies?",
            show_default="none",
        ),
    ] = None
    data: Annotated[
        str,
        typer.Option(
            rich_help_panel=DATA,
            metavar="SOURCE",
            help="What the model was trained on: digits, a file, or a folder.",
        ),
    ]
    held_out: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=DATA,
            metavar="SOURCE",
            help="Points of the same kind that it was not trained on; the options below hold for "
            "both.",
            show_default="those of recipe.json in MODEL",
        ),
    ] = None
    samples: Annotated[
        int, typer.Option(rich_help_panel=ACCURACY, metavar="N", help="Samples to generate.")
    ] = 512
    pairs: Annotated[
        int, typer.Option(rich_help_panel=ACCURACY, metavar="N", help="Pairs of clones.")
    ] = 128
    steps: Annotated[
        int,
        typer.Option(
            rich_help_panel=ACCURACY, metavar="N", help="Steps of the sampler, even in log-SNR."
        ),
    ] = 250
    augment: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=DATA,
            metavar="mirror,...",
            help="Flips and turns that the training used, under which an image counts as itself: "
            "mirror (left to right), flip (upside down), rot90, rot180.",
            show_default="none",
        ),
    ] = None
    features: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=DATA,
            metavar="MODULE:FUNCTION|FILE.npy,...",
            help="Look for copies in these features, too: a function of images (N, C, H, W) in "
            "[0, 1] that gives (N, F); vae, or the folder of a VAE; or, with --samples-from, the "
            "files DATA.npy,SAMPLES.npy[,HELD-OUT.npy].",
            show_default="none",
        ),
    ] = None
    network: NetworkOptions
    classifier: Classifier = None
    batch: Batch = None
    points: AuditedDataOptions
    computation: Computation
    out: Out = None
    figures: Figures = False

    def check(self) -> None:
        if (self.model is None) == (self.samples_from is None):
            what = "neither came" if self.model is None else "both came"
            raise InputError(
                f"MODEL or --samples-from is audited, and {what}; expected the folder of a model, "
                "or the images that it made, not both."
            )
        if self.samples_from is not None:
            odd = [k for k, v in recorded(self.network).items() if v is not None]
            odd += [] if self.classifier is None else ["classifier"]
            if odd:
                raise InputError(
                    f"--{odd[0]} came with --samples-from; it is of a MODEL: samples are taken as "
                    "they are. Leave it out."
                )
        in_range("--samples", self.samples, 16, 10**8)
        in_range("--pairs", self.pairs, 16, 10**8)
        in_range("--steps", self.steps, 10, 10**6)
        self.computation.check()

    def recorded(self) -> dict[str, Any]:
        """Without what changes no number, and what is told elsewhere."""
        left_out = ["out", "figures", "memory_mib", "batch", "model", "classifier"]
        left_out += [] if self.samples_from else ["samples_from"]
        return recorded(self, *left_out)

    @property
    def ways(self) -> list[str]:
        """What --augment names."""
        return [x.strip() for x in (self.augment or "").split(",") if x.strip()]

    def encoder(self, opened: Opened | None = None) -> Any:
        """What --features names, beside the model that was opened."""
        from ..auditing.encoders import named_features

        latent = opened is not None and opened.score.latents is not None
        if self.features == "vae" and latent:
            raise InputError(
                "features (--features) is 'vae', and the points are latents of the model's VAE "
                "already: copies are told in these. Leave it out, or name other features."
            )
        places = [x for x in (self.model, self.network.base) if x is not None]
        return self.features and named_features(self.features, places, self.computation.device)


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
            opened, held_out, notes = _opened(options, store, progress)
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
    options: AuditOptions, store: Path, progress: Progress
) -> tuple[Opened, Dataset | None, tuple[str, ...]]:
    """The model, the held-out points that are known or given, and what is to be said of both."""
    points, device = options.points, options.computation.device
    data = points.read(options.data, points.range_for(options.data, options.model), progress)
    assert options.model is not None
    opened = options.network.opened(options.model, data, device, store, progress)
    if options.held_out is None:
        return opened, opened.held_out, opened.notes
    # by the map of the training data: between their own extremes they would be other points
    held_out = points.read_other(options.held_out, data.pixel_map, progress)
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
        "model": opened.facts["weights"],
        "classifier": judge and {"folder": str(options.classifier), **judge.facts},
        "versions": versions(),
    }


def add_to(app: typer.Typer) -> None:
    """Put the command on the app."""
    app.command(help=flowing(HELP))(command(audit))
