"""The networks that `train` makes: U-Nets of diffusers in three sizes.

A U-Net halves an image from level to level and doubles it again, with the features of each level
handed across; attention joins distant pixels on the levels where it stands.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch

from ..common.checks import InputError, in_range
from ..common.rng import torch_generator


@dataclass(frozen=True)
class TrainingPreset:
    """A U-Net and how it is trained (Adam, linear beta).

    predicts : "noise" z, or "velocity" v = e^{-t} z - sqrt(Delta) a; see `training`
    channels, attention : one entry a level, each level half the size of the one before
    layers : residual blocks a level
    groups : of the group norm
    rate, batch, steps : learning rate, images a step, steps
    average : of the weights over the steps (exponential, of some 1/(1 - average) steps)
    every : steps between rows of loss.csv and checkpoints
    """

    predicts: str
    channels: tuple[int, ...]
    attention: tuple[bool, ...]
    layers: int
    groups: int
    rate: float
    batch: int
    steps: int
    average: float
    every: int


PRESETS = {
    "tiny": TrainingPreset("velocity", (32, 64), (False, True), 1, 8, 1e-3, 64, 2000, 0.998, 100),
    "small": TrainingPreset(
        "velocity", (64, 128, 128), (False, True, True), 2, 32, 2e-4, 128, 20_000, 0.999, 500
    ),
    # Biroli, Bonnaire, de Bortoli and Mezard 2024; 25.64 million parameters on colour images
    "paper": TrainingPreset(
        "noise", (64, 128, 256, 256), (False, True, True, False), 2, 32, 1e-4, 128, 350_000, 0, 1000
    ),
}


def planned(name: str, steps: int | None, batch: int | None, every: int | None) -> TrainingPreset:
    """The preset of this name with what was given in its place."""
    if name not in PRESETS:
        raise InputError(f"preset (--preset) is {name!r}; expected one of {', '.join(PRESETS)}.")
    wanted = {"steps": steps, "batch": batch, "every": every}
    for option, value in wanted.items():
        if value is not None:
            in_range(f"{option} (--{option})", value, 1, 10**9)
    return TrainingPreset(**{**asdict(PRESETS[name]), **{k: v for k, v in wanted.items() if v}})


def network(preset: TrainingPreset, sample_shape: tuple[int, ...], seed: int = 0) -> Any:
    """An untrained `UNet2DModel` for images (H, W, C); `InputError` where halving does not work."""
    height, width, channels = _checked_shape(preset, sample_shape)
    _check_installed()
    import diffusers

    make: Any = diffusers.UNet2DModel
    with torch.random.fork_rng(devices=[]):  # initial weights come from the global generator alone
        torch.default_generator.manual_seed(torch_generator(seed, "weights").initial_seed())
        return make(
            sample_size=(height, width),
            in_channels=channels,
            out_channels=channels,
            layers_per_block=preset.layers,
            block_out_channels=preset.channels,
            down_block_types=tuple(_block(x, "Down") for x in preset.attention),
            up_block_types=tuple(_block(x, "Up") for x in preset.attention[::-1]),
            norm_num_groups=preset.groups,
        )


def versions() -> dict[str, str]:
    """Of the packages that training needs; `InputError` where one is missing."""
    _check_installed()
    import accelerate
    import diffusers

    return {"diffusers": diffusers.__version__, "accelerate": accelerate.__version__}


def _checked_shape(preset: TrainingPreset, shape: tuple[int, ...]) -> tuple[int, ...]:
    if len(shape) != 3:
        raise InputError(
            f"the data are vectors of {shape[0]} numbers; expected images (H, W) or (H, W, C): the "
            "network is made for them. Reshape the data, or take the exact scores."
        )
    factor = 2 ** (len(preset.channels) - 1)
    sides = shape[:2]
    if any(x % factor for x in sides):
        pads = [p for p in range(1, factor) if not any((x + 2 * p) % factor for x in sides)]
        way = f"--pad {pads[0]} does it" if pads else "crop or resize them"
        raise InputError(
            f"the images are {sides[0]} x {sides[1]}; expected sides that divide by {factor}, "
            f"since the network halves them {len(preset.channels) - 1} times: {way}."
        )
    return shape


def _block(attention: bool, way: str) -> str:
    return f"Attn{way}Block2D" if attention else f"{way}Block2D"


def _check_installed() -> None:
    try:
        import accelerate  # noqa: F401
        import diffusers  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"training needs diffusers and accelerate ({error}); pip install "
            "'diffregimes[diffusers]'."
        ) from error
