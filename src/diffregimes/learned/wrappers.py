"""What training loops put around a network, taken off: the network is what answers.

torch.compile, DataParallel and its kin, AveragedModel, diffusers' EMAModel and accelerate's
prepared models. FSDP stays where it is, for its inner network has no weights of its own: every
process must ask it for the same states.
"""

from __future__ import annotations

from typing import Any

import torch

from ..common.checks import InputError


def unwrapped(model: Any) -> Any:
    """The network inside. Raises `InputError` for an average that knows no network."""
    seen = 0
    while seen < 10:
        seen += 1
        inner = _inner(model)
        if inner is None:
            return model
        model = inner
    return model


def config_of(model: Any) -> Any:
    """The config of a network, inside of what stays around it."""
    while getattr(model, "config", None) is None and _module(model) is not None:
        model = _module(model)
    return getattr(model, "config", None)


def _inner(model: Any) -> Any:
    if hasattr(model, "shadow_params"):
        return _average(model)
    if isinstance(getattr(model, "_orig_mod", None), torch.nn.Module):
        return model._orig_mod
    whole = "FullyShard" in type(model).__name__
    return None if whole or getattr(model, "config", None) is not None else _module(model)


def _module(model: Any) -> Any:
    inner = getattr(model, "module", None)
    return inner if isinstance(inner, torch.nn.Module) else None


def _average(model: Any) -> Any:
    """The network of the running average."""
    kind, config = getattr(model, "model_cls", None), getattr(model, "model_config", None)
    if kind is None or config is None:
        raise InputError(
            f"this {type(model).__name__} knows its weights and not its network; expected the "
            "network. Put them in by ema.copy_to(model.parameters()) and give the model."
        )
    network = kind.from_config(config)
    model.copy_to(network.parameters())
    return network
