"""What the terminal says of a training run."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...learned.classifier import Classifier
    from ...learned.training import Trained


def print_trained(trained: Trained, folder: Path, data: str) -> None:
    """`data` is the source with its options, as the audit must be given them."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, soft_wrap=True)
    last = trained.rows[-1]
    parameters = f"{trained.parameters:,}".replace(",", " ")
    console.print(f"{parameters} parameters, {last['step']} steps")
    names = {
        "train_loss": "loss on training points",
        "held_out_loss": "loss on held-out points",
        "memorised": "memorised fraction",
    }
    for name, text in names.items():
        if last.get(name) is not None:
            console.print(f"  {text}: {last[name]:.4f}")
    console.print(f"model: {folder} (give it as --model, with the same data options)")
    console.print(f"does it copy?  diffregimes audit {quote(str(folder))} --data {data}")


def print_classifier(classifier: Classifier, folder: Path) -> None:
    from rich.console import Console

    console = Console(highlight=False, markup=False, soft_wrap=True)
    a = classifier.accuracy
    console.print(
        f"{a.count} of {a.of} held-out points right: {a.value:.1%} ({a.low:.1%} to {a.high:.1%}, "
        "95 %)"
    )
    for note in classifier.notes:
        console.print(f"note: {note}")
    console.print(f"classifier: {folder} (give it as --classifier, with the same data options)")
