"""The class of end points: a network of its own, where the nearest training point cannot be asked.

A model that has learned the law ends between the training points, and the class of the nearest one
is then no judge. The classifier minimises the cross-entropy of the labels on the same data, classes
weighted alike; what it is worth is measured on a share of each class that it never saw.

If it errs on end points at a rate e, two labels agree wrongly or differ wrongly with probability
2e at most (e at most in a U-turn, where the class of the start is known), whether its errors on two
clones go together or not:

    |phi - phi of a perfect judge| <= 2e.

That e is the same on end points as on held-out points is not in this bound. They are alike where
the model has learned the law, and e is smaller where it copies what the classifier was trained on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..common.checks import InputError, in_range
from ..common.files import write_atomically
from ..common.parallel import Progress
from ..common.provenance import INDEXED
from ..common.reading import read_json
from ..data.classes import listed
from ..data.datasets import Dataset
from ..data.groups import hold_out
from ..results import Share
from .checkpoints import weights_digest
from .fitting import fit
from .resnet import ClassNetwork
from .weights import PICKLES

FORMAT = "diffregimes.classifier/1"
FILE, WEIGHTS = "classifier.json", "classifier.safetensors"
ENOUGH = 0.95  # held-out accuracy below which a warning goes with phi
ASKED = 512  # states asked about at a time


@dataclass(frozen=True)
class Classifier:
    """States (m, d) in the scale of the data -> class numbers (m,), places in `class_names`.

    module        a `resnet.ClassNetwork`, in eval mode
    sample_shape  (H, W, C) or (d,): states are flattened in this order
    scale         of the data: (low, high), or None for values as they came
    accuracy      on held-out points, with a 95 % interval
    recipe        how it was trained
    """

    module: nn.Module = field(repr=False)
    class_names: tuple[str, ...]
    sample_shape: tuple[int, ...]
    scale: tuple[float, float] | None
    accuracy: Share
    recipe: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __call__(self, x: Tensor, t: float = 0.0) -> Tensor:
        """Class numbers of the states x (m, d). The time t does not matter: it is the end of the
        sampler's grid, where the noise left is less than what the network was trained to overlook.
        """
        if x.ndim != 2 or x.shape[1] != math.prod(self.sample_shape):
            raise InputError(
                f"states have the shape {tuple(x.shape)}; expected (m, "
                f"{math.prod(self.sample_shape)}), samples {self.sample_shape} made flat."
            )
        return _classes(self.module, x.reshape(-1, *self.sample_shape))

    @property
    def digest(self) -> str:
        """SHA-256 of the weights: tells one classifier from another."""
        return weights_digest(self.module)

    @property
    def facts(self) -> dict[str, Any]:
        """What a recipe says of it."""
        return {
            "weights": self.digest,
            "accuracy": asdict(self.accuracy),
            "fingerprint": self.recipe.get("fingerprint"),
        }

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of phi must know."""
        a = self.accuracy
        right = f"the classifier is right on {a.value:.1%} of {a.of} held-out points"
        right += f" ({a.low:.1%} to {a.high:.1%}, 95 %)"
        off = (
            f"phi is off by up to twice its error rate on end points, {_twice(1 - a.value)} if "
            f"that is the same ({_twice(1 - a.low)} at the end of the interval)"
        )
        if a.value < ENOUGH:
            return (f"{right}, below {ENOUGH:.0%}: {off}",)
        if a.low < ENOUGH:
            return (f"{right}, too few to know that it is {ENOUGH:.0%} or more: {off}",)
        return ()


def train_classifier(
    dataset: Dataset,
    *,
    held_out: float = 0.1,
    seed: int = 0,
    device: str = "cpu",
    epochs: int | None = None,
    progress: Progress | None = None,
) -> Classifier:
    """Train on all but a share `held_out` of each class, and measure the accuracy there.

    `epochs` are passes over the data, without as many as they need (see fitting.py). The model
    measured is the one returned. The same seed gives the same bits on a CPU, and the same up to
    rounding on a GPU.

    Raises `InputError` for data without labels, classes without points, and nothing held out.
    """
    _check_labels(dataset)
    in_range("held_out (--held-out)", held_out, 1e-6, 0.9, "They tell what it is worth.")
    in_range("seed (--seed)", seed, 0, 10**18)
    kept, out = hold_out(dataset.labels, held_out, seed)
    _check_kept(dataset, kept)
    if epochs is not None:
        in_range("epochs (--epochs)", epochs, 1, 10**6)
    module = fit(
        dataset.points[kept],
        dataset.labels[kept],
        dataset.sample_shape,
        len(dataset.class_names),
        epochs=epochs,
        seed=seed,
        device=device,
        progress=progress,
    )
    held = torch.from_numpy(dataset.points[out]).reshape(-1, *dataset.sample_shape)
    right = _classes(module, held).numpy() == dataset.labels[out]
    accuracy = Share.counted(int(right.sum()), len(out))
    recipe = {
        "fingerprint": dataset.fingerprint,
        "held_out": held_out,
        "held_out_indices": dataset.indices[out].tolist(),
        "indexed": INDEXED,
        "seed": seed,
        "epochs": epochs,
    }
    names, shape, scale = dataset.class_names, dataset.sample_shape, dataset.scale
    return Classifier(module, names, shape, scale, accuracy, recipe)


def save_classifier(classifier: Classifier, folder: str | Path) -> None:
    """classifier.safetensors and classifier.json into a folder, made if it is not there.

    Raises `OSError` where it cannot be written.
    """
    from safetensors.torch import save

    place = Path(folder)
    known = {
        "format": FORMAT,
        "class_names": list(classifier.class_names),
        "sample_shape": list(classifier.sample_shape),
        "scale": None if classifier.scale is None else list(classifier.scale),
        "accuracy": asdict(classifier.accuracy),
        "weights": classifier.digest,
        "recipe": dict(classifier.recipe),
    }
    state = {k: v.cpu().contiguous() for k, v in classifier.module.state_dict().items()}
    text = json.dumps(known, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    write_atomically(place / WEIGHTS, save(state))
    write_atomically(place / FILE, text)


def load_classifier(
    folder: str | Path, dataset: Dataset | None = None, *, device: str = "cpu"
) -> Classifier:
    """A classifier that `save_classifier` wrote, in eval mode.

    With a dataset its classes, sample shape and scale must be those of the classifier. Weights are
    read from safetensors alone. Raises `InputError` for anything else, naming both.
    """
    if dataset is not None and len(dataset.class_names) < 2:
        raise InputError(
            f"the data ({dataset.source}) are one class, {dataset.class_names[0]}; expected two or "
            f"more for the classifier in {folder} to tell apart. Leave it out (--classifier), or "
            "take more classes."
        )
    place = Path(folder)
    known = _known(place)
    classifier = Classifier(nn.Identity(), **known["given"], recipe=known["recipe"])
    if dataset is not None:
        _check_fits(classifier, dataset, place)
    module = _filled(place / WEIGHTS, classifier).to(device)
    found = Classifier(module, **known["given"], recipe=known["recipe"])
    if found.digest != known["weights"]:
        raise InputError(
            f"{place / WEIGHTS} holds other weights than {FILE} beside it was written for; the "
            "accuracy is not theirs. Train the classifier again."
        )
    return found


def _classes(module: nn.Module, samples: Tensor) -> Tensor:
    """Class numbers (m,), where the samples are."""
    where = next(module.parameters()).device
    with torch.no_grad():
        parts = [module(x.to(where, torch.float32)).argmax(1) for x in torch.split(samples, ASKED)]
    return torch.cat(parts).to(samples.device)


def _twice(error: float) -> str:
    return f"{min(1.0, 2 * error):.2f}"


def _check_labels(dataset: Dataset) -> None:
    if not dataset.labelled:
        raise InputError(
            f"the data ({dataset.source}) have no labels; expected a class for each point. Give "
            "them by labels= (--labels), or leave the classifier out: ends then have the class of "
            "the nearest training point."
        )
    if len(dataset.class_names) < 2:
        raise InputError(
            f"there is one class only, {listed(dataset.class_names)}; expected two or more to tell "
            "apart. Choose more by classes= (--classes)."
        )


def _check_kept(dataset: Dataset, kept: np.ndarray) -> None:
    counts = np.bincount(dataset.labels[kept], minlength=len(dataset.class_names))
    none = [x for x, count in zip(dataset.class_names, counts, strict=True) if not count]
    if none:
        raise InputError(
            f"no points are left to train on of the class {listed(none)}; expected one at least of "
            "every class. Hold out less (--held-out), add points, or leave the class out."
        )


def _check_fits(classifier: Classifier, dataset: Dataset, folder: Path) -> None:
    pairs = {
        "classes": (listed(classifier.class_names), listed(dataset.class_names)),
        "samples of the shape": (classifier.sample_shape, dataset.sample_shape),
        "the scale": (classifier.scale, dataset.scale),
    }
    same = classifier.class_names == dataset.class_names
    for what, (has, wants) in pairs.items():
        if has != wants or (what == "classes" and not same):
            raise InputError(
                f"the classifier in {folder} was trained on {what} {has}, the data "
                f"({dataset.source}) have {wants}; expected the same, in the same order. Load the "
                "data as for its training (--classes, --pad, --range), or train one on these data: "
                "diffregimes train-classifier."
            )


def _known(place: Path) -> dict[str, Any]:
    """What classifier.json says, checked."""
    path = place / FILE
    way = "a folder that diffregimes train-classifier wrote"
    pickles = (
        [] if path.exists() else sorted(x.name for x in place.glob("*") if x.suffix in PICKLES)
    )
    held = f"; {listed(pickles)} can run code as they are read, and are left alone"
    facts = read_json(path, f"{way}{held if pickles else ''}")
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        named = facts.get("format") if isinstance(facts, dict) else None
        raise InputError(f"{path} has the format {named!r}, not {FORMAT!r}; expected {way}.")
    try:
        names, shape = (tuple(facts[k]) for k in ("class_names", "sample_shape"))
        scale = None if facts["scale"] is None else tuple(float(x) for x in facts["scale"])
        accuracy = Share.counted(int(facts["accuracy"]["count"]), int(facts["accuracy"]["of"]))
        good = all(isinstance(x, str) for x in names) and len(names) > 1
        good = good and all(isinstance(x, int) and x > 0 for x in shape) and len(shape) in (1, 3)
        if not (good and (scale is None or len(scale) == 2)):
            raise ValueError("class_names, sample_shape or scale")
        given = {
            "class_names": names, "sample_shape": shape, "scale": scale, "accuracy": accuracy,
        }  # fmt: skip
        return {"given": given, "weights": facts["weights"], "recipe": dict(facts["recipe"])}
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise InputError(f"{path} lacks or garbles {error}; expected {way}.") from error


def _filled(path: Path, classifier: Classifier) -> ClassNetwork:
    """The network with its weights from a safetensors file."""
    from safetensors.torch import load_file

    with torch.device("meta"):  # no memory, no random numbers: the file brings all there is
        module = ClassNetwork(classifier.sample_shape, len(classifier.class_names))
    try:
        state = load_file(path)
        module.load_state_dict(state, assign=True)
    except Exception as error:  # whatever it is that does not go together
        raise InputError(
            f"{path} holds no weights of this classifier ({str(error).splitlines()[0]}); expected "
            f"safetensors as diffregimes train-classifier writes them, with {FILE} beside it."
        ) from error
    if not all(bool(x.isfinite().all()) for x in state.values()):
        raise InputError(f"{path} holds NaN or infinite weights; train the classifier again.")
    return module.eval()
