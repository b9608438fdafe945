"""What can be said to the command `audit`: its options, and which exclude each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..common.checks import InputError, in_range
from .command import recorded
from .competitors import GroupedDataOptions
from .options import (
    ACCURACY,
    DATA,
    Batch,
    Classifier,
    Computation,
    Figures,
    Out,
    place,
    range_option,
)
from .scored import NetworkOptions

if TYPE_CHECKING:
    from ..learned.models import Opened


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
        int,
        typer.Option(
            rich_help_panel=ACCURACY,
            metavar="N",
            help="Pairs of clones; half as many U-turns of training and of held-out points.",
        ),
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
    prompts: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=DATA,
            metavar="COLUMN|FILE",
            help="The text of each point, under which a model of text and images is asked for it: "
            "a column, such as text of metadata.jsonl, or a .txt with a line a point (a second "
            "FILE for held-out points after a comma).",
            show_default="--prompt for all",
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
        if self.prompts is not None and (self.samples_from or self.network.prompt is not None):
            raise InputError(
                "--prompts came with --prompt or --samples-from; it names the text of each point, "
                "under which a MODEL is asked for it. Give one of them."
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
        if self.features is None:
            return None
        return named_features(self.features, places, self.computation.device)
