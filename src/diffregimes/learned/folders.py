"""The folder of a saved model: what is in it, by name and config alone.

A diffusers pipeline, a network beside its scheduler, or what a training script left: checkpoint-N/
with unet/ and unet_ema/, low-rank adapters beside or without their base. What a folder lacks
(scheduler, VAE, text encoder) is taken from `base`, a pipeline, or from the finished pipeline
around a checkpoint. Everything that can be seen to be missing or of another kind is refused before
anything is loaded, and what is left out is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..common.checks import InputError
from ..common.reading import read_json
from ..process import SCHEDULERS
from .checkpoints import found as checkpoints_in
from .weights import adapter_files, weight_files

NETWORKS = (
    "UNet2DModel",
    "UNet2DConditionModel",
    "DiTTransformer2DModel",
    "Transformer2DModel",  # of DiT, before it had a name of its own
    "SD3Transformer2DModel",
)
# Flux packs its latents and takes text ids; video has one axis more
ANOTHER_CALL = (
    "A network with another call, such as Flux, goes into a function of your own from Python: "
    "module_score(function, scheduler, shape=...), as docs/audit.md has it for Flux"
)
CODECS = ("AutoencoderKL", "VQModel")
VAES = ("vae", "vqvae")  # what a pipeline calls it
# samplers and pipelines of networks that leap to the data in one step or a few
ONE_STEP = {
    "LCMScheduler": "a latent consistency model",
    "TCDScheduler": "a consistency model",
    "CMStochasticIterativeScheduler": "a consistency model",
    "SCMScheduler": "a consistency model",
    "FlowMatchLCMScheduler": "a consistency model",
    "ConsistencyModelPipeline": "a consistency model",
    "LatentConsistencyModelPipeline": "a latent consistency model",
}
_TEXT = ("text_encoder", "tokenizer")
_KNOWN = {"unet", "transformer", "scheduler", "vae", "vqvae", "safety_checker"}
_KNOWN |= {"feature_extractor", *(f"{x}{k}" for x in _TEXT for k in ("", "_2", "_3"))}
_OTHERWISE = (
    "What was saved otherwise (torch.save, k-diffusion, the code of a paper) is read by the code "
    "that made it and audited from Python: module_score(network, scheduler, shape=...); samples "
    "alone of any model by --samples-from FOLDER"
)
_WANTED = (
    "a folder of a diffusers pipeline: with model_index.json, unet/ and scheduler/, or one with "
    f"config.json and scheduler_config.json. {_OTHERWISE}"
)


@dataclass(frozen=True)
class Parts:
    """Where the parts of a model are: configs as they should be, weights that are there.

    network, weights, config : folder, files and config of the network
    scheduler : config of the scheduler
    codec : folder of the VAE of a latent pipeline; texts : the pipeline that encodes prompts
    adapters : low-rank adapters to be added; notes : what was chosen and what was left out
    """

    network: Path
    weights: tuple[Path, ...]
    config: dict[str, Any]
    scheduler: dict[str, Any]
    codec: Path | None
    texts: Path | None
    adapters: tuple[Path, ...]
    notes: tuple[str, ...]


def parts_of(root: Path, scheduler: Path | None = None, base: Path | None = None) -> Parts:
    """What a folder holds, and what it lacks from `scheduler` (a config, its folder or a pipeline)
    and `base` (a pipeline). Raises `InputError` for what is missing or not known."""
    root = _of_hub(_existing(root))
    base = None if base is None else _of_hub(_existing(base))
    _check_finished(root)
    notes: list[str] = []
    index = _index(root)
    adapters = adapter_files(root)
    network = _network(root, index, notes)
    if network is None and adapters:
        if base is None:
            raise InputError(
                f"{root} holds a low-rank adapter ({adapters[0].name}) and no network; expected "
                "that of its base, too: name its pipeline by base= (--base PIPELINE)."
            )
        network = _network(base, _index(base), notes)
    network = network or root
    homes = [x for x in (root, base, _around(root)) if x is not None]
    config = _config(network / "config.json", *NETWORKS)
    if config.get("time_cond_proj_dim") is not None:
        raise _one_step(network, "a latent consistency model (time_cond_proj_dim)")
    weights = weight_files(network)
    # a whole pipeline without a VAE is one of pixels: it lacks none, whatever its base has
    lacking = not index or any(_named(index, x) for x in VAES)
    codec = next(filter(None, map(codec_in, homes if lacking else [root])), None)
    if codec is None:
        _check_whole(root, network, index or _index(homes[-1]))
    settings = _scheduler(root, scheduler, homes, notes)
    texts = next((x for x in homes if (x / "text_encoder").is_dir()), None)
    notes += (f"{x.name} is added to the weights of the network" for x in adapters)
    if network != root and network.name == "unet" and (root / "unet_ema").is_dir():
        notes.append("unet/ of the pipeline is taken, and unet_ema/ beside it left out")
    return Parts(network, weights, config, settings, codec, texts, adapters, tuple(notes))


def codec_in(pipeline: Path) -> Path | None:
    """The folder of the VAE of a pipeline, None where it has none."""
    return next((pipeline / x for x in VAES if (pipeline / x).is_dir()), None)


def codec_config(folder: Path) -> dict[str, Any]:
    """The config of a VAE. Raises `InputError` for one that is not known."""
    return _config(folder / "config.json", *CODECS)


def _existing(root: Path) -> Path:
    if root.is_file():
        raise InputError(
            f"{root} is a file; expected the folder of a saved diffusers pipeline: that in which "
            f"config.json lies beside the weights, or the one above. {_OTHERWISE}."
        )
    if not root.is_dir():
        raise InputError(f"{root} is no folder; expected a saved diffusers pipeline.")
    return root


def _of_hub(root: Path) -> Path:
    """The snapshot inside a folder of the cache of the Hugging Face hub."""
    snapshots, main = root / "snapshots", root / "refs" / "main"
    if not snapshots.is_dir():
        return root
    found = sorted(x for x in snapshots.iterdir() if x.is_dir())
    named = [x for x in found if main.is_file() and x.name == main.read_text("utf-8").strip()]
    if len(named or found) != 1:
        raise InputError(
            f"{root} is a cache of the hub with {len(found)} snapshots; expected one. Give the "
            f"folder of the one that is meant, in {snapshots}."
        )
    return (named or found)[0]


def _around(root: Path) -> Path | None:
    """The finished pipeline of the training that a checkpoint belongs to."""
    place = root if root.name.startswith("checkpoint-") else root.parent
    inside = place.name.startswith("checkpoint-") and (place.parent / "model_index.json").exists()
    return place.parent if inside else None


def _index(root: Path) -> dict[str, Any]:
    """model_index.json, as far as it is one of a pipeline that is understood."""
    if not (root / "model_index.json").exists():
        return {}
    index = _config(root / "model_index.json")
    name = str(index["_class_name"])
    if name in ONE_STEP:
        raise _one_step(root, f"{ONE_STEP[name]} ({name})")
    parts = {k for k, v in index.items() if isinstance(v, list) and v[:1] != [None]}
    networks = parts & {"unet", "transformer"}
    other = parts - _KNOWN
    if other or len(networks) != 1 or "scheduler" not in parts:
        raise InputError(
            f"{root} is a pipeline of {', '.join(sorted(parts))}; expected a unet or a transformer "
            "and a scheduler, with VAE and text encoder or without"
            + (f": what {', '.join(sorted(other))} does is not known." if other else ".")
            + " For a network with another call write a function of t and take "
            "scores.CallableScore; of its samples alone --samples-from FOLDER finds the copies."
        )
    return index


def _named(index: dict[str, Any], part: str) -> bool:
    return bool(index.get(part, [None])[0] is not None)


def _network(root: Path, index: dict[str, Any], notes: list[str]) -> Path | None:
    """The folder of the network in a pipeline or a checkpoint, None if there is none."""
    for kind in ("unet", "transformer"):
        average = root / f"{kind}_ema"
        if average.is_dir() and not index:
            notes.append(
                f"the averaged weights in {average.name}/ are taken, with which the training "
                f"script samples; for those of its last step give {root / kind}"
            )
            return average
        if (root / kind).is_dir():
            return root / kind
    return root if (root / "config.json").exists() or not adapter_files(root) else None


def _scheduler(
    root: Path, given: Path | None, homes: list[Path], notes: list[str]
) -> dict[str, Any]:
    """The config of the scheduler: the one given, that of the folder, or of what is around it."""
    if given is not None:
        places = [given] if given.is_file() else _plans(_of_hub(_existing(given)))
    else:
        places = [path for home in homes for path in _plans(home)]
    found = next((x for x in places if x.is_file()), None)
    if found is None:
        left = given or root / "scheduler_config.json"
        raise InputError(
            f"cannot read {left} (no such file); expected the noise levels that the network was "
            "trained on. Name them by scheduler= (--scheduler PATH: a scheduler_config.json, which "
            "scheduler.save_pretrained(folder) writes), or a pipeline that has them by base= "
            "(--base PIPELINE)."
        )
    if given is None and root not in found.parents:
        notes.append(f"the scheduler is that of {found.parent}")
    config = read_json(found, _WANTED)
    name = config.get("_class_name") if isinstance(config, dict) else None
    if name in ONE_STEP:
        raise _one_step(root, f"{ONE_STEP[name]} ({name})")
    return _config(found, *SCHEDULERS)


def _plans(folder: Path) -> list[Path]:
    return [folder / "scheduler" / "scheduler_config.json", folder / "scheduler_config.json"]


def _config(path: Path, *classes: str) -> dict[str, Any]:
    """A diffusers config of one of these classes, any if none is named."""
    config = read_json(path, _WANTED)
    name = config.get("_class_name") if isinstance(config, dict) else None
    if name is None or (classes and name not in classes):
        what = "no class of diffusers" if name is None else f"the class {name}"
        known = f"known are {', '.join(classes)}" if classes else "expected one (_class_name)"
        raise InputError(f"{path} names {what}; {known}.{_way(name, classes)}")
    return dict(config)


def _way(name: Any, classes: tuple[str, ...]) -> str:
    """The way out where a config is of another class than these."""
    if classes == NETWORKS and name in CODECS:
        return " It is a VAE: expected the pipeline that it is of, the folder above."
    if classes == NETWORKS and name is not None:
        return f" {ANOTHER_CALL}; samples alone of any model by --samples-from FOLDER."
    if classes == tuple(SCHEDULERS):
        return (
            " Name one of these with the noise levels of the training by scheduler= (--scheduler "
            "PATH: a scheduler_config.json)."
        )
    return f" {_OTHERWISE}."


def _one_step(root: Path, what: str) -> InputError:
    return InputError(
        f"{root} is {what}: it leaps to the data, and its answer is no mean over the posterior, so "
        "it has no score to be audited. What can be told is whether its samples are copies: "
        "generate some hundreds and give them by --samples-from FOLDER (or FILE.npz)."
    )


def _check_finished(root: Path) -> None:
    """A training that was cut short has left checkpoints alone."""
    if any((root / x).exists() for x in ("model_index.json", "unet", "transformer", "config.json")):
        return
    left = checkpoints_in(root) or sorted(x for x in root.glob("checkpoint-*") if x.is_dir())
    if left:
        raise InputError(
            f"{root} holds no model yet: its training has not ended. It has the checkpoints "
            f"{', '.join(str(x) for x in left)}; expected one of these, or a finished model. Give "
            "one, or go on with diffregimes train."
        )


def _check_whole(root: Path, network: Path, index: dict[str, Any]) -> None:
    """A network without its VAE is not to be taken for one of pixels."""
    home = network.parent
    if root == network and (home / "model_index.json").exists():
        index = _index(home)
    named = [x for x in VAES if _named(index, x)]
    if named and root == network:
        raise InputError(
            f"{network} is the network of a latent pipeline, without its VAE; expected the "
            f"pipeline, {home}: its VAE encodes the data."
        )
    if named:
        raise InputError(
            f"{root} names a VAE ({named[0]}) that is not there; expected the folder "
            f"{root / named[0]}, which encodes the data. Copy or download it again, or name a "
            "pipeline that has it by base= (--base PIPELINE)."
        )
