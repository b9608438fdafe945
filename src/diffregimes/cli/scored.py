"""Options of commands that ask a score: how a network is opened, and how it is run backwards."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..backward.samplers import SAMPLERS, described, noisy
from .options import ACCURACY, Batch, Classifier, Computation, ModelDataOptions, Out, place

if TYPE_CHECKING:
    from ..common.parallel import Progress
    from ..data.datasets import Dataset
    from ..learned.models import Opened


def label(text: str) -> int | str:
    """The number of a class, or own."""
    if text == "own":
        return text
    if not re.fullmatch(r"[+-]?\d{1,9}", text):
        raise typer.BadParameter(f"{text!r} is no number of a class, nor own.")
    return int(text)


Label = Annotated[
    Any,
    typer.Option(
        rich_help_panel=ACCURACY,
        parser=label,
        metavar="N|own",
        help="Class that a conditional model is asked for; of audit own, too: each point's own.",
    ),
]


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """How a network is asked, and where what its folder lacks is found."""

    label: Label = None
    prompt: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=ACCURACY,
            metavar="TEXT",
            help="Text that a model of text and images is asked for; '' for none.",
        ),
    ] = None
    guidance: Annotated[
        float | None,
        typer.Option(
            rich_help_panel=ACCURACY,
            metavar="W",
            help="Scale of classifier-free guidance, where it is to be part of the law.",
            show_default="none",
        ),
    ] = None
    null_label: Annotated[
        int | None,
        typer.Option(
            rich_help_panel=ACCURACY,
            metavar="N",
            help="Class that stands for none, for --guidance, where the model does not tell it.",
            show_default="that of the model",
        ),
    ] = None
    scheduler: Annotated[
        Path | None,
        typer.Option(
            rich_help_panel=ACCURACY,
            parser=place,
            metavar="PATH",
            help="Noise levels of a network that is saved without: a scheduler_config.json, or a "
            "folder that has one.",
        ),
    ] = None
    base: Annotated[
        Path | None,
        typer.Option(
            rich_help_panel=ACCURACY,
            parser=place,
            metavar="PIPELINE",
            help="Pipeline from which is taken what the model's folder lacks: the network below a "
            "low-rank adapter, scheduler, VAE, text encoder.",
        ),
    ] = None

    def opened(
        self,
        model: Path,
        data: Dataset,
        device: str,
        progress: Progress,
        prompts: tuple[str, ...] | None = None,
    ) -> Opened:
        """The network in the folder `model`, with its training points; `prompts` in the place of
        --prompt."""
        from ..learned.latents import kept_latents
        from ..learned.models import open_model

        return open_model(
            model,
            data,
            label=self.label,
            prompt=prompts or self.prompt,
            guidance=self.guidance,
            null_label=self.null_label,
            scheduler=self.scheduler,
            base=self.base,
            device=device,
            store=kept_latents(),
            progress=progress,
        )


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """The score that is run backwards."""

    score: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=ACCURACY,
            help="empirical: the exact score of the training points; population: that of the law "
            "of a gmm: source.",
            show_default="population for gmm:, else empirical",
        ),
    ] = None
    model: Annotated[
        Path | None,
        typer.Option(
            rich_help_panel=ACCURACY,
            parser=place,
            help="A saved diffusers pipeline, run in place of the exact score; SOURCE is what it "
            "was trained on, in the same size and scale (--range=-1,1 as a rule).",
        ),
    ] = None
    network: NetworkOptions


@dataclass(frozen=True, kw_only=True)
class JudgedScoreOptions(ScoreOptions):
    """And what tells the class of its end points."""

    classifier: Classifier = None


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """The steps of the backward process."""

    sampler: Annotated[
        str, typer.Option(rich_help_panel=ACCURACY, help=f"{described(list(SAMPLERS))}.")
    ] = "bridge"
    grid: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=ACCURACY,
            help="Steps of the sampler: the noise levels of a schedule (linear, cosine, a "
            "scheduler_config.json), or uniform or log-snr.",
            show_default="those of --model; without: linear",
        ),
    ] = None
    steps: Annotated[
        int | None,
        typer.Option(
            rich_help_panel=ACCURACY,
            metavar="N",
            help="Number of steps.",
            show_default="1000; all of a schedule",
        ),
    ] = None
    batch: Batch = None


@dataclass(frozen=True, kw_only=True)
class NoisySamplingOptions(SamplingOptions):
    """The same for clones and U-turns: without noise two of them would be one."""

    sampler: Annotated[
        str,
        typer.Option(rich_help_panel=ACCURACY, help=f"One with noise. {described(noisy())}."),
    ] = "bridge"


@dataclass(frozen=True, kw_only=True)
class BackwardOptions:
    """Everything that says what is run backwards, and how."""

    score: ScoreOptions
    sampling: SamplingOptions
    data: ModelDataOptions
    computation: Computation
    out: Out = None


@dataclass(frozen=True, kw_only=True)
class EndPointOptions(BackwardOptions):
    """Of the commands that ask for the class of end points alone."""

    score: JudgedScoreOptions
    sampling: NoisySamplingOptions
